"""The market's FIX 4.4 face: messages in, reports and market data out, the ledger between.

Rule 1: one thread drains the inbox, moves the market to the clock's time, writes the ledger and only then sends.
Rule 2: after a kill, each session expects the message after the last one in the ledger, so the engine asks for what
was received but not processed. A message that was processed is known by its number and ignored when it comes again.
Rule 3: orders that were live at the kill stand again as they did; what may not have left is sent again with PossResend (97=Y).
Where the scenario says so they are canceled instead ("venue restarted"), and all their reports are sent again before that, so that a
receiver who missed one is complete; he knows the others by ExecID. Halts, prices and sequence numbers go on too.
Rule 4: market data is only for who is logged on: a session that goes down has no subscriptions any more.
COD-1: when a session with cancel_on_disconnect goes down, its client's live orders at that venue are canceled, those for auctions too.
When the simulator itself dies every session has gone down.
COPY-1: a drop copy hears each report that its client hears, behind him and with him in 115, and may say nothing. A fault of the line
that names a client hits his order session alone.
THR-1: over messages_per_s, D is rejected (103=99), G refused (102=99), anything else answered by j; F and q always pass (throttle.py).
"""

import queue
import signal
import sys
import time
from pathlib import Path
from typing import Any

import structlog
from msgspec import DecodeError, json

from algoserver.clock import Clock
from algoserver.door import Caller, Door, error
from algoserver.fix.endpoint import DICTIONARIES, Endpoint, stored_exec_ids
from algoserver.log import open_log
from algoserver.settings import ClockConfig
from algoserver.sim import codec, codec_reports
from algoserver.sim.config import load
from algoserver.sim.console import Console
from algoserver.sim.exchange import Exchange
from algoserver.sim.halts import Mark
from algoserver.sim.ledger import Ledger, Line
from algoserver.sim.marketdata import MarketData
from algoserver.sim.quotes import Quotes, indication, invitation
from algoserver.sim.reports import (
    Answer,
    AnyReport,
    Canceled,
    CancelReject,
    Expired,
    Imbalance,
    Invitation,
    MassCancelReport,
    NewOrderSingle,
    OrderCancelReplaceRequest,
    OrderMassCancelRequest,
    OrderStatus,
    Request,
    SecurityStatus,
    TradePrint,
)
from algoserver.sim.sources import tapes
from algoserver.sim.stage import Stage
from algoserver.sim.throttle import Throttle

MS = 1_000_000
TURN_MIN_S = 0.002  # market events are gathered this long (wall): a turn costs more than the events in it
TURN_MAX_S = 0.5  # how late a signal or a stepped clock may be noticed
ASK_S_MAX = 5.0
Inbox = queue.SimpleQueue[tuple[str, str, str]]
STOP = ("stop", "", "")
MARK_S = 10.0  # wall time between two notes of where prices are
LEDGER_MIN = 1 << 20  # bytes: a ledger below that is left as it is at the turn of a day
GROUPED = ("35=W", "35=X", "35=R", "35=AG")  # bodies with groups
THROTTLED = "throttled: more than {} messages a second"


