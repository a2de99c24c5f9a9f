"""What the crowd does, event by event: queue-reactive, around a reference price that remembers what clients traded.

Rates depend on the consolidated book: takers lean to the thicker side and towards the reference, quoters away from the side
that the price has left, cancels come per order, and a wide spread is filled. The order that an event makes goes to a venue by
market share and arrives there a moment later, when the book may be another one.
Model: Huang, Lehalle, Rosenbaum (2015); reference with concave decaying impact: Noble, Rosenbaum, Souilmi, arXiv 2603.24137.
The formulas, their numbers and what they were fitted to: docs/simulator.md.

Units: prices in ticks, quantities in the instrument's smallest unit, ts in ns, rates per second.
Arrays, each flat: b the books (`array_book`), k the crowd's integers, x its floats, w the day's weather drawn before (`weather`),
u uniform numbers, which are all the chance there is and are drawn outside.
"""

import math
from typing import Any

from algoserver.sim.array_book import (
    BUYS,
    CLIENT,
    CROWD,
    FILLED,
    HEAD,
    LEVELS,
    NOTHING,
    NXT,
    OWNER,
    RECORD_ROOM,
    RECORDS,
    ROOM,
    SELLS,
    SIDES,
    SLOT,
    USED,
    WIDTH,
    Books,
    best,
    best_qty,
    drop,
    join,
    take,
)
from algoserver.sim.compiled import compiled

Array = Any
GRID_NS = 100_000_000  # the weather's step: reference, activity and what decays change ten times a second
DRAWS = 16  # an event draws fewer numbers
PENDING = 32  # orders of the crowd that may be on their way; more arrive at once
SECONDS_PER_DECAY = (1.0, 5.0, 25.0, 125.0, 625.0, 3125.0)  # exponentials that together are the memory of clients' flow
DECAYS = 6
# k. NEXT: when the crowd decides next; OPEN: when the day began; STEP, STEPS: of the weather, now and in all; DRAWN: of u;
# ARRIVES: when the first of WAITING orders does; LAST: when the last event was. Then columns of the orders on their way.
NEXT, OPEN, STEP, STEPS, DRAWN, WAITING, ARRIVES, BID, ASK, LAST, VENUES = range(11)
AT, KIND, SIGN, PX, QTY, VENUE = (11 + PENDING * column for column in range(6))
K_LENGTH = 11 + 6 * PENDING
# x. REF: reference, IMPACT: what clients have added to it; EXCITED: further pace; RATES: of eight kinds of events, buyers' and sellers'
# in turn; FLOWS: decaying sums of what clients traded. Then parameters; SHARES: cumulated market shares by venue.
REF, IMPACT, EXCITED, RATES, FLOWS, WEIGHTS = 0, 1, 2, 3, 13, 19
KINDS = 10  # of events
(
    UNIT, PACE, MARKET, LIMIT, CANCEL, INNER, SIGNAL, TILT, TILT_MAX, SNIPE, BAND, DEEPER, TAKE_SIZE, QUOTE_SIZE, INNER_SIZE, SWEEP,
    EXCITE, CALM_PER_STEP, IMPACT_Y, IMPACT_POWER, FLOW_SCALE, JITTER_NS, TYPICAL, PULL,
    RESTING, REACH,
) = range(25, 51)  # fmt: skip
SHARES = 51
TAKER, QUOTE, LEAVE, RUSH = 0, 1, 2, 3  # kinds of orders on their way
# Why `run` came back; NOTHING_DUE: all that was due until then has happened.
NOTHING_DUE, NEEDS_ROOM, CLIENT_FILLED, TRADED, MOVED = range(5)
ON_TRADE, ON_MOVE = 1, 2  # watch: come back at a trade, when the consolidated best prices change
NEVER = 1 << 62


