"""The orders of a study: listed in its file, or drawn anew by each seed.

Rule: what is drawn depends on the seed and the configuration alone. Orders of one symbol come one after the other, with a rest between them, so that
what is left of one's impact can be seen and does not meet the next.
"""

import math
import random

import msgspec

from algoserver.core.algos.schedule import Window, expected_share
from algoserver.domain.events import PolicyLoaded
from algoserver.domain.params import BY_NAME, USES, parse
from algoserver.domain.types import MINUTE, PPM_ONE, Strategy, qty_text, utc, utc_text
from algoserver.settings import Entry

URGENCY = "Urgency"


class ParentConfig(Entry, frozen=True):
    """A client's order. at: market time; order_qty, price: text, price "" is a market order; params by their FIX names."""

    cl_ord_id: str
    at: str
    symbol: str
    side: str
    order_qty: str
    strategy: str
    price: str = ""
    params: dict[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        utc(self.at)
        if self.side not in ("BUY", "SELL"):
            raise ValueError("`side` is neither BUY nor SELL")
        _check(self.strategy, self.params)


class DrawnConfig(Entry, frozen=True):
    """Orders that each seed draws, buys and sales, by market. participation: of the volume that is expected in an order's window, least and largest,
    fractions; minutes: length of a window, least and largest. Both are drawn evenly in their logs, an Urgency evenly where the strategy takes it.
    """

    symbols: list[str]
    strategies: list[str]
    participation: tuple[float, float]
    minutes: tuple[int, int]
    rest_minutes: int
    params: dict[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.symbols or not self.strategies:
            raise ValueError("`symbols` and `strategies` must not be empty")
        for strategy in self.strategies:
            _check(strategy, self.params)
        if not 0 < self.participation[0] <= self.participation[1] <= 1:
            raise ValueError("`participation` is not two fractions above 0, the smaller first")
        if not 0 < self.minutes[0] <= self.minutes[1] or self.rest_minutes < 0:
            raise ValueError("`minutes` is not two numbers above 0, the smaller first, with `rest_minutes` from 0 upwards")


def draw(config: DrawnConfig, setup: PolicyLoaded, begin: str, end: str, seed: int) -> list[ParentConfig]:
    """The orders of a seed, in each symbol as many as there is time for."""
    found = []
    for symbol in config.symbols:
        (instrument,) = (i.instrument for i in setup.instruments if i.instrument.symbol == symbol)
        chance = random.Random(f"{seed}/{symbol}/orders")
        at_ts, number = utc(begin) + 2 * MINUTE, 0
        while True:
            minutes, share = (math.exp(chance.uniform(*map(math.log, pair))) for pair in (config.minutes, config.participation))
            side, strategy, urgency = chance.choice(("BUY", "SELL")), chance.choice(config.strategies), str(chance.randint(1, 5))
            end_ts = at_ts + max(1, round(minutes)) * MINUTE
            if end_ts + config.rest_minutes * MINUTE > utc(end):
                break
            expected = expected_share(Window(at_ts, end_ts, setup.algo.static_curve, setup.hours)) * instrument.adv / PPM_ONE
            lots = max(1, round(share * expected / instrument.round_lot))
            params = {"EndTime": utc_text(end_ts)[:17], **config.params}
            if URGENCY in USES[Strategy[strategy]].takes:
                params.setdefault(URGENCY, urgency)
            number += 1
            found.append(
                ParentConfig(
                    cl_ord_id=f"{symbol}-{number}", at=utc_text(at_ts)[:17], symbol=symbol, side=side, strategy=strategy,
                    order_qty=qty_text(lots * instrument.round_lot, instrument.qty_decimals), params=params,
                )
            )  # fmt: skip
            at_ts = end_ts + config.rest_minutes * MINUTE
    return found


def _check(strategy: str, params: dict[str, str]) -> None:
    if strategy not in Strategy.__members__:
        raise ValueError(f"`strategy` is not one of {', '.join(Strategy.__members__)}")
    takes = USES[Strategy[strategy]].takes
    for name, text in params.items():
        if name not in takes:
            raise ValueError(f"`params`: {strategy} takes {', '.join(takes)}, not {name}")
        try:
            parse(BY_NAME[name], text, 0)
        except ValueError as error:
            raise ValueError(f"`params`: {name}: {error}") from error
