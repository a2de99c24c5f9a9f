"""All that the core can ask for. Imperative; a command may fail, and its failure comes back as an event."""

import msgspec

from algoserver.domain.types import ExecType, OrdStatus, OrdType, Side, TimeInForce


class Command(msgspec.Struct, frozen=True, tag=True, kw_only=True, omit_defaults=True, gc=False):
    """What every command is: a thing to do. What is at its default is not written: a report is mostly defaults."""


class SendChild(Command, frozen=True):
    """NewOrderSingle (D) to a venue. Only the gate lets one out. exec_inst (18) and min_qty (110) where they apply.

    client, desk, algo, model: whose it is. model: of the curve that its plan follows; "" where it needs none.
    """

    child_id: str
    venue: str
    symbol: str
    side: Side
    order_qty: int
    ord_type: OrdType
    price: int
    time_in_force: TimeInForce
    exec_inst: str = ""
    min_qty: int = 0
    client: str = ""
    desk: str = ""
    algo: str = ""
    model: str = ""


class CancelChild(Command, frozen=True):
    """OrderCancelRequest (F) to a venue. cancel_id: its ClOrdID."""

    child_id: str
    cancel_id: str
    venue: str
    symbol: str
    side: Side
    order_qty: int
    qty_decimals: int = 0


class AskChildStatus(Command, frozen=True):
    """OrderStatusRequest (H) to a venue."""

    child_id: str
    venue: str
    symbol: str
    side: Side


class ReportParent(Command, frozen=True):
    """ExecutionReport (8) to a client. order_qty to leaves_qty in units of qty_decimals; avg_px in price units, rounded once.

    mass_status_req_id (584), tot_num_reports (911) and is_last_report (912) answer an AF. orig_cl_ord_id, last_px and
    last_qty, last_mkt (30), last_liquidity_ind (851), last_capacity (29), exec_ref_id (19), ord_rej_reason (103) and
    exec_restatement_reason (378) where they apply.
    """

    session: str
    exec_id: str
    order_id: str
    cl_ord_id: str
    exec_type: ExecType
    ord_status: OrdStatus
    symbol: str
    side: str
    order_qty: int
    cum_qty: int
    leaves_qty: int
    avg_px: int
    qty_decimals: int = 0
    ts: int = 0
    orig_cl_ord_id: str = ""
    last_px: int = 0
    last_qty: int = 0
    last_mkt: str = ""
    last_liquidity_ind: int = 0
    last_capacity: str = ""
    exec_ref_id: str = ""
    ord_rej_reason: int = -1
    exec_restatement_reason: int = -1
    ord_status_req_id: str = ""
    mass_status_req_id: str = ""
    tot_num_reports: int = 0
    is_last_report: bool = False
    text: str = ""


class ReportChild(Command, frozen=True):
    """ExecutionReport (8) of a child, for drop copies alone. report: of the child, as if it were a parent of its client's session."""

    parent_id: str
    price: int
    report: ReportParent


class RejectCancel(Command, frozen=True):
    """OrderCancelReject (9) to a client. cxl_rej_reason: 102. response_to: 434, 1 cancel, 2 replace."""

    session: str
    order_id: str
    cl_ord_id: str
    orig_cl_ord_id: str
    ord_status: OrdStatus
    cxl_rej_reason: int
    response_to: str
    ts: int = 0
    text: str = ""


class ReportMassCancel(Command, frozen=True):
    """OrderMassCancelReport (r) to a client. response: 531, 0 refused, else the request's type; reject_reason: 532, -1 none.

    affected: (ClOrdID, OrderID) of every order that is being canceled.
    """

    session: str
    report_id: str
    cl_ord_id: str
    request_type: str
    response: str
    ts: int
    affected: tuple[tuple[str, str], ...] = ()
    reject_reason: int = -1
    symbol: str = ""
    side: str = ""
    text: str = ""


class RejectMessage(Command, frozen=True):
    """BusinessMessageReject (j) to a client. business_reject_reason: 380."""

    session: str
    ref_seq_num: int
    ref_msg_type: str
    business_reject_reason: int
    text: str


class RequestForecast(Command, frozen=True):
    """Ask for the volume curve of `symbol` on `date`; it carries its features, so that training and serving agree.

    today: volume of the day's bins that are over; none before its open. model: name of the one that is to answer, "": there is none;
    model_sha256: of its bytes, "" for one that has none.
    """

    symbol: str
    date: str
    weekday: int
    history_dates: tuple[str, ...]
    history: tuple[tuple[int, ...], ...]
    today: tuple[int, ...] = ()
    model: str = ""
    model_sha256: str = ""


class ActivateModel(Command, frozen=True):
    """Load a volume model: ModelActivated or ModelRefused is the answer. sha256: of its bytes, "" for one that needs no file."""

    name: str
    sha256: str = ""


class RequestPlan(Command, frozen=True):
    """Ask for the optimal plan of `qty` units of a parent between equal parts of `volume`, the units expected from the first moment to the last.

    adv: units a day. day_value: what a day's volume is worth, price units. aversion_e9: of the order's Urgency. cap_ppm: its MaxPctVol.
    """

    parent_id: str
    symbol: str
    qty: int
    moments: tuple[int, ...]
    volume: int
    adv: int
    volatility_ppm: int
    day_value: int
    aversion_e9: int
    cap_ppm: int


class RaiseAlert(Command, frozen=True):
    """Tell a person. code: of domain.alerts, subject: what it is about. The alert book gives it its id, and says how often it happened."""

    code: str
    subject: str
    text: str
    alert_id: str = ""
    times: int = 1


class EndAlert(Command, frozen=True):
    """An alert is over. code "": all of the subject's that `ending` ends: RESUME or ORDER of domain.alerts."""

    subject: str
    code: str = ""
    ending: str = ""
    alert_id: str = ""
    times: int = 1


ANY = (
    SendChild
    | CancelChild
    | AskChildStatus
    | ReportParent
    | ReportChild
    | RejectCancel
    | ReportMassCancel
    | RejectMessage
    | RequestForecast
    | ActivateModel
    | RequestPlan
    | RaiseAlert
    | EndAlert
)
