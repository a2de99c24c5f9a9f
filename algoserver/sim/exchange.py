"""The whole market in one process: venues, instruments, the crowd, and the time in which everything happens.

Rule 1: time is an argument. The same scenario, seed and requests at the same times give the same reports.
Rule 2: what was due before a request happens before it: `submit` runs the crowd up to its time first.
Rule 3: of what is due at one moment halts come first, then what expires, dealers, auctions' news, the crowd, and the dark crowd last.
Rule 4: in a trading halt nothing trades and nothing new is taken (103=2). What rests is kept, and can be canceled, or is
canceled by us (378=6), as the halt says. A halt that an operator ordered lasts until he ends it, or as long as he said.
"""

from collections.abc import Callable, Iterable, Mapping

from algoserver.domain.types import DAY, Instrument, OrdStatus, TimeInForce
from algoserver.sim import days
from algoserver.sim.auctions import Auctions
from algoserver.sim.blotter import Change
from algoserver.sim.book import Top
from algoserver.sim.config import Scenario
from algoserver.sim.counter import NOBODY, Counter
from algoserver.sim.halts import Halts, Mark, Stop
from algoserver.sim.luld import Luld
from algoserver.sim.phases import Phases
from algoserver.sim.reports import (
    Answer,
    AnyReport,
    Canceled,
    Expired,
    Indication,
    NewOrderSingle,
    OrderCancelReplaceRequest,
    OrderCancelRequest,
    OrderMassCancelRequest,
    OrderStatusRequest,
    Quote,
    QuoteRequest,
    Request,
    SecurityStatus,
    TradePrint,
)
from algoserver.sim.source import FOREVER, Crowd, Moment, Source
from algoserver.sim.sources import sources as made

RESTARTED = "venue restarted"  # Text (58) of an order canceled because its market died
CANCEL_ON_TRADING_HALT = 6  # ExecRestatementReason (378)
PAUSE = "LULD pause"  # Text (58) of the status