@compiled
def run(b: Books, k: Array, x: Array, w: Array, u: Array, until: int, watch: int) -> int:
    """Let happen what is due up to and including `until`; says why it came back. k[LAST] is when the last event was."""
    while True:
        due = min(k[NEXT], k[ARRIVES])
        if due > until:
            return NOTHING_DUE
        if k[DRAWN] + DRAWS >= len(u) or b[RECORDS] * 2 > b[RECORD_ROOM] or b[USED] + 2 > b[ROOM] or is_crowded(b):
            return NEEDS_ROOM
        pass_time(k, x, w, due)
        if watch & ON_MOVE:
            look(b, k, x)
        bid = k[BID]
        ask = k[ASK]
        k[LAST] = due
        first = b[RECORDS]
        if k[ARRIVES] == due:
            let_arrive(b, k, x, w, u, due)
        else:
            decide(b, k, x, w, u, due)
        schedule(b, k, x, w, u, due)
        for i in range(first, b[RECORDS]):
            if b[b[CLIENT] + i] > 0:
                return CLIENT_FILLED
        if watch & ON_TRADE and b[RECORDS] > first:
            return TRADED
        if watch & ON_MOVE and (k[BID] != bid or k[ASK] != ask):
            return MOVED


@compiled
def schedule(b: Books, k: Array, x: Array, w: Array, u: Array, ts: int) -> None:
    """Set the rates by the book of now, and draw when the crowd does something next. Waiting has no memory: it may be drawn anew."""
    k[NEXT] = ts + 1 + int(exponential(k, u, 1e9) / think(b, k, x, w))


@compiled
def think(b: Books, k: Array, x: Array, w: Array) -> float:
    """Set the rate of every kind of event by the book as it is; returns their sum."""
    look(b, k, x)
    bid = k[BID]
    ask = k[ASK]
    bids = 0
    asks = 0
    for v in range(k[VENUES]):
        if best(b, 2 * v) == bid:
            bids += best_qty(b, 2 * v)
        if best(b, 2 * v + 1) == -ask:
            asks += best_qty(b, 2 * v + 1)
    imbalance = (bids - asks) / (bids + asks) if bids + asks > 0 else 0.0
    ref = x[REF]
    pull = x[TILT] * ((bid + ask) * 0.5 - ref)
    pull = min(max(pull, -x[TILT_MAX]), x[TILT_MAX])
    step = k[STEP]
    pace = x[PACE] * w[step] * (1.0 + x[EXCITED])
    buyers = 1.0 / (1.0 + math.exp(-2.0 * (x[SIGNAL] * imbalance - pull + w[2 * k[STEPS] + step])))
    away = math.exp(0.5 * pull)
    # Only clients can lock or cross two venues with each other: somebody takes both sides at once.
    free_lunch = 2.0 if bid >= ask else 0.0
    gap = min(max(ask - bid - 1, 0), 20)
    cheap = max(0.0, ref - ask - x[BAND])
    dear = max(0.0, bid - ref - x[BAND])
    x[RATES] = pace * (2.0 * x[MARKET] * buyers + x[SNIPE] * cheap + free_lunch)
    x[RATES + 1] = pace * (2.0 * x[MARKET] * (1.0 - buyers) + x[SNIPE] * dear + free_lunch)
    x[RATES + 2] = pace * x[LIMIT] / away
    x[RATES + 3] = pace * x[LIMIT] * away
    x[RATES + 4] = pace * x[CANCEL] * b[BUYS]
    x[RATES + 5] = pace * x[CANCEL] * b[SELLS]
    x[RATES + 6] = pace * x[INNER] * gap / (away * away)
    x[RATES + 7] = pace * x[INNER] * gap * (away * away)
    x[RATES + 8] = pace * x[PULL] * max(0.0, bid - ref)
    x[RATES + 9] = pace * x[PULL] * max(0.0, ref - ask)
    total = 0.0
    for i in range(KINDS):
        total += x[RATES + i]
    return total


@compiled
def look(b: Books, k: Array, x: Array) -> None:
    """Set the consolidated best prices; where a side is empty, or has nothing but a price that nobody believes, what the crowd would quote."""
    bid = NOTHING
    offer = NOTHING
    for v in range(k[VENUES]):
        bid = max(bid, best(b, 2 * v))
        offer = max(offer, best(b, 2 * v + 1))
    middle = int(x[REF])
    ask = -offer
    has_offer = offer != NOTHING and ask <= x[REF] + x[REACH]
    if bid == NOTHING or bid < x[REF] - x[REACH]:
        bid = min(middle, ask - 1) if has_offer else middle
    if not has_offer:
        ask = max(middle + 1, bid + 1)
    k[BID] = bid
    k[ASK] = ask