class Face:
    """A market, its ledger and its FIX sessions, moved by `turn`."""

    def __init__(self, exchange: Exchange, market_data: MarketData, ledger: Ledger, endpoint: Endpoint, clock: Clock, inbox: Inbox):
        self._exchange = exchange
        self._market_data = market_data
        self._ledger = ledger
        self._endpoint = endpoint
        self._clock = clock
        self._inbox = inbox
        # One text for all orders of a session: venue and client by its name.
        self._parties = {name: (venue, client) for name in endpoint.sessions for venue, _, client in [name.partition(":")[2].partition("->")]}
        self._copies = {c.session: c.client for c in exchange.config.drop_copies}  # session's CompID -> whose reports
        self._now = 0
        self._owed: dict[str, list[str]] = {}  # by session: bodies to send at its first logon after a restart
        self._quotes = Quotes(exchange, exchange.config.book_interval_ms * MS)
        self._throttle = Throttle(exchange.config)
        self._stage = Stage(exchange, {v.name: v.latency for v in exchange.config.venues})
        self._console = Console(exchange, self._stage)
        self._asking: dict[str, queue.SimpleQueue[dict[str, Any]]] = {}
        self._mark = Mark()
        self._mark_s = 0.0
        self._log = structlog.get_logger()

    def restore(self) -> None:
        """Bring back what the ledger knows. Before the endpoint starts."""
        self._now = self._clock.now()
        ledger = self._ledger
        if ledger.mark is not None:
            self._exchange.remember(ledger.mark, self._now)
        ended = self._exchange.restore(self._now, ledger.reports, counted=ledger.counted)
        lines = [Line(reports=list(ended))] if ended else []
        if not ledger.is_new:
            for session in self._endpoint.sessions:
                self._endpoint.rewind(session, ledger.last_seq.get(session, 0) + 1)
                lines.append(self._owe(session, ended))
            ledger.write(lines)
        ledger.reports = []
        # The first turn starts the market: what it then does to orders that stand again is told like anything else.

    def _owe(self, session: str, ended: list[Canceled | Expired]) -> Line:
        """Note what a session is to be told at its next logon: what it may have missed, then what ended meanwhile."""
        ledger = self._ledger
        live = {r.order_id for r in ended}
        stored = stored_exec_ids(self._endpoint.store_dir, session)
        owed = ledger.owed.get(session, [])
        # They leave in this order, the last for the first time: all left, and the kill came before the ledger's note of it.
        if owed and owed[-1] in stored:
            owed = []
        missed = {*owed, *(e for e in ledger.unconfirmed if e not in stored)}
        mine = [r for r in ledger.reports if not isinstance(r, CancelReject | MassCancelReport | OrderStatus) and session in self._hearers(r)]
        past = [r for r in mine if r.order_id in live or r.exec_id in missed]
        now = [r for r in ended if session in self._hearers(r)]
        self._owed[session] = [self._body(r, session, poss_resend=True) for r in past] + [self._body(r, session) for r in now]
        return Line(session=session, owed=[r.exec_id for r in [*past, *now]])

    def delay(self) -> float:
        """Wall seconds until the market needs a turn."""
        due = min(self._exchange.next_ts(), self._market_data.next_ts(), self._quotes.next_ts(), self._stage.next_ts())
        return min(max(self._clock.wall_delay(due - self._now), TURN_MIN_S), TURN_MAX_S)

    def turn(self, items: list[tuple[str, str, str]]) -> None:
        """Process what came in, move the market to now, write, send."""
        self._now = max(self._now, self._clock.now())  # the machine's clock may step back, a market does not
        lines: list[Line] = []
        sends: list[tuple[str, str]] = []
        paid: list[Line] = []
        told: list[tuple[str, dict[str, Any]]] = []
        self._answer(self._stage.advance(self._now) + self._exchange.advance(self._now), "", 0, lines, sends)
        self._market_data.stale = self._stage.wire.stale(self._now)
        for kind, session, text in self._stage.wire.read(self._now, items):
            if kind == "app":
                self._message(session, text, lines, sends)
            elif kind in ("up", "down"):
                self._log.info("session", session=session, state=kind, reason=text)
                self._market_data.drop(session)
                self._quotes.drop(session)
                if kind == "down":
                    self._gone(session, lines, sends)
                if kind == "up" and (owed := self._owed.pop(session, [])):
                    sends += [(session, body) for body in owed]
                    paid.append(Line(session=session, owed=[]))
            elif kind == "ask":
                said, answers = self._console.ask(self._now, json.decode(text.encode()))
                self._log.info("operator", request=text, error=said.get("error"))
                self._answer(answers, "", 0, lines, sends)
                told.append((session, said))
            elif kind == "rejected":
                self._log.warning("peer rejected a message", session=session, message=text.replace(codec.SOH, "|"))
        sends += self._market_data.sessions() + self._market_data.books(self._now) + self._quotes.look(self._now)
        self._note(lines)
        if lines:
            self._ledger.write(lines)
        self._send(self._stage.wire.due(self._now))
        self._send([(session, said) for session, body in sends for said in self._stage.wire.sent(self._now, session, body)])
        if paid:
            self._ledger.write(paid)
        self._act()
        if self._exchange.turned:
            self._forget()
        for number, answer in told:
            self._asking.pop(number).put(answer)

    def ask(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """An operator's question, from the door's thread: the next turn answers it."""
        number, box = str(time.monotonic_ns()), queue.SimpleQueue[dict[str, Any]]()
        self._asking[number] = box
        self._inbox.put(("ask", number, json.encode(request).decode()))
        try:
            return box.get(timeout=ASK_S_MAX)
        except queue.Empty:
            return error("timeout", f"no turn of the market within {ASK_S_MAX:g} s")

    def _send(self, sends: list[tuple[str, str]]) -> None:
        for session, body in sends:
            if not self._endpoint.send(session, body, body.startswith(GROUPED)):
                self._log.error("not sent", session=session, message=body.replace(codec.SOH, "|"))

    def _act(self) -> None:
        """Faults that only the engine can make."""
        actions, self._stage.actions = self._stage.actions, []
        for action in actions:
            for session in [s for s in self._endpoint.sessions if action.fault.concerns(s)]:
                if action.kind == "disconnect":
                    self._endpoint.disconnect(session)
                elif self._endpoint.is_logged_on(session):
                    self._endpoint.skip(session, action.fault.count)

    def _message(self, session: str, text: str, lines: list[Line], sends: list[tuple[str, str]]) -> None:
        pairs = codec.split(text)
        fields = dict(reversed(pairs))
        venue, client = self._parties[session]
        msg_type, is_poss_dup = fields["35"], fields.get("43") == "Y"
        if not text.isascii():
            sends.append((session, codec_reports.business_reject(fields, 0, "only ASCII is understood here")))
        elif client in self._copies:
            sends.append((session, codec_reports.business_reject(fields, 6, "a drop copy only listens")))
        elif venue not in self._exchange.venues:
            sends.append((session, codec_reports.business_reject(fields, 4, f"venue {venue} is not part of this market")))
        elif msg_type not in codec.REQUESTS and not self._throttle.admits(session, venue, client, self._now):
            limit = self._exchange.config.client(venue, client).messages_per_s
            sends.append((session, codec_reports.business_reject(fields, 0, THROTTLED.format(limit))))
        elif msg_type == "V":
            # A request from before a gap: the subscription ended with its session, and whoever wants it asks again.
            if not is_poss_dup:
                sends += [(session, body) for body in self._market_data.request(self._now, session, venue, pairs)]
        elif msg_type == "R":
            sends += [(session, body) for body in self._quotes.request(self._now, session, venue, client, fields)]
        elif msg_type == "Z":
            if text := self._quotes.cancel(session, fields):
                sends.append((session, codec_reports.business_reject(fields, 1, text)))
        elif msg_type == "6":
            self._indicate(session, venue, client, fields, lines, sends)
        elif msg_type == "e":
            sends += [(session, body) for body in self._market_data.watch(self._now, session, venue, pairs)]
        elif msg_type == "g":
            sends += [(session, body) for body in self._market_data.watch_session(session, fields)]
        elif msg_type in codec.REQUESTS:
            self._order(session, venue, client, fields, lines, sends)
        else:
            text = f"MsgType {msg_type} is not supported: D, F, G, H, q, V, R, Z, 6, e and g are"
            sends.append((session, codec_reports.business_reject(fields, 3, text)))

    def _indicate(
        self, session: str, venue: str, client: str, fields: dict[str, str], lines: list[Line], sends: list[tuple[str, str]]
    ) -> None:
        wish = indication(fields, venue, client, self._exchange)
        if isinstance(wish, codec.Garbled):
            sends.append((session, codec_reports.business_reject(fields, wish.reason, wish.text)))
            return
        answers, refused = self._exchange.indicate(self._now, wish)
        self._answer(answers, "", 0, lines, sends)
        if refused:
            sends.append((session, codec_reports.business_reject(fields, 0, refused)))

    def _order(
        self, session: str, venue: str, client: str, fields: dict[str, str], lines: list[Line], sends: list[tuple[str, str]]
    ) -> None:
        seq = int(fields["34"])
        is_known = self._exchange.knows(venue, client, fields.get("11", "")) and fields["35"] != "H"
        if fields.get("43") == "Y":
            last_seq = self._ledger.last_seq.get(session, 0)
            if fields["35"] != "H" and (seq <= last_seq or is_known):
                return
            seq = max(seq, last_seq)
        self._ledger.last_seq[session] = seq
        is_mass = fields["35"] == "q"
        request: Request | OrderMassCancelRequest | codec.Unreadable | codec.Garbled = (
            codec.mass_cancel(fields, venue, client) if is_mass else codec.request(fields, venue, client, self._exchange.instruments)
        )
        answers: list[Answer] = []
        if fields["35"] not in ("F", "q") and not self._throttle.admits(session, venue, client, self._now):
            text = THROTTLED.format(self._exchange.config.client(venue, client).messages_per_s)
            asked = request.request if isinstance(request, codec.Unreadable) else request
            if isinstance(asked, NewOrderSingle | OrderCancelReplaceRequest):
                answers = self._exchange.refuse(self._now, asked, 99, text)
            else:
                sends.append((session, codec_reports.business_reject(fields, 0, text)))
        elif fields["35"] in ("D", "G") and not isinstance(request, codec.Garbled) and self._stage.wire.refuses(self._now, session):
            asked = request.request if isinstance(request, codec.Unreadable) else request
            assert isinstance(asked, Request)
            answers = self._exchange.refuse(self._now, asked, 0, "refused: a storm of rejects")
        elif isinstance(request, codec.Garbled):
            sends.append((session, codec_reports.business_reject(fields, request.reason, request.text)))
        elif isinstance(request, codec.Unreadable):
            answers = self._exchange.refuse(self._now, request.request, request.reason, request.text)
        else:
            answers = self._exchange.submit(self._now, request)
        self._answer(answers, session, seq, lines, sends)

    def _answer(self, answers: list[Answer], session: str, seq: int, lines: list[Line], sends: list[tuple[str, str]]) -> None:
        """Sort answers into the ledger's line and the messages to send: reports before the prints of the same moment."""
        reports = [a for a in answers if not isinstance(a, TradePrint | SecurityStatus | Imbalance | Invitation)]
        sends += [(_session(a), invitation(a, self._exchange)) for a in answers if isinstance(a, Invitation)]
        sends += self._market_data.imbalances([a for a in answers if isinstance(a, Imbalance)])
        sends += self._market_data.statuses([a for a in answers if isinstance(a, SecurityStatus)])
        prints = [a for a in answers if isinstance(a, TradePrint)]
        if reports or session:
            lines.append(Line(session=session, seq=seq, reports=reports))
        sends += [(hearer, self._body(r, hearer)) for r in reports for hearer in self._hearers(r)]
        if prints:
            sends += self._market_data.prints(prints)

    def _hearers(self, report: AnyReport) -> list[str]:
        """Sessions that hear a report: its client's, and copies of that."""
        copies = [name for name, client in self._copies.items() if client == report.client]
        return [_session(report), *(f"FIX.4.4:{report.venue}->{name}" for name in copies)]

    def _body(self, report: AnyReport, session: str, poss_resend: bool = False) -> str:
        body = codec_reports.report(report, self._exchange.instruments, poss_resend)
        return body if session == _session(report) else codec_reports.copy(body, report.client)

    def _gone(self, session: str, lines: list[Line], sends: list[tuple[str, str]]) -> None:
        """A session is down."""
        venue, client = self._parties[session]
        if venue in self._exchange.venues and self._exchange.config.client(venue, client).cancel_on_disconnect:
            self._answer(self._exchange.end_client(self._now, venue, client, "cancel on disconnect"), "", 0, lines, sends)

    def _forget(self) -> None:
        """A day has begun, and all that was written has left: the ledger keeps what the market remembers (DAY-4)."""
        self._exchange.turned = False
        if self._ledger.size() < LEDGER_MIN:
            return
        blotter = self._exchange.counter.blotter
        try:
            self._ledger.shrink({order.order_id for order in blotter.every()}, blotter.counted)
            self._log.info("ledger written anew", bytes=self._ledger.size())
        except (OSError, DecodeError) as failed:  # the old one stands, and the next day asks again
            self._log.error("ledger not written anew", error=str(failed))

    def _note(self, lines: list[Line]) -> None:
        """Where prices are and what is halted, for whoever goes on from here: at changes of the one, and now and then of the other."""
        mark = self._exchange.mark()
        if time.monotonic() >= self._mark_s or mark.stops != self._mark.stops:
            self._mark, self._mark_s = mark, time.monotonic() + MARK_S
            lines.append(Line(mark=mark))


def run(config_path: Path, state_dir: Path, port: int | None = None, epochs: ClockConfig | None = None, tape: str = "") -> None:
    """Serve the market of a scenario until SIGTERM or SIGINT. epochs: replaces the scenario's [clock]; tape: the file of its recording.

    Prints a line that starts with "ready" when it accepts logons. Raises BadConfig, BadSessions, BrokenTape,
    BrokenLedger, UnknownRecording.
    """
    scenario = load(config_path, tape)
    clock = (epochs or scenario.clock).clock(time.time_ns())
    state_dir.mkdir(parents=True, exist_ok=True)
    open_log(state_dir / "log" / "sim.jsonl")
    log = structlog.get_logger()
    inbox: Inbox = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: inbox.put(STOP))
    # Two runs with an empty state must not give two events one ExecID: the moment of birth tells them apart.
    ledger = Ledger(state_dir / "ledger.jsonl", new_prefix=f"{time.time_ns() // MS:x}-")
    exchange = Exchange(scenario, prefix=ledger.prefix)
    for told in tapes(exchange):
        print(told, file=sys.stderr, flush=True)
        log.info("tape", told=told)
    overrides = {"SocketAcceptPort": str(port)} if port is not None else {}
    endpoint = Endpoint(DICTIONARIES / "sim.cfg", state_dir, "acceptor", inbox, overrides)
    face = Face(exchange, MarketData(exchange, scenario.book_interval_ms * MS), ledger, endpoint, clock, inbox)
    door = Door(state_dir, face.ask)
    face.restore()
    endpoint.start()
    door.start()
    symbols = ",".join(exchange.instruments)
    log.info("ready", scenario=str(config_path), seed=scenario.seed, symbols=symbols, speed=clock.speed)
    print(f"ready: {', '.join(endpoint.sessions)}; {symbols}", flush=True)
    try:
        _serve(face, inbox)
    finally:
        door.stop()
        endpoint.stop()
        endpoint.free()
        ledger.close()
        log.info("stopped")


def _serve(face: Face, inbox: Inbox) -> None:
    while True:
        items: list[tuple[str, str, str]] = []
        try:
            items.append(inbox.get(timeout=face.delay()))
            while True:
                items.append(inbox.get_nowait())
        except queue.Empty:
            pass
        face.turn([i for i in items if i != STOP])
        if STOP in items:
            return


def _session(report: AnyReport | Invitation) -> str:
    return f"FIX.4.4:{report.venue}->{report.client}"
