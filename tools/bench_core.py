"""Events per second of the core with many working parents: live (step and journal, a commit per batch) and replay.

Everything runs on one core in this process. A small market is made up, which answers every child, so that parents work as in
a day: quotes, trades, acknowledgements, fills, cancels, wakeups. The runs are interleaved: what slows the machine slows both.
"""

import argparse
import gc
import json
import random
import statistics
import tempfile
import time
from collections import Counter, deque
from pathlib import Path

import msgspec

from algoserver.cli import settle_interpreter
from algoserver.core import admission, exposure, risk
from algoserver.core import market as markets
from algoserver.core.bounds import bounds
from algoserver.core.engine import next_wakeup, step
from algoserver.core.market import Market, Quote
from algoserver.core.state import State
from algoserver.domain import commands as c
from algoserver.domain import events as e
from algoserver.domain.limits import LIMITS, Limits
from algoserver.domain.params import NO_PARAMS, AlgoParams
from algoserver.domain.policy import AlgoDefaults, InstrumentSetup, Layer, RiskPolicy, SessionHours, Venue
from algoserver.domain.types import DAY, MINUTE, PPM_ONE, PX_ONE, SECOND, Instrument, OrdStatus, OrdType, Side, Strategy, TimeInForce, utc
from algoserver.journal import NO_OUTPUTS, Journal, read

START_TS = utc("20190628-14:00:00")
BATCH = 64  # events per commit, as under load in the server
CENT = PX_ONE // 100
VENUES = ("XLIT1", "XLIT2")
SPREAD = 2 * CENT
ROOM = 10**17  # of a limit that is looked at and never binds
OPEN = 200  # children that rest meanwhile, as of a parent at work
VWAP = int(Strategy.VWAP)  # as the wire has it: an enum takes its time to be looked up
STRATEGIES = (Strategy.VWAP, Strategy.TWAP, Strategy.POV)


def setup(symbols: list[str]) -> e.PolicyLoaded:
    """A firm whose limits never bind: the bench is about work, not refusals."""
    policy = RiskPolicy(
        name="bench", parent_qty_max=10**9, parent_value_max=10**12 * PX_ONE, parent_adv_ppm_max=PPM_ONE, duplicate_window_ns=0,
        parents_per_second_max=10**6, child_qty_max=10**6, child_value_max=10**9 * PX_ONE, children_open_max=10**6,
        venue_messages_per_second_max=10**6, venue_messages_per_day_max=10**9, collar_ppm=50_000, collar_ticks=5,
        reference_age_ns_max=60 * SECOND,
    )  # fmt: skip
    algo = AlgoDefaults(
        slice_ns=MINUTE, max_pct_vol=250_000, catch_up_factor=3, cross_after_ppm=700_000, refresh_ns=SECOND,
        forecast_age_ns_max=10 * DAY, risk_aversion_e9=(1, 10, 100, 1_000, 10_000), static_curve=tuple([38_461] * 25 + [38_475]),
    )  # fmt: skip
    instruments = tuple(InstrumentSetup(Instrument(s, CENT, 1, 100, 0, 100_000_000)) for s in symbols)
    hours = SessionHours(13 * 60 * MINUTE + 30 * MINUTE, 20 * 60 * MINUTE)
    return e.PolicyLoaded(
        policy=policy, venues=tuple(Venue(v) for v in VENUES), instruments=instruments, algo=algo, hours=hours, clients=("CLIENT1",),
        digest="bench",
    )  # fmt: skip


