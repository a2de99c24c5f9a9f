"""The gate, one control after another: at the limit it passes, one unit beyond it is denied, and in doubt it is shut."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoserver.core import admission, exposure, risk
from algoserver.core import market as markets
from algoserver.core.bounds import Bounds, algo_name, bounds, keys_of
from algoserver.core.market import Market, Quote
from algoserver.core.risk import Gate, Stop
from algoserver.domain.commands import SendChild
from algoserver.domain.events import ParentRequested
from algoserver.domain.params import AlgoParams
from algoserver.domain.types import PX_ONE, SECOND, Instrument, OrdType, Side, TimeInForce
from tests.core.day import AAPL, OPEN_TS, POLICY, policy_loaded

# A reference price of exactly 200: mid of 199.99 and 200.01.
MID = 200 * PX_ONE
CENT = PX_ONE // 100
COIN = Instrument(symbol="COIN", tick=CENT, lot=10, round_lot=1_000, qty_decimals=5, adv=3_000_000_000)
VENUES = {"XLIT1": True, "XLIT2": False}


def _market(symbol: str = "AAPL") -> Market:
    market = Market(symbol)
    markets.on_quote(market, "XLIT1", Quote(MID - CENT, 100, MID + CENT, 100, OPEN_TS))
    return market


def _parent(**changes: Any) -> ParentRequested:
    given: dict[str, Any] = {
        "session": "CLIENT1", "cl_ord_id": "P1", "symbol": "AAPL", "side": Side.BUY, "order_qty": 1_000, "ord_type": OrdType.LIMIT,
        "price": MID, "time_in_force": TimeInForce.DAY, "strategy": 1, "params": AlgoParams(), "ts": OPEN_TS,
    }  # fmt: skip
    return ParentRequested(**given | changes)


def _admit(
    event: ParentRequested, gate: Gate | None = None, market: Market | None = None, instrument: Instrument = AAPL, **limits: Any
) -> str:
    denied = admission.admit(gate or Gate(), _bounds(event.symbol, **limits), instrument, markets.reference(market or _market()), event)
    return denied.code if denied else ""


def _gate(**parent: Any) -> Gate:
    gate = Gate()
    event = _parent(**parent)
    admission.note_parent(gate, keys_of(event.session, event.symbol, algo_name(event.strategy)), "P1", event, MID, 1)
    return gate


def _bounds(symbol: str = "AAPL", **limits: Any) -> Bounds:
    return bounds(policy_loaded(policy=msgspec.structs.replace(POLICY, **limits)), "CLIENT1", symbol, 1)


def _child(**changes: Any) -> SendChild:
    given: dict[str, Any] = {
        "child_id": "P1.1", "venue": "XLIT1", "symbol": "AAPL", "side": Side.BUY, "order_qty": 100, "ord_type": OrdType.LIMIT,
        "price": MID, "time_in_force": TimeInForce.DAY,
    }  # fmt: skip
    return SendChild(**given | changes)


def _check(child: SendChild, gate: Gate | None = None, market: Market | None = None, ts: int = OPEN_TS, **limits: Any) -> str:
    denied = risk.check(gate or _gate(), _bounds(child.symbol, **limits), {"AAPL": AAPL, "COIN": COIN}, VENUES, market or _market(), child, ts)
    return denied.code if denied else ""


# ---- control 1: price collar


@pytest.mark.parametrize(("side", "beyond"), [(Side.BUY, 1), (Side.SELL, -1), (Side.SELL_SHORT, -1)])
def test_control_1_the_collar_holds_at_equality_for_parents_and_children(side: Side, beyond: int):
    """5 % around 200 is 210 for a buy and 190 for a sale; a cent beyond is denied."""
    at = MID + beyond * 10 * PX_ONE
    gate = _gate(side=side, price=at + beyond * PX_ONE)
    assert _admit(_parent(side=side, price=at)) == ""
    assert _admit(_parent(side=side, price=at + beyond * CENT)) == "price_collar"
    assert _check(_child(side=side, price=at), gate) == ""
    assert _check(_child(side=side, price=at + beyond * CENT, child_id="P1.2"), gate) == "price_collar"


def test_control_1_the_collar_in_ticks_holds_where_it_is_the_wider():
    """Five ticks where a percentage would be less than one."""
    assert _admit(_parent(price=MID + 5 * CENT), collar_ppm=0) == ""
    assert _admit(_parent(price=MID + 6 * CENT), collar_ppm=0) == "price_collar"


def test_control_1_a_price_that_only_rests_is_no_danger():
    """A buy far below the market passes the collar."""
    assert _admit(_parent(price=CENT)) == ""
    assert _check(_child(price=CENT)) == ""


def test_control_1_no_reference_price_lets_nothing_out():
    """Fail closed: an empty market, or one whose only prices are gone."""
    assert _admit(_parent(), market=Market("AAPL")) == "no_reference"
    assert _check(_child(), market=Market("AAPL")) == "no_reference"


def test_control_1_a_reference_price_may_be_as_old_as_the_policy_says():
    """60 seconds pass, a nanosecond more does not."""
    at = OPEN_TS + POLICY.reference_age_ns_max
    assert _admit(_parent(ts=at)) == ""
    assert _admit(_parent(ts=at + 1)) == "stale_reference"
    assert _check(_child(), ts=at) == ""
    assert _check(_child(), ts=at + 1) == "stale_reference"


def test_control_1_a_fresh_one_sided_quote_does_not_refresh_an_old_trade():
    """With a side empty the reference is the last trade; its age is that of the trade."""
    market = Market("AAPL")
    markets.on_trade(market, MID, 100, OPEN_TS)
    later = OPEN_TS + 3_600 * SECOND
    markets.on_quote(market, "XLIT1", Quote(MID - CENT, 100, 0, 0, later))
    assert _check(_child(), market=market, ts=later) == "stale_reference"


# ---- controls 2 and 3: value and volume


def test_control_2_the_value_of_a_parent_is_taken_at_its_limit():
    """200,000 at equality, one lot more is denied with 103=3."""
    assert _admit(_parent(), parent_value_max=200_000 * PX_ONE) == ""
    assert _admit(_parent(order_qty=1_001), parent_value_max=200_000 * PX_ONE) == "parent_value_max"


def test_control_2_the_value_of_a_market_parent_is_taken_at_the_reference():
    """No limit price is no way around the cap."""
    market_order = {"ord_type": OrdType.MARKET, "price": 0}
    assert _admit(_parent(**market_order), parent_value_max=200_000 * PX_ONE) == ""
    assert _admit(_parent(**market_order), parent_value_max=200_000 * PX_ONE - 1) == "parent_value_max"


def test_control_2_the_value_of_a_child_has_a_cap_of_its_own():
    """20,000 at equality, a unit of money less is denied."""
    assert _check(_child(), child_value_max=20_000 * PX_ONE) == ""
    assert _check(_child(), child_value_max=20_000 * PX_ONE - 1) == "child_value_max"


def test_control_2_value_counts_fractions_of_a_coin():
    """0.5 coin at 200 is 100: the cap is in money, whatever the quantity's unit."""
    coin = _parent(symbol="COIN", order_qty=50_000)
    assert _admit(coin, market=_market("COIN"), instrument=COIN, parent_value_max=100 * PX_ONE) == ""
    assert _admit(coin, market=_market("COIN"), instrument=COIN, parent_value_max=100 * PX_ONE - 1) == "parent_value_max"


