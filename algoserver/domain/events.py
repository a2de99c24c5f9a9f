"""All that the core can be told. Past tense and true.

seq orders replay; ts is market time, ns UTC, stamped once, strictly increasing. msg_seq is MsgSeqNum (34) of the message
that brought the news: after a crash the session is set back to the last one that we have on disk.
"""

from algoserver.domain.commanded import ActionProposed as ActionProposed
from algoserver.domain.commanded import Commanded as Commanded
from algoserver.domain.commanded import OperatorAmended as OperatorAmended
from algoserver.domain.commanded import OperatorCommanded as OperatorCommanded
from algoserver.domain.event import Event as Event
from algoserver.domain.event import Message as Message
from algoserver.domain.model_events import ForecastReady as ForecastReady
from algoserver.domain.model_events import ModelActivated as ModelActivated
from algoserver.domain.model_events import ModelRefused as ModelRefused
from algoserver.domain.model_events import PlanReady as PlanReady
from algoserver.domain.params import NO_PARAMS, AlgoParams
from algoserver.domain.policy import AlgoDefaults, ClientProfile, DropCopy, InstrumentSetup, RiskPolicy, SessionHours, Venue
from algoserver.domain.types import SECOND, OnHalt, OrdStatus, OrdType, Side, TimeInForce


class SessionUp(Event, frozen=True):
    """A session logged on."""

    session: str


class SessionDown(Event, frozen=True):
    """A session is gone. is_restart: it was up when the last process ended, and this one has just begun."""

    session: str
    reason: str = ""
    is_restart: bool = False


class ParentRequested(Message, frozen=True, kw_only=True):
    """NewOrderSingle (D) of a client, consistent in itself; not yet admitted. price 0: market. is_located: the stock is located (114=N)."""

    cl_ord_id: str
    symbol: str
    side: Side
    order_qty: int
    ord_type: OrdType
    price: int
    time_in_force: TimeInForce
    strategy: int
    params: AlgoParams
    on_halt: OnHalt = OnHalt.WAIT
    account: str = ""
    is_located: bool = False
    poss_resend: bool = False
    poss_dup: bool = False


class CancelRequested(Message, frozen=True, kw_only=True):
    """OrderCancelRequest (F) of a client."""

    cl_ord_id: str
    orig_cl_ord_id: str
    poss_dup: bool = False


class ReplaceRequested(Message, frozen=True, kw_only=True):
    """OrderCancelReplaceRequest (G) of a client. order_qty 0, price 0, strategy 0, time_in_force "": not given.

    given: fields of params that are given; the others stay as they are. on_halt WAIT: not given.
    """

    cl_ord_id: str
    orig_cl_ord_id: str
    symbol: str
    side: Side
    ord_type: OrdType
    order_qty: int = 0
    price: int = 0
    strategy: int = 0
    time_in_force: str = ""
    params: AlgoParams = NO_PARAMS
    given: tuple[str, ...] = ()
    on_halt: OnHalt = OnHalt.WAIT
    poss_dup: bool = False


class StatusRequested(Message, frozen=True, kw_only=True):
    """OrderStatusRequest (H) of a client. side and symbol are echoed where the order is unknown."""

    cl_ord_id: str
    ord_status_req_id: str = ""
    symbol: str = ""
    side: str = ""


class MassCancelRequested(Message, frozen=True, kw_only=True):
    """OrderMassCancelRequest (q) of a client. request_type: 530, 1 by security, 7 all; symbol and side narrow it where given."""

    cl_ord_id: str
    request_type: str
    symbol: str = ""
    side: str = ""
    poss_dup: bool = False


class MassStatusRequested(Message, frozen=True, kw_only=True):
    """OrderMassStatusRequest (AF) of a client. request_type: 585, 1 by security, 7 all; symbol and side narrow it where given."""

    mass_status_req_id: str
    request_type: str
    symbol: str = ""
    side: str = ""


class TradeDisputed(Message, frozen=True, kw_only=True):
    """DontKnowTrade (Q) of a client: an execution that it does not know. dk_reason: 127."""

    order_id: str
    exec_id: str
    dk_reason: str
    text: str = ""


class ChildMessage(Message, frozen=True, kw_only=True):
    """What a venue says of one of our children, by its ClOrdID."""

    child_id: str


class ChildAccepted(ChildMessage, frozen=True, kw_only=True):
    """The venue has the child (150=0)."""

    order_id: str


class ChildFilled(ChildMessage, frozen=True, kw_only=True):
    """A trade of a child (150=F), as the venue says it. last_liquidity_ind: 851, 1 added 2 removed 3 routed out; last_mkt: 30;
    last_capacity: 29, 1 agent to 4 principal. 0 or "": unsaid."""

    exec_id: str
    last_px: int
    last_qty: int
    last_liquidity_ind: int = 0
    last_mkt: str = ""
    last_capacity: str = ""


class FillBusted(ChildMessage, frozen=True, kw_only=True):
    """The venue took a trade back (150=H). exec_ref_id: ExecID of that trade."""

    exec_id: str
    exec_ref_id: str
    last_mkt: str = ""
    last_capacity: str = ""


class FillCorrected(ChildMessage, frozen=True, kw_only=True):
    """The venue changed a trade (150=G)."""

    exec_id: str
    exec_ref_id: str
    last_px: int
    last_qty: int
    last_liquidity_ind: int = 0
    last_mkt: str = ""
    last_capacity: str = ""


