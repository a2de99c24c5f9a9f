"""Fills that go up together: which of a parent's booked fills one report has told, and what becomes of it when one of them changes.

Rule 1: the order books every fill by itself, so that money is exact; only what the client hears is a sum.
Rule 2: a bust or correction of one fill of several corrects the report that told them all.
"""

from heapq import heappush

from algoserver.core import orders
from algoserver.core.orders import Held, ParentOrder
from algoserver.core.state import State


def hold(state: State, parent: ParentOrder, fill: Held, tell_ts: int) -> None:
    """Keep a booked fill for the next report, which is due at `tell_ts` if it is the first to wait for it."""
    parent.held.append(fill)
    if len(parent.held) == 1:
        parent.tell_ts = tell_ts
        heappush(state.due, (tell_ts, parent.parent_id))


def take_held(parent: ParentOrder) -> list[Held]:
    """The fills to tell now, oldest first; they wait no more."""
    held, parent.held, parent.tell_ts = parent.held, [], 0
    return held


def bundle(parent: ParentOrder, told_id: str, exec_ids: list[str]) -> None:
    """The report `told_id` has told these fills together."""
    parent.bundles[told_id] = exec_ids
    for exec_id in exec_ids:
        parent.bundled[exec_id] = told_id


def told_as(parent: ParentOrder, exec_id: str) -> str:
    """ExecID under which the client has heard of a fill."""
    return parent.bundled.get(exec_id, exec_id)


def change(parent: ParentOrder, told_id: str, old_id: str, new_id: str) -> tuple[int, int] | None:
    """Fill `old_id` was busted (new_id "") or corrected: mean price and sum of what its bundle has now, under ExecID `told_id`.

    None if nothing else was told with it, or nothing is left.
    """
    before = parent.bundled.pop(old_id, "")
    if not before:
        return None
    exec_ids = [new_id if i == old_id else i for i in parent.bundles.pop(before)]
    exec_ids = [i for i in exec_ids if i]
    if not exec_ids:
        return None
    bundle(parent, told_id, exec_ids)
    return orders.mean_px(parent.order, exec_ids)