def test_control_3_the_volume_of_a_parent_is_capped():
    """In shares, in whole coins, and as a share of the average day."""
    assert _admit(_parent(), parent_qty_max=1_000) == ""
    assert _admit(_parent(), parent_qty_max=999) == "parent_qty_max"
    coin = _parent(symbol="COIN", order_qty=200_000)
    assert _admit(coin, market=_market("COIN"), instrument=COIN, parent_qty_max=2) == ""
    assert _admit(coin, market=_market("COIN"), instrument=COIN, parent_qty_max=1) == "parent_qty_max"
    # 1000 of 30 million is 33.3 ppm.
    assert _admit(_parent(), parent_adv_ppm_max=34) == ""
    assert _admit(_parent(), parent_adv_ppm_max=33) == "parent_adv_max"


def test_control_3_the_volume_of_a_child_is_capped():
    """At equality it passes."""
    assert _check(_child(), child_qty_max=100) == ""
    assert _check(_child(), child_qty_max=99) == "child_qty_max"


def test_a_denial_names_limit_usage_and_policy():
    """The client reads what to change."""
    denied = admission.admit(Gate(), _bounds(parent_qty_max=999, name="acme"), AAPL, markets.reference(_market()), _parent())
    assert denied is not None
    assert denied.text == "order_qty 1000 exceeds parent_qty_max 999 of policy acme"
    assert (denied.limit, denied.usage, denied.ord_rej_reason) == (999, 1_000, risk.EXCEEDS_LIMIT)


