"""What layers count: not looked at while it can't have reached them, and never a child too late."""

import random

import msgspec

from algoserver import limits_desk
from algoserver.core import admission, exposure, risk
from algoserver.core import market as markets
from algoserver.core.bounds import Bounds, algo_name, bounds, keys_of
from algoserver.core.engine import next_wakeup
from algoserver.core.exposure import GatedParent
from algoserver.core.market import Market, Quote
from algoserver.core.risk import Gate
from algoserver.core.state import dump
from algoserver.domain.commands import SendChild
from algoserver.domain.events import ParentRequested, PolicyLoaded
from algoserver.domain.limits import Limits
from algoserver.domain.params import NO_PARAMS
from algoserver.domain.policy import Layer
from algoserver.domain.types import DAY, MINUTE, PX_ONE, SECOND, Denied, OrdType, Side, TimeInForce
from tests.core.day import AAPL, OPEN_TS, POLICY, Day, policy_loaded

MID, CENT = 200 * PX_ONE, PX_ONE // 100
INSTRUMENTS = {name: msgspec.structs.replace(AAPL, symbol=name) for name in ("AAPL", "GE")}
FREE = msgspec.structs.replace(POLICY, child_qty_max=10**6, child_value_max=10**9 * PX_ONE, collar_ppm=500_000, venue_messages_per_second_max=10**6)


def _limits(rng: random.Random) -> Limits:
    worth = {f: MID * rng.choice((500, 2_000, 10_000)) for f in ("open_value_max", "gross_value_max", "net_value_max") if rng.random() < 0.5}
    return Limits(**worth, **({"children_open_max": rng.choice((2, 5, 12))} if rng.random() < 0.5 else {}))


def _setup(rng: random.Random) -> PolicyLoaded:
    layers = [Layer(kind="client", name=name, limits=_limits(rng)) for name in ("CLIENT1", "CLIENT2") if rng.random() < 0.7]
    layers += [Layer(kind="symbol", name=name, limits=_limits(rng)) for name in INSTRUMENTS if rng.random() < 0.7]
    layers += [Layer(kind="algo", name="VWAP", limits=_limits(rng))]
    layers += [Layer(kind="desk", name="cash", limits=_limits(rng), clients=rng.choice((("CLIENT1",), ("CLIENT1", "CLIENT2"))))]
    firm = {f: getattr(found, f) for found in (_limits(rng),) for f in ("children_open_max", "open_value_max", "gross_value_max", "net_value_max")}
    return policy_loaded(policy=msgspec.structs.replace(FREE, **firm, layers=tuple(layers)), clients=("CLIENT1", "CLIENT2"))


def _held(setup: PolicyLoaded, parent: GatedParent) -> Bounds:
    return bounds(setup, parent.client, parent.symbol, parent.strategy)


def _check(gate: Gate, setup: PolicyLoaded, market: Market, child: SendChild, ts: int) -> Denied | None:
    parent = gate.parents[child.child_id.rpartition(".")[0]]
    return risk.check(gate, _held(setup, parent), INSTRUMENTS, {"XLIT1": True}, market, child, ts)


def _looking(gate: Gate) -> Gate:
    """The same gate where nobody has looked yet."""
    anew = msgspec.json.decode(msgspec.json.encode(gate), type=Gate)
    for parent in anew.parents.values():
        parent.seen_by = ""
    return anew


def test_who_looks_rarely_refuses_what_who_always_looks_refuses():
    """Orders of two clients in two symbols under layers drawn anew from time to time; fills at any price, busts, ends, quantities restored, days."""
    passed, skipped, refused = (sum(found) for found in zip(*(_street(seed) for seed in range(12)), strict=True))
    assert passed > skipped > passed // 20
    assert refused > passed // 20


