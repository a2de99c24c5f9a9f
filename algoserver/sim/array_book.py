"""The books of one instrument at all its venues in one flat array: the rules of `book.py`, in a form that a compiler takes.

The array begins with counters and with where each column begins: `b[b[KEY] + i]` is entry i of the column of keys.
A side s is 2 * venue, plus 1 for offers. A key is px in ticks for bids and -px for offers, so the best level is the
largest key and stands last. SLOT names a level's place in the columns of levels; beyond LEVELS of its side it holds the free ones.
A queue is a list linked by NXT and PRV. OWNER: 0 is the crowd, whose orders also stand in CROWD without gaps, so that
one of them can be drawn; clients' orders have numbers from 1 on.
What trades is recorded: one record an order of a client, one a price for the crowd's.
One array, because a compiled call hands on seven numbers about each that it is given: with twenty it did little else.
"""

from typing import Any

from algoserver.sim.compiled import compiled, ints

Books = Any  # an array of integers, or a list of them
NOTHING = -(1 << 60)  # the best key of an empty side
# Counters: first free order, orders in use, the crowd's orders that buy and that sell, records; room for levels of a side, orders, records.
FREE, USED, BUYS, SELLS, RECORDS, WIDTH, ROOM, SIDES, RECORD_ROOM = range(9)
# Columns by side; by side and place; by level; by order; the crowd's orders, buys first; by record.
LEVELS, KEY, SLOT, QTY, HEAD, TAIL, LEAVES, NXT, PRV, LEVEL, OWNER, PLACE, CROWD, TS, VENUE, SIGN, PX, FILLED, CLIENT = range(9, 28)


def empty(venues: int, width: int = 64, room: int = 4_096, records: int = 4_096) -> Books:
    """Books without orders, with room for `width` levels a side, `room` orders and `records` records."""
    sides = 2 * venues
    lengths = [sides, *[sides * width] * 5, *[room] * 6, 2 * room, *[records] * 6]
    b = ints(CLIENT + 1 + sum(lengths))
    start = CLIENT + 1
    for column, length in zip(range(LEVELS, CLIENT + 1), lengths, strict=True):
        b[column] = start
        start += length
    for column, length in ((HEAD, sides * width), (TAIL, sides * width), (PRV, room), (LEVEL, room)):
        b[b[column] : b[column] + length] = [-1] * length
    b[b[SLOT] : b[SLOT] + sides * width] = list(range(sides * width))
    b[b[NXT] : b[NXT] + room] = list(range(1, room + 1))
    b[WIDTH], b[ROOM], b[SIDES], b[RECORD_ROOM] = width, room, sides, records
    return b


