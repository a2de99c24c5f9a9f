"""The policy's file: what is refused and where, what a change is, and that no change lets pass in silence what was refused."""

import random
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoserver.core import admission, exposure
from algoserver.core import market as markets
from algoserver.core.bounds import keys_of
from algoserver.core.market import Market, Quote
from algoserver.core.rates import count, note
from algoserver.core.risk import Gate
from algoserver.core.tally import Tally
from algoserver.domain.changes import diff
from algoserver.domain.commands import SendChild
from algoserver.domain.limits import LIMITS, UNSET
from algoserver.domain.policy import RiskPolicy
from algoserver.domain.types import SECOND, Denied, OrdType, Side, TimeInForce
from algoserver.policies import KINDS, LINE_BYTES_MAX, TEXT_BYTES_MAX, Names, parse_policy
from algoserver.settings import BadConfig
from tests import drawn
from tests.core.day import OPEN_TS
from tests.drawn import LAYER_NAMES, NAMES, admitted, checked, drawn_books, drawn_child, drawn_order, drawn_policy, policy_of, setup_of

SEEDS = st.integers(0, 2**32)
FILE = (Path(__file__).resolve().parents[1] / "cfg" / "policy.toml").read_text()
FREE = FILE.replace('traded_free = "0.0002"', 'traded_free = "0.5"')  # of what is not looked at
OURS = Names(("CLIENT1", "CLIENT2"), ("AAPL", "GE"), ("XLIT1", "XDARK1"))


@settings(deadline=None, max_examples=150)
@given(SEEDS)
def test_a_policy_does_not_differ_from_itself(seed: int):
    """Read twice it is the same, and journaled too."""
    file, policy = drawn_policy(random.Random(seed))
    again = policy_of(file)
    assert again == policy
    assert diff(policy, again) == []
    assert msgspec.json.decode(msgspec.json.encode(policy), type=type(policy)) == policy


@settings(deadline=None, max_examples=150)
@given(SEEDS)
def test_policies_that_differ_have_a_difference(seed: int):
    """Whatever one key changes is shown, with its layer and key; each way, old and new change places."""
    rng = random.Random(seed)
    file, policy = drawn_policy(rng)
    changed = deepcopy(file)
    plural = rng.choice(["", *(p for p in LAYER_NAMES if p in file)])
    key = drawn.change(rng, changed[plural][0] if plural else changed, plural)
    other = policy_of(changed)
    if other is None:
        return
    found = diff(policy, other)
    scope = f"{KINDS[plural]}:{LAYER_NAMES[plural]}" if plural else "firm"
    assert [(c.where, c.key) for c in found] in ([(scope, key)], [])
    if not found:  # a list in another order, or a firm's mode that is written out
        assert other == policy or key in (*drawn.LISTS, "clients", "short_sale", "on_disconnect")
    assert [(c.where, c.key, c.new, c.old) for c in diff(other, policy)] == [(c.where, c.key, c.old, c.new) for c in found]


@settings(deadline=None, max_examples=150)
@given(SEEDS)
def test_a_limit_that_is_lowered_is_no_raise_and_lifted_back_it_is(seed: int):
    """Each limit that is set, of each layer; to set one that was not is none, and to take it away is."""
    rng = random.Random(seed)
    _, policy = drawn_policy(rng)
    limit = rng.choice(LIMITS)
    layers = [(None, policy)] if "firm" in limit.layers else []
    layers += [(i, x.limits) for i, x in enumerate(policy.layers) if x.kind in limit.layers]
    if not layers:
        return
    index, limits = rng.choice(layers)
    value = getattr(limits, limit.field)
    low = rng.randint(0, max(0, value - 1)) if value != UNSET else rng.randint(0, 10**9)
    if low == value:
        return
    lowered = msgspec.structs.replace(limits, **{limit.field: low})
    if index is not None:
        layer = msgspec.structs.replace(policy.layers[index], limits=lowered)
        lowered = msgspec.structs.replace(policy, layers=(*policy.layers[:index], layer, *policy.layers[index + 1 :]))
    (down,), (up,) = diff(policy, lowered), diff(lowered, policy)
    assert (down.key, down.is_raise, up.key, up.is_raise) == (limit.key, False, limit.key, True)


