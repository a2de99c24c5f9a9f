"""What rests in the dark: how much, how, and that its quantity is nowhere else before its venue has let it go."""

from typing import Any

import msgspec
import pytest

from algoserver.core.algos.schedule import Demand
from algoserver.core.dark import rebalance
from algoserver.core.orders import is_open, leaves_qty
from algoserver.domain.commands import CancelChild, Command, SendChild
from algoserver.domain.events import ReplaceRequested
from algoserver.domain.params import AlgoParams
from algoserver.domain.policy import ClientProfile, Venue
from algoserver.domain.types import PPM_ONE, SECOND, ExecType, OrdStatus, OrdType, Side, Strategy, TimeInForce, px
from tests.core.day import AAPL, POLICY, Day, policy_loaded

KINDS = (Venue("XLIT1"), Venue("XLIT2"), Venue("XDARK1", "dark"))
HALF = {"dark_pct": 500_000, "max_pct_vol": PPM_ONE}


def street(qty: int = 10_000, strategy: int = Strategy.TWAP, minutes: int = 60, venues: tuple[Venue, ...] = KINDS, **more: Any) -> Day:
    """P1, a buy at a market of 200.00 to 200.02, after a second with more volume than any cap needs."""
    day = Day(policy_loaded(venues=venues))
    for venue in venues[2:]:
        day.up(venue.name)
    day.quote()
    day.parent("P1", qty, strategy, minutes=minutes, **{**HALF, **more})
    day.trade(1_000_000)
    day.wait(SECOND)
    return day


def dark(day: Day) -> list[SendChild]:
    """Open children in the dark, oldest first."""
    return [c for c in day.sent() if c.ord_type is OrdType.PEGGED and is_open(day.child(c).order)]


def lit(day: Day) -> list[SendChild]:
    return [c for c in day.sent() if c.ord_type is OrdType.LIMIT and is_open(day.child(c).order)]