class Tape:
    """A made-up market around a state: makes the events that a day of `parents` has, and keeps them, stamped.

    quotes, trades: of all instruments together, per second of market time.
    """

    def __init__(self, parents: int, instruments: int, quotes: int, trades: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.symbols = [f"S{n:03d}" for n in range(instruments)]
        self.mid = dict.fromkeys(self.symbols, 100 * PX_ONE)
        self.state = State()
        self.now = START_TS
        self.events: list[e.Event] = []
        self.working = 0
        self._quotes, self._trades = quotes, trades
        self._replies: deque[tuple[int, e.Event]] = deque()
        self._resting: dict[str, c.SendChild] = {}
        self._by_symbol: dict[str, dict[str, None]] = {s: {} for s in self.symbols}
        self._execs = 0
        for event in (setup(self.symbols), *(e.SessionUp(session=v) for v in VENUES)):
            self._feed(event)
        for symbol in self.symbols:
            self._quote(symbol)
        for n in range(parents):
            self._feed(self._parent(n))
        self.opening = len(self.events)

    def run(self, count: int) -> None:
        """Make at least `count` events more."""
        target = len(self.events) + count
        gap = SECOND // (self._quotes + self._trades)
        while len(self.events) < target:
            self._until(self.now + gap)
            symbol = self.symbols[self.rng.randrange(len(self.symbols))]
            if self.rng.randrange(self._quotes + self._trades) < self._quotes:
                self._quote(symbol)
            else:
                self._trade(symbol)
        self.working = len(self.state.works)

    def _until(self, ts: int) -> None:
        """Deliver the venues' answers and wake the core until `ts`."""
        while True:
            wakeup = next_wakeup(self.state) or ts + 1
            reply = self._replies[0][0] if self._replies else ts + 1
            if min(wakeup, reply) > ts:
                break
            self.now = max(self.now, min(wakeup, reply))
            self._feed(self._replies.popleft()[1] if reply <= wakeup else e.Wakeup())
        self.now = max(self.now, ts)

    def _feed(self, event: e.Event) -> None:
        self.now += 1_000
        event = msgspec.structs.replace(event, seq=self.state.seq + 1, ts=self.now)
        self.events.append(event)
        for command in step(self.state, event):
            if isinstance(command, c.SendChild):
                self._take(command)
            elif isinstance(command, c.CancelChild):
                self._cancel(command)

    def _take(self, child: c.SendChild) -> None:
        self._reply(e.ChildAccepted(session=child.venue, child_id=child.child_id, order_id="v" + child.child_id))
        if child.time_in_force is TimeInForce.DAY:
            self._resting[child.child_id] = child
            self._by_symbol[child.symbol][child.child_id] = None
            return
        done = child.order_qty if self.rng.random() < 0.8 else child.order_qty // 2
        if done:
            self._fill(child, done, 2)
        if done < child.order_qty:
            self._reply(e.ChildCanceled(session=child.venue, child_id=child.child_id, ord_status=OrdStatus.CANCELED))

    def _cancel(self, cancel: c.CancelChild) -> None:
        if self._resting.pop(cancel.child_id, None) is None:
            too_late = e.CancelRejected(session=cancel.venue, child_id=cancel.child_id, cxl_rej_reason=0, ord_status=OrdStatus.FILLED)
            self._reply(too_late)
            return
        del self._by_symbol[cancel.symbol][cancel.child_id]
        self._reply(e.ChildCanceled(session=cancel.venue, child_id=cancel.child_id, ord_status=OrdStatus.CANCELED))

    def _reply(self, event: e.Event) -> None:
        self._replies.append((self.now + 1_000_000, event))

    def _fill(self, child: c.SendChild, quantity: int, liquidity: int) -> None:
        self._execs += 1
        self._reply(
            e.ChildFilled(
                session=child.venue,
                child_id=child.child_id,
                exec_id=f"E{self._execs}",
                last_px=child.price,
                last_qty=quantity,
                last_liquidity_ind=liquidity,
            )  # fmt: skip
        )

    def _quote(self, symbol: str) -> None:
        if self.rng.random() < 0.01:
            self.mid[symbol] += self.rng.choice((-CENT, CENT))
        bid, size = self.mid[symbol] - SPREAD // 2, self.rng.randrange(1, 50)
        for venue in VENUES if not self.state.markets[symbol].quotes else (self.rng.choice(VENUES),):
            event = e.QuoteUpdated(venue=venue, symbol=symbol, bid_px=bid, bid_qty=size * 100, ask_px=bid + SPREAD, ask_qty=size * 200)
            self._feed(event)

    def _trade(self, symbol: str) -> None:
        quantity = self.rng.randrange(1, 7) * 100
        at_bid = self.mid[symbol] - SPREAD // 2
        # Every second trade at our price finds us first in the queue.
        for child_id in list(self._by_symbol[symbol])[:1]:
            child = self._resting[child_id]
            if child.price >= at_bid and self.rng.random() < 0.5:
                del self._resting[child_id], self._by_symbol[symbol][child_id]
                self._fill(child, child.order_qty, 1)
        self._feed(e.TradePrinted(venue=self.rng.choice(VENUES), symbol=symbol, last_px=at_bid, last_qty=quantity))

    def _parent(self, n: int) -> e.ParentRequested:
        strategy = STRATEGIES[n % len(STRATEGIES)]
        end_ts = START_TS + (180 + self.rng.randrange(120)) * MINUTE
        params = AlgoParams(end_ts=end_ts, target_pct_vol=50_000 if strategy is Strategy.POV else 0)
        return e.ParentRequested(
            session="CLIENT1", cl_ord_id=f"P{n}", symbol=self.symbols[n % len(self.symbols)], side=Side.BUY,
            order_qty=self.rng.randrange(200, 2_000) * 100, ord_type=OrdType.MARKET, price=0, time_in_force=TimeInForce.DAY,
            strategy=int(strategy), params=params,
        )  # fmt: skip


def live(tape: Tape, warm: int, directory: Path) -> float:
    """Seconds of step, journal and commits for the events after `warm`, from a state that has seen those before."""
    state = State()
    with Journal(directory) as journal:
        for event in tape.events[:warm]:
            journal.append_input(event)
            step(state, event)
        journal.commit()
        gc.collect()
        begin = time.perf_counter()
        for n, event in enumerate(tape.events[warm:], 1):
            journal.append_input(event)
            commands = step(state, event)
            if commands:
                journal.append_outputs(event.seq, commands)
            if n % BATCH == 0:
                journal.commit()
        journal.commit()
        return time.perf_counter() - begin


def replayed(warm: int, directory: Path) -> float:
    """Seconds of reading, decoding and step for the same events."""
    state = State()
    records = read(directory, outputs_after_seq=NO_OUTPUTS)
    for record in records:
        assert isinstance(record.payload, e.Event)
        step(state, record.payload)
        if state.seq == warm:
            break
    gc.collect()
    begin = time.perf_counter()
    for record in records:
        assert isinstance(record.payload, e.Event)
        step(state, record.payload)
    return time.perf_counter() - begin


def layered(policy: RiskPolicy) -> RiskPolicy:
    """The policy with every limit of every layer set, each beyond reach."""

    def limits(kind: str) -> dict[str, int]:
        given = {x.field: PPM_ONE if x.unit == "share" else ROOM for x in LIMITS if kind in x.layers}
        # A bucket's share of a second must not be rounded away.
        return {**given, **{field: 10**6 for field in given if field.endswith("_per_second_max")}}

    names = {"desk": "cash", "client": "CLIENT1", "symbol": "S000", "algo": "VWAP", "venue": "XLIT1"}
    layers = tuple(Layer(kind=k, name=n, limits=Limits(**limits(k)), clients=("CLIENT1",) if k == "desk" else ()) for k, n in names.items())
    own = {f: getattr(policy, f) for f in RiskPolicy.__struct_fields__}
    return RiskPolicy(**{**own, **limits("firm"), "layers": layers, "venue_messages_per_second_max": 10**6, "venue_messages_per_day_max": 10**12})


def gate_us(loaded: e.PolicyLoaded, instrument: Instrument, children: int = 2_000, is_looking: bool = False) -> float:
    """Microseconds to resolve the bounds, look at a child and book it; so many in one run. is_looking: each child finds its layers' sums
    unlooked at, as close to a limit or under a policy that has just changed."""
    gate, market, ts = risk.Gate(), Market(instrument.symbol), loaded.ts + SECOND
    for venue in loaded.venues:
        markets.on_quote(market, venue.name, Quote(100 * PX_ONE, 1_000, 100 * PX_ONE + 2 * instrument.tick, 1_000, ts))
    markets.on_trade(market, 100 * PX_ONE, 10**12, ts)
    order = e.ParentRequested(
        session="CLIENT1", cl_ord_id="P", symbol=instrument.symbol, side=Side.BUY, order_qty=10**9, ord_type=OrdType.LIMIT, price=101 * PX_ONE,
        time_in_force=TimeInForce.DAY, strategy=VWAP, params=NO_PARAMS, ts=ts,
    )  # fmt: skip
    admission.note_parent(gate, bounds(loaded, "CLIENT1", instrument.symbol, VWAP).keys, "P", order, order.price, 1)
    venues, instruments = {venue.name: True for venue in loaded.venues}, {instrument.symbol: instrument}
    sent = [
        c.SendChild(
            child_id=f"P.{n}", venue=loaded.venues[n % len(loaded.venues)].name, symbol=instrument.symbol, side=Side.BUY, order_qty=100,
            ord_type=OrdType.LIMIT, price=100 * PX_ONE - n % 10 * instrument.tick, time_in_force=TimeInForce.DAY,
        )
        for n in range(children)
    ]  # fmt: skip
    spent = 0
    for n, child in enumerate(sent):
        ts += 1_000_000
        if is_looking:
            gate.parents["P"].seen_by = ""
        begin = time.perf_counter_ns()
        limits = bounds(loaded, "CLIENT1", instrument.symbol, VWAP)
        denied = risk.check(gate, limits, instruments, venues, market, child, ts)
        spent += time.perf_counter_ns() - begin
        assert denied is None, denied
        if n >= OPEN:
            exposure.on_resized(gate, sent[n - OPEN].child_id, 0)
    return spent / children / 1_000


def main() -> None:
    """Print a table, with --json a JSON line after it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parents", type=int, default=1_000)
    parser.add_argument("--instruments", type=int, default=100)
    parser.add_argument("--events", type=int, default=60_000, help="measured events of a run")
    parser.add_argument("--warm", type=int, default=100_000, help="events before the clock starts, for a state as at work")
    parser.add_argument("--quotes", type=int, default=4_000, help="quotes a market second, all instruments")
    parser.add_argument("--trades", type=int, default=800, help="trades a market second, all instruments")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--profile", action="store_true", help="profile one live run instead")
    args = parser.parse_args()
    tape = Tape(args.parents, args.instruments, args.quotes, args.trades, args.seed)
    tape.run(args.warm)
    warm = len(tape.events)
    tape.run(args.events)
    settle_interpreter()  # as the server has it
    measured = len(tape.events) - warm
    kinds = Counter(type(event).__name__ for event in tape.events[warm:])
    if args.profile:
        import cProfile
        import pstats

        with tempfile.TemporaryDirectory() as scratch:
            profile = cProfile.Profile()
            profile.runcall(live, tape, warm, Path(scratch) / "journal")
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)
        return
    lives: list[float] = []
    replays: list[float] = []
    gates: list[float] = []
    lookings: list[float] = []
    plain = setup(["S000"])
    loaded = msgspec.structs.replace(plain, policy=layered(plain.policy))
    for _ in range(args.rounds):
        for _ in range(5):
            gates.append(gate_us(loaded, loaded.instruments[0].instrument))
            lookings.append(gate_us(loaded, loaded.instruments[0].instrument, is_looking=True))
        with tempfile.TemporaryDirectory() as scratch:
            directory = Path(scratch) / "journal"
            lives.append(measured / live(tape, warm, directory))
            replays.append(measured / replayed(warm, directory))
    span_s = (tape.events[-1].ts - tape.events[warm].ts) / SECOND
    print(f"{measured} events, {span_s:.1f} s of market time, {tape.working} parents at work on {args.instruments} instruments")
    print("mix: " + ", ".join(f"{name} {count / measured:.1%}" for name, count in kinds.most_common()))
    print(f"{'run':8} {'median':>10} {'best':>10} {'worst':>10}  events/s")
    for name, rates in (("live", lives), ("replay", replays)):
        print(f"{name:8} {statistics.median(rates):10,.0f} {max(rates):10,.0f} {min(rates):10,.0f}")
    print(f"gate with all controls on: {statistics.median(gates):.1f} us per child, {min(gates):.1f} to {max(gates):.1f}")
    print(f"  where each child has all layers looked at anew: {statistics.median(lookings):.1f} us, {min(lookings):.1f} to {max(lookings):.1f}")
    if args.json:
        result = {
            "events_per_s_live": round(statistics.median(lives)), "events_per_s_replay": round(statistics.median(replays)),
            "parents": tape.working, "instruments": args.instruments, "events": measured, "market_s": round(span_s, 1),
            "gate_us": round(statistics.median(gates), 2), "gate_looking_us": round(statistics.median(lookings), 2), "rounds": args.rounds,
            "mix": {name: round(count / measured, 4) for name, count in kinds.most_common()},
        }  # fmt: skip
        print(json.dumps(result))


if __name__ == "__main__":
    main()
