"""The share of a parent that rests in dark venues: how much, in which children, and when one is taken back.

Rule 1: DarkPct of the remainder may rest in the dark, but no more than plan and cap leave beside lit: what the plan wants by the end
of the slice, or has resting, is lit's. So in its last slice a plan that must finish takes everything back.
Rule 2: the same quantity is never in two places. A dark child is open until its venue has said that it is over; only then may
lit have its quantity. DisplayQty bounds what is shown, which a dark child is not.
Rule 3: a child is never resized. What is missing goes as one more child a venue, when it is worth one: a round lot and MinExecQty
at least, and a sixteenth of all that should rest, or a quarter of it where the cap binds: its room is another each second, and
filled to four fifths only.
Rule 4: what is too much is taken back, the youngest first: more than plan or cap leave, by a round lot, or a quarter more than DarkPct
of a remainder that has shrunk. So is a child whose limit keeps it from a mid that a new one would reach, or whose
executions could be smaller than MinExecQty while there is more to do.
Rule 5: a child is pegged to the mid, with a limit: the client's, or without one (or beyond it) the dearest price inside the collar.
"""

import msgspec

from algoserver.core import market as markets
from algoserver.core import placement, risk, router
from algoserver.core.algos.schedule import Demand, in_lots
from algoserver.core.market import Market
from algoserver.core.orders import ChildOrder, ParentOrder, leaves_qty
from algoserver.core.router import Route
from algoserver.domain.params import AlgoParams
from algoserver.domain.policy import RiskPolicy, Venue
from algoserver.domain.types import PPM_ONE, Instrument, Strategy

DARK = "dark"  # Venue.kind
LIQUIDITY = Strategy.LIQUIDITY  # to ask the enum takes ten times as long in Python 3.11
# New children leave this part of the cap's room free, and so often the room shrinks without a cancel.
SPARE_OF_ROOM = 5
# The room of the cap moves each second: only a part of what should rest that is as large as this is worth another child, and by
# so much of DarkPct there may be too much. What plan and share miss changes with fills alone, and is worth one sooner.
PART_OF_ROOM, PART_OF_PLAN = 4, 16


class Rest(msgspec.Struct, frozen=True):
    """What to do in the dark: children to cancel; most that may rest there in all, and at which limit, 0 for none.

    worth: least that is worth another child beside those that rest.
    """

    cancels: tuple[str, ...] = ()
    quantity: int = 0
    price: int = 0
    worth: int = 0


def share(strategy: int, params: AlgoParams) -> int:
    """DarkPct, ppm: LIQUIDITY's own is everything, the others' nothing."""
    if params.dark_pct >= 0:
        return params.dark_pct
    return PPM_ONE if strategy == LIQUIDITY else 0


def least_execution(params: AlgoParams, instrument: Instrument) -> int:
    """MinExecQty rounded down to a lot."""
    return params.min_exec_qty - params.min_exec_qty % instrument.lot


def breaks_terms(child: ChildOrder, parent: ParentOrder, params: AlgoParams) -> bool:
    """Whether a dark child is not what the amended `params` allow: no share, or smaller executions."""
    is_raised = params.min_exec_qty > parent.params.min_exec_qty and child.min_qty < child.order.order_qty
    return child.is_dark and (is_raised or not share(parent.strategy, params))


def rebalance(
    parent: ParentOrder, hidden: list[ChildOrder], demand: Demand, keep: int, policy: RiskPolicy, market: Market, instrument: Instrument, ts: int
) -> Rest:
    """What should rest in the dark now. hidden: the children there. keep: most that something else than the plan leaves."""
    ppm = share(parent.strategy, parent.params)
    if not ppm and not hidden:
        return Rest()
    whole = leaves_qty(parent.order)
    wanted = whole * ppm // PPM_ONE
    price = risk.dearest_px(policy, instrument, parent.side, market, parent.price, ts)
    by_plan = min(demand.dark, keep)
    most = min(wanted + wanted // PART_OF_ROOM, by_plan, demand.dark_room)
    cancels = too_much(hidden, most, instrument, ts) + [c.child_id for c in hidden if _is_unfit(c, parent, price, market, instrument, ts)]
    by_cap = demand.dark_room * (SPARE_OF_ROOM - 1) // SPARE_OF_ROOM
    quantity = in_lots(min(wanted, by_plan, by_cap), whole, instrument.round_lot)
    worth = quantity // (PART_OF_ROOM if by_cap < min(wanted, by_plan) else PART_OF_PLAN)
    return Rest(tuple(dict.fromkeys(cancels)), quantity, price, worth)


def routes(
    rest: Rest, free: int, resting_qty: int, parent: ParentOrder, policy: RiskPolicy, venues: list[Venue], instrument: Instrument
) -> list[tuple[Route, int]]:
    """Children to send, each with its MinQty. free: quantity that is open nowhere; resting_qty: what rests in the dark already."""
    whole = leaves_qty(parent.order)
    missing = in_lots(min(rest.quantity - resting_qty, free), whole, instrument.round_lot)
    child_most = router.child_most(policy, instrument, rest.price, 0)
    min_exec = least_execution(parent.params, instrument)
    least = max(instrument.round_lot, min_exec)
    worth = max(least, min(rest.worth, child_most)) if resting_qty else least
    if not rest.price or not venues or missing < min(worth, whole):
        return []
    used = venues[: max(1, missing // least)]
    part = min(missing // len(used), child_most)
    sizes = [part - part % instrument.round_lot] * len(used)
    sizes[0] = min(missing - sum(sizes[1:]), child_most)
    return [
        (Route(venue.name, size, rest.price), min(min_exec, size))
        for venue, size in zip(used, sizes, strict=True)
        if size >= least or 0 < size == whole
    ]


def too_much(hidden: list[ChildOrder], most: int, instrument: Instrument, ts: int) -> list[str]:
    """Children to take back, the youngest first, so that no more than `most` rests."""
    over = sum(leaves_qty(c.order) for c in hidden) - max(0, most)
    if over < instrument.round_lot and most > 0:
        return []
    found = []
    for child in reversed(hidden):
        if over <= 0:
            break
        over -= leaves_qty(child.order)
        if placement.may_cancel(child, ts):
            found.append(child.child_id)
    return found


def _is_unfit(child: ChildOrder, parent: ParentOrder, price: int, market: Market, instrument: Instrument, ts: int) -> bool:
    if not placement.may_cancel(child, ts):
        return False
    mid, min_exec = markets.mid(market), least_execution(parent.params, instrument)
    is_kept_away = bool(price) and (mid - child.price) * child.side.sign > 0 >= (mid - price) * child.side.sign
    has_other_least = child.min_qty != min(min_exec, child.order.order_qty)
    left = leaves_qty(child.order)
    return is_kept_away or has_other_least or left < min(min_exec, leaves_qty(parent.order))
