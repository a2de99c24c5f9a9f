"""When a trading day begins, and what the venues forget then. Pure: time is an argument.

DAY-1: a trading day begins at the session's `open`; where the market never closes, at midnight UTC. An order is forgotten then, with its
ClOrdIDs and its fills, if it is over and nothing has happened to it for an hour. What lives stays, whatever its age, and all that it did.
DAY-2: who is forgotten is unknown: a status request (H) is answered by 39=8 and 103=5, a cancel or replace by 102=1, both with OrderID NONE;
no bust, correction or late fill can happen to him; and his ClOrdIDs can be used again, with PossResend (97=Y) too.
DAY-3: no OrderID and no ExecID comes twice, over days and restarts.
DAY-4: a ledger of more than a megabyte is written anew then, with what is not forgotten. A kill at any moment leaves the old one or the new one.

FIX 4.4 asks for a ClOrdID that is unique within a trading day, and of orders over several days for one that stays so: those live.
"""

from algoserver.domain.types import DAY, SECOND
from algoserver.sim.config import SessionHours

# A client may cancel or ask about what ended a moment ago: a market that never closes has no night between two days.
GRACE = 3_600 * SECOND


def began(hours: SessionHours, ts: int) -> int:
    """When the trading day began that `ts` belongs to, or the last one if `ts` is in the night."""
    opens, _ = hours.window(ts)
    return opens if opens <= ts else opens - DAY