class Exchange:
    """A market on a scenario. turned: whether a trading day began, with something forgotten (days.py); who wrote that down sets it back.

    seed: replaces the scenario's. prefix: of every OrderID and ExecID. sources: by symbol, replace what the scenario
    says about them. Raises UnknownRecording, BrokenTape.
    """

    def __init__(self, config: Scenario, seed: int | None = None, prefix: str = "", sources: Mapping[str, Source] | None = None):
        self.config = config
        self.instruments: dict[str, Instrument] = {i.symbol: i.instrument() for i in config.instruments}
        self.venues = [v.name for v in config.venues]
        self._ts: int | None = None
        self._day_ts = 0  # when the next trading day begins
        self.turned = False
        seed = config.seed if seed is None else seed
        self._sources = made(config, seed, sources or {})
        self._halts = Halts(config.halts)
        self._halt_ts = FOREVER  # when a halt begins or ends next
        self._ordered: dict[str, Stop] = {}  # halts and pauses that the scenario does not know
        self.phases = Phases(self._sources)
        self.counter = Counter(config, self.instruments, self._sources, seed, prefix, self.phases)
        self._auctions = Auctions(config, self.counter, self._sources, self.phases)
        self._luld = {
            i.symbol: Luld(i.luld, i.instrument().tick, list(self._sources[i.symbol].books.values())) for i in config.instruments if i.luld
        }

        # A crowd that runs alone may come further than another has: what happened is put in order then.
        self._may_overtake = len(self._sources) > 1 and any(source.runs_alone for source in self._sources.values())
        # Who may have something due; most markets have no dealer, no price band and no dark crowd.
        self._clocks: list[Callable[[], int]] = [self.counter.next_ts]
        self._clocks += [self._auctions.next_ts] if config.imbalance_s else []
        self._clocks += [self.counter.dark.next_ts] if self.counter.dark.venues else []
        self._clocks += [luld.next_ts for luld in self._luld.values()]
        self._clocks += [source.next_ts for source in self._sources.values()]

    def submit(self, ts: int, request: Request | OrderMassCancelRequest) -> list[Answer]:
        """Run the market up to `ts`, then answer `request`. Everything that happened is in the answer, in order."""
        out = self.advance(ts)
        mark = len(out)
        match request:
            case NewOrderSingle():
                self.counter.new(ts, request, out)
            case OrderCancelRequest():
                self.counter.cancel(ts, request, out)
            case OrderCancelReplaceRequest():
                self.counter.replace(ts, request, out)
            case OrderStatusRequest():
                self.counter.status(ts, request, out)
            case OrderMassCancelRequest():
                self.counter.mass_cancel(ts, request, out)
            case _:
                raise AssertionError(request)
        self.moved(ts, request.symbol, out, mark)
        return out

    def advance(self, ts: int, stops_on: frozenset[type] = frozenset()) -> list[Answer]:
        """Run everything that is due up to and including `ts`. The first call starts the market at its `ts`.

        stops_on: kinds of answers that somebody waits for: the market stops at the first, and `now` is when.
        """
        out: list[Answer] = []
        if self._ts is None:
            for source in self._sources.values():
                source.start(ts)
            self.counter.dark.start(ts)
            self._auctions.start(ts)
            self._ts = ts
            self._halt(ts, out)
        assert ts >= self._ts, "time does not run backwards"
        while (due := self.next_ts()) <= ts:
            mark = len(out)
            if due == self._halt_ts:
                self._halt(due, out)
            elif due == self.counter.next_ts():
                self.counter.due(due, out)
            elif due == self._auctions.next_ts():
                self._auctions.publish(due, out)
            elif self._luld and (symbol := _due(self._luld, due)):
                self._pause(due, symbol, out)
            elif symbol := _due(self._sources, due):
                due = self._step(due, symbol, ts, stops_on, out)
            else:
                symbol, match = self.counter.dark.step()
                self.counter.told(due, symbol, match, out)
                out += self.counter.indications.invite(due, symbol)
            if not stops_on.isdisjoint(map(type, out[mark:])):
                ts = max(due, self._ts)
                break
        self._ts = ts
        if ts >= self._day_ts:
            self._turn(ts)
        if self._may_overtake:
            out.sort(key=lambda answer: answer.ts)
        return out

    def next_ts(self) -> int:
        """When the next event of the market is due; call `advance` then."""
        due = self._halt_ts
        for clock in self._clocks:  # asked three times an event: no list, no min()
            ts = clock()
            if ts < due:
                due = ts
        return due

    def status_ts(self) -> int:
        """Until when no word of a halt or a price band comes."""
        return self.now() if self._luld else self._halt_ts

    def book(self, venue: str, symbol: str, levels: int = 5) -> Top:
        """The best levels; of a venue without a book none."""
        book = self._sources[symbol].books.get(venue)
        return book.top(levels) if book else ((), ())

    def is_open(self, symbol: str) -> bool:
        """Whether it is trading hours in `symbol`."""
        return self.phases.is_open(symbol)

    def is_halted(self, symbol: str) -> bool:
        """Whether trading in `symbol` is halted now."""
        return self.phases.is_halted(symbol)

    def knows(self, venue: str, client: str, cl_ord_id: str) -> bool:
        """Whether an order of this client has or had this ClOrdID."""
        return self.counter.blotter.find(venue, client, cl_ord_id) is not None

    def refuse(self, ts: int, request: Request, ord_rej_reason: int, text: str) -> list[Answer]:
        """Reject a request whose fields can't be read as numbers of its instrument, with OrdRejReason (103) and text."""
        out = self.advance(ts)
        blotter = self.counter.blotter
        if isinstance(request, NewOrderSingle):
            known = blotter.find(request.venue, request.client, request.cl_ord_id)
            out.append(blotter.reject_duplicate(ts, request, known) if known else blotter.reject(ts, request, ord_rej_reason, text))
        else:
            assert isinstance(request, Change)
            if blotter.changeable(ts, request, out):
                blotter.reject_change(ts, request, 99, text, out)
        return out

    def restore(
        self, ts: int, past: Iterable[AnyReport], text: str = RESTARTED, counted: tuple[int, int] = (0, 0)
    ) -> list[Canceled | Expired]:
        """Take over the orders of a market that died, from its reports. Before any other call. counted: of `Blotter.counted`.

        The live ones stand again as they did, or are canceled, as `on_restart` says. Those of a day that is over are expired.
        """
        assert self._ts is None
        told: list[Canceled | Expired] = []
        kept = []
        for order in self.counter.blotter.restore(past, counted):
            is_asked = order.status is OrdStatus.PENDING_NEW or order.terms.ioi_id  # of somebody who does not remember
            is_canceled = self.config.on_restart == "cancel" or self.config.client(order.venue, order.client).cancel_on_disconnect
            is_unlisted = order.symbol not in self._sources or order.venue not in self.venues or not self.counter.lit.shows(order)
            if is_canceled or is_asked or is_unlisted:
                told.append(self.counter.blotter.end(Canceled, order, ts, text=text))
            elif not order.terms.expire_ts and self.config.session.window(order.ts)[1] <= ts:
                told.append(self.counter.blotter.end(Expired, order, ts, text="end of the trading day"))
            else:
                kept.append(order)
        self.counter.restore(kept)
        return told

    def quote(self, ts: int, request: QuoteRequest) -> Quote | None:
        """A dealer's quote now."""
        assert self._ts == ts, "the market is brought there first"
        return self.counter.dealers.quote(ts, request)

    def indicate(self, ts: int, wish: Indication) -> tuple[list[Answer], str]:
        """Take an indication: what happened meanwhile and because of it, and why it was refused, or nothing."""
        out = self.advance(ts)
        text = self.counter.indications.take(wish)
        out += self.counter.indications.invite(ts, wish.symbol)
        return out, text

    # What an operator or a scenario does.

    def halt(self, ts: int, symbol: str, seconds: int = 0, resting: str = "keep", text: str = "") -> list[Answer]:
        """Stop trading in an instrument, for so long or until `resume`."""
        out = self.advance(ts)
        self._ordered[symbol] = Stop(ts + seconds * 1_000_000_000 if seconds else FOREVER, resting, text=text)
        self._halt(ts, out)
        return out

    def pause(self, ts: int, symbol: str, seconds: int) -> list[Answer]:
        """Stop trading as at the limit of a price band, with a reopening auction at the end."""
        out = self.advance(ts)
        self._ordered[symbol] = Stop(ts + seconds * 1_000_000_000, takes_orders=True, text=PAUSE)
        self._halt(ts, out)
        return out

    def resume(self, ts: int, symbol: str) -> list[Answer]:
        """End a halt that was ordered, or a pause. A halt of the scenario's own ends when it says."""
        out = self.advance(ts)
        self._ordered.pop(symbol, None)
        self._halt(ts, out)
        return out

    def flows(self, symbol: str) -> bool:
        """Whether a crowd that can be told something trades in `symbol`, and no tape."""
        return isinstance(self._sources[symbol], Crowd)

    def now(self) -> int:
        """How far the market has been brought; 0 before it begins."""
        return self._ts or 0

    def mark(self) -> Mark:
        """What a market that goes on from here has to know besides the reports."""
        flows = {symbol: source for symbol, source in self._sources.items() if isinstance(source, Crowd)}
        return Mark({symbol: flow.reference_px() for symbol, flow in flows.items()}, dict(self._ordered))

    def remember(self, mark: Mark, ts: int) -> None:
        """Go on from where a market stood. Before any other call."""
        for symbol, px in mark.reference.items():
            source = self._sources.get(symbol)
            if isinstance(source, Crowd):
                source.shift(px / source.reference_px())
        self._ordered = {symbol: stop for symbol, stop in mark.stops.items() if stop.until_ts > ts and symbol in self._sources}

    def end_client(self, ts: int, venue: str, client: str, text: str) -> list[Answer]:
        """Cancel all that a client has working at a venue."""
        out = self.advance(ts)
        self.counter.end_all(ts, self.counter.working_of(venue, client), text, out)
        return out

    def source(self, symbol: str) -> Source:
        """What moves an instrument's books."""
        return self._sources[symbol]

    def moved(self, ts: int, symbol: str, out: list[Answer], mark: int) -> None:
        """What follows from anything that happened in an instrument; what happened stands in `out` from `mark` on."""
        if symbol not in self._sources:
            return
        self.counter.settle(ts, symbol, out)
        luld = self._luld.get(symbol)
        if luld is None or self.phases.is_halted(symbol):
            return
        source = self._sources[symbol]
        band = luld.begin(source.reference_px()) if source.is_open else None
        while mark < len(out) or band:
            if band:
                low, high = band
                out += [SecurityStatus(venue=v, symbol=symbol, ts=ts, is_halted=None, low_px=low, high_px=high) for v in self.venues]
                self.counter.confined(ts, symbol, out)
            answers, mark, band = out[mark:], len(out), None
            for answer in answers:
                if isinstance(answer, TradePrint) and answer.symbol == symbol and answer.venue in source.books:
                    band = luld.traded(ts, answer.px) or band
        luld.look(ts)

    # The course of a day.

    def _turn(self, ts: int) -> None:
        """A trading day has begun. It does not matter when somebody looks: what is over is looked up by requests alone."""
        begins = days.began(self.config.session, ts)
        forgot = self.counter.forget(begins - days.GRACE)
        self.turned |= forgot > 0 or self._day_ts > 0
        self._day_ts = begins + DAY

    def _step(self, ts: int, symbol: str, until_ts: int, stops_on: frozenset[type], out: list[Answer]) -> int:
        """The crowd's next event, and those after it that it may run alone; how far it came. The day opens and closes by it."""
        mark = len(out)
        source = self._sources[symbol]
        was_open = source.is_open
        if not was_open:
            for venue in self.counter.calls.due(ts, TimeInForce.AT_OPEN):
                self._auctions.hold(ts, venue, symbol, TimeInForce.AT_OPEN, out)
        moments = self._run(ts, symbol, until_ts, stops_on) if source.runs_alone else [(ts, source.step())]
        for ts, matches in moments:
            for match in matches:
                self.counter.told(ts, symbol, match, out)
        if was_open and not source.is_open:
            if symbol in self._luld:
                self._luld[symbol].clear()
            for venue in self.counter.calls.due(ts, TimeInForce.AT_CLOSE):
                self._auctions.hold(ts, venue, symbol, TimeInForce.AT_CLOSE, out)
            self.counter.expire_day(ts, symbol, out)
        self.moved(ts, symbol, out, mark)
        return ts

    def _run(self, ts: int, symbol: str, until_ts: int, stops_on: frozenset[type]) -> list[Moment]:
        """Let a crowd run until somebody could see it: a client, or who waits for an answer."""
        watch = self.counter.watch(symbol)
        asks = TradePrint in stops_on
        others = [n for n, s in self._sources.items() if n != symbol and (asks or s.is_watched or self.counter.watch(n) != NOBODY)]
        until = min(until_ts, self._halt_ts - 1, self.counter.next_ts() - 1, self._auctions.next_ts() - 1, self.counter.dark_ts())
        if stops_on:
            until = min([until, *[self._sources[n].next_ts() for n in others], *[luld.next_ts() for luld in self._luld.values()]])
        return self._sources[symbol].run(ts if watch.each else until, on_trade=asks or watch.trades, on_move=watch.moves)

    def _halt(self, ts: int, out: list[Answer]) -> None:
        """Halts that begin and end at `ts`."""
        self._ordered = {symbol: stop for symbol, stop in self._ordered.items() if stop.until_ts > ts}
        scripted = {symbol: Stop(self._halts.next_ts(ts), halt.resting) for symbol, halt in self._halts.at(ts).items()}
        stops = {**self._ordered, **scripted}
        self.phases.pausing = [symbol for symbol, stop in stops.items() if stop.takes_orders]
        self._halt_ts = min([self._halts.next_ts(ts), *[s.until_ts for s in self._ordered.values()]])
        for symbol in [s for s in self.phases.halted if s not in stops]:
            mark = len(out)
            self.phases.halted.remove(symbol)
            out += [SecurityStatus(venue=v, symbol=symbol, ts=ts, is_halted=False) for v in self.venues]
            self._auctions.reopen(ts, symbol, out)
            self.moved(ts, symbol, out, mark)  # its price is the first reference
            source = self._sources[symbol]
            for match in source.resume(ts) if isinstance(source, Crowd) else []:
                self.counter.told(ts, symbol, match, out)
            self.moved(ts, symbol, out, mark)
        for symbol, stop in stops.items():
            self._auctions.reopen_ts[symbol] = stop.until_ts
            if symbol not in self.phases.halted:
                self._stop(ts, symbol, stop, out)

    def _stop(self, ts: int, symbol: str, stop: Stop, out: list[Answer]) -> None:
        self.phases.halted.append(symbol)
        if symbol in self._luld:
            self._luld[symbol].clear()
        source = self._sources[symbol]
        assert isinstance(source, Crowd)  # the scenario halts no tape
        source.halt()
        out += [SecurityStatus(venue=v, symbol=symbol, ts=ts, is_halted=True, text=stop.text) for v in self.venues]
        if stop.resting == "cancel":
            self.counter.end_all(ts, self.counter.working(symbol), "trading halt", out, CANCEL_ON_TRADING_HALT)
        for _, dark in self.counter.dark.of(symbol) if stop.resting == "cancel" else ():
            dark.withdraw()

    def _pause(self, ts: int, symbol: str, out: list[Answer]) -> None:
        """The limit state has lasted too long."""
        self._ordered[symbol] = Stop(ts + self._luld[symbol].pause_ns, takes_orders=True, text=PAUSE)
        self._halt(ts, out)


def _due(clocks: Mapping[str, Source] | Mapping[str, Luld], ts: int) -> str:
    """The first symbol to which something happens at `ts`; "" for none."""
    for symbol, clock in clocks.items():
        if clock.next_ts() == ts:
            return symbol
    return ""