def lively(day: Day, seconds: int) -> list[Command]:
    """Prices and volume go on; what is sent or canceled meanwhile."""
    out: list[Command] = []
    for second in range(seconds):
        bid = 20_000 + (second // 7) % 3
        day.quote(f"{bid / 100:.2f}", f"{(bid + 2) / 100:.2f}")
        day.trade(20_000)
        out += day.wait(SECOND)
    return out


def confirm(day: Day, out: list[Command]) -> list[Command]:
    """The venues confirm every cancel in `out`; what that leads to."""
    sent = {c.child_id: c for c in day.sent()}
    return [c for cancel in out if isinstance(cancel, CancelChild) for c in day.canceled(sent[cancel.child_id])]


def out_qty(day: Day) -> int:
    """What is filled and open."""
    return day.order().order.cum_qty + sum(leaves_qty(day.state.children[c].order) for c in day.order().open_children)


def test_a_dark_child_is_pegged_and_bounded():
    """Half of 10,000 goes to XDARK1: at the mid, with MinExecQty, no dearer than the collar's last tick; the rest is lit's."""
    day = street(min_exec_qty=700)
    (child,) = dark(day)
    assert (child.venue, child.order_qty, child.min_qty, child.exec_inst) == ("XDARK1", 5_000, 700, "M")
    assert (child.time_in_force, child.price) == (TimeInForce.DAY, px("210.01"))  # 200.01 and 5 %: 210.0105
    assert {c.venue for c in lit(day)} <= {"XLIT1", "XLIT2"}
    assert all((c.min_qty, c.exec_inst) == (0, "") for c in lit(day))


@pytest.mark.parametrize(("side", "limit", "price"), [(Side.BUY, "201", "201"), (Side.BUY, "210", "210"), (Side.SELL, "195", "195")])
def test_the_clients_limit_is_the_childs(side: Side, limit: str, price: str):
    """Where it is inside the collar."""
    day = street(side=side, ord_type=OrdType.LIMIT, price=px(limit))
    assert [c.price for c in dark(day)] == [px(price)]


def test_a_sale_without_a_limit_is_bounded_from_below():
    """200.01 less 5 % is 190.0095: the next tick above."""
    assert [c.price for c in dark(street(side=Side.SELL))] == [px("190.01")]


def test_display_qty_bounds_what_is_shown_alone():
    """A tip of 200 in the light, 5,000 in the dark."""
    day = street(display_qty=200)
    assert [c.order_qty for c in dark(day)] == [5_000]
    assert sum(c.order_qty for c in lit(day)) <= 200


def test_min_exec_qty_is_rounded_down_to_a_lot_and_is_no_wish_for_crumbs():
    """Half of 1,000 is less than MinExecQty 600, so nothing rests; of 2,000 it is enough."""
    assert dark(street(1_000, min_exec_qty=600)) == []
    assert [c.min_qty for c in dark(street(2_000, min_exec_qty=600))] == [600]


def test_two_dark_venues_share_it():
    """In equal parts, while each is large enough for MinExecQty."""
    two = (*KINDS, Venue("XDARK2", "dark"))
    assert [(c.venue, c.order_qty) for c in dark(street(venues=two))] == [("XDARK1", 2_500), ("XDARK2", 2_500)]
    assert [(c.venue, c.order_qty) for c in dark(street(venues=two, min_exec_qty=3_000))] == [("XDARK1", 5_000)]


def test_without_dark_pct_nothing_goes_there_and_lit_splits_pay_no_heed():
    """The cheapest venue of all takes no lit child, whatever it costs."""
    cheap = (Venue("XLIT1", fee_ppm=20), Venue("XLIT2", fee_ppm=30), Venue("XDARK1", "dark", -50))
    day = street(venues=cheap, dark_pct=-1, ord_type=OrdType.LIMIT, price=px("199"))  # where no venue shows anything
    lively(day, 120)
    assert {c.venue for c in day.sent()} <= {"XLIT1", "XLIT2"}
    assert day.sent()


def test_cap_counts_the_dark():
    """With a cap of a tenth, 20,000 of volume let out 2,000: the slice's 1,000 for lit and four fifths of the rest, filled or not."""
    day = Day(policy_loaded(venues=KINDS))
    day.up("XDARK1")
    day.quote()
    day.parent("P1", 10_000, Strategy.LIQUIDITY, minutes=10, max_pct_vol=100_000, urgency=5)
    day.trade(20_000)
    out: list[Command] = []
    for _ in range(50):
        out += day.wait(SECOND)
        day.quote()
        assert out_qty(day) <= 2_000
    assert (sum(c.order_qty for c in dark(day)), sum(c.order_qty for c in lit(day))) == (800, 1_000)
    for child in dark(day):
        day.fill(child, child.order_qty)
    for _ in range(8):
        day.wait(SECOND)
        day.quote()
        assert out_qty(day) <= 2_000


@pytest.mark.parametrize("is_down", [False, True])
def test_cap_holds_while_the_dark_does_not_let_go(is_down: bool):
    """Lit is due and the cap is full of a dark child that its venue keeps, or that is unknown: lit gets what the cap has left."""
    day = Day(policy_loaded(venues=KINDS))
    day.up("XDARK1")
    day.quote()
    day.parent("P1", 10_000, Strategy.LIQUIDITY, minutes=10, max_pct_vol=100_000)
    for second in range(500):
        day.trade(334 if second < 400 else 1)
        day.wait(SECOND)
        day.quote()
        if second == 200 and is_down:
            day.down("XDARK1")
        for c in lit(day):
            if day.child(c).cancels or c.time_in_force is TimeInForce.IOC:
                day.canceled(c)
        assert out_qty(day) <= 2_000 + 100 or (second >= 400 and lit(day) == [])
    assert sum(c.order_qty for c in dark(day)) >= 1_500
    assert lit(day) == []


def test_a_wish_takes_no_more_than_the_dark_has_left():
    """IWouldPrice comes in the last slice while the dark child is being taken back: the gate need not stop anything."""
    day = street(20_000, minutes=10, i_would_price=px("199.50"))
    played(day, 8 * 60 + 50)
    (child,) = dark(day)
    lively(day, 15)
    day.quote("199.40", "199.42", size=50_000)
    for _ in range(5):
        day.wait(SECOND)
        for c in lit(day):
            day.fill(c, leaves_qty(day.child(c).order))
        day.quote("199.40", "199.42", size=50_000)
    assert day.order().order.cum_qty == 20_000 - child.order_qty
    assert [a for a in day.alerts() if a.startswith("gate_")] == []


def test_the_last_odd_lot_is_taken_back_too():
    """Less than a round lot is left of a dark child when the plan wants everything."""
    day = street(10_000)
    (sent,) = dark(day)
    day.fill(sent, 4_950)
    child, parent = day.child(sent), day.order()
    market, some = day.state.markets["AAPL"], Demand(join=0, cross=0, most=50, next_ts=0, dark_room=10**6)
    wanted = [msgspec.structs.replace(some, dark=left) for left in (0, 10)]
    rests = [rebalance(parent, [child], demand, 10**6, POLICY, market, AAPL, day.now) for demand in wanted]
    assert [r.cancels for r in rests] == [(child.child_id,), ()]


def test_it_is_not_rebalanced_for_nothing():
    """Twenty minutes of moving prices, volume and fills in the light: a handful of messages to the dark venue, not one a second."""
    day = street(100_000, minutes=120)
    sent = 0
    for _ in range(20):
        for child in lit(day):
            day.fill(child, leaves_qty(day.child(child).order))
        sent += sum(getattr(c, "venue", "") == "XDARK1" for c in lively(day, 60))
    assert day.order().order.cum_qty > 10_000
    assert sent <= 4


def test_what_shrinks_with_the_remainder_is_taken_back_and_made_anew():
    """Half of 10,000 rests; when lit has done 3,000 that is a quarter more than half of the rest, and after the cancel 3,500 rest."""
    day = street(10_000)
    (old,) = dark(day)
    day.accept(old)
    out: list[Command] = []
    for _ in range(3_600):
        for child in lit(day):
            out += day.fill(child, leaves_qty(day.child(child).order))
        out += lively(day, 1)
        if not dark(day) or day.child(old).cancels:
            break
    done = day.order().order.cum_qty
    assert 10_000 - done < 8_000 + 100
    assert all(c == old for c in dark(day)), "a second child before the first was over"
    day.canceled(old)
    assert [c.order_qty for c in dark(day)] == [(10_000 - done) // 2 // 100 * 100]


def played(day: Day, seconds: int) -> list[Command]:
    """Time goes on, lit fills what it gets, and every venue confirms each cancel at once; what the core asked for."""
    out: list[Command] = []
    for _ in range(seconds):
        more = lively(day, 1)
        for child in lit(day):
            more += day.fill(child, leaves_qty(day.child(child).order))
        out += more
        while more:
            more = confirm(day, more)
            out += more
    return out


@pytest.mark.parametrize("completion", ["CANCEL", "HARD"])
def test_the_last_slice_is_lits_once_the_venue_has_let_go(completion: str):
    """In its last minute the plan wants everything: the dark child is asked for, and lit has its quantity only after the answer."""
    day = street(20_000, minutes=10, completion=completion)
    played(day, 8 * 60 + 50)
    (child,) = dark(day)
    out: list[Command] = []
    for _ in range(40):
        out += lively(day, 1)
        for c in lit(day):
            day.fill(c, leaves_qty(day.child(c).order))
    assert [c.child_id for c in out if isinstance(c, CancelChild)][:1] == [child.child_id]
    assert day.order().order.cum_qty == 20_000 - child.order_qty
    day.canceled(child)
    played(day, 30)
    assert (day.order().order.status, dark(day)) == (OrdStatus.FILLED, [])


def test_a_price_that_the_client_would_pay_takes_everything_out_of_the_dark_first():
    """IWouldPrice is there: what is free crosses at once, what is in the dark when the cancel is confirmed."""
    day = street(10_000, i_would_price=px("199.50"))
    (child,) = dark(day)
    for c in lit(day):
        day.fill(c, c.order_qty)
    done = day.order().order.cum_qty
    day.quote("199.40", "199.42", size=50_000)
    out = day.wait(2 * SECOND)
    assert [c.child_id for c in out if isinstance(c, CancelChild)] == [child.child_id]
    assert sum(c.order_qty for c in out if isinstance(c, SendChild)) == 10_000 - done - 5_000
    day.canceled(child)
    for c in lit(day):
        day.fill(c, c.order_qty)
    day.quote("199.40", "199.42", size=50_000)
    out = day.wait(2 * SECOND)
    assert [(c.order_qty, c.time_in_force, c.price) for c in out if isinstance(c, SendChild)] == [(5_000, TimeInForce.IOC, px("199.42"))]


def test_an_unknown_dark_child_is_nobody_elses_quantity():
    """XDARK1 is gone with 5,000: even to finish at the end lit gets not more than the rest, until XDARK1 has told."""
    day = street(10_000, minutes=2, completion="HARD")
    (child,) = dark(day)
    day.down("XDARK1")
    for _ in range(200):
        lively(day, 1)
        for c in lit(day):
            day.fill(c, leaves_qty(day.child(c).order))
    assert day.order().order.cum_qty == 5_000
    day.up("XDARK1")
    confirm(day, day.status_of(child, status=OrdStatus.NEW) + day.wait(2 * SECOND))
    for _ in range(100):
        lively(day, 1)
        for c in lit(day):
            day.fill(c, leaves_qty(day.child(c).order))
    assert day.order().order.cum_qty == 10_000


def test_a_limit_that_keeps_it_from_the_mid_is_renewed():
    """The market has risen by more than the collar was wide: the old limit can't trade any more, a new one can."""
    day = street(10_000)
    (old,) = dark(day)
    for step in range(1, 12):
        day.quote(f"{200 + step}.00", f"{200 + step}.02")
        day.trade(100, f"{200 + step}.01")
        confirm(day, day.wait(2 * SECOND))
    (new,) = dark(day)
    assert (old.price, new.price > px("211.01")) == (px("210.01"), True)


def test_a_rest_below_min_exec_qty_is_made_anew():
    """300 left of a child could trade below MinExecQty 700 while the parent has more: it is taken back and put into a larger one."""
    day = street(10_000, min_exec_qty=700)
    (old,) = dark(day)
    out = day.fill(old, 4_700)
    assert [c.child_id for c in out if isinstance(c, CancelChild)] == [old.child_id]
    day.canceled(old)
    assert [(c.order_qty, c.min_qty) for c in dark(day)] == [(2_600, 700)]


def amend(day: Day, **params: Any) -> list[Command]:
    """A replace of P1's parameters or quantity."""
    qty = params.pop("order_qty", 0)
    price = params.pop("price", 0)
    ord_type = OrdType.LIMIT if price else OrdType.MARKET
    return day.feed(
        ReplaceRequested(
            session="CLIENT1", cl_ord_id="R1", orig_cl_ord_id="P1", symbol="AAPL", side=Side.BUY, ord_type=ord_type, order_qty=qty,
            price=price, params=AlgoParams(**params), given=tuple(params),
        )  # fmt: skip
    )


@pytest.mark.parametrize(
    "change", [{"dark_pct": 0}, {"min_exec_qty": 900}, {"order_qty": 3_000}, {"price": px("199")}], ids=lambda c: str(next(iter(c)))
)
def test_a_replace_waits_for_the_dark_child_that_does_not_fit(change: dict[str, int]):
    """No share, larger executions, less quantity, a stricter limit: Replaced comes when the child is out."""
    day = street(10_000, min_exec_qty=700)
    (child,) = dark(day)
    out = amend(day, **change)
    assert child.child_id in {c.child_id for c in out if isinstance(c, CancelChild)}
    assert day.reports()[-1].exec_type is ExecType.PENDING_REPLACE
    sent = {c.child_id: c for c in day.sent()}
    for cancel in [c for c in out if isinstance(c, CancelChild)]:
        day.canceled(sent[cancel.child_id])
    assert day.reports()[-1].exec_type is ExecType.REPLACED
    day.wait(2 * SECOND)
    assert [c.min_qty for c in dark(day)] == [] if "dark_pct" in change else [change.get("min_exec_qty", 700)]


def test_an_order_that_ends_while_a_replace_waits_for_the_dark_takes_everything_back():
    """The replace waits for the dark child alone; a cancel by the desk does not wait with it."""
    day = street(10_000)
    assert lit(day)
    amend(day, dark_pct=0)
    out = day.operator("cancel", day.order().parent_id)
    assert {c.child_id for c in out if isinstance(c, CancelChild)} == {c.child_id for c in lit(day)}


def test_a_cancel_of_the_parent_takes_the_dark_child_back():
    """Canceled comes when it is out; what it traded on the way counts."""
    day = street(10_000)
    (child,) = dark(day)
    out = day.cancel()
    assert child.child_id in {c.child_id for c in out if isinstance(c, CancelChild)}
    confirm(day, [c for c in out if isinstance(c, CancelChild) and c.child_id != child.child_id])
    day.fill(child, 300, px=px("200.015"))
    assert day.reports()[-1].exec_type is ExecType.TRADE
    day.canceled(child)
    assert (day.reports()[-1].exec_type, day.reports()[-1].cum_qty) == (ExecType.CANCELED, 300)
    assert day.order().order.money == px("200.015") * 300


def test_the_plan_names_the_share():
    """And what there is to say where no such venue is."""
    assert "up to 50 % of the remainder in the dark by 700 at least, " in street(min_exec_qty=700).reports()[0].text
    assert "nothing in the dark (no such venue is open to you), " in street(venues=KINDS[:2]).reports()[0].text
    assert "dark" not in street(dark_pct=-1).reports()[0].text


@pytest.mark.parametrize(
    ("agreed", "said"), [(("XLIT1",), "nothing in the dark (no such venue is open to you), "), (("XLIT1", "XDARK1"), "up to 50 % ")]
)
def test_the_plan_promises_no_dark_to_a_client_who_has_agreed_to_none(agreed, said):
    """There is one, and it is not his."""
    day = Day(policy_loaded(venues=KINDS, profiles=(ClientProfile("CLIENT1", venues=agreed),)))
    day.quote()
    day.parent("P1", 10_000, **HALF)
    assert said in day.reports()[0].text
