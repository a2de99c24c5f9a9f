"""hftbacktest in an environment of its own: depth events a second of CPU under a strategy that looks every 100 ms and trades every 10 s.

Run by `tools/bench_sim.py`; prints one JSON object. Needs only hftbacktest (and the numba that it brings): nothing of ours is imported here.
"""

import json
import sys
import time
from importlib.metadata import version
from typing import Any

import hftbacktest as h  # type: ignore[import-not-found]
import numpy as np
from hftbacktest.order import IOC, LIMIT  # type: ignore[import-not-found]
from numba import njit

GAP_NS = 14_000_000  # 1.67 million events in a day of 6.5 hours
LATENCY_NS = 1_000_000
START_NS = 1_561_728_600_000_000_000


@njit  # type: ignore[untyped-decorator]
def look(hbt: Any) -> int:
    """Every 100 ms, and every hundredth time a marketable order of one lot."""
    looks = 0
    while hbt.elapse(100_000_000) == 0:
        looks += 1
        if looks % 100 == 0:
            hbt.clear_inactive_orders(0)
            depth = hbt.depth(0)
            hbt.submit_buy_order(0, looks, depth.best_ask, 100.0, IOC, LIMIT, False)
    return looks


def events(count: int) -> Any:
    """Changes of ten levels a side around a price that walks, from a seed."""
    rng = np.random.default_rng(1)
    data = np.zeros(count, h.types.event_dtype)
    buys = rng.random(count) < 0.5
    side = np.where(buys, h.BUY_EVENT, h.SELL_EVENT)
    data["ev"] = h.DEPTH_EVENT | h.EXCH_EVENT | h.LOCAL_EVENT | side
    data["exch_ts"] = START_NS + np.arange(count) * GAP_NS
    data["local_ts"] = data["exch_ts"] + LATENCY_NS
    level = rng.integers(1, 11, count)
    data["px"] = np.round((19_790 + np.where(buys, -level, level)) / 100, 2)
    data["qty"] = rng.integers(1, 10, count) * 100.0
    return data


def run(data: Any) -> tuple[float, int]:
    """Events a second, and how often the strategy looked."""
    asset = (
        h.BacktestAsset().data([data]).linear_asset(1.0).constant_order_latency(LATENCY_NS, LATENCY_NS).risk_adverse_queue_model()
        .no_partial_fill_exchange().trading_value_fee_model(0.0, 0.0).tick_size(0.01).lot_size(1.0)
    )  # fmt: skip
    hbt = h.HashMapMarketDepthBacktest([asset])
    begin = time.process_time()
    looks = look(hbt)
    rate = len(data) / (time.process_time() - begin)
    position = hbt.position(0)
    hbt.close()
    assert position > 0, "its strategy filled nothing"
    return rate, looks


if __name__ == "__main__":
    n = int(sys.argv[1])
    run(events(10_000))  # compile
    rate, looks = run(events(n))
    print(json.dumps({"version": version("hftbacktest"), "events": n, "events_per_s": rate, "looks": looks}))
