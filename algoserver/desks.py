"""The client side's door: the sessions of clients, who may log on, and what of a crash's leavings they have not had.

Rule: a client with a password that logs on without the right one is refused with one text for every reason, and that is in the log.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from algoserver.config import Config
from algoserver.credentials import Credential
from algoserver.domain.commands import Command, RejectCancel, RejectMessage, ReportMassCancel, ReportParent, RequestForecast
from algoserver.fix.endpoint import Endpoint, stored_exec_ids
from algoserver.fix.logon import credentials
from algoserver.settings import BadConfig

Unsent = list[tuple[int, int, Command]]


def open_desks(config: Config, state_dir: Path, port: int, inbox: Any) -> Endpoint:
    """The endpoint that clients log on to; it does not listen yet. Raises BadConfig, BadSessions."""
    clients, profiles = config.server.clients, config.server.profiles
    port = port or clients.port
    overrides = {"SocketAcceptPort": str(port)} if port else {}
    # The engine would refuse a client's own tags before we could read them.
    own = {p.client: {"ValidateUserDefinedFields": "N"} for p in config.setup.profiles if p.has_dialect}
    admit = admission({p.client: p.credential for p in profiles if p.credential is not None})
    endpoint = Endpoint(config.path(clients.sessions), state_dir, "acceptor", inbox, overrides, session_overrides=own, admit=admit)
    known = [compid(session) for session in endpoint.sessions]
    for profile in profiles:
        if profile.client not in known:
            raise BadConfig(
                f"{config.file}: profiles {profile.client!r} client: no session of {clients.sessions} has it; use {', '.join(known)}"
            )
    return endpoint


def admission(wanted: dict[str, Credential]) -> Callable[[str, str], bool]:
    """May this session log on by this Logon? One that has no password may always."""

    def admit(session: str, logon: str) -> bool:
        credential = wanted.get(compid(session))
        return credential is None or credential.is_right(*credentials(logon))

    return admit


def compid(session: str) -> str:
    """The client's CompID of "FIX.4.4:ALGO->CLIENT1": his name everywhere else."""
    return session.rpartition("->")[2]


def never_left(unsent: Unsent, desks: Endpoint) -> Unsent:
    """Of what may not have left, what no engine's store has. Children and cancels are not sent again: venues are asked."""
    sessions = {compid(session): session for session in desks.sessions}
    stored: dict[str, set[str]] = {}
    kept: Unsent = []
    for seq, ts, command in unsent:
        if isinstance(command, RequestForecast):
            kept.append((seq, ts, command))
        if isinstance(command, ReportParent):
            session = sessions.get(command.session)
            if session and session not in stored:
                stored[session] = stored_exec_ids(desks.store_dir, session)
            if session and command.exec_id not in stored[session]:
                kept.append((seq, ts, command))
        elif isinstance(command, RejectCancel | RejectMessage | ReportMassCancel):
            # These have no id of their own to look for. Told twice is harmless; not told is not.
            kept.append((seq, ts, command))
    return kept
