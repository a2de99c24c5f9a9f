"""The client side's door: the sessions of clients, who may log on, and what of a crash's leavings they have not had.

Rule: a client with a password that logs on without the right one is refused with one text for every reason, and that is in the log.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from algoserver.config import Config
from algoserver.credentials import Credential
from algoserver.domain.commands import (
    Command,
    RejectCancel,
    RejectMessage,
    ReportChild,
    ReportMassCancel,
    ReportParent,
    RequestForecast,
    RequestPlan,
)
from algoserver.domain.events import PolicyLoaded
from algoserver.domain.policy import DropCopy
from algoserver.domain.types import COPY_SUFFIX, FEED_SUFFIX
from algoserver.fix.endpoint import Endpoint, stored_exec_ids
from algoserver.fix.logon import credentials
from algoserver.policies import Names, check_names
from algoserver.settings import BadConfig

# seq, ts, command, and of a report the one session that has not had it.
Unsent = list[tuple[int, int, Command, str]]


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
    _are_apart(config, known)
    for profile in profiles:
        if profile.client not in known:
            _unknown(config, f"profiles {profile.client!r} client", profile.client, known)
    for copy in config.setup.drop_copies:
        for name in (copy.session, *copy.clients):
            if name not in known:
                _unknown(config, f"drop_copies {copy.session!r} {'session' if name == copy.session else 'clients'}", name, known)
    return endpoint


def _are_apart(config: Config, known: list[str]) -> None:
    """By its CompID alone all that concerns a peer is kept and sent. Raises BadConfig."""
    venues = [v.name for v in config.server.venues]
    for number, name in enumerate(known):
        problem = ""
        if name in known[:number]:
            problem = f"has two sessions with TargetCompID {name!r}; give each client its own"
        elif name in venues:
            problem = f"has a client TargetCompID {name!r}, and a venue has that name; rename one"
        elif name.endswith((FEED_SUFFIX, COPY_SUFFIX)):
            problem = f"TargetCompID {name!r} ends with {FEED_SUFFIX} or {COPY_SUFFIX}, as the names of venues' other sessions do; rename it"
        elif " " in name:
            problem = f"TargetCompID {name!r} has a space; rename it"
        if problem:
            raise BadConfig(f"{config.path(config.server.clients.sessions)}: {problem}")


def named(config: Config, desks: Endpoint, persons: tuple[str, ...] = ()) -> PolicyLoaded:
    """What the firm has decided, with the clients that may log on and the persons who operate. Raises BadConfig where the policy names others."""
    copies = [d.session for d in config.setup.drop_copies]
    names = Names(
        clients=tuple(dict.fromkeys(name for session in desks.sessions if (name := compid(session)) not in copies)),
        symbols=tuple(i.instrument.symbol for i in config.setup.instruments),
        venues=tuple(v.name for v in config.setup.venues),
    )
    try:
        check_names(config.setup.policy, names)
    except ValueError as wrong:
        raise BadConfig(f"{config.path(config.server.policy)}: {wrong}") from wrong
    return msgspec.structs.replace(config.setup, clients=names.clients, persons=persons)


def admission(wanted: dict[str, Credential]) -> Callable[[str, str], bool]:
    """May this session log on by this Logon? One that has no password may always."""

    def admit(session: str, logon: str) -> bool:
        credential = wanted.get(compid(session))
        return credential is None or credential.is_right(*credentials(logon))

    return admit


def _unknown(config: Config, where: str, name: str, known: list[str]) -> None:
    sessions = config.server.clients.sessions
    raise BadConfig(f"{config.file}: {where}: no session of {sessions} has TargetCompID {name!r}; use {', '.join(known)}")


def compid(session: str) -> str:
    """The client's CompID of "FIX.4.4:ALGO->CLIENT1": his name everywhere else."""
    return session.rpartition("->")[2]


def never_left(unsent: list[tuple[int, int, Command]], desks: Endpoint, drop_copies: tuple[DropCopy, ...]) -> Unsent:
    """Of what may not have left, what no engine's store has, and for whom. Children and cancels are not sent again: venues are asked."""
    sessions = {compid(session): session for session in desks.sessions}
    stored: dict[str, set[str]] = {}
    kept: Unsent = []
    for seq, ts, command in unsent:
        if isinstance(command, RequestForecast | RequestPlan):
            kept.append((seq, ts, command, ""))
        elif isinstance(command, ReportParent | ReportChild):
            is_child = isinstance(command, ReportChild)
            report = command.report if isinstance(command, ReportChild) else command
            names = [d.session for d in drop_copies if d.wants(report.session, is_child)]
            for name in names if is_child else [report.session, *names]:
                session = sessions.get(name)
                if session and session not in stored:
                    stored[session] = stored_exec_ids(desks.store_dir, session)
                if session and report.exec_id not in stored[session]:
                    kept.append((seq, ts, command, name))
        elif isinstance(command, RejectCancel | RejectMessage | ReportMassCancel):
            # These have no id of their own to look for. Told twice is harmless; not told is not.
            kept.append((seq, ts, command, ""))
    return kept