def test_what_passes_by_a_change_and_was_refused_is_a_raise():
    """One key changes, or a layer goes; an order, and a child of an admitted one, meet the same books under both policies. Seed in the failure."""
    happened: Counter[str] = Counter()

    @settings(deadline=None, max_examples=1_000)
    @given(SEEDS)
    def looked(seed: int) -> None:
        rng = random.Random(seed)
        file, policy = drawn_policy(rng)
        changed = deepcopy(file)
        plural = rng.choice(["", *(p for p in LAYER_NAMES if p in file)])
        if plural and rng.random() < 0.1:
            del changed[plural]
        else:
            drawn.change(rng, changed[plural][0] if plural else changed, plural)
        other = policy_of(changed)
        if other is None:
            return
        books = drawn_books(rng)
        is_raise = {True: _is_raise(policy, other), False: _is_raise(other, policy)}
        for one, two in _asked(rng, books, policy, other):
            if (one is None) != (two is None):
                code = (one or two).code
                happened[code] += 1
                assert is_raise[one is not None], f"seed {seed}: {code}, and then it passes: {diff(policy, other)}"

    looked()
    assert len(happened) > 12, happened


def test_a_layer_makes_nothing_looser():
    """What the firm alone refuses is refused with layers, too; overrides and soft blocks included."""
    happened: Counter[str] = Counter()

    @settings(deadline=None, max_examples=1_000)
    @given(SEEDS)
    def looked(seed: int) -> None:
        rng = random.Random(seed)
        _, policy = drawn_policy(rng)
        books = drawn_books(rng)
        for firm, layered in _asked(rng, books, msgspec.structs.replace(policy, layers=()), policy):
            assert firm is None or layered is not None, f"seed {seed}: {firm} of the firm passes with {policy.layers}"
            if layered is not None and firm is None:
                happened[layered.code] += 1

    looked()
    assert len(happened) > 8, happened


def _is_raise(old: RiskPolicy, new: RiskPolicy) -> bool:
    return any(c.is_raise for c in diff(old, new))


def _asked(rng: random.Random, books: tuple[Gate, Market, int], one: RiskPolicy, two: RiskPolicy) -> Iterator[tuple[Denied | None, Denied | None]]:
    """What both policies say to an order and to a child."""
    gate, market, ts = books
    order = drawn_order(rng, ts)
    yield admitted(setup_of(one), gate, market, order), admitted(setup_of(two), gate, market, order)
    if gate.parents:
        child = drawn_child(rng, gate, ts)
        yield checked(setup_of(one), gate, market, child, ts), checked(setup_of(two), gate, market, child, ts)


# What chance finds too seldom: each shows both sides of one change.


def _looked_at(text: str, gate: Gate, market: Market, ts: int) -> str:
    """What a buy of 100 by P1 meets under the policy of the repository with something changed."""
    policy = parse_policy(text.encode(), "policy.toml", NAMES)
    child = SendChild(
        child_id="P1.x", venue="XLIT1", symbol="AAPL", side=Side.BUY, order_qty=100, ord_type=OrdType.LIMIT, price=drawn.MID,
        time_in_force=TimeInForce.DAY,
    )  # fmt: skip
    denied = checked(setup_of(policy), gate, market, child, ts)
    return denied.code if denied else ""


def _working(ts: int) -> tuple[Gate, Market]:
    """An order for 5,000 of each client, P1 of CLIENT1."""
    gate, market = Gate(), Market("AAPL")
    markets.on_quote(market, "XLIT1", Quote(drawn.MID - drawn.CENT, 100, drawn.MID + drawn.CENT, 100, ts))
    for number, (client, side) in enumerate((("CLIENT1", Side.BUY), ("CLIENT2", Side.SELL)), 1):
        order = drawn_order(random.Random(1), ts)
        order = msgspec.structs.replace(order, session=client, side=side, order_qty=5_000, price=0, strategy=1001)
        admission.note_parent(gate, keys_of(client, "AAPL", "TWAP"), f"P{number}", order, drawn.MID, 1)
    return gate, market


