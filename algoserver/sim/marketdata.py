"""Market data subscriptions: who wants which book and trades, and the messages that tell them. Pure: time is an argument.

Rule 1: every trade is told, none is merged with another: one group entry (279=0, 269=2) each, in order.
Rule 2: a book is told at most once per interval of market time, and only if its best levels changed since.
Rule 3: 265=0 tells a book as a whole (W), 265=1 as changes of levels (X) after a first W. Trades are always X.
Rule 4: halts, price bands and imbalances (f) are told to who asked for the status of the instrument (e). A venue as a whole (g) is open
while one of its instruments is, halted while all that are open are halted.
Rule 5: depth is ten levels a side, fewer if MarketDepth (264) asks for fewer; 0 (full book) means ten.
Rule 6: who asks for 269=A is told what a coming auction would come to: an entry A (270 price, 271 surplus, 277=P more buyers or Q more
sellers) and an entry B (271 what would trade).
"""

from collections.abc import Sequence

import msgspec

from algoserver.domain.types import px_text, qty_text, utc_text
from algoserver.sim.exchange import Exchange
from algoserver.sim.reports import Imbalance, SecurityStatus, TradePrint
from algoserver.sim.source import FOREVER

DEPTH = 10
BID, OFFER, TRADE, IMBALANCE = "0", "1", "2", "A"
# SecurityTradingStatus (326): trading halt, resume, trading range, ready to trade, pre-open.
HALTED, RESUMED, RANGE, READY, PRE_OPEN = "2", "3", "6", "17", "21"
# The same of an imbalance, and of one on the close: more buyers, more sellers, none.
IMBALANCES = {False: {1: "7", -1: "8", 0: "12"}, True: {1: "9", -1: "10", 0: "13"}}
# TradSesStatus (340).
SESSION_HALTED, SESSION_OPEN, SESSION_CLOSED = "1", "2", "3"
Levels = tuple[tuple[int, int], ...]
Fields = Sequence[tuple[str, str]]


class Subscription(msgspec.Struct):
    """A live MarketDataRequest. told: the last levels sent, by symbol and entry type."""

    session: str
    venue: str
    md_req_id: str
    symbols: list[str]
    entry_types: list[str]
    depth: int
    incremental: bool
    told: dict[tuple[str, str], Levels] = {}


