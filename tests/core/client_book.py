"""What a client can know: an order book kept from the answers alone, as an OMS keeps it. Every answer must fit what came before.

Rule: it reads no state of the core. Where both can be compared, the machine's invariants do.
"""

from dataclasses import dataclass, field

from algoserver.core.orders import FINAL
from algoserver.core.reports import DUPLICATE_CL_ORD_ID
from algoserver.domain import commands, events
from algoserver.domain.events import Event
from algoserver.domain.types import ExecType, OrdStatus

BUSTED = (ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT)
FILLS = (ExecType.TRADE, *BUSTED)
ENDS = (ExecType.CANCELED, ExecType.EXPIRED, ExecType.DONE_FOR_DAY)
PENDINGS = {ExecType.PENDING_CANCEL: OrdStatus.PENDING_CANCEL, ExecType.PENDING_REPLACE: OrdStatus.PENDING_REPLACE}
Answer = commands.ReportParent | commands.RejectCancel | commands.ReportMassCancel | commands.RejectMessage
ANSWERS = (commands.ReportParent, commands.RejectCancel, commands.ReportMassCancel, commands.RejectMessage)


@dataclass
class Heard:
    """One order as its client has it. pending: ClOrdIDs of requests that were said to be pending and are not answered."""

    session: str
    cl_ord_id: str
    order_qty: int
    status: OrdStatus
    cum_qty: int = 0
    money: int = 0
    fills: dict[str, tuple[int, int]] = field(default_factory=dict)
    pending: dict[str, ExecType] = field(default_factory=dict)


