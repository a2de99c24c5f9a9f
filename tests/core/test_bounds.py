"""What holds for one order: the tightest of its layers, whichever that is, and who counts it."""

import pytest

from algoserver.core.bounds import Bounds, bounds, keys_of, scopes_of
from algoserver.domain.limits import LIMITS, ORDER_LAYERS, UNSET, Limits
from algoserver.domain.policy import Layer, Permits, Venue
from algoserver.domain.types import Strategy
from tests.core.day import POLICY, policy_loaded

CASH = Layer(kind="desk", name="cash", limits=Limits(parent_qty_max=900, children_open_max=80, net_value_max=70), clients=("CLIENT1", "CLIENT2"))
ONE = Layer(kind="client", name="CLIENT1", limits=Limits(parent_qty_max=800, children_open_max=60))
AAPL = Layer(kind="symbol", name="AAPL", limits=Limits(parent_qty_max=850, collar_ppm=10_000, position_max=500))
VWAP = Layer(kind="algo", name="VWAP", limits=Limits(collar_ppm=20_000, children_open_max=70))
LIT2 = Layer(kind="venue", name="XLIT2", limits=Limits(rejects_max=1))
VENUES = (Venue("XLIT1"), Venue("XLIT2"), Venue("XDARK1", kind="dark"))

NONE = Permits()


def held(*layers: Layer, client: str = "CLIENT1", symbol: str = "AAPL", strategy: int = Strategy.VWAP, permits: Permits = NONE) -> Bounds:
    """What such an order is held to."""
    policy = POLICY.__class__(**{**{f: getattr(POLICY, f) for f in POLICY.__struct_fields__}, "layers": layers, "permits": permits})
    return bounds(policy_loaded(policy=policy, venues=VENUES), client, symbol, strategy)


def test_the_tightest_layer_holds_and_is_named():
    """Not the last and not the nearest: desk 900, client 800, symbol 850."""
    found = held(CASH, ONE, AAPL, VWAP)
    assert (found.parent_qty_max, found.where("parent_qty_max")) == (800, "of client CLIENT1 in policy test")
    assert (found.collar_ppm, found.tight["collar_ppm"]) == (10_000, "symbol:AAPL")
    assert (found.child_qty_max, found.where("child_qty_max")) == (POLICY.child_qty_max, "of policy test")
    assert found.price_move_ppm_max == UNSET


def test_each_limit_of_each_layer_binds_where_it_is_the_tightest():
    """All limits, all layers that may set them, one at a time: none is passed over."""
    layers = {"desk": CASH, "client": ONE, "symbol": AAPL, "algo": VWAP}
    for limit in LIMITS:
        for kind in (k for k in limit.layers if k in ORDER_LAYERS and k != "firm"):
            tight = Layer(kind=kind, name=layers[kind].name, limits=Limits(**{limit.field: 0}), clients=layers[kind].clients)
            found = held(tight)
            assert (getattr(found, limit.field), found.tight[limit.field]) == (0, tight.scope)
            assert not limit.is_summed or any(s.scope == tight.scope and getattr(s.limits, limit.field) == 0 for s in found.summed)


def test_equal_limits_are_the_widest_layers():
    """The firm's own where a layer repeats it."""
    assert held(Layer(kind="client", name="CLIENT1", limits=Limits(child_qty_max=POLICY.child_qty_max))).tight == {}


def test_a_desk_counts_its_clients_together_and_each_client_by_himself():
    """The desk's sum is over its clients' books, for whoever belongs to it now."""
    assert {s.scope: s.keys for s in held(CASH, ONE).summed} == {
        "firm": ("firm",), "desk:cash": ("client:CLIENT1", "client:CLIENT2"), "client:CLIENT1": ("client:CLIENT1",),
    }  # fmt: skip
    other = held(CASH, ONE, client="CLIENT2")
    assert (other.parent_qty_max, [s.scope for s in other.summed]) == (900, ["firm", "desk:cash"])


def test_a_client_without_a_desk_stands_under_the_firm_and_his_own():
    """Nothing of any desk reaches him, and no stop of one."""
    found = held(CASH, ONE, client="CLIENT3")
    assert (found.parent_qty_max, [s.scope for s in found.summed]) == (POLICY.parent_qty_max, ["firm"])
    assert found.scopes == ("firm", "client:CLIENT3", "symbol:AAPL", "algo:VWAP", "algo:VWAP@AAPL")


