"""`python -m tests.e2e.rogue serve ...`: the ordinary server, but an order's ClOrdID names the crime that its algo commits.

The crime comes where an algo's wishes become children; what is behind it is the product's.
"""

from algoserver.cli import main
from algoserver.core import working
from algoserver.domain.commands import SendChild
from algoserver.domain.types import PX_ONE, OrdType, Side, TimeInForce

MID = 200 * PX_ONE + PX_ONE // 100  # of the scripted book, 200.00 to 200.02
RIGHT = {
    "venue": "XLIT1", "symbol": "AAPL", "side": Side.BUY, "order_qty": 10, "price": 200 * PX_ONE, "ord_type": OrdType.LIMIT,
    "time_in_force": TimeInForce.DAY,
}  # fmt: skip
# Name of a crime -> what is wrong with its child, and how often it tries.
CRIMES: dict[str, tuple[dict[str, object], int]] = {
    "collar": ({"price": 211 * PX_ONE}, 20),
    "limit": ({"price": MID + PX_ONE}, 20),
    "qty": ({"order_qty": 2_001}, 20),
    "value": ({"order_qty": 1_900}, 20),
    "lot": ({"order_qty": -10}, 20),
    "tick": ({"price": 200 * PX_ONE + 1}, 20),
    "market": ({"ord_type": OrdType.MARKET, "price": 0}, 20),
    "symbol": ({"symbol": "GE"}, 20),
    "side": ({"side": Side.SELL}, 20),
    "nowhere": ({"venue": "NOWHERE"}, 20),
    "dark": ({"venue": "XDARK1"}, 20),
    "stranger": ({"child_id": "somebody-1.1"}, 20),
    "liar": ({"client": "CLIENT2", "algo": "VWAP", "desk": "none"}, 1),
    "conservation": ({"order_qty": 100}, 5_000),
    "open": ({}, 5_000),
    "repeats": ({"order_qty": 1}, 5_000),
    "cross": ({"side": Side.BUY, "price": MID + PX_ONE // 100}, 20),
    "resting": ({"side": Side.SELL, "price": MID + PX_ONE // 100}, 1),
    "rejected": ({"order_qty": 1}, 5_000),
    "wall": ({"order_qty": 1}, 5_000),
}
KNIGHT = "knight"
KNIGHT_QTY, KNIGHT_PX = 100, 200 * PX_ONE + PX_ONE // 50  # the far touch of the scripted book
KNIGHT_VENUES = ("XLIT1", "XLIT2", "XDARK1")
KNIGHT_GROWTH = 2  # for each that was filled
_honest, _done = working._act, set()


def resend(state, parent, ts, out) -> None:
    """Knight's: what was filled is sent again, twice, at each turn and to whatever venue comes next. A fill is a turn."""
    for _ in range(KNIGHT_GROWTH):
        venue = KNIGHT_VENUES[parent.next_child % len(KNIGHT_VENUES)]
        again = {"symbol": parent.symbol, "order_qty": KNIGHT_QTY, "price": KNIGHT_PX, "venue": venue}
        child = SendChild(**{**RIGHT, **again, "child_id": f"{parent.parent_id}.{parent.next_child}"})
        parent.next_child += 1
        working.send_child(state, parent, child, ts, out)


def act(state, setup, parent, own, placed, ts, out) -> None:
    """The algo of a parent that is named after a crime commits it once, Knight's at each turn; nothing else of that parent's leaves."""
    crime = parent.cl_ord_id.partition(" ")[0]
    if crime == KNIGHT and not placed.cancels:
        resend(state, parent, ts, out)
    elif crime not in CRIMES or placed.cancels:
        _honest(state, setup, parent, own, placed, ts, out)
    elif parent.parent_id not in _done:
        _done.add(parent.parent_id)
        wrong, tries = CRIMES[crime]
        for _ in range(tries):
            child = SendChild(**{**RIGHT, "child_id": f"{parent.parent_id}.{parent.next_child}", **wrong})
            parent.next_child += 1
            working.send_child(state, parent, child, ts, out)


if __name__ == "__main__":
    working._act = act
    main()