# ---- controls 4 and 5: messages and what is on its way


def test_control_4_a_venue_gets_so_many_messages_a_second():
    """The second's worth passes at once, the next waits for its share of time, and a full second later all pass again."""
    gate = _gate(order_qty=100_000)
    children = [_child(child_id=f"P1.{n}") for n in range(1, 12)]
    at_once = [_check(c, gate, venue_messages_per_second_max=5) for c in children[:6]]
    assert at_once == [""] * 5 + ["message_rate"]
    assert _check(children[6], gate, ts=OPEN_TS + SECOND // 5, venue_messages_per_second_max=5) == ""
    assert _check(children[7], gate, ts=OPEN_TS + SECOND // 5, venue_messages_per_second_max=5) == "message_rate"


def test_control_4_cancels_use_the_rate_and_are_never_refused():
    """Five cancels leave no room for an order in that second."""
    gate = _gate()
    policy = msgspec.structs.replace(POLICY, venue_messages_per_second_max=5)
    for _ in range(5):
        risk.count_message(gate, policy, "XLIT1", OPEN_TS)
    assert _check(_child(), gate, venue_messages_per_second_max=5) == "message_rate"


def test_control_4_a_day_has_so_many_messages_and_the_next_begins_anew():
    """At equality the last one passes."""
    gate = _gate(order_qty=100_000)
    day = 86_400 * SECOND
    market = _market()
    codes = [_check(_child(child_id=f"P1.{n}"), gate, venue_messages_per_day_max=2) for n in (1, 2, 3)]
    markets.on_quote(market, "XLIT1", Quote(MID - CENT, 100, MID + CENT, 100, OPEN_TS + day))
    risk.turn_day(gate, OPEN_TS + day)
    codes.append(_check(_child(child_id="P1.4"), gate, market, OPEN_TS + day, venue_messages_per_day_max=2))
    assert codes == ["", "", "message_count", ""]


def test_control_4_a_limit_of_nothing_lets_nothing_pass():
    """0 is a limit of 0, not the absence of one."""
    assert _check(_child(), venue_messages_per_second_max=0) == "message_rate"
    assert _check(_child(), venue_messages_per_day_max=0) == "message_count"
    assert _check(_child(), children_open_max=0) == "children_open_max"
    assert _admit(_parent(), parents_per_second_max=0) == "message_rate"


def test_control_4_a_session_sends_so_many_parents_a_second():
    """Another session has a rate of its own."""
    gate = Gate()
    codes = [_admit(_parent(cl_ord_id=f"P{n}", order_qty=100 * n), gate, parents_per_second_max=2) for n in (1, 2, 3)]
    assert codes == ["", "", "message_rate"]
    assert _admit(_parent(session="CLIENT2"), gate, parents_per_second_max=2) == ""


def test_control_5_what_is_on_its_way_counts_as_arrived():
    """No acknowledgement has come: the children count all the same, in number and in quantity."""
    gate = _gate(order_qty=200)
    assert _check(_child(child_id="P1.1"), gate, children_open_max=1) == ""
    assert _check(_child(child_id="P1.2"), gate, children_open_max=1) == "children_open_max"
    assert _check(_child(child_id="P1.2", order_qty=101), gate) == "conservation"
    assert _check(_child(child_id="P1.2", order_qty=100), gate) == ""


# ---- control 12: duplicates


def test_control_12_a_twin_within_the_window_is_a_duplicate():
    """Same symbol, side, quantity and price: at the window's end still, a nanosecond later no more."""
    gate = Gate()
    window = {"duplicate_window_ns": SECOND}
    assert _admit(_parent(ts=OPEN_TS), gate, **window) == ""
    assert _admit(_parent(ts=OPEN_TS + SECOND), gate, **window) == "duplicate_order"
    assert _admit(_parent(ts=OPEN_TS + SECOND + 1), gate, **window) == ""
    for change in ({"order_qty": 1_001}, {"side": Side.SELL}, {"price": MID - CENT}, {"session": "CLIENT2"}):
        gate = Gate()
        assert _admit(_parent(ts=OPEN_TS), gate, **window) == _admit(_parent(ts=OPEN_TS + 1, **change), gate, **window) == ""


def test_control_12_a_child_id_leaves_once():
    """A child that is sent again after a crash is a duplicate here, too."""
    gate = _gate()
    assert _check(_child(), gate) == ""
    exposure.on_resized(gate, "P1.1", 0)
    assert _check(_child(), gate) == "duplicate_child"


# ---- control 13: steps


@pytest.mark.parametrize("quantity", [0, -100])
def test_control_13_a_quantity_is_positive(quantity: int):
    """Nothing and less than nothing are no orders."""
    assert _admit(_parent(order_qty=quantity)) == "wrong_lot"
    assert _check(_child(order_qty=quantity)) == "wrong_lot"


def test_control_13_a_quantity_is_a_multiple_of_the_lot():
    """COIN trades in tens of units; odd lots of shares with lot 1 pass."""
    assert _admit(_parent(symbol="COIN", order_qty=11), market=_market("COIN"), instrument=COIN) == "wrong_lot"
    assert _admit(_parent(order_qty=137)) == ""


@pytest.mark.parametrize("price", [0, -PX_ONE, MID + 1, MID + CENT // 2])
def test_control_13_a_price_is_a_positive_multiple_of_the_tick(price: int):
    """For parents and children."""
    assert _admit(_parent(price=price)) == "wrong_tick"
    assert _check(_child(price=price)) == "wrong_tick"


def test_control_13_a_market_order_carries_no_price():
    """Price on a market order is a contradiction."""
    assert _admit(_parent(ord_type=OrdType.MARKET)) == "price_on_market"


# ---- control 15: the child is the parent's


def test_control_15_filled_and_open_stay_within_the_order():
    """At equality it passes; a share more is denied."""
    gate = _gate(order_qty=300)
    assert _check(_child(child_id="P1.1"), gate) == ""
    exposure.on_fill(gate, "P1", "P1.1", 50, MID, OPEN_TS)
    assert _check(_child(child_id="P1.2", order_qty=201), gate) == "conservation"
    assert _check(_child(child_id="P1.2", order_qty=200), gate) == ""


def test_control_15_a_child_has_its_parents_symbol_side_and_limit():
    """Anything else is not what the client asked for."""
    gate = _gate(order_qty=100_000)
    assert _check(_child(side=Side.SELL), gate) == "not_the_parents"
    assert _check(_child(symbol="COIN"), gate) == "not_the_parents"
    assert _check(_child(price=MID + CENT), gate) == "beyond_limit"
    assert _check(_child(price=MID), gate) == ""
    assert _check(_child(child_id="P2.1"), gate) == "no_parent"


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_control_15_a_child_without_a_limit_price_never_leaves(side: Side):
    """A market child would pay any price, beyond limit and collar."""
    child = _child(side=side, ord_type=OrdType.MARKET, price=0)
    assert _check(child, _gate(side=side)) == "no_limit_price"
    assert _check(child, _gate(side=side, ord_type=OrdType.MARKET, price=0)) == "no_limit_price"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, ""), ({"exec_inst": ""}, "no_limit_price"), ({"exec_inst": "R"}, "no_limit_price"), ({"price": 0}, "no_limit_price"),
        ({"price": MID + CENT}, "beyond_limit"), ({"price": MID - CENT // 2}, "wrong_tick"), ({"order_qty": 50_001}, "child_qty_max"),
    ],
    ids=lambda v: str(v),
)  # fmt: skip
def test_a_child_pegged_to_the_mid_is_checked_at_its_limit(change: dict[str, Any], code: str):
    """As any other: quantity, value, collar, the parent's limit; only to the mid, and never without a price in 44."""
    child = _child(**{"ord_type": OrdType.PEGGED, "exec_inst": "M", **change})
    assert _check(child, _gate(order_qty=100_000)) == code


@pytest.mark.parametrize(("side", "beyond"), [(Side.BUY, 1), (Side.SELL, -1)])
def test_a_peg_keeps_the_collar(side: Side, beyond: int):
    """5 % holds at equality; a cent beyond is denied, though a peg would hardly trade there."""
    at = MID + beyond * 10 * PX_ONE
    peg = {"side": side, "ord_type": OrdType.PEGGED, "exec_inst": "M"}
    gate = _gate(side=side, ord_type=OrdType.MARKET, price=0)
    assert _check(_child(**peg, price=at + beyond * CENT), gate) == "price_collar"
    assert _check(_child(**peg, price=at), gate) == ""


def test_control_16_a_venue_that_is_down_or_unknown_gets_nothing():
    """XLIT2's session is down, XDARK is not configured."""
    assert _check(_child(venue="XLIT2")) == "venue_unusable"
    assert _check(_child(venue="XDARK")) == "venue_unusable"


def test_control_16_without_policy_nothing_leaves():
    """Fail closed."""
    denied = risk.check(_gate(), None, {"AAPL": AAPL}, VENUES, _market(), _child(), OPEN_TS)
    assert denied is not None
    assert denied.code == "no_policy"


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.sampled_from(["send", "fill", "close", "bust", "resize"]), st.integers(1, 4), st.integers(1, 600)), max_size=40)
)
def test_control_16_the_gates_books_hold_on_every_prefix(acts: list[tuple[str, int, int]]):
    """Whatever comes in whatever order: what leaves never lifts filled and open above the order."""
    gate = _gate(order_qty=1_000)
    sent = 0
    for act, which, quantity in acts:
        child_id = f"P1.{which}"
        if act == "send":
            sent += 1
            if _check(_child(child_id=f"P1.{sent}", order_qty=quantity), gate) == "":
                assert gate.parents["P1"].filled + gate.parents["P1"].open <= 1_000
        elif child_id in gate.children:
            if act == "fill":
                exposure.on_fill(gate, "P1", child_id, quantity, MID, OPEN_TS)
            elif act == "bust":
                done = gate.children[child_id].done // MID  # a venue's report is booked by the order first: it busts what there is
                if done:
                    exposure.on_fill(gate, "P1", child_id, -min(done, quantity), MID, OPEN_TS)
            elif act == "close":
                exposure.on_resized(gate, child_id, 0)
            else:
                exposure.on_resized(gate, child_id, quantity)
        assert gate.parents["P1"].open == sum(c.leaves for c in gate.children.values())
        assert gate.open_children == sum(c.leaves > 0 for c in gate.children.values())
        for key in ("firm", "client:CLIENT1", "symbol:AAPL", "algo:VWAP"):
            used = gate.usage[key]
            assert used.children_open == gate.open_children
            assert used.open_value == sum(c.leaves * c.price for c in gate.children.values())
            assert used.bought - used.sold == gate.parents["P1"].filled * MID
        assert gate.usage["symbol:AAPL"].buy_qty_open == gate.parents["P1"].open
        assert gate.usage["symbol:AAPL"].position == gate.parents["P1"].filled


# ---- control 25: kill


def test_control_25_a_killed_firm_admits_nothing_and_lets_nothing_out():
    """The gate is shut before anything else is looked at."""
    gate = _gate()
    gate.stops["firm"] = Stop("ann", "test", OPEN_TS)
    assert _admit(_parent(), gate) == "killed"
    assert _check(_child(), gate) == "killed"
