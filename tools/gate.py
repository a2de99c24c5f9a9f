"""The gate's cost: microseconds for one child, all controls on, under the limits of all five layers. A row of tools/bench_core.py."""

import time

from algoserver.core import admission, exposure, risk
from algoserver.core import market as markets
from algoserver.core.bounds import bounds
from algoserver.core.market import Market
from algoserver.domain import commands as c
from algoserver.domain import events as e
from algoserver.domain.limits import LIMITS, Limits
from algoserver.domain.params import NO_PARAMS
from algoserver.domain.policy import Layer, RiskPolicy
from algoserver.domain.types import PPM_ONE, PX_ONE, SECOND, Instrument, OrdType, Side, Strategy, TimeInForce

ROOM = 10**17  # of a limit that is looked at and never binds
OPEN = 200  # children that rest meanwhile, as of a parent at work


def layered(policy: RiskPolicy) -> RiskPolicy:
    """The policy with every limit of every layer set, each beyond reach."""

    def limits(kind: str) -> dict[str, int]:
        given = {x.field: PPM_ONE if x.unit == "share" else ROOM for x in LIMITS if kind in x.layers}
        # A bucket's share of a second must not be rounded away.
        return {**given, **{field: 10**6 for field in given if field.endswith("_per_second_max")}}

    names = {"desk": "cash", "client": "CLIENT1", "symbol": "S000", "algo": "VWAP", "venue": "XLIT1"}
    layers = tuple(Layer(kind=k, name=n, limits=Limits(**limits(k)), clients=("CLIENT1",) if k == "desk" else ()) for k, n in names.items())
    own = {f: getattr(policy, f) for f in RiskPolicy.__struct_fields__}
    return RiskPolicy(**{**own, **limits("firm"), "layers": layers, "venue_messages_per_second_max": 10**6, "venue_messages_per_day_max": 10**12})


def gate_us(loaded: e.PolicyLoaded, instrument: Instrument, children: int = 2_000) -> float:
    """Microseconds to resolve the bounds, look at a child and book it; so many in one run."""
    gate, market, ts = risk.Gate(), Market(instrument.symbol), loaded.ts + SECOND
    for venue in loaded.venues:
        markets.on_quote(market, venue.name, 100 * PX_ONE, 1_000, 100 * PX_ONE + 2 * instrument.tick, 1_000, ts)
    markets.on_trade(market, 100 * PX_ONE, 10**12, ts)
    order = e.ParentRequested(
        session="CLIENT1", cl_ord_id="P", symbol=instrument.symbol, side=Side.BUY, order_qty=10**9, ord_type=OrdType.LIMIT, price=101 * PX_ONE,
        time_in_force=TimeInForce.DAY, strategy=Strategy.VWAP, params=NO_PARAMS, ts=ts,
    )  # fmt: skip
    admission.note_parent(gate, "P", order, order.price, 1)
    venues, instruments = {venue.name: True for venue in loaded.venues}, {instrument.symbol: instrument}
    sent = [
        c.SendChild(
            child_id=f"P.{n}", venue=loaded.venues[n % len(loaded.venues)].name, symbol=instrument.symbol, side=Side.BUY, order_qty=100,
            ord_type=OrdType.LIMIT, price=100 * PX_ONE - n % 10 * instrument.tick, time_in_force=TimeInForce.DAY,
        )
        for n in range(children)
    ]  # fmt: skip
    spent = 0
    for n, child in enumerate(sent):
        ts += 1_000_000
        begin = time.perf_counter_ns()
        limits = bounds(loaded, "CLIENT1", instrument.symbol, Strategy.VWAP)
        denied = risk.check(gate, limits, instruments, venues, market, child, ts)
        spent += time.perf_counter_ns() - begin
        assert denied is None, denied
        if n >= OPEN:
            exposure.on_resized(gate, sent[n - OPEN].child_id, 0, ts)
    return spent / children / 1_000
