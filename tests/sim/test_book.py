"""The book against a naive reference, and the rules that hold after every operation."""

from hypothesis import given, settings
from hypothesis import strategies as st

from algoserver.domain.types import TimeInForce
from algoserver.sim.book import COMPACT_DEAD, Book, Order

DAY, IOC, FOK = TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK


class Naive:
    """The same rule book in the slowest clear way: one list of [name, sign, px, leaves] in order of arrival."""

    def __init__(self):
        self.resting = []

    def enter(self, name, sign, px, qty, tif, is_market):
        others = [o for o in self.resting if o[1] == -sign and (is_market or (px - o[2]) * sign >= 0)]
        others.sort(key=lambda o: o[2] * sign)  # stable: arrival decides at a price
        if tif == FOK and sum(o[3] for o in others) < qty:
            return [], qty
        fills = []
        for other in others:
            n = min(qty, other[3])
            if n:
                other[3] -= n
                qty -= n
                fills.append((other[0], other[2], n))
        self.resting = [o for o in self.resting if o[3]]
        if qty and tif == DAY and not is_market:
            self.resting.append([name, sign, px, qty])
        return fills, qty

    def find(self, name):
        return next((o for o in self.resting if o[0] == name), None)

    def cancel(self, name):
        order = self.find(name)
        self.resting.remove(order)
        return order[3]

    def replace(self, name, px, qty):
        order = self.find(name)
        if px == order[2] and qty <= order[3]:
            order[3] = qty
            return [], qty
        self.resting.remove(order)
        return self.enter(name, order[1], px, qty, DAY, False)

    def top(self, n):
        sides = []
        for sign in (1, -1):
            levels = {}
            for o in self.resting:
                if o[1] == sign:
                    levels[o[2]] = levels.get(o[2], 0) + o[3]
            sides.append(tuple(sorted(levels.items(), reverse=sign > 0)[:n]))
        return tuple(sides)


PX = st.integers(95, 105)
QTY = st.integers(1, 30)
NTH = st.integers(0, 60)
ENTER = st.tuples(st.just("enter"), st.sampled_from([1, -1]), PX, QTY, st.sampled_from([DAY, DAY, DAY, IOC, FOK]), st.integers(0, 9))
CANCEL = st.tuples(st.just("cancel"), NTH)
REPLACE = st.tuples(st.just("replace"), NTH, PX, QTY)


def check(book: Book) -> None:
    """Never crossed; each level holds exactly what its queue holds, and the keys are those of the levels."""
    bid, ask = book.bids.best_px(), book.asks.best_px()
    assert bid is None or ask is None or bid < ask
    for ladder in (book.bids, book.asks):
        assert ladder.keys == sorted(ladder.levels)
        for level in ladder.levels.values():
            assert level.qty == sum(o.leaves for o in level.orders) > 0
            assert level.dead == sum(o.leaves == 0 for o in level.orders)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(ENTER, ENTER, CANCEL, REPLACE), max_size=60))
def test_book_equals_the_naive_reference(tape):
    """Any tape of operations gives the same fills, in the same order, and the same levels; quantity is conserved."""
    book, naive, orders = Book(), Naive(), []
    entered = gone = 0
    for op in tape:
        if op[0] == "enter":
            _, sign, px, qty, tif, dice = op
            is_market = dice == 0
            name = len(orders)
            order = Order(sign, px, qty, owner=name)
            orders.append(order)
            entered += qty
            fills = book.enter(order, tif, is_market)
            expected, leaves = naive.enter(name, sign, px, qty, tif, is_market)
            assert [(f.order.owner, f.px, f.qty) for f in fills] == expected
            assert order.leaves == leaves
            if tif == FOK:
                assert sum(f.qty for f in fills) in (0, qty)
            gone += 2 * sum(f.qty for f in fills)
            if order.level is None:
                gone += order.leaves
        else:
            resting = [o for o in orders if o.level is not None]
            if not resting:
                continue
            order = resting[op[1] % len(resting)]
            if op[0] == "cancel":
                leaves = book.cancel(order)
                assert leaves == naive.cancel(order.owner)
                gone += leaves
            else:
                entered += op[3] - order.leaves
                fills = book.replace(order, op[2], op[3])
                expected, leaves = naive.replace(order.owner, op[2], op[3])
                assert [(f.order.owner, f.px, f.qty) for f in fills] == expected
                gone += 2 * sum(f.qty for f in fills)
                assert order.leaves == leaves
        check(book)
        assert book.top(3) == naive.top(3)
        resting_qty = sum(o.leaves for o in orders if o.level is not None)
        assert entered == gone + resting_qty


def test_two_orders_are_never_filled_from_the_same_liquidity():
    """100 shares on offer fill one taker; the second finds none."""
    book = Book()
    book.enter(Order(-1, 101, 100))
    assert [f.qty for f in book.enter(Order(1, 101, 100), IOC)] == [100]
    assert book.enter(Order(1, 101, 100), IOC) == []


def test_first_come_first_served_survives_a_reduction_and_not_an_increase():
    """Rule 3: quantity down keeps the place, quantity up goes to the end."""
    book = Book()
    a, b, c = (Order(1, 100, 50, owner=n) for n in "abc")
    for order in (a, b, c):
        book.enter(order)
    book.replace(a, 100, 20)
    book.replace(b, 100, 60)

    assert [(f.order.owner, f.qty) for f in book.take(-1, 130)] == [("a", 20), ("c", 50), ("b", 60)]


def test_a_fok_fills_over_several_levels_or_not_at_all():
    """The quantity within the limit decides, and a refused FOK leaves the book as it was."""
    book = Book()
    for px in (101, 102, 103):
        book.enter(Order(-1, px, 10))
    before = book.top()
    assert book.enter(Order(1, 102, 21), FOK) == []
    assert book.top() == before
    assert [f.px for f in book.enter(Order(1, 102, 20), FOK)] == [101, 102]


def test_a_market_order_never_rests():
    """What a market order can't fill is left to the caller and not in the book."""
    book = Book()
    book.enter(Order(-1, 101, 10))
    order = Order(1, 0, 25)
    assert [f.qty for f in book.enter(order, DAY, is_market=True)] == [10]
    assert order.leaves == 15
    assert book.top() == ((), ())


def test_a_queue_does_not_keep_its_canceled_orders_for_ever():
    """Behind an order that never leaves, joining and canceling ten thousand times leaves a short queue."""
    book = Book()
    book.enter(Order(1, 100, 1))
    for _ in range(10_000):
        order = Order(1, 100, 1)
        book.enter(order)
        book.cancel(order)
    assert len(book.bids.at(100).orders) <= 2 * COMPACT_DEAD + 2
