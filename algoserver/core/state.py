"""All that the core remembers, and the few ways to find one's way in it.

The whole is one tree of structs, so that it can be written, read back and compared byte for byte.
"""

from heapq import heappush

import msgspec

from algoserver.core.alerts import AlertBook
from algoserver.core.algos.schedule import Work
from algoserver.core.market import Market
from algoserver.core.orders import ChildOrder, ParentOrder
from algoserver.core.rates import NEVER
from algoserver.core.risk import Gate
from algoserver.domain.events import ForecastReady, PolicyLoaded
from algoserver.domain.policy import KEEP, ClientProfile, OverrideTerms, RiskPolicy
from algoserver.domain.types import SECOND, Instrument, OrdStatus

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
NO_PROFILE = ClientProfile("")


class ForeignOrder(msgspec.Struct):
    """An order at a venue that we did not send, as the venue last told. symbol "": it did not say.

    released_by: the operator whose word lets us trade there again; canceled_by: who wants it canceled.
    """

    venue: str
    cl_ord_id: str
    symbol: str
    side: str
    order_qty: int
    since_ts: int
    ord_status: OrdStatus = OrdStatus.NEW
    cum_qty: int = 0
    released_by: str = ""
    canceled_by: str = ""


class ModelUse(msgspec.Struct, frozen=True):
    """A volume model that answers since `ts`, or is wanted since then: its name, sha256 of its bytes ("": it has none), by whom and why."""

    name: str
    sha256: str
    ts: int
    by: str
    checked_by: str = ""
    reason: str = ""


class Asked(msgspec.Struct, gc=False):
    """A request for a forecast: date YYYY-MM-DD, how many bins of it were over, when. is_settled: answered, or told to be late."""

    date: str
    now_bin: int
    ts: int
    is_settled: bool = False


class Proposal(msgspec.Struct, frozen=True):
    """What a person wants done and may not do alone, as in ActionProposed. base: digest of the policy that was in force then."""

    by: str
    verb: str
    target: str
    reason: str
    ts: int
    policy: RiskPolicy | None = None
    digest: str = ""
    override: OverrideTerms | None = None
    base: str = ""


class HalfTold(msgspec.Struct):
    """A trade, correction or bust that one of two has told so far: the venue's order session, which is booked, or its drop copy."""

    venue: str
    child_id: str
    exec_id: str
    exec_type: str
    symbol: str
    side: str
    last_px: int
    last_qty: int
    since_ts: int
    is_booked: bool
    is_alerted: bool = False


class Copied(msgspec.Struct):
    """What the comparison with a venue's drop copy has found. not_heard, not_copied: missing now, after the tolerance.

    ahead: keys of what the copy alone has told so far, oldest first. given_up: how much of that was too much to be kept.
    """

    matched: int = 0
    differing: int = 0
    not_heard: int = 0
    not_copied: int = 0
    ahead: dict[str, None] = {}
    given_up: int = 0


class Applied(msgspec.Struct, frozen=True):
    """A policy that came into force: sha256 of its file, its name, when and by whom."""

    digest: str
    name: str
    ts: int
    by: str
    checked_by: str
    reason: str


class Audited(msgspec.Struct, frozen=True):
    """The latest command of a person: seq of its event, and the head of the audit's chain before it."""

    seq: int = 0
    head: str = ""


