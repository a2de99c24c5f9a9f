"""Policies, books and orders drawn from a seed: small numbers, so that limits are met from both sides."""

import random
from json import dumps  # which writes what TOML reads, of texts, numbers, truths and lists
from typing import Any

import msgspec

from algoserver.core import admission, exposure, risk
from algoserver.core import market as markets
from algoserver.core.bounds import algo_name, bounds, keys_of
from algoserver.core.market import Market, Quote
from algoserver.core.rates import count, note, rate, spend, token_ns
from algoserver.core.risk import Gate, Override
from algoserver.domain.changes import ALLOWED, FIRM_ALONE, MODES
from algoserver.domain.commands import SendChild
from algoserver.domain.events import ParentRequested, PolicyLoaded
from algoserver.domain.limits import LIMITS
from algoserver.domain.params import AlgoParams
from algoserver.domain.policy import InstrumentSetup, RiskPolicy, Venue
from algoserver.domain.types import MINUTE, PX_ONE, SECOND, Denied, Instrument, OrdType, Side, TimeInForce
from algoserver.policies import KINDS, REQUIRED, Names, parse_policy
from algoserver.settings import BadConfig
from tests.core.day import OPEN_TS, policy_loaded

CENT = PX_ONE // 100
MID = 200 * PX_ONE
# Small enough that a tenth of a day's volume is an order of 1,000.
AAPL = Instrument(symbol="AAPL", tick=CENT, lot=1, round_lot=100, qty_decimals=0, adv=10_000)
VENUES = (Venue("XLIT1"), Venue("XDARK1", kind="dark"))
NAMES = Names(("CLIENT1", "CLIENT2", "CLIENT3"), ("AAPL", "GE"), ("XLIT1", "XDARK1"))
LAYER_NAMES = {"desks": "cash", "clients": "CLIENT1", "symbols": "AAPL", "algos": "TWAP", "venues": "XLIT1"}
LISTS = {
    "allow_algos": ("TWAP", "VWAP"), "allow_symbols": ("AAPL", "GE"), "allow_venues": ("XLIT1", "XDARK1"), "allow_venue_kinds": ("lit", "dark"),
    "allow_ord_types": ("LIMIT", "MARKET"), "restricted": ("AAPL", "GE"),
}  # fmt: skip
assert set(LISTS) == {*ALLOWED.values(), "restricted"}
# What an order here has of each unit, about; a limit is drawn around it.
ABOUT = {
    "qty": (50, 100, 1_000, 2_000), "value": (10_000, 20_000, 200_000, 400_000), "count": (0, 1, 2, 3, 5, 50),
    "share": ("0.01", "0.05", "0.1", "0.3", "1"),
}  # fmt: skip
ALONE = {
    "duplicate_window_s": (5, 1, 0), "reference_age_s_max": (0, 10, 60), "venue_messages_per_second_max": (0, 2, 5, 100),
    "venue_messages_per_day_max": (0, 2, 5, 100), "confirm_window_s": (0, 5, 60), "repeats_window_s": (1, 3, 10, 60), "traded_window_s": (1, 5, 60),
    "order_to_trade_min": (0, 10),
}  # fmt: skip
assert set(ALONE) == {alone.key for alone in FIRM_ALONE}

File = dict[str, Any]


def drawn_file(rng: random.Random) -> File:
    """A policy's file: a firm and some layers, most of it unset. It may be refused."""
    file: File = {"name": "drawn", **{key: values[-1] if rng.random() < 0.8 else rng.choice(values) for key, values in ALONE.items()}}
    # A firm that lets most pass, else nothing is ever told apart from it.
    for limit in LIMITS:
        if "firm" in limit.layers and (limit.key in REQUIRED or rng.random() < 0.2):
            file[limit.key] = ABOUT[limit.unit][-1] if rng.random() < 0.8 else rng.choice(ABOUT[limit.unit])
    for plural, name in LAYER_NAMES.items():
        if rng.random() < 0.4:
            entry: File = {"name": name}
            if plural == "desks":
                entry["clients"] = rng.sample(NAMES.clients, rng.randint(0, 3))
            for _ in range(rng.randint(0, 3)):
                key = change(rng, entry, plural)
                limit = next((x for x in LIMITS if x.key == key), None)
                if limit is not None and key in entry and (KINDS[plural] not in limit.layers or entry[key] > file.get(key, entry[key])):
                    del entry[key]  # it would be refused
            file[plural] = [entry]
    if rng.random() < 0.3:
        change(rng, file, "")
    return file


