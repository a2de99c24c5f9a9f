"""Knight Capital, 2012-08-01, by name, through a real server: real sockets, three venues, 150 symbols, an algo that sends filled quantity again.

How many children reach the venues is stated from the orders and the policy alone, and met to the child. The same in the core alone is
tests/core/test_knight.py; with market data, clients and a simulator it is the drill `runaway`.
"""

import time
import tomllib
from collections import Counter
from pathlib import Path

from algoserver.door import call
from tests.e2e.rogue import KNIGHT, KNIGHT_PX, KNIGHT_QTY, KNIGHT_VENUES
from tests.e2e.street import ask, venues_of
from tests.e2e.venue import MESSAGE_S_MAX, RawClient, Scripted

SYMBOLS = tuple(f"K{n:03d}" for n in range(150))
# At full speed: no rate of the market's clock or of the wall's is what stops it.
POLICY = {
    "children_per_second_max": "1_000_000", "venue_messages_per_second_max": "1_000_000", "traded_max": '"1"', "traded_free": '"1"',
    "rejects_max": "1_000_000", "net_value_max": "60_000_000",
}  # fmt: skip
LAYERS = '\n[[algos]]\nname = "POV"\nrepeats_max = 7\n'
ORDER_QTY = 1_050
VWAP, POV, TWAP = {"t847": 1}, {"t847": 2, "t849": "0.1"}, {}


def test_knight_through_a_real_server_no_more_children_leave_than_the_policy_says(tmp_path: Path):
    """10 a symbol by the order, 7 by repeats_max, 2,999 in all by net_value_max: then the firm is stopped, and nothing leaves whatever is asked."""
    street = Scripted(
        tmp_path / "street", launcher="tests.e2e.rogue", policy=POLICY, layers=LAYERS, shell={"orders_per_second_max": "1_000_000"},
        symbols=SYMBOLS, fills_at_once=True,
    )  # fmt: skip
    policy = tomllib.loads((tmp_path / "street" / "cfg" / "policy.toml").read_text())
    client = street.client()
    for symbol in SYMBOLS:
        street.venue.quote("200.00", "200.02", 1_000_000, symbol)
    await_quotes(street)

    # The order is the bound: no algo has more filled and open than was ordered, whatever it believes. Refusals pause each order.
    by_the_order = ORDER_QTY // KNIGHT_QTY
    run_away(client, "by the order", **TWAP)
    sent = await_children(street, by_the_order * len(SYMBOLS))
    assert Counter(m["55"] for m in sent) == dict.fromkeys(SYMBOLS, by_the_order)
    # The repetition is: then the algo is off in the symbol.
    by_repeats = next(a["repeats_max"] for a in policy["algos"] if a["name"] == "POV")
    run_away(client, "by repetition", **POV)
    sent = await_children(street, (by_the_order + by_repeats) * len(SYMBOLS))
    assert Counter(m["55"] for m in sent) == dict.fromkeys(SYMBOLS, by_the_order + by_repeats)
    # The firm's money is: a child that is bought is as much of it as one that is on its way.
    children_max = policy["net_value_max"] * 10**8 // (KNIGHT_QTY * KNIGHT_PX)
    assert children_max == 2_999
    run_away(client, "by money", **VWAP)
    await_children(street, children_max)

    settled(client)
    stops = {s["scope"] for s in ask(street.state, {"verb": "status"})["stops"]}
    assert stops == {"firm", *(f"algo:POV@{symbol}" for symbol in SYMBOLS)}
    codes = Counter(a["code"] for a in ask(street.state, {"verb": "alert.ls"})["alerts"])
    assert codes["stopped_by_limit"] == 1 + len(SYMBOLS)
    # Then nothing: not for a new order, a resumed one, a price that moves, or time.
    client.order(f"{KNIGHT} once more", t55=SYMBOLS[0])
    for symbol in SYMBOLS:
        street.venue.quote("200.01", "200.02", 1_000_000, symbol)
        call(street.state, {"verb": "order.resume", "target": f"{KNIGHT} by the order {symbol}", "reason": "hostile"})
    settled(client)
    sent = [m for m in street.venue.received if m["35"] == "D"]
    assert len(sent) == children_max
    assert {m["38"] for m in sent} == {str(KNIGHT_QTY)}
    assert {m["56"] for m in sent} == set(KNIGHT_VENUES)
    assert sum(int(m["38"]) for m in sent) * KNIGHT_PX <= policy["net_value_max"] * 10**8
    client.close()
    assert street.close() == 0


def await_quotes(street: Scripted) -> None:
    """Until the server knows a price of each symbol."""
    deadline = time.monotonic() + MESSAGE_S_MAX
    while {q["symbol"] for v in venues_of(street.state) for q in v["quotes"]} < set(SYMBOLS):
        assert time.monotonic() < deadline, "not every price arrived"


def run_away(client: RawClient, name: str, **strategy: object) -> None:
    """An order of 1,050 in each symbol, all of them Knight's."""
    for symbol in SYMBOLS:
        client.order(f"{KNIGHT} {name} {symbol}", t55=symbol, t38=ORDER_QTY, **strategy)


def await_children(street: Scripted, count: int) -> list[dict[str, str]]:
    """The first so many orders that have reached the venues; each was filled as it came."""
    while len(sent := [m for m in street.venue.received if m["35"] == "D"]) < count:
        street.venue.next("D")
    assert len(sent) == count
    return sent


def settled(client: RawClient) -> None:
    """All that was decided before this question is out: its answer comes behind it, and posts wait for each other."""
    client.peer.send("H", (11, f"{KNIGHT} by the order {SYMBOLS[0]}"), (55, SYMBOLS[0]), (54, 1))
    while client.next()["150"] != "I":
        pass
