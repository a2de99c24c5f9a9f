"""Schedule, slices and what is due: shared by every algo.

Rule 1: quantity is always the total; a slice is the quantity due by its end.
Rule 2: the planned band at any moment reaches from one slice behind the plan to one slice ahead of it.
Rule 3: participation binds stronger than the plan. What the cap forbids waits; what CatchUp=N lost is forgiven.
"""

from bisect import bisect_left, bisect_right
from zlib import crc32

import msgspec

from algoserver.core import tally
from algoserver.core.market import Market
from algoserver.core.orders import ParentOrder, leaves_qty
from algoserver.core.tally import Tally
from algoserver.domain.policy import AlgoDefaults, SessionHours
from algoserver.domain.types import DAY, PPM_ONE, SECOND

# A slice is never so short that a passive order has no chance, and a short order still gets ten.
SLICE_NS_MIN = 5 * SECOND
SLICES_MIN = 10
# Own share is capped over these trailing windows. The longest is the promise; but it must hold for every five minutes, those
# that begin between two bursts of ours too, so every shorter window is held to it as well, down to the one that makes us
# follow the volume. Whole minutes are not enough: where each slice crosses after the same time, they fall between the bursts.
CAP_WINDOWS_S = tuple(range(60, 301, 30))
# In windows up to this one the share is taken to the nearest lot: rounded down, the cap of a thin share would bind at two thirds.
LOTS_WITHIN_S = 120
# Urgency 3 crosses where the desk's default says; a step earlier or later moves that by this share of the slice.
URGENCY_STEP_PPM = 150_000


class Window(msgspec.Struct, frozen=True, gc=False):
    """When a parent may trade, and the volume curve of the session's day in ppm per equal bin.

    haste_ppm: (kappa T)^2 of an IS plan: 0 follows the curve, 4_000_000 has traded two thirds when half of the volume is over.
    needed_ppm: of a CLOSE plan, the share of a day's volume in which it is done at its pace.
    alone_ppm: share of a LIQUIDITY plan's time that belongs to the dark alone.
    """

    start_ts: int
    end_ts: int
    curve: tuple[int, ...]
    hours: SessionHours
    haste_ppm: int = 0
    needed_ppm: int = 0
    alone_ppm: int = 0


class Schedule(msgspec.Struct, frozen=True, gc=False):
    """Cumulative quantity at rising moments, straight lines between. Empty: the plan follows the market, not the clock."""

    moments: tuple[int, ...] = ()
    totals: tuple[int, ...] = ()


class Bands(msgspec.Struct, frozen=True, gc=False):
    """Units per bin of a day's session by one forecast: its median, P10 and P90. day: since 1970; a plan may outlive it."""

    day: int
    volume: tuple[int, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]


class Work(msgspec.Struct, gc=False):
    """A parent at work: its plan and what the plan needs to remember.

    base_qty, base_volume: what was done, and the market's total, when this plan began: an amended parent has its second.
    capped_qty, capped_volume: the same when the cap began to count, which a new plan does not begin anew. Volumes are -1 before.
    slice_ns: length of a slice. traded: our fills in time.
    forgiven: quantity that the plan has given up. refusals: by the gate or a venue, in a row. curve_text: whose curve; model: its name and
    the last day that it knows, "static" without one, "" where the plan needs no curve.
    crossed_ts: when it last crossed the spread. slice_due, slice_cum: what was due and done when the slice began.
    i_would_keep: what IWouldPct leaves to the plan, -1 until IWouldPrice was first reached.
    auction_qty, opening_qty: what the plan keeps for the closing and the opening auction; the schedule is for the rest. When the opening
    is over, what it left returns to the schedule. is_opening_missed: a venue refused an order for it.
    is_late: it can't complete as things stand. halted_ts: since when it waits for the end of a trading halt, 0 if it does not.
    bands: of the forecast that the plan is by, where it goes along with what trades; see algos/bands. surprise_ts: end of the last bin whose
    volume made the plan anew before its time.
    """

    schedule: Schedule
    slice_ns: int
    max_pct_vol: int
    base_qty: int = 0
    base_volume: int = -1
    capped_qty: int = 0
    capped_volume: int = -1
    curve_text: str = ""
    model: str = ""
    traded: Tally = msgspec.field(default_factory=Tally)
    due_ts: int = 0
    slice_start_ts: int = 0
    forgiven: int = 0
    refusals: int = 0
    crossed_ts: int = 0
    slice_due: int = 0
    slice_cum: int = 0
    i_would_keep: int = -1
    auction_qty: int = 0
    opening_qty: int = 0
    is_opening_missed: bool = False
    is_late: bool = False
    halted_ts: int = 0
    bands: Bands | None = None
    surprise_ts: int = 0