def change(rng: random.Random, entry: File, plural: str = "") -> str:
    """Set another value for one key of a layer, or take it away; which one."""
    keys = [limit.key for limit in LIMITS] + [*LISTS, "short_sale", "on_disconnect", "active"]
    if plural == "":
        keys += [*ALONE, "self_match", "traded_free"]
    if plural == "desks":
        keys.append("clients")
    key = rng.choice(keys)
    if key in ALONE:
        value: Any = rng.choice(ALONE[key])
    elif key in LISTS:
        value = rng.sample(LISTS[key], rng.randint(0, 2))
    elif key == "clients":
        value = rng.sample(NAMES.clients, rng.randint(0, 3))
    elif key == "active":
        value = rng.random() < 0.3
    elif key == "traded_free":
        value = rng.choice(("0.0001", "0.01", "0.1"))
    elif key in MODES:
        value = rng.choice(MODES[key])
    else:
        value = rng.choice(ABOUT[next(limit.unit for limit in LIMITS if limit.key == key)])
    if rng.random() < 0.2 and (plural or key not in (*REQUIRED, *ALONE)):
        entry.pop(key, None)
    else:
        entry[key] = value
    return key


def toml(file: File) -> bytes:
    """As a person would write it."""
    lines = [f"{k} = {dumps(v)}" for k, v in file.items() if k not in LAYER_NAMES]
    for plural in LAYER_NAMES:
        for entry in file.get(plural, []):
            lines += [f"[[{plural}]]", *(f"{k} = {dumps(v)}" for k, v in entry.items())]
    return "\n".join(lines).encode()


def policy_of(file: File) -> RiskPolicy | None:
    """The policy; None if the file is refused."""
    try:
        return parse_policy(toml(file), "drawn", NAMES)
    except BadConfig:
        return None


def drawn_policy(rng: random.Random) -> tuple[File, RiskPolicy]:
    """The first that is not refused."""
    while True:
        file = drawn_file(rng)
        policy = policy_of(file)
        if policy is not None:
            return file, policy


def setup_of(policy: RiskPolicy) -> PolicyLoaded:
    """The firm under a policy."""
    return policy_loaded(policy=policy, venues=VENUES, instruments=(InstrumentSetup(AAPL),), clients=NAMES.clients)


def drawn_order(rng: random.Random, ts: int) -> ParentRequested:
    """A client's order, at times one that no policy lets pass."""
    is_market, is_odd = rng.random() < 0.3, rng.random() < 0.03
    order_qty = rng.choice((100, 100, 500, 1_000, 1_000, 1_500)) - is_odd * 1_500
    price = 0 if is_market else MID + rng.choice((-30, -12, -1, 0, 0, 1, 12, 30)) * PX_ONE
    return ParentRequested(
        session=rng.choice(NAMES.clients), cl_ord_id="D1", symbol="AAPL", side=rng.choice((Side.BUY, Side.SELL, Side.SELL_SHORT)),
        order_qty=order_qty, ord_type=OrdType.MARKET if is_market else OrdType.LIMIT, price=price, time_in_force=TimeInForce.DAY,
        strategy=rng.choice((1, 1001)),
        params=AlgoParams(max_pct_vol=rng.choice((0, 50_000, 300_000))), is_located=rng.random() < 0.5, ts=ts,
    )  # fmt: skip


def child(child_id: str, venue: str, side: Side, quantity: int, price: int) -> SendChild:
    """A limit order for the day."""
    return SendChild(
        child_id=child_id, venue=venue, symbol="AAPL", side=side, order_qty=quantity, ord_type=OrdType.LIMIT, price=price,
        time_in_force=TimeInForce.DAY,
    )  # fmt: skip