def grown(b: Books, width: int, room: int, records: int) -> Books:
    """The same books with more room."""
    old_width, old_room, sides = int(b[WIDTH]), int(b[ROOM]), int(b[SIDES])
    new = empty(sides // 2, width, room, records)

    def copy(column: int, count: int, at: int = 0, to: int = 0) -> None:
        new[new[column] + to : new[column] + to + count] = b[b[column] + at : b[column] + at + count]

    def moved(column: int, count: int, at: int = 0, to: int = 0) -> None:
        """Copy numbers of levels, which are others now; -1 is none."""
        for i in range(count):
            slot = int(b[b[column] + at + i])
            new[new[column] + to + i] = slot // old_width * width + slot % old_width if slot >= 0 else -1

    copy(LEVELS, sides)
    for s in range(sides):
        for column in (KEY, QTY, HEAD, TAIL):
            copy(column, old_width, s * old_width, s * width)
        moved(SLOT, old_width, s * old_width, s * width)
    moved(LEVEL, old_room)
    for column in (LEAVES, NXT, PRV, OWNER, PLACE):
        copy(column, old_room)
    for side in range(2):
        copy(CROWD, old_room, side * old_room, side * room)
    for column in (TS, VENUE, SIGN, PX, FILLED, CLIENT):
        copy(column, int(b[RECORDS]))
    for counter in (FREE, USED, BUYS, SELLS, RECORDS):
        new[counter] = b[counter]
    return new


@compiled
def best(b: Books, s: int) -> int:
    """Best key of a side."""
    i = b[b[LEVELS] + s]
    return b[b[KEY] + s * b[WIDTH] + i - 1] if i else NOTHING


@compiled
def best_qty(b: Books, s: int) -> int:
    """Open quantity at the best level of a side."""
    i = b[b[LEVELS] + s]
    return b[b[QTY] + b[b[SLOT] + s * b[WIDTH] + i - 1]] if i else 0


@compiled
def top(b: Books, venue: int, n: int, tick: int, into: Books) -> None:
    """Write how many bids and how many offers follow, at most `n` each, then px and open quantity of each, the best first."""
    at = 2
    for side in range(2):
        s = 2 * venue + side
        end = s * b[WIDTH] + b[b[LEVELS] + s] - 1
        into[side] = min(n, b[b[LEVELS] + s])
        for i in range(into[side]):
            into[at] = (1 - 2 * side) * tick * b[b[KEY] + end - i]
            into[at + 1] = b[b[QTY] + b[b[SLOT] + end - i]]
            at += 2


@compiled
def join(b: Books, s: int, key: int, qty: int, owner: int) -> int:
    """Rest an order behind the others at its price. The caller has made room."""
    start = s * b[WIDTH]
    i = start + b[b[LEVELS] + s]
    while i > start and b[b[KEY] + i - 1] > key:
        i -= 1
    if i > start and b[b[KEY] + i - 1] == key:
        lev = b[b[SLOT] + i - 1]
    else:
        end = start + b[b[LEVELS] + s]
        lev = b[b[SLOT] + end]
        j = end
        while j > i:
            b[b[KEY] + j] = b[b[KEY] + j - 1]
            b[b[SLOT] + j] = b[b[SLOT] + j - 1]
            j -= 1
        b[b[KEY] + i] = key
        b[b[SLOT] + i] = lev
        b[b[LEVELS] + s] += 1
        b[b[QTY] + lev] = 0
        b[b[HEAD] + lev] = -1
        b[b[TAIL] + lev] = -1
    o: int = b[FREE]
    b[FREE] = b[b[NXT] + o]
    b[USED] += 1
    b[b[LEAVES] + o] = qty
    b[b[OWNER] + o] = owner
    b[b[LEVEL] + o] = lev
    b[b[NXT] + o] = -1
    b[b[PRV] + o] = b[b[TAIL] + lev]
    if b[b[TAIL] + lev] >= 0:
        b[b[NXT] + b[b[TAIL] + lev]] = o
    else:
        b[b[HEAD] + lev] = o
    b[b[TAIL] + lev] = o
    b[b[QTY] + lev] += qty
    if owner == 0:
        side = s & 1
        at = b[BUYS + side]
        b[b[CROWD] + side * b[ROOM] + at] = o
        b[b[PLACE] + o] = at
        b[BUYS + side] = at + 1
    return o


@compiled
def drop(b: Books, o: int) -> None:
    """Take an order out of the book, whatever it has left."""
    lev = b[b[LEVEL] + o]
    b[b[QTY] + lev] -= b[b[LEAVES] + o]
    before = b[b[PRV] + o]
    after = b[b[NXT] + o]
    if before >= 0:
        b[b[NXT] + before] = after
    else:
        b[b[HEAD] + lev] = after
    if after >= 0:
        b[b[PRV] + after] = before
    else:
        b[b[TAIL] + lev] = before
    s = lev // b[WIDTH]
    if b[b[OWNER] + o] == 0:
        side = s & 1
        last = b[BUYS + side] - 1
        b[BUYS + side] = last
        moved = b[b[CROWD] + side * b[ROOM] + last]
        b[b[CROWD] + side * b[ROOM] + b[b[PLACE] + o]] = moved
        b[b[PLACE] + moved] = b[b[PLACE] + o]
    b[b[LEAVES] + o] = 0
    b[b[LEVEL] + o] = -1
    b[b[NXT] + o] = b[FREE]
    b[FREE] = o
    b[USED] -= 1
    if b[b[HEAD] + lev] < 0:
        start = s * b[WIDTH]
        end = start + b[b[LEVELS] + s] - 1
        i = end
        while b[b[SLOT] + i] != lev:
            i -= 1
        while i < end:
            b[b[KEY] + i] = b[b[KEY] + i + 1]
            b[b[SLOT] + i] = b[b[SLOT] + i + 1]
            i += 1
        b[b[SLOT] + end] = lev
        b[b[LEVELS] + s] -= 1


@compiled
def reduce(b: Books, o: int, qty: int) -> None:
    """Take `qty` off a resting order, which keeps its place; at zero it leaves the book."""
    if qty == b[b[LEAVES] + o]:
        drop(b, o)
    else:
        b[b[LEAVES] + o] -= qty
        b[b[QTY] + b[b[LEVEL] + o]] -= qty


@compiled
def take(b: Books, venue: int, sign: int, qty: int, limit: int, ts: int) -> int:
    """Fill up to `qty` for an arriving buy (+1) or sell (-1), at `limit` ticks or better, best and oldest first; returns what is left."""
    s = 2 * venue + (1 if sign > 0 else 0)
    first = b[RECORDS]
    while qty > 0 and b[b[LEVELS] + s] > 0:
        key = b[b[KEY] + s * b[WIDTH] + b[b[LEVELS] + s] - 1]
        if key < -sign * limit:
            break
        o = b[b[HEAD] + b[b[SLOT] + s * b[WIDTH] + b[b[LEVELS] + s] - 1]]
        n = min(qty, b[b[LEAVES] + o])
        qty -= n
        at = b[RECORDS]
        px = -sign * key
        if b[b[OWNER] + o] == 0 and at > first and b[b[CLIENT] + at - 1] == 0 and b[b[PX] + at - 1] == px:
            b[b[FILLED] + at - 1] += n
        else:
            b[b[TS] + at] = ts
            b[b[VENUE] + at] = venue
            b[b[SIGN] + at] = sign
            b[b[PX] + at] = px
            b[b[FILLED] + at] = n
            b[b[CLIENT] + at] = b[b[OWNER] + o]
            b[RECORDS] = at + 1
        reduce(b, o, n)
    return qty


@compiled
def can_fill(b: Books, venue: int, sign: int, qty: int, limit: int) -> bool:
    """Whether the opposite side holds `qty` at `limit` ticks or better."""
    s = 2 * venue + (1 if sign > 0 else 0)
    start = s * b[WIDTH]
    i = start + b[b[LEVELS] + s] - 1
    while qty > 0 and i >= start and b[b[KEY] + i] >= -sign * limit:
        qty -= b[b[QTY] + b[b[SLOT] + i]]
        i -= 1
    return qty <= 0