class State(msgspec.Struct):
    """seq, ts: of the last event. run: prefix of our ids, from the first policy's time, so that no two journals share one.

    by_cl_ord_id: "session cl_ord_id" -> parent_id, cancels' ids too; "" for a mass cancel's. sessions: name -> is it up.
    heard: session -> MsgSeqNum last heard. halts: venue -> symbol, "" for all of them -> why no order may go there.
    foreign: "venue cl_ord_id" -> an order there that is not ours. forecasts_asked: symbol -> the last request.
    due: heap of (ts, parent_id), of turns and of fills to tell. look_ts: when something is to be done though no event comes.
    touched: parents that this step must look at; empty between steps.
    works: of parents that are at work. proposals: what waits for a second person. policies: those that were applied, the last is in force.
    audited: how far the audit must reach. stale: children that survived their venue's session and are taken back. awaited: venues, and
    clients with orders at work, that have not come since the start; they are missed at awaited_ts. is_stopping: the server ends in good order; the
    gate stays shut until its next start. copied: venue -> what its drop copy was found to say; half_told: what only one of two has told, looked at
    again at copies_due_ts, 0 for never. models: those that were activated, the last is in force; model_wanted: one that is being loaded;
    model_configured: what the configuration named at the last start.
    """

    seq: int = 0
    ts: int = 0
    run: str = ""
    next_parent: int = 1
    setup: PolicyLoaded | None = None
    instruments: dict[str, Instrument] = {}
    profiles: dict[str, ClientProfile] = {}
    venues_up: dict[str, bool] = {}
    sessions: dict[str, bool] = {}
    heard: dict[str, int] = {}
    halts: dict[str, dict[str, str]] = {}
    foreign: dict[str, ForeignOrder] = {}
    markets: dict[str, Market] = {}
    forecasts: dict[str, ForecastReady] = {}
    forecasts_asked: dict[str, Asked] = {}
    models: list[ModelUse] = []
    model_wanted: ModelUse | None = None
    model_configured: str = ""
    gate: Gate = msgspec.field(default_factory=Gate)
    parents: dict[str, ParentOrder] = {}
    children: dict[str, ChildOrder] = {}
    works: dict[str, Work] = {}
    by_cl_ord_id: dict[str, str] = {}
    due: list[tuple[int, str]] = []
    look_ts: int = NEVER
    touched: dict[str, None] = {}
    proposals: dict[str, Proposal] = {}
    policies: list[Applied] = []
    audited: Audited = Audited()
    stale: dict[str, None] = {}
    awaited: dict[str, None] = {}
    awaited_ts: int = 0
    is_stopping: bool = False
    copied: dict[str, Copied] = {}
    half_told: dict[str, HalfTold] = {}
    copies_due_ts: int = 0
    alerts: AlertBook = msgspec.field(default_factory=AlertBook)


def dump(state: State) -> bytes:
    """The state as bytes: equal states give equal bytes."""
    return msgspec.json.encode(state)  # not msgpack: money is beyond 64 bits where units are small


def load(payload: bytes) -> State:
    """The state that dump() wrote."""
    return msgspec.json.decode(payload, type=State)


def find(state: State, session: str, cl_ord_id: str) -> ParentOrder | None:
    """A client's parent by any ClOrdID that it has had."""
    parent_id = state.by_cl_ord_id.get(f"{session} {cl_ord_id}")
    return state.parents[parent_id] if parent_id else None


def is_used(state: State, session: str, cl_ord_id: str) -> bool:
    """Whether a client has had this ClOrdID for anything: an order, its cancel or replace, a mass cancel."""
    return f"{session} {cl_ord_id}" in state.by_cl_ord_id


def profile(state: State, session: str) -> ClientProfile:
    """What is agreed with a client; of one without a profile, nothing special."""
    return state.profiles.get(session, NO_PROFILE)


def touch(state: State, parent_id: str) -> None:
    """Look at this parent before the step ends."""
    state.touched[parent_id] = None


def wake(state: State, parent_id: str, ts: int) -> None:
    """Look at this parent at `ts`; an earlier wish of its is replaced."""
    work = state.works[parent_id]
    if work.due_ts == ts > state.ts:
        return  # it stands in the heap already
    work.due_ts = ts
    heappush(state.due, (ts, parent_id))


def on_disconnect(state: State, venue: str) -> str:
    """What is agreed with a venue on our orders there when our session is lost."""
    return next((v.on_disconnect for v in state.setup.venues if v.name == venue), KEEP) if state.setup else KEEP


def open_children(state: State, parent: ParentOrder) -> list[ChildOrder]:
    """The parent's children that may still trade, oldest first."""
    return [state.children[child_id] for child_id in parent.open_children]


def run_id(ts: int) -> str:
    """A moment's second in base 36: short, and never the same in two journals."""
    number, text = ts // SECOND, ""
    while number:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
    return text or "0"