class Demand(msgspec.Struct, frozen=True, gc=False):
    """What to do now: quantity to join with, or to cross the spread with; most: all that the cap allows. next_ts: look again then.

    held: of `most`, what a dark child still has while it is taken back. dark, dark_room: what plan and cap leave to the dark.
    """

    join: int
    cross: int
    most: int
    next_ts: int
    held: int = 0
    dark: int = 0
    dark_room: int = 0


class Open(msgspec.Struct, frozen=True):
    """What a parent has out: in lit venues, in the dark, and of that what can't be taken back now; what waits in an auction, and is
    for the books no more."""

    lit: int
    dark: int = 0
    stuck: int = 0
    away: int = 0


def slice_length(start_ts: int, end_ts: int, slice_ns: int) -> int:
    """Length of a slice for this window, ns, in whole seconds."""
    wanted = -(-(end_ts - start_ts) // (SLICES_MIN * SECOND)) * SECOND
    return max(SLICE_NS_MIN, min(slice_ns, wanted))


def planned(schedule: Schedule, ts: int) -> int:
    """Cumulative quantity planned at `ts`, rounded down."""
    at = bisect_right(schedule.moments, ts)
    if at == 0:
        return 0
    if at == len(schedule.moments):
        return schedule.totals[-1]
    t0, t1 = schedule.moments[at - 1], schedule.moments[at]
    q0, q1 = schedule.totals[at - 1], schedule.totals[at]
    return q0 + (q1 - q0) * (ts - t0) // (t1 - t0)


def band(schedule: Schedule, slice_ns: int, ts: int) -> tuple[int, int]:
    """Least and most that may be done at `ts` by the plan alone: one slice behind and one ahead."""
    return planned(schedule, ts - slice_ns), planned(schedule, ts + slice_ns)


def by_curve(order_qty: int, window: Window) -> Schedule:
    """Schedule in proportion to the curve's volume between start and end; sessions may lie back to back."""
    width = (window.hours.close_ns - window.hours.open_ns) // len(window.curve)
    moments, weights = [window.start_ts], [0]
    day = window.start_ts // DAY
    while moments[-1] < window.end_ts:
        open_ts = day * DAY + window.hours.open_ns
        t0, until = max(open_ts, window.start_ts), min(open_ts + width * len(window.curve), window.end_ts)
        if t0 < until:
            if t0 > moments[-1]:
                moments.append(t0)
                weights.append(weights[-1])
            weight = weights[-1]
            for i in range((t0 - open_ts) // width, (until - 1 - open_ts) // width + 1):
                t1 = min(open_ts + (i + 1) * width, until)
                weight += window.curve[i] * (t1 - t0)
                moments.append(t1)
                weights.append(weight)
                t0 = t1
        day += 1
        if day * DAY > window.end_ts:
            break
    whole = weights[-1]
    if whole == 0:  # the curve has no volume here, or the window lies outside the session: time is all there is
        return Schedule((window.start_ts, window.end_ts), (0, order_qty))
    if moments[-1] < window.end_ts:  # the window ends after the close, or in what the bins' rounding left of the session
        moments.append(window.end_ts)
        weights.append(whole)
    return Schedule(tuple(moments), tuple([order_qty * w // whole for w in weights]))


def expected_share(window: Window) -> int:
    """Share of one session's volume that the curve expects inside the window, ppm; above a million where it spans several."""
    return expected_volume(window, window.curve)


def expected_volume(window: Window, volume: tuple[int, ...]) -> int:
    """Of a volume per equal bin of each session, what lies inside the window; of a bin at its edge a part, rounded down."""
    return expected_volumes(window, (volume,))[0]


def expected_volumes(window: Window, volumes: tuple[tuple[int, ...], ...]) -> list[int]:
    """expected_volume() of each of some forecasts in the same bins. By slices: every new order asks for three of them."""
    bins = len(volumes[0])
    width = (window.hours.close_ns - window.hours.open_ns) // max(1, bins)
    units: list[int] = []
    open_ts = window.start_ts // DAY * DAY + window.hours.open_ns
    while open_ts <= window.end_ts:
        since, until = max(window.start_ts - open_ts, 0), min(window.end_ts - open_ts, width * bins)
        if since < until:
            first, last = since // width, (until - 1) // width
            head, tail = ((first + 1) * width - since, until - last * width) if first < last else (until - since, 0)
            of_day = []
            for of in volumes:
                of_day.append(sum(of[first + 1 : last]) + of[first] * head // width + of[last] * tail // width)
            units = [known + more for known, more in zip(units, of_day, strict=True)] if units else of_day
        open_ts += DAY
    return units or [0] * len(volumes)


def equal_volume(window: Window, steps: int) -> list[int]:
    """The window's moments between `steps` equal parts of the volume that it expects."""
    flat = by_curve(steps * PPM_ONE, window)
    found, at = [window.start_ts], 1
    for step in range(1, steps):
        while at < len(flat.totals) - 1 and flat.totals[at] < step * PPM_ONE:
            at += 1
        (t0, t1), (q0, q1) = flat.moments[at - 1 : at + 1], flat.totals[at - 1 : at + 1]
        moment = t1 if q1 <= q0 else t0 + (t1 - t0) * min(step * PPM_ONE - q0, q1 - q0) // (q1 - q0)
        found.append(max(found[-1] + 1, moment))
    return [*found, max(found[-1] + 1, window.end_ts)]


def market_volume(work: Work, market: Market) -> int:
    """The market's volume since the plan began, ours included."""
    return market.volume.total - work.base_volume


def demand(
    parent: ParentOrder, work: Work, market: Market, out: Open, kept: int, due: "Due", defaults: AlgoDefaults, round_lot: int, ts: int
) -> Demand:
    """What the plan asks for now, inside the cap. `due` has the algo's targets for this slice; `out` is out already.

    kept: what is kept for an auction beside what waits there; it is not for the dark.
    """
    slice_start, slice_end = slice_at(parent, work, ts)
    cross_ts = slice_start + (slice_end - slice_start) * _cross_after_ppm(parent, defaults) // PPM_ONE
    is_last = slice_end >= parent.end_ts
    open_qty, whole = out.lit, leaves_qty(parent.order) - out.away
    remaining = whole - open_qty - out.dark
    capped = _allowed(parent, work, market, round_lot, ts)
    allowed = capped - open_qty - out.dark
    # The factor bounds the whole slice, not each look at it: what the slice has done already counts.
    catch_up = max(defaults.catch_up_factor * (due.at_end - due.at_start), round_lot) - (parent.order.cum_qty - work.slice_cum)
    join = min(due.at_end - parent.order.cum_qty - open_qty, remaining, allowed, catch_up - open_qty)
    if parent.params.display_qty:
        join = 0 if open_qty else min(join, tip(parent, round_lot))
    cross = 0
    if ts >= cross_ts:
        # In the last slice the end is the due time; before, only what is behind the plan now, to the nearest lot: rounded
        # down, a thin order would stay a lot behind and that may be more than a slice.
        late = due.at_end - parent.order.cum_qty if is_last else due.now - parent.order.cum_qty + round_lot // 2
        cross = min(late, whole - out.dark, allowed + open_qty, catch_up)
    next_ts = ts + defaults.refresh_ns
    for moment in (cross_ts, slice_end):
        if ts < moment < next_ts:
            next_ts = moment
    # Lit comes first with what is due in this slice or rests already. Of the rest the dark keeps what it may or can't give back.
    lit = max(open_qty, due.at_end - parent.order.cum_qty)
    dark, dark_room = whole - lit - kept, capped - lit
    stays = min(out.dark, max(dark, 0), max(out.stuck, dark_room, 0))
    most = in_lots(min(whole, capped) - stays, whole, round_lot)
    return Demand(
        in_lots(join, remaining, round_lot), in_lots(cross, whole - out.dark, round_lot), most, next_ts, out.dark - stays, dark, dark_room
    )


class Due(msgspec.Struct, frozen=True, gc=False):
    """Cumulative quantity due at the slice's start, now, and at its end."""

    at_start: int
    now: int
    at_end: int


def tip(parent: ParentOrder, round_lot: int) -> int:
    """How much of DisplayQty the next child shows: all of it or up to two fifths less, so that no two tips look alike."""
    shown = parent.params.display_qty
    fewer = crc32(f"{parent.parent_id}.{parent.next_child}".encode()) % 5
    return max(in_lots(shown - shown * fewer // 10, shown, round_lot), min(shown, round_lot))


def slice_at(parent: ParentOrder, work: Work, ts: int) -> tuple[int, int]:
    """Start and end of the slice that `ts` lies in; after the window, the last one."""
    inside = min(ts, parent.end_ts - 1)
    start = parent.start_ts + (inside - parent.start_ts) // work.slice_ns * work.slice_ns
    return start, min(start + work.slice_ns, parent.end_ts)


def in_lots(quantity: int, remaining: int, round_lot: int) -> int:
    """Round down to round lots; the odd tail goes only with the very last quantity."""
    if quantity <= 0:
        return 0
    return quantity if quantity >= remaining else quantity - quantity % round_lot


def _cross_after_ppm(parent: ParentOrder, defaults: AlgoDefaults) -> int:
    return min(PPM_ONE, max(0, defaults.cross_after_ppm + (3 - parent.params.urgency) * URGENCY_STEP_PPM))


def _allowed(parent: ParentOrder, work: Work, market: Market, round_lot: int, ts: int) -> int:
    """Most that may be open now by MaxPctVol: over every window, since the start and trailing, ours stays below its share."""
    share = work.max_pct_vol
    allowed = share * (market.volume.total - work.capped_volume) // PPM_ONE - (parent.order.cum_qty - work.capped_qty)
    # Those that began after the order did.
    lengths = CAP_WINDOWS_S[: bisect_left(CAP_WINDOWS_S, -(-(ts - parent.start_ts) // SECOND))]
    if not lengths:
        return allowed
    # The second on the edge counts for us and not for the market: the error is on the safe side.
    traded = work.traded.since_each(ts, lengths, include_second=True)
    volumes = market.volume.since_each(ts, lengths, include_second=False)
    for length, ours, volume in zip(lengths, traded, volumes, strict=True):
        room = share * volume // PPM_ONE - ours
        if length <= LOTS_WITHIN_S:
            room += round_lot // 2
        if room < round_lot and ours == 0 and length < CAP_WINDOWS_S[-1]:
            # Where a minute's share is less than a lot, one lot may go all the same; the long window still holds.
            room = round_lot
        if room < allowed:  # no min(): nine windows of every turn come by
            allowed = room
    return allowed


assert max(CAP_WINDOWS_S) < tally.SECONDS_KEPT