def drawn_books(rng: random.Random) -> tuple[Gate, Market, int]:
    """A gate that has seen some seconds of trading, the market, and now."""
    gate, market, ts = Gate(), Market("AAPL"), OPEN_TS
    for _ in range(rng.randint(0, 12)):
        ts += rng.choice((SECOND // 10, SECOND, 4 * SECOND))
        markets.on_quote(market, "XLIT1", Quote(MID - CENT, 100, MID + CENT, 100, ts))
        if rng.random() < 0.5:
            markets.on_trade(market, MID, rng.choice((100, 1_000)), ts)
        parent_id = f"P{rng.randint(1, 3)}"
        if parent_id not in gate.parents:
            order = msgspec.structs.replace(drawn_order(rng, ts), order_qty=5_000, price=rng.choice((0, 0, MID)))
            admission.note_parent(gate, keys_of(order.session, order.symbol, algo_name(order.strategy)), parent_id, order, MID, 1)
        parent = gate.parents[parent_id]
        child_id, venue, price = f"{parent_id}.{ts}", rng.choice(NAMES.venues), MID - rng.choice((0, 2, -2)) * CENT
        exposure.on_sent(gate, parent_id, child(child_id, venue, parent.side, rng.choice((100, 300)), price))
        if rng.random() < 0.5:
            exposure.on_fill(gate, parent_id, child_id, 100, price, ts)
        spend(rate(gate.rates, f"venue:{venue}"), token_ns(5), ts)
        spend(rate(gate.rates, f"parents:{parent.client}"), token_ns(3), ts)
        for key in parent.keys:
            spend(rate(gate.rates, f"children:{key}"), token_ns(3), ts)
        note(count(gate.counts, parent.keys[4], 10 * SECOND, ts))
    ts += rng.choice((1, SECOND, 20 * SECOND))
    if rng.random() < 0.8:
        markets.on_quote(market, "XLIT1", Quote(MID - CENT, 100, MID + CENT, 100, ts))
    if rng.random() < 0.3:
        gate.soft[admission._look(drawn_order(rng, ts))] = ts - rng.choice((1, 10)) * SECOND
    if rng.random() < 0.3:
        gate.overrides["o"] = Override("CLIENT1", "AAPL", rng.choice((Side.BUY, Side.SELL)), 1_500, ts + MINUTE, "ann", "bob")
    return gate, market, ts


def copied(gate: Gate) -> Gate:
    """One for each question: the answer may change it."""
    return msgspec.json.decode(msgspec.json.encode(gate), type=Gate)


def drawn_child(rng: random.Random, gate: Gate, ts: int) -> SendChild:
    """A child of some parent that the gate has let in."""
    parent_id = rng.choice(list(gate.parents))
    parent = gate.parents[parent_id]
    return SendChild(
        child_id=f"{parent_id}.x", venue=rng.choice(NAMES.venues), symbol="AAPL", side=parent.side, order_qty=rng.choice((10, 100, 150)),
        ord_type=OrdType.LIMIT, price=MID + rng.choice((-12, -1, 0, 0, 0, 1, 12)) * PX_ONE, time_in_force=TimeInForce.DAY,
    )  # fmt: skip


def admitted(setup: PolicyLoaded, gate: Gate, market: Market, order: ParentRequested) -> Denied | None:
    """What the gate for parents says."""
    return admission.admit(copied(gate), bounds(setup, order.session, "AAPL", order.strategy), AAPL, markets.reference(market), order)


def checked(setup: PolicyLoaded, gate: Gate, market: Market, child: SendChild, ts: int) -> Denied | None:
    """What the gate for children says."""
    parent = gate.parents[child.child_id.rpartition(".")[0]]
    held = bounds(setup, parent.client, "AAPL", parent.strategy)
    assert held.scopes[-1] == keys_of(parent.client, "AAPL", held.scopes[-2].partition(":")[2])[-1]
    return risk.check(copied(gate), held, {"AAPL": AAPL}, dict.fromkeys(NAMES.venues, True), market, child, ts)