class ChildCanceled(ChildMessage, frozen=True, kw_only=True):
    """The child ended with a rest: ord_status CANCELED, EXPIRED or DONE_FOR_DAY; asked for or not.

    exec_restatement_reason: 378, the venue's reason where nobody asked; -1 unsaid.
    """

    ord_status: OrdStatus
    text: str = ""
    exec_restatement_reason: int = -1


class ChildReplaced(ChildMessage, frozen=True, kw_only=True):
    """The venue changed the child's quantity (150=5 or D), which we never ask for. exec_restatement_reason: 378, -1 unsaid."""

    order_qty: int
    exec_restatement_reason: int = -1


class ChildRejected(ChildMessage, frozen=True, kw_only=True):
    """The venue refused or dropped the child (150=8)."""

    ord_rej_reason: int
    text: str = ""


class CancelRejected(ChildMessage, frozen=True, kw_only=True):
    """The venue refused our cancel (9). cxl_rej_reason: 102, 0 too late, 1 unknown order."""

    cxl_rej_reason: int
    ord_status: OrdStatus
    text: str = ""


class ChildStatusReported(ChildMessage, frozen=True, kw_only=True):
    """The venue's answer to our status request (150=I). is_known False: it has no such order."""

    is_known: bool
    ord_status: OrdStatus
    cum_qty: int
    leaves_qty: int


class ForeignOrderReported(ChildMessage, frozen=True, kw_only=True):
    """A venue reports on an order that is none of our children. child_id: its ClOrdID, or # and its OrderID (37) without one.

    symbol, side: "" where the venue does not say them. Quantities are 0 where they are no numbers.
    """

    ord_status: OrdStatus
    symbol: str
    side: str
    order_qty: int
    cum_qty: int


class CopyReported(Message, frozen=True, kw_only=True):
    """A venue's drop copy tells of a trade (exec_type F), its correction (G) or, without price and quantity, its bust (H). child_id: ours or not."""

    child_id: str
    exec_id: str
    exec_type: str
    symbol: str
    side: str
    last_px: int = 0
    last_qty: int = 0
    exec_ref_id: str = ""


class QuoteUpdated(Event, frozen=True, kw_only=True):
    """Best bid and ask of a venue; 0 where a side is empty."""

    venue: str
    symbol: str
    bid_px: int
    bid_qty: int
    ask_px: int
    ask_qty: int


class TradePrinted(Event, frozen=True, kw_only=True):
    """A trade at a venue, anybody's, ours included."""

    venue: str
    symbol: str
    last_px: int
    last_qty: int


class StatusChanged(Message, frozen=True, kw_only=True):
    """A venue halted trading (f or h), or opened it. symbol "": in everything. The same may be said twice, by either session."""

    venue: str
    symbol: str
    is_halted: bool
    text: str = ""


class PolicyLoaded(Event, frozen=True, kw_only=True):
    """All that the firm has decided, at each start. profiles: of clients that have one. persons: who is named as an operator; none: there is one
    person, who does everything alone. copy_tolerance_ns: how long a venue's order session and its drop copy may be apart.

    digest: sha256 of the configuration, policy_digest: of the policy's file; "": whatever policy comes is in force. model, model_sha256: the volume
    model that is configured; model_text: why that can't be read, "" if it can.
    """

    policy: RiskPolicy
    venues: tuple[Venue, ...]
    instruments: tuple[InstrumentSetup, ...]
    algo: AlgoDefaults
    hours: SessionHours
    clients: tuple[str, ...]
    digest: str
    policy_digest: str = ""
    profiles: tuple[ClientProfile, ...] = ()
    drop_copies: tuple[DropCopy, ...] = ()
    persons: tuple[str, ...] = ()
    copy_tolerance_ns: int = 5 * SECOND
    model: str = ""
    model_sha256: str = ""
    model_text: str = ""


class ConfigDrifted(Event, frozen=True, kw_only=True):
    """A file of the configuration was changed on disk while the server runs, and is not what is in force. digest: its sha256, "" if it is gone."""

    file: str
    digest: str


class Wakeup(Event, frozen=True):
    """Time has come: next_wakeup(state) is due."""


class MachineWarned(Event, frozen=True, kw_only=True):
    """The machine we run on needs a person, or does so no longer: a disk that is short."""

    code: str
    subject: str
    text: str


class SendFailed(Event, frozen=True, kw_only=True):
    """A message to a venue did not leave: the session was down, or for `reason`. msg_type: 35 of that message."""

    session: str
    msg_type: str
    child_id: str
    reason: str = ""


READ_ONLY = "read_only"  # code of whatever comes on a drop copy's session


class Garbled(Message, frozen=True, kw_only=True):
    """A message that can't be acted on. code and text as a Denied; reject_reason: 103. order_qty: whole units, 0 if it is no number."""

    msg_type: str
    code: str
    text: str
    reject_reason: int
    order_qty: int = 0
    cl_ord_id: str = ""
    orig_cl_ord_id: str = ""
    symbol: str = ""
    side: str = ""


ANY = (
    SessionUp | SessionDown | ParentRequested | CancelRequested | ReplaceRequested | StatusRequested | MassCancelRequested | MassStatusRequested
    | TradeDisputed | ChildAccepted | ChildFilled | FillBusted | FillCorrected | ChildCanceled | ChildReplaced | ChildRejected | CancelRejected
    | ChildStatusReported | ForeignOrderReported | CopyReported | QuoteUpdated | TradePrinted | StatusChanged | ForecastReady | ModelActivated
    | ModelRefused | PlanReady | PolicyLoaded | OperatorCommanded | ActionProposed | ConfigDrifted | OperatorAmended | Wakeup | MachineWarned
    | SendFailed | Garbled
)  # fmt: skip
