"""Quotes and indications as FIX 4.4 text: dealers' streams (R, S, Z, AG), what the dark is told and asks (6, R). Pure: time is an argument.

Rule 1: a stream is looked at once per interval of market time; the first quote comes with the request.
Rule 2: a session that goes down has no streams any more, and its quotes are over.
"""

import msgspec

from algoserver.domain.types import Side, px, px_text, qty, qty_text, utc, utc_text
from algoserver.sim.codec import Garbled
from algoserver.sim.exchange import Exchange
from algoserver.sim.reports import GOOD_TILL_CANCEL, Indication, Invitation, Quote, QuoteRequest
from algoserver.sim.source import FOREVER

UNKNOWN_SYMBOL, NO_MARKET, OTHER = "1", "8", "99"  # QuoteRequestRejectReason (658)


class Stream(msgspec.Struct):
    """What a client asked for. told: the last quote, None while there is none."""

    session: str
    request: QuoteRequest
    told: Quote | None = None


class Quotes:
    """Every stream of a market. interval: ns of market time between two looks at the prices."""

    def __init__(self, exchange: Exchange, interval: int):
        self._exchange = exchange
        self._interval = interval
        self._due = 0
        self._streams: dict[tuple[str, str], Stream] = {}

    def request(self, ts: int, session: str, venue: str, client: str, fields: dict[str, str]) -> list[str]:
        """Answer a QuoteRequest (R): the first quote, or AG."""
        asked = QuoteRequest(venue=venue, client=client, quote_req_id=fields.get("131", ""), symbol=fields.get("55", ""))
        if venue not in self._exchange.counter.dealers.venues:
            return [_refusal(asked, OTHER, f"{venue} quotes nobody: a dealer does")]
        if asked.symbol not in self._exchange.instruments:
            return [_refusal(asked, UNKNOWN_SYMBOL, f"unknown symbol {asked.symbol}: this dealer quotes {', '.join(self._exchange.instruments)}")]
        if not asked.quote_req_id or (session, asked.quote_req_id) in self._streams:
            return [_refusal(asked, OTHER, f"QuoteReqID (131) {asked.quote_req_id!r} is empty or already in use")]
        if not self._streams:
            self._due = ts + self._interval
        stream = self._streams[session, asked.quote_req_id] = Stream(session, asked)
        return self._tell(ts, stream)

    def cancel(self, session: str, fields: dict[str, str]) -> str:
        """End a stream by the client's QuoteCancel (Z); why not, or nothing."""
        stream = self._streams.pop((session, fields.get("131", "")), None)
        if stream is None:
            return f"QuoteReqID (131) {fields.get('131', '')}: no such stream"
        self._exchange.counter.dealers.withdraw(stream.request)
        return ""

    def look(self, ts: int) -> list[tuple[str, str]]:
        """(session, body) of the quotes that are new now, if the interval is over; else nothing."""
        if ts < self._due:
            return []
        self._due = ts + self._interval
        return [(s.session, body) for s in list(self._streams.values()) for body in self._again(ts, s)]

    def next_ts(self) -> int:
        """When `look` is to be asked next."""
        return self._due if self._streams else FOREVER

    def drop(self, session: str) -> None:
        """End the streams of a session that is down."""
        for key in [k for k in self._streams if k[0] == session]:
            self._exchange.counter.dealers.withdraw(self._streams.pop(key).request)

    def _again(self, ts: int, stream: Stream) -> list[str]:
        told = stream.told
        prices = self._exchange.counter.dealers.price(stream.request)
        is_young = told is not None and 2 * (told.until_ts - ts) > told.until_ts - told.ts
        if told is not None and is_young and prices == (told.bid_px, told.offer_px):
            return []
        return [] if told is None and prices == (0, 0) else self._tell(ts, stream)

    def _tell(self, ts: int, stream: Stream) -> list[str]:
        before, stream.told = stream.told, self._exchange.quote(ts, stream.request)
        if stream.told is None:
            quote_id = before.quote_id if before is not None else "*"
            return [f"35=Z\x01131={stream.request.quote_req_id}\x01117={quote_id}\x01298=1\x01"]
        q = stream.told
        size = qty_text(q.qty, self._exchange.instruments[q.symbol].qty_decimals)
        return [
            f"35=S\x01131={q.quote_req_id}\x01117={q.quote_id}\x01537=1\x0155={q.symbol}\x01132={px_text(q.bid_px)}\x01133={px_text(q.offer_px)}\x01"
            f"134={size}\x01135={size}\x0162={utc_text(q.until_ts)}\x0160={utc_text(q.ts)}\x01"
        ]


def indication(fields: dict[str, str], venue: str, client: str, exchange: Exchange) -> Indication | Garbled:
    """Decode an IOI (6)."""
    symbol, kind = fields.get("55", ""), fields.get("28", "")
    instrument = exchange.instruments.get(symbol)
    if instrument is None or kind not in ("N", "C", "R") or not fields.get("23"):
        return Garbled(5, "IOIID (23), IOITransType (28) N, C or R, and a Symbol (55) of this venue are required")
    try:
        return Indication(
            venue=venue, client=client, ioi_id=fields["23"], kind=kind, symbol=symbol, side=Side(fields.get("54", "")),
            qty=_positive(qty(fields.get("27", ""), instrument.qty_decimals)), px=_positive(px(fields["44"])) if "44" in fields else 0,
            ref_id=fields.get("26", ""), until_ts=utc(fields["62"]) if "62" in fields else GOOD_TILL_CANCEL,
        )  # fmt: skip
    except ValueError as e:
        return Garbled(0, f"Side (54), IOIQty (27), Price (44) or ValidUntilTime (62): {e}")


def invitation(answer: Invitation, exchange: Exchange) -> str:
    """Body of the QuoteRequest (R) that asks a client to firm up."""
    size = qty_text(answer.qty, exchange.instruments[answer.symbol].qty_decimals)
    until = utc_text(answer.until_ts)
    return f"35=R\x01131={answer.ioi_id}\x01146=1\x0155={answer.symbol}\x0154={answer.side.value}\x0138={size}\x01126={until}\x0140=P\x01"


def _positive(value: int) -> int:
    if value <= 0:
        raise ValueError("a number above zero is needed")
    return value


def _refusal(asked: QuoteRequest, reason: str, text: str) -> str:
    symbol = asked.symbol or "N/A"
    return f"35=AG\x01131={asked.quote_req_id or 'NONE'}\x01658={reason}\x01146=1\x0155={symbol}\x0158={text}\x01"