class MarketData:
    """All subscriptions of a market. interval: ns of market time between two looks at the books."""

    def __init__(self, exchange: Exchange, interval: int):
        self._exchange = exchange
        self._interval = interval
        self._due = 0
        self.stale: set[str] = set()  # venues whose market data stands still, "" for all: kept by the face
        self._subscriptions: dict[tuple[str, str], Subscription] = {}
        self._session_watchers: dict[tuple[str, str], str] = {}  # session, TradSesReqID -> TradSesStatus that was told
        self._watchers: dict[tuple[str, str], tuple[str, str]] = {}  # session, SecurityStatusReqID -> venue, symbol

    def request(self, ts: int, session: str, venue: str, fields: Fields) -> list[str]:
        """Answer a MarketDataRequest (V) with the bodies to send: a W per symbol, or one Y."""
        first = dict(reversed(fields))
        md_req_id, kind = first.get("262", ""), first.get("263", "")
        if kind == "2":
            gone = self._subscriptions.pop((session, md_req_id), None)
            return [] if gone else [_refusal(md_req_id, None, f"no subscription {md_req_id}")]
        wrong = self._wrong(session, md_req_id, kind, fields, first)
        if wrong:
            return [_refusal(md_req_id, *wrong)]
        wanted = Subscription(
            session=session,
            venue=venue,
            md_req_id=md_req_id,
            symbols=list(dict.fromkeys(v for t, v in fields if t == "55")),
            entry_types=list(dict.fromkeys(v for t, v in fields if t == "269")),
            depth=min(int(first["264"]) or DEPTH, DEPTH),
            incremental=first.get("265") == "1",
            told={},
        )
        if kind == "1":
            if not self._subscriptions:
                self._due = ts + self._interval
            self._subscriptions[session, md_req_id] = wanted
        return [self._full(ts, wanted, symbol) for symbol in wanted.symbols]

    def prints(self, trades: list[TradePrint]) -> list[tuple[str, str]]:
        """(session, body) for everybody who asked for trades: one X each, one entry per trade."""
        out = []
        for sub in self._subscriptions.values():
            if TRADE in sub.entry_types and not self.stale & {"", sub.venue}:
                entries = [self._trade(t) for t in trades if t.venue == sub.venue and t.symbol in sub.symbols]
                if entries:
                    out.append((sub.session, _incremental(sub.md_req_id, entries)))
        return out

    def imbalances(self, told: list[Imbalance]) -> list[tuple[str, str]]:
        """(session, body) for everybody who asked for imbalances, and for who asked for the status of the instrument."""
        out = []
        for sub in self._subscriptions.values():
            if IMBALANCE in sub.entry_types:
                entries = [entry for i in told if i.venue == sub.venue and i.symbol in sub.symbols for entry in self._imbalance(i)]
                if entries:
                    out.append((sub.session, _incremental(sub.md_req_id, entries)))
        for i in told:
            status = IMBALANCES[i.is_close][(i.surplus > 0) - (i.surplus < 0)]
            d = self._exchange.instruments[i.symbol].qty_decimals
            buys, sells = i.volume + max(i.surplus, 0), i.volume + max(-i.surplus, 0)
            more = f"31={px_text(i.px)}\x01330={qty_text(buys, d)}\x01331={qty_text(sells, d)}\x01"
            out += [(session, _status(req_id, i.symbol, status, i.ts) + more) for session, req_id in self._watching(i.venue, i.symbol)]
        return out

    def watch(self, ts: int, session: str, venue: str, fields: Fields) -> list[str]:
        """Answer a SecurityStatusRequest (e) with how the instrument stands now; 263=1 asks for every change too."""
        first = dict(fields)
        req_id, symbol, kind = first.get("324", ""), first.get("55", ""), first.get("263", "")
        if kind == "2":
            self._watchers.pop((session, req_id), None)
            return []
        if symbol not in self._exchange.instruments:
            return [_status(req_id, symbol, "20", ts)]  # unknown
        if kind == "1":
            self._watchers[session, req_id] = venue, symbol
        now = READY if self._exchange.is_open(symbol) else PRE_OPEN
        return [_status(req_id, symbol, HALTED if self._exchange.is_halted(symbol) else now, ts)]

    def statuses(self, changes: list[SecurityStatus]) -> list[tuple[str, str]]:
        """(session, body) for everybody who asked for the status of an instrument."""
        out = []
        for c in changes:
            status = RANGE if c.is_halted is None else HALTED if c.is_halted else RESUMED
            more = f"58={c.text}\x01" if c.text else ""
            if c.high_px:
                more += f"332={px_text(c.high_px)}\x01333={px_text(c.low_px)}\x01"
            out += [(session, _status(req_id, c.symbol, status, c.ts) + more) for session, req_id in self._watching(c.venue, c.symbol)]
        return out

    def watch_session(self, session: str, fields: dict[str, str]) -> list[str]:
        """Answer a TradingSessionStatusRequest (g) with how the venue as a whole stands; 263=1 asks for every change too."""
        req_id, kind = fields.get("335", ""), fields.get("263", "")
        if kind == "2":
            self._session_watchers.pop((session, req_id), None)
            return []
        status = self._session_status()
        if kind == "1":
            self._session_watchers[session, req_id] = status
        return [_session_body(req_id, status)]

    def sessions(self) -> list[tuple[str, str]]:
        """(session, body) for everybody who asked for a venue as a whole, if that has changed."""
        status = self._session_status() if self._session_watchers else ""
        changed = [key for key, told in self._session_watchers.items() if told != status]
        self._session_watchers.update(dict.fromkeys(changed, status))
        return [(session, _session_body(req_id, status)) for session, req_id in changed]

    def _session_status(self) -> str:
        """TradSesStatus (340). Its instruments have their own hours and halts."""
        opened = [s for s in self._exchange.instruments if self._exchange.is_open(s)]
        is_halted = opened and all(self._exchange.is_halted(s) for s in opened)
        return SESSION_HALTED if is_halted else SESSION_OPEN if opened else SESSION_CLOSED

    def books(self, ts: int) -> list[tuple[str, str]]:
        """(session, body) for every changed book, if the interval is over; else nothing."""
        if ts < self._due:
            return []
        self._due = ts + self._interval
        out = []
        for sub in [s for s in self._subscriptions.values() if not self.stale & {"", s.venue}]:
            for symbol in sub.symbols:
                now = self._levels(sub, symbol)
                before = {t: sub.told.get((symbol, t), ()) for t in now}
                if now == before:
                    continue
                if sub.incremental:
                    entries = [e for t in now for e in self._changes(symbol, t, before[t], now[t])]
                    out.append((sub.session, _incremental(sub.md_req_id, entries)))
                    sub.told.update({(symbol, t): levels for t, levels in now.items()})
                else:
                    out.append((sub.session, self._full(ts, sub, symbol)))
        return out

    def next_ts(self) -> int:
        """When `books` is to be asked next."""
        return self._due if self._subscriptions else FOREVER

    def drop(self, session: str) -> None:
        """Forget the subscriptions of a session that is down."""
        for key in [k for k in self._subscriptions if k[0] == session]:
            del self._subscriptions[key]
        for key in [k for k in self._watchers if k[0] == session]:
            del self._watchers[key]
        for key in [k for k in self._session_watchers if k[0] == session]:
            del self._session_watchers[key]

    def _wrong(self, session: str, md_req_id: str, kind: str, fields: Fields, first: dict[str, str]) -> tuple[str, str] | None:
        """MDReqRejReason (281) and text, or None."""
        depth = first.get("264", "")
        unknown = [v for t, v in fields if t == "55" and v not in self._exchange.instruments]
        if kind not in ("0", "1"):
            return "4", f"SubscriptionRequestType {kind!r}: 0, 1 and 2 are supported"
        if (session, md_req_id) in self._subscriptions:
            return "1", f"MDReqID {md_req_id} is already in use"
        if unknown or "55" not in first:
            return "0", f"unknown symbol {' '.join(unknown)}: this venue lists {', '.join(self._exchange.instruments)}"
        if not (depth.isascii() and depth.isdecimal() and len(depth) < 10):
            return "5", f"MarketDepth {depth!r} is not a number of levels"
        if kind == "1" and first.get("265", "0") not in ("0", "1"):
            return "6", f"MDUpdateType {first['265']!r}: 0 and 1 are supported"
        if any(t == "269" and v not in (BID, OFFER, TRADE, IMBALANCE) for t, v in fields) or "269" not in first:
            return "8", "MDEntryType: 0, 1, 2 and A are supported"
        return None

    def _levels(self, sub: Subscription, symbol: str) -> dict[str, Levels]:
        bids, asks = self._exchange.book(sub.venue, symbol, sub.depth)
        sides = {BID: bids, OFFER: asks}
        return {t: sides[t] for t in sub.entry_types if t in sides}

    def _full(self, ts: int, sub: Subscription, symbol: str) -> str:
        """Body of a W. MDEntryDate and MDEntryTime stand in its first entry, for all."""
        d = self._exchange.instruments[symbol].qty_decimals
        entries = []
        for entry_type, levels in self._levels(sub, symbol).items():
            sub.told[symbol, entry_type] = levels
            entries += [f"269={entry_type}\x01270={px_text(p)}\x01271={qty_text(q, d)}\x01" for p, q in levels]
        if entries:
            entries[0] += _when(ts)
        return f"35=W\x01262={sub.md_req_id}\x0155={symbol}\x01268={len(entries)}\x01" + "".join(entries)

    def _changes(self, symbol: str, entry_type: str, before: Levels, now: Levels) -> list[str]:
        d = self._exchange.instruments[symbol].qty_decimals
        old, new = dict(before), dict(now)
        gone = [f"279=2\x01269={entry_type}\x0155={symbol}\x01270={px_text(p)}\x01" for p in old if p not in new]
        changed = [
            f"279={'1' if p in old else '0'}\x01269={entry_type}\x0155={symbol}\x01270={px_text(p)}\x01271={qty_text(q, d)}\x01"
            for p, q in now
            if old.get(p) != q
        ]
        return gone + changed

    def _trade(self, t: TradePrint) -> str:
        size = qty_text(t.qty, self._exchange.instruments[t.symbol].qty_decimals)
        return f"279=0\x01269=2\x0155={t.symbol}\x01270={px_text(t.px)}\x01271={size}\x01{_when(t.ts)}"

    def _imbalance(self, i: Imbalance) -> list[str]:
        d = self._exchange.instruments[i.symbol].qty_decimals
        more = f"277={'P' if i.surplus > 0 else 'Q'}\x01" if i.surplus else ""
        price, when = px_text(i.px), _when(i.ts)
        return [
            f"279=0\x01269=A\x0155={i.symbol}\x01270={price}\x01271={qty_text(abs(i.surplus), d)}\x01{when}{more}",
            f"279=0\x01269=B\x0155={i.symbol}\x01270={price}\x01271={qty_text(i.volume, d)}\x01{when}",
        ]

    def _watching(self, venue: str, symbol: str) -> list[tuple[str, str]]:
        return [key for key, watched in self._watchers.items() if watched == (venue, symbol)]


def _incremental(md_req_id: str, entries: list[str]) -> str:
    return f"35=X\x01262={md_req_id}\x01268={len(entries)}\x01" + "".join(entries)


def _session_body(req_id: str, status: str) -> str:
    return f"35=h\x01335={req_id}\x01336=1\x01340={status}\x01"


def _status(req_id: str, symbol: str, status: str, ts: int) -> str:
    return f"35=f\x01324={req_id}\x0155={symbol}\x01326={status}\x0160={utc_text(ts)}\x01"


def _when(ts: int) -> str:
    date, _, time = utc_text(ts).partition("-")
    return f"272={date}\x01273={time}\x01"


def _refusal(md_req_id: str, reason: str | None, text: str) -> str:
    return f"35=Y\x01262={md_req_id}\x01" + (f"281={reason}\x01" if reason else "") + f"58={text}\x01"
