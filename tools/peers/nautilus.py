"""NautilusTrader in an environment of its own: quotes a second of CPU with a strategy that only listens, and with its TWAP at work.

Run by `tools/bench_sim.py`; prints one JSON object. Needs only NautilusTrader: nothing of ours is imported here.
"""

import json
import random
import sys
import time
from datetime import timedelta
from decimal import Decimal

from nautilus_trader import __version__  # type: ignore[import-not-found]
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig  # type: ignore[import-not-found]
from nautilus_trader.config import LoggingConfig  # type: ignore[import-not-found]
from nautilus_trader.examples.algorithms.twap import TWAPExecAlgorithm  # type: ignore[import-not-found]
from nautilus_trader.model.currencies import USD  # type: ignore[import-not-found]
from nautilus_trader.model.data import QuoteTick  # type: ignore[import-not-found]
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide  # type: ignore[import-not-found]
from nautilus_trader.model.identifiers import ExecAlgorithmId, InstrumentId, Symbol, Venue  # type: ignore[import-not-found]
from nautilus_trader.model.instruments import Equity  # type: ignore[import-not-found]
from nautilus_trader.model.objects import Money, Price, Quantity  # type: ignore[import-not-found]
from nautilus_trader.trading.strategy import Strategy  # type: ignore[import-not-found]

START_NS = 1_561_728_600_000_000_000
GAP_NS = 14_000_000  # 1.67 million quotes in a day of 6.5 hours


class Listener(Strategy):  # type: ignore[misc]
    """Counts quotes."""

    def __init__(self, instrument: Equity) -> None:
        super().__init__()
        self.instrument = instrument
        self.heard = self.filled = 0

    def on_start(self) -> None:
        self.subscribe_quote_ticks(self.instrument.id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.heard += 1


class Parent(Listener):
    """Sends one parent with the first quote, over all of the time, a child every 30 seconds."""

    def __init__(self, instrument: Equity, seconds: int) -> None:
        super().__init__(instrument)
        self.seconds = seconds

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.heard += 1
        if self.heard == 1:
            order = self.order_factory.market(
                instrument_id=self.instrument.id, order_side=OrderSide.BUY, quantity=Quantity.from_int(100 * (self.seconds // 30)),
                exec_algorithm_id=ExecAlgorithmId("TWAP"), exec_algorithm_params={"horizon_secs": self.seconds, "interval_secs": 30.0},
            )  # fmt: skip
            self.submit_order(order)

    def on_order_filled(self, event: object) -> None:
        self.filled += 1


def quotes(instrument: Equity, count: int) -> list[QuoteTick]:
    """A walk of the best bid, a tick up or down at each quote, from a seed."""
    rng, bid, found = random.Random(1), 19_790, []
    for n in range(count):
        bid += rng.choice((-1, 0, 0, 1))
        ts, size = START_NS + n * GAP_NS, Quantity.from_int(100 * rng.randint(1, 9))
        found.append(QuoteTick(instrument.id, Price(bid / 100, 2), Price((bid + 1) / 100, 2), size, size, ts, ts))
    return found


def run(count: int, is_parent: bool) -> tuple[float, int]:
    """Quotes a second, and fills."""
    venue = Venue("SIM")
    instrument = Equity(
        instrument_id=InstrumentId(Symbol("AAPL"), venue), raw_symbol=Symbol("AAPL"), currency=USD, price_precision=2,
        price_increment=Price(0.01, 2), lot_size=Quantity.from_int(1), ts_event=0, ts_init=0,
    )  # fmt: skip
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        venue=venue, oms_type=OmsType.NETTING, account_type=AccountType.MARGIN, base_currency=USD,
        starting_balances=[Money(Decimal(10**9), USD)],
    )  # fmt: skip
    engine.add_instrument(instrument)
    engine.add_data(quotes(instrument, count))
    seconds = count * GAP_NS // 1_000_000_000 // 30 * 30
    strategy = Parent(instrument, seconds) if is_parent else Listener(instrument)
    engine.add_strategy(strategy)
    if is_parent:
        engine.add_exec_algorithm(TWAPExecAlgorithm())
    begin = time.process_time()
    engine.run()
    rate = count / (time.process_time() - begin)
    assert strategy.heard == count, "it did not hear every quote"
    filled = strategy.filled
    engine.dispose()
    assert not is_parent or filled > 0, f"its TWAP filled nothing in {timedelta(seconds=seconds)}"
    return rate, filled


if __name__ == "__main__":
    n = int(sys.argv[1])
    run(n // 10, False)  # warm
    listening, (twap, fills) = run(n, False)[0], run(n, True)
    print(json.dumps({"version": __version__, "quotes": n, "quotes_per_s": listening, "twap_quotes_per_s": twap, "twap_fills": fills}))