@compiled
def decide(b: Books, k: Array, x: Array, w: Array, u: Array, ts: int) -> None:
    """One event of the crowd by the rates that stand: an order, and when it arrives where."""
    total = 0.0
    for i in range(KINDS):
        total += x[RATES + i]
    draw = uniform(k, u) * total
    event = 0
    while event < KINDS - 1 and draw >= x[RATES + event]:
        draw -= x[RATES + event]
        event += 1
    sign = 1 - 2 * (event & 1)
    near = k[BID] if sign > 0 else k[ASK]
    kind = LEAVE
    venue = 0
    px = 0
    qty = 0
    if event < 2:
        kind = TAKER
        touch = k[ASK] if sign > 0 else k[BID]
        side = 1 if sign > 0 else 0
        venue = showing(b, k, x, u, side, -sign * touch)
        if venue < 0:
            return
        px = touch + sign * int(x[SWEEP])
        # A thick queue draws larger orders: takers look at what they will find.
        found = best_qty(b, 2 * venue + side) / (x[TYPICAL] * x[UNIT])
        qty = size(k, x, u, x[TAKE_SIZE] * min(max(math.sqrt(found), 0.5), 2.0))
        x[EXCITED] += x[EXCITE] / w[k[STEP]]
    elif event < 4:
        kind = QUOTE
        venue = by_share(k, x, u)
        px = near - sign * min(int(math.log(1.0 - uniform(k, u)) / x[DEEPER]), 9)
        qty = size(k, x, u, x[QUOTE_SIZE])
    elif event >= 8:
        kind = RUSH
        venue = by_share(k, x, u)
    elif event >= 6:
        kind = QUOTE
        venue = by_share(k, x, u)
        px = near + sign
        qty = size(k, x, u, x[INNER_SIZE])
    i = k[WAITING]
    if x[JITTER_NS] <= 0.0 or i == PENDING:
        arrive(b, k, x, w, u, kind, sign, px, qty, venue, ts)
        return
    k[WAITING] = i + 1
    k[AT + i] = ts + 1 + int(exponential(k, u, x[JITTER_NS]))
    k[KIND + i] = kind
    k[SIGN + i] = sign
    k[PX + i] = px
    k[QTY + i] = qty
    k[VENUE + i] = venue
    k[ARRIVES] = min(k[ARRIVES], k[AT + i])


@compiled
def let_arrive(b: Books, k: Array, x: Array, w: Array, u: Array, ts: int) -> None:
    """The order that is due now reaches its venue."""
    i = 0
    while k[AT + i] != ts:
        i += 1
    kind = k[KIND + i]
    sign = k[SIGN + i]
    px = k[PX + i]
    qty = k[QTY + i]
    venue = k[VENUE + i]
    last = k[WAITING] - 1
    k[WAITING] = last
    for column in (AT, KIND, SIGN, PX, QTY, VENUE):
        k[column + i] = k[column + last]
    k[ARRIVES] = NEVER
    for j in range(last):
        k[ARRIVES] = min(k[ARRIVES], k[AT + j])
    arrive(b, k, x, w, u, kind, sign, px, qty, venue, ts)


@compiled
def arrive(
    b: Books, k: Array, x: Array, w: Array, u: Array, kind: int, sign: int, px: int, qty: int, venue: int, ts: int
) -> None:  # fmt: skip
    """An order of the crowd at its venue."""
    side = 0 if sign > 0 else 1
    if kind == TAKER:
        first = b[RECORDS]
        take(b, venue, sign, qty, px, ts)
        for i in range(first, b[RECORDS]):
            if b[b[CLIENT] + i] > 0:
                remember(k, x, w, -sign * x[RESTING] * b[b[FILLED] + i])
    elif kind == QUOTE:
        # A quote neither locks nor crosses any venue: it yields to behind their best.
        for v in range(k[VENUES]):
            other = best(b, 2 * v + 1 - side)
            if other != NOTHING and (px + sign * other) * sign >= 0:
                px = -sign * other - sign
        if px > 0:
            join(b, 2 * venue + side, sign * px, qty, 0)
    elif kind == RUSH:
        # The price has left a queue behind: at this venue the crowd is gone at once.
        if b[b[LEVELS] + 2 * venue + side] > 0:
            o = b[b[HEAD] + b[b[SLOT] + (2 * venue + side) * b[WIDTH] + b[b[LEVELS] + 2 * venue + side] - 1]]
            while o >= 0:
                after = b[b[NXT] + o]
                if b[b[OWNER] + o] == 0:
                    drop(b, o)
                o = after
    elif b[BUYS + side] > 0:
        drop(b, b[b[CROWD] + side * b[ROOM] + int(uniform(k, u) * b[BUYS + side])])