def test_a_windows_change_is_a_raise_either_way():
    """A shorter one forgets what we traded; a longer one has what the market traded. What is counted in a row begins at another time."""
    now = OPEN_TS + 12 * SECOND
    found = {}
    for name, free in (("ours", "0.01"), ("theirs", "0.005")):
        text = FILE.replace('traded_max = "0.5"', 'traded_max = "0.1"').replace('traded_free = "0.0002"', f'traded_free = "{free}"')
        gate, market = _working(now)
        (gate.traded.setdefault("AAPL", Tally()) if name == "ours" else market.volume).add(OPEN_TS, 2_000)
        found[name] = [_looked_at(text.replace("traded_window_s = 300", f"traded_window_s = {s}"), gate, market, now) for s in (10, 15)]
    assert found == {"ours": ["", "traded_max"], "theirs": ["traded_max", ""]}
    text = FREE.replace("repeats_max = 3_000", "repeats_max = 2")
    gate, market = _working(now)
    for _ in range(2):
        note(count(gate.counts, "algo:TWAP@AAPL", 15 * SECOND, OPEN_TS))
    assert [_looked_at(text.replace("repeats_window_s = 60", f"repeats_window_s = {s}"), gate, market, now) for s in (10, 15)] == ["", "repeats_max"]
    for key, seconds in (("traded_window_s", 300), ("repeats_window_s", 60)):
        short, long = (parse_policy(FILE.replace(f"{key} = {seconds}", f"{key} = {s}").encode(), "policy.toml") for s in (10, 15))
        assert _is_raise(short, long)
        assert _is_raise(long, short)


def test_who_joins_a_desk_may_let_it_buy_more():
    """His sales count against its net; so a desk that there is does not get or lose a client by one person. A new one may have any."""
    gate, market = _working(OPEN_TS)
    exposure.on_sent(gate, "P2", drawn.child("P2.1", "XDARK1", Side.SELL, 1_000, drawn.MID))
    exposure.on_fill(gate, "P2", "P2.1", 1_000, drawn.MID, OPEN_TS)
    desk = '[[desks]]\nname = "cash"\nnet_value_max = 10_000\nclients = [{}]\n'
    alone, joined = FREE + desk.format('"CLIENT1"'), FREE + desk.format('"CLIENT1", "CLIENT2"')
    assert (_looked_at(alone, gate, market, OPEN_TS), _looked_at(joined, gate, market, OPEN_TS)) == ("net_value_max", "")
    none, one, two = (parse_policy(t.encode(), "policy.toml", OURS) for t in (FREE, alone, joined))
    assert [_is_raise(one, two), _is_raise(two, one), _is_raise(one, none), _is_raise(none, one)] == [True, True, True, False]


def test_a_client_may_be_kept_at_work_when_all_others_are_canceled_and_that_is_a_raise():
    """on_disconnect is the only word of a layer that may be looser than what is above it."""
    firm = FILE.replace('on_disconnect = "keep"', 'on_disconnect = "cancel"')
    client = '[[clients]]\nname = "CLIENT1"\non_disconnect = "{}"\n'
    texts = FILE, firm, firm + client.format("keep"), firm + client.format("cancel")
    keep, cancel, looser, same = (parse_policy(t.encode(), "policy.toml", OURS) for t in texts)
    assert [_is_raise(keep, cancel), _is_raise(cancel, keep)] == [False, True]
    assert [_is_raise(cancel, looser), _is_raise(cancel, same), _is_raise(same, looser)] == [True, False, True]


# What is refused, and where.

