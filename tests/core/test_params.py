"""Every parameter of every strategy, sent through FIX, changes what is done: none is taken and then forgotten."""

from math import sin
from typing import NamedTuple

import pytest

from algoserver.core.orders import is_open, leaves_qty
from algoserver.domain.commands import AskChildStatus, CancelChild, Command, SendChild
from algoserver.domain.events import ParentRequested
from algoserver.domain.params import BY_NAME, PARAMS, USES
from algoserver.domain.policy import Venue
from algoserver.domain.types import MINUTE, SECOND, Strategy, TimeInForce, px, utc
from algoserver.fix.codec import decode_client
from tests.core.day import AAPL, OPEN_TS, Day, policy_loaded

START_TS = utc("20190628-19:20:00")
CLOSE_TS = utc("20190628-20:00:00")
# Where an effect is to be seen at another time of the day: when the order comes, and until when one looks.
TIMES = {"OpenAuction": (OPEN_TS - 5 * MINUTE, OPEN_TS + 5 * MINUTE)}
STEP = 5 * SECOND
# What is sent for each parameter, and what every strategy needs.
VALUES = {
    "StartTime": "20190628-19:25:00", "EndTime": "20190628-19:40:00", "MaxPctVol": "0.01", "MinPctVol": "0.2", "TargetPctVol": "0.04",
    "Urgency": "5", "IWouldPrice": "201", "IWouldPct": "0.1", "DisplayQty": "100", "DarkPct": "0.5", "MinExecQty": "300",
    "OpenAuction": "Y", "CloseAuction": "Y", "Completion": "HARD", "CatchUp": "N",
}  # fmt: skip
NEEDED = {Strategy.POV: {"TargetPctVol": "0.01"}, Strategy.CLOSE: {"MaxPctVol": "0.005"}, Strategy.ICEBERG: {"DisplayQty": "500"}}
# Some say something only beside another one.
BESIDE = {
    "DisplayQty": {"DarkPct": "0"}, "MinExecQty": {"DarkPct": "0.5"}, "IWouldPct": {"IWouldPrice": "201"},
    "Completion": {"EndTime": "20190628-19:40:00", "MaxPctVol": "0.01"},
}  # fmt: skip


class Did(NamedTuple):
    """A child that left: when, where to, how much, at which price and how."""

    ts: int
    venue: str
    quantity: int
    price: int
    min_qty: int
    time_in_force: TimeInForce


def worked(strategy: Strategy, given: dict[str, str], start_ts: int = START_TS, end_ts: int = CLOSE_TS + MINUTE) -> list[Did]:
    """The children of an order, by default over the last forty minutes of a day, in a market that fills what has rested half a minute at its price.

    For the first ten minutes that price is above the order's limit.
    """
    day = Day(policy_loaded(venues=(Venue("XLIT1", has_auctions=True), Venue("XLIT2"), Venue("XDARK1", "dark"))), now=start_ts)
    day.up("XDARK1")
    day.quote()
    event = decode_client(message(strategy, given), "CLIENT1", {"AAPL": AAPL})
    assert isinstance(event, ParentRequested), event
    did: list[Did] = []
    resting: list[tuple[int, SendChild]] = []
    answer(day, day.feed(event), did, resting)
    assert day.reports()[0].exec_type == "0", day.reports()[0].text
    for n in range((end_ts - start_ts) // STEP):
        cents = 20 + round(3 * sin(n / 7)) if n * STEP < 10 * MINUTE else -20 + round(3 * sin(n / 7))
        bid = f"{200 + cents / 100:.2f}"
        day.quote(bid, f"{200 + cents / 100 + 0.02:.2f}")
        day.trade(2_000, bid)
        answer(day, day.wait(STEP), did, resting)
        for since, child in list(resting):
            if day.now - since >= 30 * SECOND and px(bid) <= child.price and is_open(day.child(child).order):
                answer(day, day.fill(child, leaves_qty(day.child(child).order)), did, resting)
    return did


def answer(day: Day, out: list[Command], did: list[Did], resting: list[tuple[int, SendChild]]) -> None:
    """The venues: immediate orders are filled, the others rest, cancels are done at once."""
    for c in out:
        if isinstance(c, SendChild):
            did.append(Did(day.now // SECOND, c.venue, c.order_qty, c.price, c.min_qty, c.time_in_force))
            day.accept(c)
            if c.time_in_force is TimeInForce.IOC:
                answer(day, day.fill(c, c.order_qty), did, resting)
            elif not c.time_in_force.is_auction:
                resting.append((day.now, c))
        elif isinstance(c, CancelChild):
            child = next(x for x in day.sent() if x.child_id == c.child_id)
            if is_open(day.child(child).order):
                answer(day, day.canceled(child), did, resting)
        assert not isinstance(c, AskChildStatus)


def message(strategy: Strategy, given: dict[str, str]) -> str:
    """NewOrderSingle with a limit of 200; parameters by their tag where they have one, else by name."""
    pairs = [("35", "D"), ("11", "X"), ("55", "AAPL"), ("54", "1"), ("38", "20000"), ("40", "2"), ("44", "200"), ("847", str(int(strategy)))]
    grouped = []
    for name, value in given.items():
        tags = BY_NAME[name].tags
        pairs += [(str(tags[-1]), value)] if tags else []
        grouped += [] if tags else [("958", name), ("960", value)]
    pairs += [("957", str(len(grouped) // 2)), *grouped] if grouped else []
    return "".join(f"{tag}={value}\x01" for tag, value in pairs)


@pytest.mark.parametrize(("strategy", "name"), [(s, p.name) for s, use in USES.items() for p in PARAMS if p.name in use.takes])
def test_every_parameter_has_its_effect(strategy: Strategy, name: str):
    """The same order without it is worked otherwise."""
    base = {k: v for k, v in (NEEDED.get(strategy, {}) | BESIDE.get(name, {})).items() if k in USES[strategy].takes}
    times = TIMES.get(name, ())
    assert worked(strategy, base, *times) != worked(strategy, base | {name: VALUES[name]}, *times)
