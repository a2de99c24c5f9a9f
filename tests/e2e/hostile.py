"""`python -m tests.e2e.hostile serve ...`: the server with an algo that has gone mad, plugged in where placement stands.

Once per parent it tries 1,000 wrong children, a hundred of a kind, and then 10,000 right ones within one event.
"""

from algoserver.cli import main
from algoserver.core import working
from algoserver.domain.commands import SendChild
from algoserver.domain.types import PX_ONE, OrdType, Side, TimeInForce

REFERENCE = 200 * PX_ONE
RIGHT = {"venue": "XLIT1", "symbol": "AAPL", "side": Side.BUY, "order_qty": 100, "price": REFERENCE}
WRONG = [
    {"order_qty": 1_000_000},  # beyond the parent and the child's limit
    {"order_qty": 0},
    {"order_qty": -100},
    {"price": 2 * REFERENCE},  # beyond the collar
    {"price": REFERENCE + 1},  # off tick
    {"price": 0},
    {"symbol": "GE"},
    {"symbol": "NOSUCH"},
    {"venue": "NOWHERE"},
    {"side": Side.SELL},
]
TRIES = 1_000


class Once:
    """Instead of working._act: remembers which parents have had their fit."""

    def __init__(self) -> None:
        self._had: set[str] = set()

    def __call__(self, state, setup, parent, own, placed, ts, out) -> None:
        if parent.parent_id not in self._had and parent.start_ts <= ts:
            self._had.add(parent.parent_id)
            _rage(state, parent, ts, out)


def _rage(state, parent, ts, out) -> None:
    for wrong in [*(w for w in WRONG for _ in range(TRIES // len(WRONG))), *([{}] * 10_000)]:
        child = SendChild(
            child_id=f"{parent.parent_id}.{parent.next_child}", ord_type=OrdType.LIMIT, time_in_force=TimeInForce.DAY, **{**RIGHT, **wrong}
        )
        parent.next_child += 1
        working.send_child(state, parent, child, ts, out)


if __name__ == "__main__":
    working._act = Once()
    main()
