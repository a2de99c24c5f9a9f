"""Conditional orders in the dark: indications that are firmed up when somebody is there.

CND-1: an indication (35=6, 28=N, R or C; 27 a number; 44 its limit, if any; 62 its end) is no order: it is not reported, never trades, and is
shown to nobody. One that can't be taken is answered by 35=j. A dark venue with firm_up_ms takes them.
CND-2: when the mid allows it, and somebody stands on the other side, a firm order or another indication, its client is invited (35=R, 131 the
IOIID, 38 what they have in common, 126 until when). Two indications are both invited. Indications of one client do not meet.
CND-3: he firms up by an order (40=E, 23 the IOIID) within firm_up_ms of market time, for at most what he indicated. It rests pegged to the mid
until that moment, like any other dark order, and what is left of it then is expired.
CND-4: an indication is over once it is firmed up, and when its invitation was not answered in time: there is no second one.
"""

from collections.abc import Callable

import msgspec

from algoserver.sim.config import Scenario
from algoserver.sim.dark import DarkBook
from algoserver.sim.reports import Indication, Invitation, NewOrderSingle
from algoserver.sim.source import FOREVER

MS = 1_000_000


class Standing(msgspec.Struct):
    """An indication that stands. until_ts: the end of its invitation, 0 before it."""

    indication: Indication
    until_ts: int = 0


class Indications:
    """Those of every dark venue, in the order in which they came."""

    def __init__(self, config: Scenario, book: Callable[[str, str], DarkBook | None]):
        self._windows = {v.name: v.firm_up_ms * MS for v in config.venues if v.firm_up_ms}
        self._book = book
        self._standing: dict[tuple[str, str, str], Standing] = {}

    def take(self, wish: Indication) -> str:
        """Take, replace or cancel an indication; why not, or nothing."""
        key = wish.venue, wish.client, wish.ioi_id
        if wish.venue not in self._windows:
            return "this venue takes no indications"
        if wish.kind == "C" or (wish.kind == "R" and wish.ref_id):
            if self._standing.pop((wish.venue, wish.client, wish.ref_id or wish.ioi_id), None) is None:
                return f"IOIRefID (26) {wish.ref_id or wish.ioi_id}: no such indication"
        elif key in self._standing:
            return f"IOIID (23) {wish.ioi_id} is already in use"
        if wish.kind != "C":
            self._standing[key] = Standing(wish)
        return ""

    def stand(self, symbol: str = "") -> bool:
        """Whether somebody waits for an invitation, which a move of the price may bring; "": in any instrument."""
        if not self._standing or not symbol:
            return bool(self._standing)
        return any(s.indication.symbol == symbol for s in self._standing.values())

    def invite(self, ts: int, symbol: str) -> list[Invitation]:
        """Invitations that are due now."""
        if not self._standing:
            return []
        self._end(ts)
        told = []
        for standing in [s for s in self._standing.values() if s.indication.symbol == symbol and not s.until_ts]:
            one = standing.indication
            book = self._book(one.venue, symbol)
            if standing.until_ts or book is None or not (mid := book.mid()) or not _allows(one, mid):
                continue
            other = next((s for s in self._standing.values() if not s.until_ts and _meets(one, s.indication, mid)), None)
            firm = book.against(one.side.sign, one.client)
            if other is None and not firm:
                continue
            common = min(one.qty, firm or other.indication.qty if other is not None else firm)
            told.append(self._invited(ts, standing, common))
            if other is not None and not firm:
                told.append(self._invited(ts, other, common))
        return told

    def refusal(self, ts: int, request: NewOrderSingle) -> str:
        """Why an order does not firm up an invited indication, or nothing."""
        standing = self._standing.get((request.venue, request.client, request.terms.ioi_id))
        if standing is None or not ts < standing.until_ts:
            return f"IOIID (23) {request.terms.ioi_id} is not invited now"
        same = standing.indication.symbol == request.symbol and standing.indication.side is request.side
        if not same or request.order_qty > standing.indication.qty:
            return "an order firms up at most what was indicated, on its side"
        return ""

    def firm(self, venue: str, client: str, ioi_id: str) -> int:
        """The indication has become an order: until when it may rest."""
        return self._standing.pop((venue, client, ioi_id)).until_ts

    def next_ts(self) -> int:
        """When the next invitation or indication ends."""
        if not self._standing:
            return FOREVER
        return min(min(s.until_ts or FOREVER, s.indication.until_ts) for s in self._standing.values())

    def expire(self, ts: int) -> None:
        """Forget what is over."""
        self._end(ts)

    def clear(self, symbol: str) -> None:
        """The day is over."""
        self._standing = {k: s for k, s in self._standing.items() if s.indication.symbol != symbol}

    def _end(self, ts: int) -> None:
        if self._standing and self.next_ts() <= ts:
            self._standing = {k: s for k, s in self._standing.items() if ts < min(s.until_ts or FOREVER, s.indication.until_ts)}

    def _invited(self, ts: int, standing: Standing, qty: int) -> Invitation:
        one = standing.indication
        standing.until_ts = ts + self._windows[one.venue]
        return Invitation(
            venue=one.venue, client=one.client, ts=ts, ioi_id=one.ioi_id, symbol=one.symbol, side=one.side, qty=qty, until_ts=standing.until_ts
        )  # fmt: skip


def _allows(one: Indication, mid: int) -> bool:
    return not one.px or (mid - one.px) * one.side.sign <= 0


def _meets(one: Indication, other: Indication, mid: int) -> bool:
    is_opposite = one.side.sign == -other.side.sign and one.client != other.client
    return is_opposite and (one.venue, one.symbol) == (other.venue, other.symbol) and _allows(other, mid)