class ClientBook:
    """Every client's orders by OrderID, and what each request was answered."""

    def __init__(self) -> None:
        self.orders: dict[str, Heard] = {}
        self.exec_ids: set[str] = set()
        self.used: set[str] = set()

    def hear(self, event: Event, out: list[commands.Command]) -> None:
        """All that one event made the server say."""
        answers = [c for c in out if isinstance(c, ANSWERS)]
        if isinstance(event, events.Message):
            self._is_answered(event, answers)
        for answer in answers:
            if isinstance(answer, commands.ReportParent):
                self._report(answer)
            elif isinstance(answer, commands.RejectCancel):
                self._refused(answer)

    def _is_answered(self, event: events.Message, answers: list[Answer]) -> None:
        """One answer to each request, on its own session; none to one that the session sent twice."""
        key = f"{event.session} {getattr(event, 'cl_ord_id', '')}"
        is_repeat = getattr(event, "poss_dup", False) and key in self.used
        if isinstance(event, events.ParentRequested):
            is_asked_for = key in self.used and event.poss_resend
            kinds = {ExecType.ORDER_STATUS} if is_asked_for else {ExecType.REJECTED} if key in self.used else {ExecType.NEW, ExecType.REJECTED}
            mine = [a for a in answers if isinstance(a, commands.ReportParent) and a.exec_type in kinds]
            # How it stands is said under the name that it has now; it may have been replaced since.
            assert is_asked_for or all(a.cl_ord_id == event.cl_ord_id for a in mine)
            self.used.add(key)
        elif isinstance(event, events.CancelRequested | events.ReplaceRequested):
            pending = ExecType.PENDING_CANCEL if isinstance(event, events.CancelRequested) else ExecType.PENDING_REPLACE
            refusals = [a for a in answers if isinstance(a, commands.RejectCancel) and a.cl_ord_id == event.cl_ord_id]
            mine = [a for a in answers if isinstance(a, commands.ReportParent) and (a.cl_ord_id, a.exec_type) == (event.cl_ord_id, pending)]
            if mine:
                self.used.add(key)
            else:
                mine = refusals
        elif isinstance(event, events.StatusRequested):
            mine = [a for a in answers if isinstance(a, commands.ReportParent) and a.exec_type is ExecType.ORDER_STATUS]
        elif isinstance(event, events.MassCancelRequested):
            mine = [a for a in answers if isinstance(a, commands.ReportMassCancel)]
            if mine and mine[0].response != "0":
                self.used.add(key)
        elif isinstance(event, events.MassStatusRequested):
            mine = [a for a in answers if isinstance(a, commands.ReportParent) and a.mass_status_req_id]
            assert [a.is_last_report for a in mine] == [False] * (len(mine) - 1) + [True]
            mine = mine[-1:]
        else:
            return
        assert len(mine) == (not is_repeat), f"{len(mine)} answers to {event}"
        assert all(a.session == event.session for a in mine), "an answer to somebody else"

    def _report(self, report: commands.ReportParent) -> None:
        assert report.exec_id not in self.exec_ids, "an ExecID twice"
        self.exec_ids.add(report.exec_id)
        if report.ord_status in FINAL:
            assert report.leaves_qty == 0, "a final state leaves something"
        else:
            assert report.leaves_qty == max(0, report.order_qty - report.cum_qty)
        if report.order_id == "NONE":
            return
        known = self.orders.get(report.order_id)
        if known is None:
            assert report.exec_type in (ExecType.NEW, ExecType.REJECTED)
            assert report.cum_qty == 0
            self.orders[report.order_id] = Heard(report.session, report.cl_ord_id, report.order_qty, report.ord_status)
            return
        assert report.session == known.session, "a report to somebody else"
        assert report.exec_type is not ExecType.NEW, "New twice"
        if report.exec_type in FILLS:
            self._fill(known, report)
        # A report of several fills has their mean, rounded; so the mean of such reports may be one unit beside the order's.
        assert report.cum_qty == known.cum_qty, "not the sum of the reported fills"
        assert abs(report.avg_px - _avg_px(known)) <= 1, "not the mean of the reported fills"
        self._state(known, report)
        known.status = report.ord_status
        assert report.order_qty == known.order_qty

    def _fill(self, known: Heard, report: commands.ReportParent) -> None:
        assert report.cl_ord_id == known.cl_ord_id
        if report.exec_type in BUSTED:
            px, qty = known.fills.pop(report.exec_ref_id)
            known.cum_qty, known.money = known.cum_qty - qty, known.money - px * qty
        if report.exec_type is not ExecType.TRADE_CANCEL:
            known.fills[report.exec_id] = (report.last_px, report.last_qty)
            known.cum_qty, known.money = known.cum_qty + report.last_qty, known.money + report.last_px * report.last_qty
        assert known.cum_qty >= 0

    def _state(self, known: Heard, report: commands.ReportParent) -> None:
        """May the order be in this state now? FIX 4.4 Appendix D, by its precedence."""
        is_filled = report.cum_qty >= report.order_qty
        working = OrdStatus.FILLED if is_filled else OrdStatus.PARTIALLY_FILLED if report.cum_qty else OrdStatus.NEW
        is_over = known.status in FINAL and known.status is not OrdStatus.FILLED
        match report.exec_type:
            case ExecType.ORDER_STATUS | ExecType.REJECTED:
                assert report.ord_status is known.status, f"{known.status.name} became {report.ord_status.name} and nobody said so"
            case ExecType.PENDING_CANCEL | ExecType.PENDING_REPLACE:
                assert not is_over
                assert report.ord_status is PENDINGS[report.exec_type]
                assert report.orig_cl_ord_id == known.cl_ord_id
                known.pending[report.cl_ord_id] = report.exec_type
            case ExecType.REPLACED:
                assert not is_over
                assert known.pending.pop(report.cl_ord_id) is ExecType.PENDING_REPLACE
                assert report.orig_cl_ord_id == known.cl_ord_id
                known.cl_ord_id, known.order_qty = report.cl_ord_id, report.order_qty
                assert report.order_qty >= report.cum_qty
                assert report.ord_status is working
            case ExecType.RESTATED:
                assert not is_over
                assert not known.pending, "the desk changes what a client's request is about to change"
                known.order_qty = report.order_qty
                assert report.order_qty >= report.cum_qty
                assert report.ord_status is working
            case ExecType.CANCELED | ExecType.EXPIRED | ExecType.DONE_FOR_DAY:
                assert not is_over, "ended twice"
                assert report.ord_status == report.exec_type
                if known.pending:
                    assert known.pending == {report.cl_ord_id: ExecType.PENDING_CANCEL}, "ended, and a request is left without an answer"
                    assert report.orig_cl_ord_id == known.cl_ord_id
                    known.pending.clear()
            case _:
                kept = known.status if is_over else PENDINGS[kind] if (kind := self._pending(known)) else working
                assert report.ord_status is kept, f"{report.ord_status.name} instead of {kept.name}: {report}"

    def _refused(self, answer: commands.RejectCancel) -> None:
        known = self.orders.get(answer.order_id)
        if known is None:
            assert (answer.order_id, answer.ord_status) == ("NONE", OrdStatus.REJECTED)
            return
        assert answer.session == known.session
        # A second request of a pending one's name is refused by that name: the first one's answer is still to come.
        if answer.cxl_rej_reason == DUPLICATE_CL_ORD_ID or known.pending.pop(answer.cl_ord_id, None) is None:
            assert answer.ord_status is known.status, "a refusal at once changes nothing"
        known.status = answer.ord_status

    def _pending(self, known: Heard) -> ExecType | None:
        return next(iter(known.pending.values()), None)


def _avg_px(known: Heard) -> int:
    return (2 * known.money + known.cum_qty) // (2 * known.cum_qty) if known.cum_qty else 0
