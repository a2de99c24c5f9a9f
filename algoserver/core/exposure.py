"""The gate's own books: what was admitted, what may still trade, what traded, by order and by every scope that a limit may have.

Rule 1: they are told what leaves and what comes back, and believe no algo. Nothing but risk reads them to decide.
Rule 2: what is on its way counts as if it had arrived. What is open is worth its limit price, what traded its own.
Rule 3: a value is taken away as it was added: each child and each order remembers what it counts for.
Rule 4: values traded begin anew with a UTC day, for all scopes at once (turn_day); positions and what is open do not.
Rule 5: no scope can have got more than was added to all of them together: until that is used up, who has looked need not look again.
"""

import msgspec

from algoserver.core.tally import Tally
from algoserver.domain.commands import SendChild
from algoserver.domain.types import DAY, OrdType, Side, TimeInForce

FOR_THE_DAY = TimeInForce.DAY  # to ask the enum takes ten times as long in Python 3.11
BUY, PEGGED = Side.BUY, OrdType.PEGGED
SYMBOL = 2  # where an order's keys have its symbol, whose usage alone counts positions


class Usage(msgspec.Struct, gc=False):
    """What one scope has. Values in price units of money; working: of what open orders may still trade.

    position: net units since the journal began; it and buy_qty_open, sell_qty_open mean something for one symbol alone.
    """

    children_open: int = 0
    buys_open: int = 0
    sells_open: int = 0
    working: int = 0
    bought: int = 0
    sold: int = 0
    position: int = 0
    buy_qty_open: int = 0
    sell_qty_open: int = 0

    @property
    def open_value(self) -> int:
        """Of all children that may trade."""
        return self.buys_open + self.sells_open


class GatedParent(msgspec.Struct, gc=False):
    """What a parent may do at most, as admitted; filled and open as the venues told. keys: the scopes that its children count in.

    one: quantity units of a whole share or coin. px: what an unpriced order is valued at. working: value of what it may still trade.
    seen_by: of which limits its layers were last looked at; up to which `added` and `begun` of the books they can't have reached them.
    """

    client: str
    symbol: str
    side: Side
    order_qty: int
    price: int
    strategy: int
    keys: tuple[str, ...]
    one: int
    px: int
    is_scheduled: bool = True
    filled: int = 0
    open: int = 0
    working: int = 0
    seen_by: str = ""
    added_max: int = 0
    begun_max: int = 0


class GatedChild(msgspec.Struct, gc=False):
    """A child that left: how much of it may still trade, and the value that it counts for. key: its venue's scope. rests: it is good for the day.

    is_shown: it is in a lit book, or on its way there. day, done: value that it has traded on that day.
    """

    parent_id: str
    venue: str
    key: str
    price: int
    rests: bool
    is_shown: bool
    leaves: int = 0
    value: int = 0
    day: int = 0
    done: int = 0


class Ladder(msgspec.Struct, gc=False):
    """What rests at a venue in a symbol: price -> quantity."""

    buys: dict[int, int] = {}
    sells: dict[int, int] = {}


class Books(msgspec.Struct):
    """parents, children by id; usage by scope; resting: symbol -> venue -> what rests there.

    traded, shown by symbol: our own quantity in time, and what is in lit books or on its way there.
    added: value of all that was ever opened and of all that ever traded; begun: how many children were ever opened. Neither ever falls.
    day_end_ts: when the UTC day ends that they are of.
    """

    parents: dict[str, GatedParent] = {}
    children: dict[str, GatedChild] = {}
    usage: dict[str, Usage] = {}
    traded: dict[str, Tally] = {}
    shown: dict[str, int] = {}
    resting: dict[str, dict[str, Ladder]] = {}
    added: int = 0
    begun: int = 0
    day_end_ts: int = 0