CLIENT = '[[clients]]\nname = "CLIENT1"\n'
BAD = {
    "negative": ("child_qty_max = 100_000", "child_qty_max = -1", "`child_qty_max` is negative"),
    "negative, a layer's": ("", CLIENT + "open_value_max = -1", "clients 'CLIENT1' `open_value_max` is negative"),
    "negative, the firm's alone": ("confirm_window_s = 60", "confirm_window_s = -1", "`confirm_window_s` is negative"),
    "no limit at all": ("child_qty_max = 100_000", f"child_qty_max = {10**16}", "`child_qty_max` is above 1,000,000,000,000,000"),
    "longer than is remembered": ("traded_window_s = 300", "traded_window_s = 301", "`traded_window_s` is above 300"),
    "missing": ("child_qty_max = 100_000", "", "`child_qty_max` is missing: the firm must set it"),
    "unknown key": ("", "child_qty_maximum = 1", "unknown field `child_qty_maximum`"),
    "unknown key of a layer": ("", CLIENT + "child_qty_maximum = 1", "clients 'CLIENT1'"),
    "not that layer's": ("", CLIENT + "position_max = 1", "`position_max` can't be set for a client; it is for symbol"),
    "of no use for a venue": ("", '[[venues]]\nname = "XLIT1"\nallow_venues = ["XDARK1"]', "venues 'XLIT1' `allow_venues` can't be set for a venue"),
    "not a number": ("child_qty_max = 100_000", "child_qty_max = true", "Expected `int | null`, got `bool` - at `$.child_qty_max`"),
    "a share that is none": ('traded_max = "0.5"', 'traded_max = "50"', "`traded_max` is '50'; it must be a fraction"),
    "child above parent": ("child_qty_max = 100_000", "child_qty_max = 5_000_001", "`child_qty_max` is above `parent_qty_max`"),
    "soft above hard": (
        "parent_value_soft_max = 400_000_000", "parent_value_soft_max = 500_000_001", "`parent_value_soft_max` is above `parent_value_max`"
    ),
    "net above gross": ("net_value_max = 10_000_000_000", "net_value_max = 20_000_000_001", "`net_value_max` is above `gross_value_max`"),
    "open above gross": ("", CLIENT + "open_value_max = 2\ngross_value_max = 1", "client:CLIENT1: `open_value_max` is above `gross_value_max`"),
    "looser than the firm": ("", CLIENT + 'collar = "0.06"', "client:CLIENT1: `collar` 0.06 is looser than 0.05 of firm"),
    "looser than the desk": (
        "", CLIENT + 'children_open_max = 9\n[[desks]]\nname = "cash"\nclients = ["CLIENT1"]\nchildren_open_max = 8',
        "client:CLIENT1: `children_open_max` 9 is looser than 8 of desk:cash",
    ),
    "looser than the desk's list": (
        "", CLIENT + 'allow_venues = ["XDARK1"]\n[[desks]]\nname = "cash"\nclients = ["CLIENT1"]\nallow_venues = ["XLIT1"]',
        "client:CLIENT1: `allow_venues` has XDARK1, which desk:cash does not allow",
    ),
    "looser short sales": ("", CLIENT + 'short_sale = "allowed"', "client:CLIENT1: `short_sale` allowed is looser than locate of firm"),
    "unknown mode": ('self_match = "firm"', 'self_match = "desk"', "`self_match` is one of off, firm"),
    "unknown client": ("", '[[clients]]\nname = "NOBODY"', "client:NOBODY: no such client; there are CLIENT1, CLIENT2"),
    "unknown client of a desk": ("", '[[desks]]\nname = "cash"\nclients = ["NOBODY"]', "desk:cash: `clients` has 'NOBODY'"),
    "unknown symbol": ("", CLIENT + 'restricted = ["NONE"]', "client:CLIENT1: `restricted` has 'NONE'; there are AAPL, GE"),
    "unknown venue": ("", CLIENT + 'allow_venues = ["NONE"]', "client:CLIENT1: `allow_venues` has 'NONE'"),
    "an algo in one symbol": ("", '[[algos]]\nname = "VWAP@AAPL"', "algo:VWAP@AAPL: no such algo; there are VWAP"),
    "one layer twice": ("", CLIENT + CLIENT, "client:CLIENT1: each layer needs a `name` of its own"),
    "one client in two desks": (
        "", '[[desks]]\nname = "a"\nclients = ["CLIENT1"]\n[[desks]]\nname = "b"\nclients = ["CLIENT1"]', "client CLIENT1 is in two `desks`"
    ),
    "clients of a client": ("", CLIENT + 'clients = ["CLIENT2"]', "client:CLIENT1: `clients` are a desk's"),
    "no TOML": ("", "[[clients", "Expected ']]'"),
    "deep": ("", "x = " + "[" * 1_500, "maximum recursion depth"),
    "digits": ("", "".join(["x = ", "9" * 1_990]), "unknown field `x`"),
    "a long line": ("", "a." * 20_000 + "a = 1", f"is longer than {LINE_BYTES_MAX} bytes; break it"),
    "a long text": ("", "# x\n" * 30_000, f"a policy has at most {TEXT_BYTES_MAX}"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), BAD.values(), ids=BAD)
def test_an_impossible_policy_is_refused_with_its_place_and_the_reason(old: str, new: str, said: str):
    """Each by one mistake in the policy of the repository."""
    assert old in FILE
    text = FILE.replace(old, new, 1) if old else f"{new}\n{FILE}" if "[[" not in new else f"{FILE}\n{new}"
    with pytest.raises(BadConfig) as found:
        parse_policy(text.encode(), "policy.toml", OURS)
    assert str(found.value).startswith("policy.toml: ")
    assert said in str(found.value)


def test_bytes_that_are_no_text_are_refused():
    """As TOML asks."""
    with pytest.raises(BadConfig, match="utf-8"):
        parse_policy(b"name = '\xff'", "policy.toml")