def test_a_desk_may_have_the_name_of_a_client():
    """A scope has its kind: nothing of the desk CLIENT3 holds the client CLIENT3."""
    desk = Layer(kind="desk", name="CLIENT3", limits=Limits(parent_qty_max=1), clients=("CLIENT1",))
    assert held(desk, client="CLIENT3").parent_qty_max == POLICY.parent_qty_max
    assert held(desk).parent_qty_max == 1


def test_an_algo_in_a_symbol_is_stopped_by_its_own_name_and_limited_by_both():
    """algo:VWAP@AAPL is a scope of stops and of the books; limits are the algo's and the symbol's, the tighter of them."""
    found = held(AAPL, VWAP)
    assert found.scopes[-1] == keys_of("CLIENT1", "AAPL", "VWAP")[-1] == "algo:VWAP@AAPL"
    assert found.scopes == scopes_of(POLICY, "CLIENT1", "AAPL", "VWAP")
    assert [s.scope for s in found.summed] == ["firm", "symbol:AAPL", "algo:VWAP"]
    elsewhere = held(AAPL, VWAP, symbol="GE")
    assert (elsewhere.collar_ppm, elsewhere.position_max) == (20_000, UNSET)
    assert held(AAPL, VWAP, strategy=Strategy.TWAP).collar_ppm == 10_000


def test_a_venues_limits_are_not_an_orders():
    """They are looked at where a child goes there."""
    assert (held(LIT2).rejects_max, held(LIT2).summed[-1].scope) == (UNSET, "firm")


@pytest.mark.parametrize(
    ("layers", "open_to"),
    [
        ((), ("XLIT1", "XLIT2", "XDARK1")),
        ((Layer(kind="client", name="CLIENT1", permits=Permits(venue_kinds=("lit",))),), ("XLIT1", "XLIT2")),
        (
            (
                Layer(kind="client", name="CLIENT1", permits=Permits(venue_kinds=("lit",))),
                Layer(kind="algo", name="VWAP", permits=Permits(venues=("XLIT2", "XDARK1"))),
            ),
            ("XLIT2",),
        ),
        ((Layer(kind="venue", name="XLIT1", permits=Permits(is_active=False)),), ("XLIT2", "XDARK1")),
        ((Layer(kind="venue", name="XLIT1", permits=Permits(restricted=("AAPL",))),), ("XLIT2", "XDARK1")),
        ((Layer(kind="venue", name="XLIT1", permits=Permits(restricted=("GE",))),), ("XLIT1", "XLIT2", "XDARK1")),
        ((Layer(kind="venue", name="XDARK1", permits=Permits(algos=("LIQUIDITY",))),), ("XLIT1", "XLIT2")),
    ],
)  # fmt: skip
def test_a_venue_is_open_where_every_layer_and_its_own_let_it_be(layers, open_to):
    """What one of them does not allow none of them does."""
    assert tuple(v.name for v in held(*layers).open_to) == open_to
    assert held(*layers).refused == ""


def test_lists_that_have_nothing_in_common_allow_nothing():
    """Never everything: an empty list of order types, or of venues, would mean any."""
    client = Layer(kind="client", name="CLIENT1", permits=Permits(ord_types=("LIMIT",), venues=("XLIT1",)))
    types = held(client, Layer(kind="symbol", name="AAPL", permits=Permits(ord_types=("MARKET",))))
    assert (types.ord_types, types.refused) == ((), "ord_type_denied: no order type (40) is open to such an order")
    venues = held(client, Layer(kind="symbol", name="AAPL", permits=Permits(venues=("XLIT2",))))
    assert (venues.open_to, venues.refused) == ((), "venues_denied: no venue is open to such an order")


def test_ways_to_behave_are_the_tightest_but_for_who_is_gone():
    """A short sale is the tightest word's; what becomes of a client's orders when he is gone is agreed with him, and so the nearest."""
    firm = Permits(short_sale="locate", on_disconnect="cancel")
    symbol = Layer(kind="symbol", name="AAPL", permits=Permits(short_sale="refused"))
    client = Layer(kind="client", name="CLIENT1", permits=Permits(on_disconnect="keep"))
    assert (held(permits=firm).short_sale, held(symbol, permits=firm).short_sale) == ("locate", "refused")
    assert (held(permits=firm).on_disconnect, held(client, permits=firm).on_disconnect, held().on_disconnect) == ("cancel", "keep", "keep")
