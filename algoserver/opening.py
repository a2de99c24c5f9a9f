"""What a process begins with: the policy that it starts under, and the first events that it tells its core.

Rule: in force is what the journal says. A policy's file that can't be used is a wish that nobody can read: the start keeps the policy in force
and says so. Only a journal that has none yet needs the file.
"""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from algoserver.clock import BEHIND, caught_up
from algoserver.config import Config
from algoserver.control import scope_error
from algoserver.core.alerts import live
from algoserver.core.bounds import FIRM
from algoserver.core.state import State
from algoserver.core.stops import STOPPING
from algoserver.domain.events import Event, MachineWarned, OperatorCommanded, PolicyLoaded, SessionDown
from algoserver.domain.types import OURS
from algoserver.killed import Kill
from algoserver.settings import BadConfig

UNENFORCED = "manifest_not_enforced"


def in_force(config: Config, state: State) -> Config:
    """The configuration with the journal's policy where the file's can't be used. Raises BadConfig if there is neither."""
    if not config.policy_error:
        return config
    if state.setup is None or not state.policies:
        raise BadConfig(f"{config.policy_error}; there is no policy in force yet that a start could keep")
    setup = replace(config.setup, policy=state.setup.policy, policy_digest=state.policies[-1].digest)
    return replace(config, setup=setup)


def first_events(state: State, config: Config, setup: PolicyLoaded, kills: Iterable[Kill]) -> Iterator[Event]:
    """The firm's decisions, that every session of the last process is gone, and what persons must know. Each is fed before the next is asked for."""
    yield setup
    for name in dict.fromkeys((*state.sessions, *state.venues_up)):
        if state.sessions.get(name) or name in state.venues_up:
            yield SessionDown(session=name, reason="the server was restarted", is_restart=True)
    firm = state.gate.stops.get(FIRM)
    if firm is not None and firm.by == STOPPING:
        yield OperatorCommanded(operator=OURS, verb="release", target=FIRM, reason="started")
    for kill in kills:
        scope = FIRM if scope_error(state, kill.scope) else kill.scope  # it was asked of nobody who could check it
        yield OperatorCommanded(operator=kill.operator, verb="kill", target=scope, reason=kill.reason)
    yield from _warnings(state, config)


def _warnings(state: State, config: Config) -> Iterator[MachineWarned]:
    open_codes = {alert.code for alert in live(state.alerts)}
    if BEHIND in open_codes:
        yield caught_up()  # a clock that is behind the journal refuses the start
    if config.policy_error:
        kept = f"in force stays {state.policies[-1].digest[:12]} of {state.policies[-1].by}; repair the file, or apply another policy"
        yield MachineWarned(code="policy_file_unusable", subject=config.server.policy, text=f"{config.policy_error[:500]}; {kept}")
    if not config.server.manifest.file:
        text = f"[manifest] file of {config.file.name} is empty: whatever build, configuration and model are here, a start takes them"
        yield MachineWarned(code=UNENFORCED, subject="manifest", text=text)
    elif UNENFORCED in open_codes:
        yield MachineWarned(code="manifest_enforced", subject="manifest", text=f"{config.server.manifest.file} is held against each start")