@compiled
def showing(b: Books, k: Array, x: Array, u: Array, side: int, key: int) -> int:
    """A venue by market share, of those that show `key` as the best of this side; -1 if none does."""
    total = 0.0
    for v in range(k[VENUES]):
        if best(b, 2 * v + side) == key:
            total += x[SHARES + v] - (x[SHARES + v - 1] if v > 0 else 0.0)
    draw = uniform(k, u) * total
    found = -1
    for v in range(k[VENUES]):
        if best(b, 2 * v + side) == key:
            found = v
            draw -= x[SHARES + v] - (x[SHARES + v - 1] if v > 0 else 0.0)
            if draw < 0:
                break
    return found


@compiled
def by_share(k: Array, x: Array, u: Array) -> int:
    """A venue by market share."""
    draw = uniform(k, u)
    v = 0
    while v < k[VENUES] - 1 and draw >= x[SHARES + v]:
        v += 1
    return v


@compiled
def size(k: Array, x: Array, u: Array, mean: float) -> int:
    """Quantity of an order: one unit, and an exponential draw on top, rounded down."""
    more = int(exponential(k, u, mean)) if mean > 0.0 else 0
    return (1 + more) * int(x[UNIT])


@compiled
def uniform(k: Array, u: Array) -> float:
    """The next number of [0, 1)."""
    k[DRAWN] += 1
    drawn: float = u[k[DRAWN] - 1]
    return drawn


@compiled
def exponential(k: Array, u: Array, mean: float) -> float:
    """An exponential draw."""
    return -mean * math.log(1.0 - uniform(k, u))


@compiled
def pass_time(k: Array, x: Array, w: Array, ts: int) -> None:
    """Let what decays decay, and the weather change, up to `ts`."""
    step = min((ts - k[OPEN]) // GRID_NS, k[STEPS] - 1)
    steps = step - k[STEP]
    if steps <= 0:
        return
    k[STEP] = step
    for i in range(DECAYS):
        x[FLOWS + i] *= math.exp(-0.1 * steps / SECONDS_PER_DECAY[i])
    x[EXCITED] *= math.exp(-x[CALM_PER_STEP] * steps)
    feel(k, x, w)


@compiled
def remember(k: Array, x: Array, w: Array, qty: float) -> None:
    """Clients traded: signed quantity, bought positive."""
    for i in range(DECAYS):
        x[FLOWS + i] += qty
    feel(k, x, w)


@compiled
def feel(k: Array, x: Array, w: Array) -> None:
    """The reference: the day's own, and what clients' flow has made of it, concave in size and decaying."""
    flow = 0.0
    for i in range(DECAYS):
        flow += x[WEIGHTS + i] * x[FLOWS + i]
    flow *= x[FLOW_SCALE]
    impact = 0.0
    if abs(flow) > 1e-12:
        impact = x[IMPACT_Y] * math.exp(x[IMPACT_POWER] * math.log(abs(flow)))
    x[IMPACT] = impact if flow > 0.0 else -impact
    x[REF] = max(w[k[STEPS] + k[STEP]] + x[IMPACT], 2.0)


@compiled
def fill_up(b: Books, k: Array, x: Array, w: Array, u: Array, ts: int) -> None:
    """The crowd's first quotes of a day or after a halt: about what its rates would leave standing. The caller has made room."""
    pass_time(k, x, w, ts)
    look(b, k, x)
    for v in range(k[VENUES]):
        share = x[SHARES + v] - (x[SHARES + v - 1] if v > 0 else 0.0)
        for side in range(2):
            sign = 1 - 2 * side
            touch = k[BID] if side == 0 else k[ASK]
            for level in range(6):
                orders = 0.6 * x[LIMIT] / x[CANCEL] * share * (1.0 - math.exp(x[DEEPER])) * math.exp(x[DEEPER] * level)
                for _ in range(max(1, min(int(orders), 200))):
                    arrive(b, k, x, w, u, QUOTE, sign, touch - sign * level, size(k, x, u, x[QUOTE_SIZE]), v, ts)
    schedule(b, k, x, w, u, ts)


@compiled
def is_crowded(b: Books) -> bool:
    """Whether a side could run out of levels with the next order."""
    most = 0
    for s in range(b[SIDES]):
        most = max(most, b[b[LEVELS] + s])
    return bool(most + 2 > b[WIDTH])