def _street(seed: int) -> tuple[int, int, int]:
    """Children that passed, those of them for which no layer was looked at, and those that were refused."""
    rng, gate, setup, ts = random.Random(seed), Gate(), _setup(random.Random(seed)), OPEN_TS
    passed = skipped = refused = 0
    for n in range(8):
        client, symbol, side = rng.choice(("CLIENT1", "CLIENT2")), rng.choice(list(INSTRUMENTS)), rng.choice((Side.BUY, Side.SELL))
        order = ParentRequested(
            session=client, cl_ord_id=f"P{n}", symbol=symbol, side=side, order_qty=10**6, ord_type=OrdType.MARKET, price=0,
            time_in_force=TimeInForce.DAY, strategy=1, params=NO_PARAMS, ts=ts,
        )  # fmt: skip
        admission.note_parent(gate, keys_of(client, symbol, algo_name(1)), f"P{n}", order, MID, 1)
    for n in range(250):
        ts += SECOND
        if ts >= gate.day_end_ts or rng.random() < 0.01:
            ts = max(ts, gate.day_end_ts)
            risk.turn_day(gate, ts)
        setup = _setup(rng) if rng.random() < 0.03 else setup
        act, child_id = rng.choice(("send", "send", "send", "fill", "bust", "end", "restore")), rng.choice(list(gate.children) or [""])
        known = gate.children.get(child_id)
        if act == "send" or known is None:
            parent_id = f"P{rng.randrange(8)}"
            parent = gate.parents[parent_id]
            market = Market(parent.symbol)
            markets.on_quote(market, "XLIT1", Quote(MID - CENT, 100, MID + CENT, 100, ts))
            child = SendChild(
                child_id=f"{parent_id}.{n}", venue="XLIT1", symbol=parent.symbol, side=parent.side, order_qty=rng.choice((10, 100, 400)),
                ord_type=OrdType.LIMIT, price=MID + rng.choice((-20, 0, 20)) * PX_ONE, time_in_force=TimeInForce.IOC,
            )  # fmt: skip
            before = _looking(gate)
            expected, looked = _check(before, setup, market, child, ts), (parent.added_max, parent.begun_max, gate.added)
            assert _check(gate, setup, market, child, ts) == expected
            passed += expected is None
            refused += expected is not None
            skipped += expected is None and (parent.added_max, parent.begun_max) == looked[:2]
            assert gate.usage == before.usage
        elif act == "fill" and known.leaves:
            quantity = rng.randint(1, known.leaves)
            exposure.on_fill(gate, known.parent_id, child_id, quantity, known.price + rng.choice((-50, 0, 0, 0, 0, 600)) * PX_ONE, ts)
        elif act == "bust" and known.done:
            exposure.on_fill(gate, known.parent_id, child_id, -1, known.price, ts)
        else:
            exposure.on_resized(gate, child_id, 0 if act == "end" else known.leaves + 10)
    return passed, skipped, refused


def test_a_day_ends_for_all_that_is_counted_by_days_with_the_first_event_of_the_next():
    """Whatever that event is; what is open and what was refused in a row stays."""
    day = Day(policy_loaded(policy=FREE))
    day.quote()
    child = day.resting(100)
    day.fill(child, 60, exec_id="E1")
    gate = day.state.gate
    assert gate.usage["firm"].bought == 60 * child.price
    assert gate.rates["venue:XLIT1"].sent_today == 1
    assert gate.traffic["venue:XLIT1"].messages == 1
    gate.traffic["venue:XLIT1"].refused = 3
    day.now = (day.now // DAY + 1) * DAY
    day.quote()
    assert gate.usage["firm"].bought == 0
    assert gate.usage["firm"].buys_open == 40 * child.price
    assert gate.usage["symbol:AAPL"].position == 60
    # The order has ended meanwhile: what is left of it was taken back by the day's first message.
    assert gate.rates["venue:XLIT1"].sent_today == 1
    assert (gate.traffic["venue:XLIT1"].messages, gate.traffic["venue:XLIT1"].refused) == (1, 3)


def test_a_quote_ends_the_day_too_and_who_asks_then_leaves_no_trace():
    """Nothing is at work and nobody waits: all that comes after midnight is what the market shows. What is asked then is of the new day."""
    day = Day(policy_loaded(policy=msgspec.structs.replace(FREE, order_to_trade_max=100, order_to_trade_min=100)))
    child = day.resting(100)
    day.fill(child, 100)
    day.wait(10 * MINUTE)
    assert next_wakeup(day.state) is None
    assert _said_of_today(day) == ("20000", "20000", "0", "1", "1")
    day.now = (day.now // DAY + 1) * DAY
    day.quote()
    before = dump(day.state)
    assert _said_of_today(day) == ("0", "0", "0", "0", "0")
    assert dump(day.state) == before


def _said_of_today(day: Day) -> tuple[str, ...]:
    """Bought by the firm and at a venue, sold; messages to the venue; orders and cancels for each of its fills."""
    firm, venue = (limits_desk.usage(day.state, scope)["usage"][0] for scope in ("firm", "venue:XLIT1"))
    rows = limits_desk.explain(day.state, day.order())["limits"]
    used = {(row["limit"], row["of"]): row["used"] for row in rows}
    sent, share = used["venue_messages_per_day_max", "venue:XLIT1"], used["order_to_trade_max", "venue:XLIT1"]
    return firm["bought"], venue["bought"], firm["sold"], sent, share
