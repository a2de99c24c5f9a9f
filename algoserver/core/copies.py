"""Reports of children, for drop copies that want them. Nothing is made where nobody wants it.

Rule: a trade's ExecID is made of the venue's, so that its bust and correction name it without a table.
"""

from algoserver.core.orders import ChildOrder, avg_px, leaves_qty, ord_status
from algoserver.core.state import State
from algoserver.domain.commands import Command, ReportChild, ReportParent
from algoserver.domain.types import ExecType


def copy_child(
    state: State, out: list[Command], child: ChildOrder, exec_type: ExecType, ts: int, text: str = "",
    exec_id: str = "", exec_ref_id: str = "", last: tuple[int, int] = (0, 0), last_liquidity_ind: int = 0,
) -> None:  # fmt: skip
    """Report a child as it is now. exec_id, exec_ref_id: the venue's, of a trade, its bust or correction; last: its price and quantity."""
    parent = state.parents[child.parent_id]
    if state.setup is None or not state.setup.drop_copies or not any(d.wants(parent.session, is_child=True) for d in state.setup.drop_copies):
        return
    child.copies += not exec_id
    report = ReportParent(
        session=parent.session, exec_id=f"{child.child_id}/{exec_id}" if exec_id else f"{child.child_id}.x{child.copies}",
        order_id=child.child_id, cl_ord_id=child.child_id, exec_type=exec_type, ord_status=ord_status(child.order), symbol=child.symbol,
        side=child.side, order_qty=child.order.order_qty, cum_qty=child.order.cum_qty, leaves_qty=leaves_qty(child.order),
        avg_px=avg_px(child.order), qty_decimals=parent.qty_decimals, ts=ts, last_px=last[0], last_qty=last[1],
        last_mkt=child.venue if last[1] else "", last_liquidity_ind=last_liquidity_ind,
        exec_ref_id=f"{child.child_id}/{exec_ref_id}" if exec_ref_id else "", text=f"{child.venue}: {text}" if text else child.venue,
    )  # fmt: skip
    out.append(ReportChild(parent_id=child.parent_id, price=child.price, report=report))
