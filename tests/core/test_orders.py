"""Order states: what any sequence of reports leaves true."""

from hypothesis import given, settings
from hypothesis import strategies as st

from algoserver.core import orders
from algoserver.core.orders import FINAL, Order, avg_px, is_open, leaves_qty, ord_status
from algoserver.domain.types import OrdStatus

ACTS = st.lists(
    st.tuples(
        st.sampled_from(["accept", "fill", "bust", "correct", "cancel?", "refuse", "end", "replace"]),
        st.integers(0, 5),
        st.integers(1, 900),
    ),
    max_size=30,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(ACTS)
def test_the_books_are_the_sum_of_the_fills_whatever_comes(acts: list[tuple[str, int, int]]):
    """cum and money are the fills', leaves are 0 in final states and never negative, one end stays the end."""
    order = Order(order_qty=1_000)
    ended = None
    for n, (act, ref, quantity) in enumerate(acts):
        if act == "accept":
            orders.on_accepted(order)
        elif act == "fill":
            orders.on_fill(order, f"E{ref}", quantity, quantity)
        elif act == "bust":
            orders.on_bust(order, f"B{n}", f"E{ref}")
        elif act == "correct":
            orders.on_correct(order, f"E{n + 10}", f"E{ref}", quantity, quantity)
        elif act == "cancel?":
            orders.on_cancel_requested(order)
        elif act == "refuse":
            orders.on_cancel_rejected(order)
        elif act == "end":
            orders.on_ended(order, OrdStatus.EXPIRED if ref else OrdStatus.CANCELED)
        elif is_open(order):
            orders.on_replaced(order, quantity)
        assert order.cum_qty == sum(q for _, q in order.fills.values()) >= 0
        assert order.money == sum(p * q for p, q in order.fills.values())
        assert leaves_qty(order) == (0 if order.status in FINAL else max(0, order.order_qty - order.cum_qty))
        if ended:
            assert order.status is ended
        if order.status in FINAL and order.status is not OrdStatus.FILLED:
            ended = order.status


def test_an_exec_id_is_booked_once_and_never_again_after_its_bust():
    """A fill sent again is no fill; a busted one sent again is none either."""
    order = Order(order_qty=1_000)
    assert orders.on_fill(order, "E1", 10, 100)
    assert not orders.on_fill(order, "E1", 10, 100)
    assert orders.on_bust(order, "B1", "E1") == (10, 100)
    assert not orders.on_fill(order, "E1", 10, 100)
    assert order.cum_qty == 0


def test_a_bust_of_what_was_never_booked_leaves_the_fill_bookable():
    """The bust overtook its fill, or it is not ours: the books don't change, and the fill that comes still counts."""
    order = Order(order_qty=1_000)
    assert orders.on_bust(order, "B1", "E1") is None
    assert orders.on_fill(order, "E1", 10, 100)


def test_avg_px_is_rounded_once_half_up():
    """Two at 1 and one at 2 is 1.33; one at 1 and one at 2 is 1.5, that is 2."""
    order = Order(order_qty=10)
    orders.on_fill(order, "E1", 1, 1)
    orders.on_fill(order, "E2", 2, 1)
    assert avg_px(order) == 2
    orders.on_fill(order, "E3", 1, 1)
    assert avg_px(order) == 1
    assert avg_px(Order(order_qty=10)) == 0


def test_a_fill_before_the_acknowledgement_is_a_fill_and_a_late_acknowledgement_nothing():
    """Messages may cross."""
    order = Order(order_qty=10)
    orders.on_fill(order, "E1", 1, 4)
    orders.on_accepted(order)
    assert order.status is OrdStatus.PARTIALLY_FILLED


def test_a_replace_below_what_is_done_ends_at_what_is_done():
    """C.3.c: OrderQty is amended to CumQty and the order is Filled."""
    order = Order(order_qty=10_000)
    orders.on_fill(order, "E1", 1, 8_000)
    orders.on_replaced(order, 7_000)
    assert (order.status, order.order_qty, leaves_qty(order)) == (OrdStatus.FILLED, 8_000, 0)


def test_a_bust_of_a_canceled_order_leaves_it_canceled():
    """J.1.b: Canceled 5000/0, TradeCancel/Canceled 0/0, Trade/Canceled 4000/0."""
    order = Order(order_qty=10_000)
    orders.on_fill(order, "A", 1, 5_000)
    orders.on_ended(order, OrdStatus.CANCELED)
    orders.on_bust(order, "B", "A")
    assert (ord_status(order), order.cum_qty, leaves_qty(order)) == (OrdStatus.CANCELED, 0, 0)
    orders.on_fill(order, "C", 1, 4_000)
    assert (ord_status(order), order.cum_qty, leaves_qty(order)) == (OrdStatus.CANCELED, 4_000, 0)


def test_a_correction_after_done_for_day_leaves_it_done():
    """J.1.d: DoneForDay 5000/0, TradeCorrect/DoneForDay 4000/0, TradeCancel/DoneForDay 0/0."""
    order = Order(order_qty=10_000)
    orders.on_fill(order, "A", 1, 5_000)
    orders.on_ended(order, OrdStatus.DONE_FOR_DAY)
    orders.on_correct(order, "B", "A", 1, 4_000)
    assert (ord_status(order), order.cum_qty, leaves_qty(order)) == (OrdStatus.DONE_FOR_DAY, 4_000, 0)
    orders.on_bust(order, "C", "B")
    assert (ord_status(order), order.cum_qty, leaves_qty(order)) == (OrdStatus.DONE_FOR_DAY, 0, 0)


def test_a_bust_opens_a_filled_order_again():
    """J.1.a: what was taken back may trade again."""
    order = Order(order_qty=1_000)
    orders.on_fill(order, "A", 1, 600)
    orders.on_fill(order, "B", 1, 400)
    orders.on_bust(order, "C", "B")
    assert (ord_status(order), leaves_qty(order)) == (OrdStatus.PARTIALLY_FILLED, 400)
