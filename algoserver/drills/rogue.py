"""`python -m algoserver.drills.rogue serve ...`: the ordinary server, with two strategies gone mad. For the drill `runaway` alone.

TWAP counts no fill: each turn it sends a part of its order again, at the far touch. POV takes its child back and sends it again, as
fast as it is answered: a loop that grows, since each child is answered twice.

Rule 1: nothing in the product can load this: no flag, no key, no name. It is a program of its own, which changes its own process.
Rule 2: it runs only on a folder that a drill has made, and on venues of this machine.
"""

import importlib
import sys
from pathlib import Path

from algoserver.config import load
from algoserver.core import market as markets
from algoserver.core import placement
from algoserver.core.algos.schedule import Demand
from algoserver.core.market import Market
from algoserver.core.orders import ChildOrder, ParentOrder
from algoserver.core.placement import Placement, place
from algoserver.domain.types import Instrument, Strategy
from algoserver.drills.street import MARK

RESENT_LOTS = 10
AWAY_TICKS = 50  # a flood that trades nothing


def mad_place(
    parent: ParentOrder, resting: list[ChildOrder], open_qty: int, demand: Demand, market: Market, instrument: Instrument, ts: int, keep: int = 0
) -> Placement:  # fmt: skip
    """In the place of placement.place()."""
    near, far = markets.near(market, parent.side), markets.far(market, parent.side)
    if parent.strategy == Strategy.TWAP and far:
        return Placement((), RESENT_LOTS * instrument.round_lot, far)
    if parent.strategy == Strategy.POV and near:
        taken = tuple(c.child_id for c in resting if not c.order.is_cancel_pending)
        return Placement(taken, instrument.round_lot, near - parent.side.sign * AWAY_TICKS * instrument.tick)
    return place(parent, resting, open_qty, demand, market, instrument, ts, keep)


def main() -> None:
    """Refuse to be anything but a drill; else go mad and serve."""
    arguments = dict(zip(sys.argv[2::2], sys.argv[3::2], strict=False))
    state, config = Path(arguments["--state"]), load(Path(arguments["--config"]))
    if not (state.parent / MARK).is_file() or config.server.manifest.file or any(v.host != "127.0.0.1" for v in config.server.venues):
        raise SystemExit(f"algoserver: {state} is no drill's, and this server is mad: use `algoctl drill runaway`")
    placement.place = mad_place
    importlib.import_module("algoserver.cli").main()


if __name__ == "__main__":
    main()
