"""One certification: connect, play every scenario on one session, report."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from algoserver.certify.amends import AMENDS, MASS
from algoserver.certify.dialect import DIALECTS
from algoserver.certify.orders import LIFE, STRATEGIES
from algoserver.certify.play import Played, Player
from algoserver.certify.refusals import REFUSALS
from algoserver.certify.report import Report, Result
from algoserver.certify.script import Scenario, scenarios
from algoserver.certify.session import Session, SessionBroken, utc_now
from algoserver.certify.sessions import SESSION

CHAPTERS = {
    "Session": SESSION, "Life of an order": LIFE, "Strategies": STRATEGIES, "Refusals": REFUSALS, "Amends": AMENDS,
    "Mass cancel and mass status": MASS,
}  # fmt: skip


class NoSession(Exception):
    """There is nobody to certify; the text says why."""


@dataclass(frozen=True)
class Plan:
    """Whom to certify and how. only: ids or their beginnings; empty is all. patience_s: how long an answer may take."""

    host: str
    port: int
    sender: str
    target: str
    fix: str = "4.4"
    symbol: str = "AAPL"
    only: tuple[str, ...] = ()
    patience_s: float = 10.0
    username: str = ""
    password: str = field(default="", repr=False)


def certify(plan: Plan, tell: Callable[[Result], None]) -> Report:
    """Play what the plan wants; tell hears each result as it comes. Raises NoSession when the first Logon fails."""
    chosen = choose(plan.only)
    dialect = DIALECTS[plan.fix]
    chosen = [(chapter, s) for chapter, s in chosen if chapter not in dialect.lacks_chapters]
    logon = (*dialect.logon, *dialect.credentials(plan.username, plan.password))
    session = Session(plan.host, plan.port, plan.sender, plan.target, dialect.begin_string, logon)
    try:
        # We keep no numbers from one run to the next, so both sides begin anew.
        session.log_on(reset=True, patience_s=plan.patience_s)
    except (SessionBroken, OSError) as error:
        raise NoSession(f"{plan.host}:{plan.port}: {_why(error, plan)}") from error
    report = Report(plan.host, plan.port, plan.sender, plan.target, plan.fix, plan.symbol, utc_now(), [])
    run, exec_ids = _run_id(), set[str]()
    for number, (chapter, scenario) in enumerate(chosen, 1):
        began = time.monotonic()
        lost = _revive(session, plan.patience_s)
        if lost:
            played = [Played(scenario.steps[0].line, "failed", lost), *(Played(s.line) for s in scenario.steps[1:])]
        else:
            played = Player(session, dialect, f"{run}-{number}", plan.symbol, plan.patience_s, exec_ids).play(scenario)
        result = Result(chapter, scenario.id, scenario.title, played, time.monotonic() - began)
        report.results.append(result)
        tell(result)
    _log_out(session)
    return report


def _why(error: Exception, plan: Plan) -> str:
    """Why there is no session, and what to look at."""
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there; start the server, or name its --host and --port"
    return (
        f"{error}; is there a FIX {plan.fix} session for CompID {plan.sender} at {plan.target} (sessions/clients.cfg of a server as shipped), "
        "open to this address, without a password, and not logged on already? See --sender, --target and --fix"
    )


def choose(only: tuple[str, ...]) -> list[tuple[str, Scenario]]:
    """Chapter and scenario, in order. Raises ValueError where nothing has such an id."""
    every = [(chapter, s) for chapter, text in CHAPTERS.items() for s in scenarios(text)]
    chosen = [(chapter, s) for chapter, s in every if not only or s.id in only or any(s.id.startswith(o) for o in only if o.endswith("."))]
    if not chosen:
        raise ValueError(f"no scenario is called {', '.join(only)}; ids are {', '.join(s.id for _, s in every)}")
    return chosen


def _run_id() -> str:
    """Milliseconds in base 36: ClOrdIDs of two runs never meet."""
    digits, n, text = "0123456789abcdefghijklmnopqrstuvwxyz", time.time_ns() // 1_000_000, ""
    while n:
        n, digit = divmod(n, 36)
        text = digits[digit] + text
    return f"cert-{text}"


def _revive(session: Session, patience_s: float) -> str:
    """Log on again where a scenario has left no session. Returns why it can't be done; empty if it is up."""
    for reset in (False, True):
        if session.is_up:
            return ""
        try:
            session.log_on(reset, patience_s)
        except (SessionBroken, OSError) as error:
            lost = f"no session: {error}"
    return "" if session.is_up else lost


def _log_out(session: Session) -> None:
    try:
        if session.is_up:
            session.send("5", [])
            deadline = time.monotonic() + 2
            while session.is_up and session.read(deadline) is not None:
                pass
    except (SessionBroken, OSError):
        pass
    session.close()