def turn_day(books: Books, ts: int) -> None:
    """The UTC day of `ts` begins."""
    books.day_end_ts = (ts // DAY + 1) * DAY
    for used in books.usage.values():
        used.bought = used.sold = 0


def total(books: Books, keys: tuple[str, ...]) -> Usage:
    """Usage of one or several scopes together, to read: who asks leaves no trace, or a question would change the state."""
    if len(keys) == 1:
        return books.usage.get(keys[0]) or Usage()
    parts = [books.usage.get(key) or Usage() for key in keys]
    return Usage(**{f: sum(getattr(p, f) for p in parts) for f in Usage.__struct_fields__})


def on_admitted(books: Books, parent_id: str, parent: GatedParent) -> None:
    """A parent was admitted."""
    books.parents[parent_id] = parent
    for key in parent.keys:
        if key not in books.usage:
            books.usage[key] = Usage()
    _set_working(books, parent, parent.order_qty)


def on_amended(books: Books, parent_id: str, order_qty: int, price: int) -> None:
    """An amended parent's new bounds."""
    parent = books.parents[parent_id]
    parent.order_qty, parent.price = order_qty, price
    _set_working(books, parent, order_qty - parent.filled)


def on_finished(books: Books, parent_id: str) -> None:
    """A parent is over: nothing more of it is to come."""
    parent = books.parents.get(parent_id)
    if parent is not None:
        _set_working(books, parent, 0)


def on_sent(books: Books, parent_id: str, sent: SendChild) -> None:
    """A child leaves."""
    parent, key = books.parents[parent_id], f"venue:{sent.venue}"
    if key not in books.usage:
        books.usage[key] = Usage()
    rests = sent.time_in_force is FOR_THE_DAY
    is_shown = sent.ord_type is not PEGGED and (rests or not sent.time_in_force.is_auction)
    child = books.children[sent.child_id] = GatedChild(parent_id, sent.venue, key, sent.price, rests, is_shown)
    _set_leaves(books, parent, child, sent.order_qty)


def on_fill(books: Books, parent_id: str, child_id: str, quantity: int, px: int, ts: int) -> None:
    """A child's fill at `px`, or with a negative quantity its bust: that quantity is gone, the child does not trade it again."""
    parent, child = books.parents[parent_id], books.children[child_id]
    parent.filled += quantity
    if child.day != ts // DAY:
        child.day, child.done = ts // DAY, 0
    # What yesterday counted is no room today: a bust takes back no more than its child has traded on this day.
    value = quantity * px // parent.one if quantity > 0 else -min(child.done, -quantity * px // parent.one)
    child.done += value
    books.added += max(0, value)
    known = books.usage
    if parent.side is BUY:
        for key in (*parent.keys, child.key):
            known[key].bought += value
        known[parent.keys[SYMBOL]].position += quantity
    else:
        for key in (*parent.keys, child.key):
            known[key].sold += value
        known[parent.keys[SYMBOL]].position -= quantity
    if quantity > 0:  # a bust gives no room in the running window either: its trade may have been before it
        traded = books.traded.get(parent.symbol)
        if traded is None:
            traded = books.traded[parent.symbol] = Tally()
        traded.add(ts, quantity)
    if parent.working:
        _set_working(books, parent, parent.order_qty - parent.filled)
    _set_leaves(books, parent, child, max(0, child.leaves - max(0, quantity)))


def on_resized(books: Books, child_id: str, leaves: int) -> None:
    """A venue changed how much of a child may still trade; 0: it is over."""
    child = books.children[child_id]
    parent = books.parents[child.parent_id]
    _set_leaves(books, parent, child, leaves)


def crosses_own(books: Books, venue: str, symbol: str, side: Side, price: int) -> int:
    """The price of a resting child of ours that such a child would meet; 0 if there is none."""
    ladder = _ladder(books, venue, symbol)
    opposite = ladder and (ladder.sells if side is BUY else ladder.buys)
    if not opposite:
        return 0
    best = min(opposite) if side is BUY else max(opposite)
    return best if (price - best) * side.sign >= 0 else 0


def _ladder(books: Books, venue: str, symbol: str) -> Ladder | None:
    at = books.resting.get(symbol)
    return at.get(venue) if at else None


def _set_working(books: Books, parent: GatedParent, quantity: int) -> None:
    value, known = max(0, quantity) * (parent.price or parent.px) // parent.one, books.usage
    more = value - parent.working
    for key in parent.keys:
        known[key].working += more
    parent.working = value


def _set_leaves(books: Books, parent: GatedParent, child: GatedChild, leaves: int) -> None:
    if leaves == child.leaves:
        return
    opened, more, value = (leaves > 0) - (child.leaves > 0), leaves - child.leaves, leaves * child.price // parent.one
    worth, is_buy, known = value - child.value, parent.side is BUY, books.usage
    if worth > 0:
        books.added += worth
    if opened > 0:
        books.begun += 1
    of_symbol = known[parent.keys[SYMBOL]]
    if is_buy:
        for key in (*parent.keys, child.key):
            used = known[key]
            used.children_open += opened
            used.buys_open += worth
        of_symbol.buy_qty_open += more
    else:
        for key in (*parent.keys, child.key):
            used = known[key]
            used.children_open += opened
            used.sells_open += worth
        of_symbol.sell_qty_open += more
    if child.is_shown:
        books.shown[parent.symbol] = books.shown.get(parent.symbol, 0) + more
    parent.open += more
    child.leaves, child.value = leaves, value
    if child.rests:
        ladder = _ladder(books, child.venue, parent.symbol)
        if ladder is None:
            ladder = books.resting.setdefault(parent.symbol, {})[child.venue] = Ladder()
        prices = ladder.buys if is_buy else ladder.sells
        quantity = prices.get(child.price, 0) + more
        if quantity:
            prices[child.price] = quantity
        else:
            del prices[child.price]
