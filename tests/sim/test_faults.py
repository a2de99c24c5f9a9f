"""Faults and scripts of them; each kind ends with a server whose books are the market's. See algoserver/sim/faults.py, wire.py, mishaps.py, stage.py.

The server here is its core, told over FIX text as the market's face would tell it, so that a case costs a tenth of a second.
"""

from heapq import heappush
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from algoserver.backtest import ALGO, Backtest
from algoserver.domain import events as e
from algoserver.domain.types import MINUTE, SECOND, Side, Strategy, TimeInForce, px
from algoserver.fix import venue_codec
from algoserver.settings import BadConfig
from algoserver.sim import faults
from algoserver.sim.codec_reports import report
from algoserver.sim.config import LatencyConfig
from algoserver.sim.console import Console
from algoserver.sim.exchange import Exchange
from algoserver.sim.faults import KINDS, Fault, Script
from algoserver.sim.mishaps import Impossible
from algoserver.sim.reports import AnyReport, NewOrderSingle, SecurityStatus, Trade, TradeCancel
from algoserver.sim.source import FOREVER
from algoserver.sim.stage import Stage
from algoserver.sim.wire import Wire
from tests.sim.street import AAPL as FLOW
from tests.sim.street import T0, Street, cancel, new, quiet, scenario
from tests.test_backtest import market, setup

BUY, SELL = Side.BUY, Side.SELL
MS = 1_000_000


def session(venue: str) -> str:
    return f"FIX.4.4:{venue}->{ALGO}"


class Faulty(Backtest):
    """A server's core against a market with faults: reports travel as text, through the wire."""

    stage: ClassVar[Stage | None] = None

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.stage = Stage(self.exchange)
        self.up_ts: dict[str, int] = {}  # when a session that broke is back
        submit = self.exchange.submit

        def refusing(ts, request):
            held = [until for f, until in self.stage.wire.active(ts) if f.kind == "slow_consumer" and f.concerns(session(request.venue))]
            if held:
                self._sent += 1
                heappush(self._to_venue, (max(held), self._sent, request))
                return self.exchange.advance(ts)
            if isinstance(request, NewOrderSingle) and self.stage.wire.refuses(ts, session(request.venue)):
                return self.exchange.refuse(ts, request, 0, "refused: a storm of rejects")
            return submit(ts, request)

        self.exchange.submit = refusing

    def run(self, until_ts):
        while self.stage.next_ts() <= until_ts:
            ts = max(self.stage.next_ts(), self.now)
            super().run(ts)
            self._hear(self.stage.advance(ts))
            for action in self.stage.actions:
                self._act(action.fault)
            self.stage.actions = []
            for name, body in self.stage.wire.due(ts):
                self._heard(ts, name, body)
        super().run(until_ts)

    def _hear(self, answers):
        if self.stage is None:
            super()._hear(answers)
            return
        super()._hear([a for a in answers if not isinstance(a, AnyReport)])
        for answer in [a for a in answers if isinstance(a, AnyReport) and a.client == ALGO]:
            if isinstance(answer, Trade):
                self._note(answer)
            for body in self.stage.wire.sent(self.now, session(answer.venue), report(answer, self.exchange.instruments)):
                self._heard(answer.ts, session(answer.venue), body)

    def _act(self, fault):
        """What an engine does: a connection breaks for two seconds, and what is told meanwhile comes afterwards. A gap it fills by itself."""
        for venue in [v.name for v in self.setup.venues if fault.kind == "disconnect" and fault.concerns(session(v.name))]:
            self.up_ts[venue] = self.now + 2 * SECOND
            self.feed(e.SessionDown(session=venue))
            self.feed(e.SessionUp(session=venue), self.up_ts[venue])

    def _heard(self, ts, name, body):
        venue = name.partition(":")[2].partition("->")[0]
        ts = max(ts, self.up_ts.get(venue, 0))
        event = venue_codec.decode_venue(body, venue, self.exchange.instruments)
        if event is not None:
            self.feed(event, ts + self._latency_ns)

    def reconnect(self):
        """What the server asks for when its sessions are back."""
        for venue in self.setup.venues:
            self.feed(e.SessionDown(session=venue.name))
        for venue in self.setup.venues:
            self.feed(e.SessionUp(session=venue.name))
        self.run(self.now + SECOND)


def played(*script: Fault, seconds: int = 90, seed: int = 3) -> Faulty:
    """A VWAP parent of a minute in AAPL while a script runs; then everything is over and the server has asked for what it missed."""
    start = T0 + 60 * MINUTE
    bt = Faulty(setup(), market("AAPL", "2019-06-28"), start - 5 * SECOND, seed)
    bt.run(start - SECOND)
    bt.parent("P", "AAPL", 20_000, Strategy.VWAP, start_ts=start, end_ts=start + MINUTE, max_pct_vol=500_000)
    bt.stage.run(start, Script(faults=list(script), seed=seed))
    bt.run(start + seconds * SECOND)
    bt.reconnect()
    bt.run(bt.now + SECOND)
    return bt


def assert_right_books(bt: Faulty) -> None:
    """Each child has traded what the venue says, the parent what its children have, and nobody more than was ordered.

    A child whose fill never came is named by an alert with both quantities: what it traded at, only a person can find out.
    """
    parent = bt.order("P")
    assert bt.state.children
    alerts = [a.text for a in bt.alerts if a.code == "unequal_books"]
    for child_id, child in bt.state.children.items():
        there = bt.exchange.counter.blotter.find(child.venue, ALGO, child_id)
        there_qty = there.cum_qty if there else 0
        named = any(f"{there_qty} done of {child_id}, we have {child.order.cum_qty}" in text for text in alerts)
        assert child.order.cum_qty == there_qty or named, child_id
    assert parent.order.cum_qty == sum(c.order.cum_qty for c in bt.state.children.values()) <= parent.order.order_qty


AAPL = {"symbol": "AAPL"}
CASES = [
    [Fault(kind="delay", seconds=50, ms=300, jitter_ms=700)],
    [Fault(kind="drop", seconds=40, share=0.3)],
    [Fault(kind="duplicate", seconds=60, share=0.5)],
    [Fault(kind="reject_storm", at_s=5, seconds=20, share=0.5)],
    [Fault(kind="slow_consumer", at_s=t, seconds=3) for t in (10, 25)],
    [Fault(kind="disconnect", at_s=t) for t in (10, 20, 30, 40)],
    [Fault(kind="disconnect", at_s=25), Fault(kind="delay", seconds=50, ms=400), Fault(kind="duplicate", seconds=60, share=0.3)],
    [Fault(kind="stale_feed", at_s=5, seconds=20)],
    [Fault(kind="late_fill", at_s=t) for t in (20, 30, 40)],
    [Fault(kind="bust", at_s=t) for t in (20, 40)],
    [Fault(kind="correction", at_s=20), Fault(kind="correction", at_s=40, qty="1")],
    [Fault(kind="halt", at_s=15, seconds=20, **AAPL)],
    [Fault(kind="halt", at_s=15, seconds=20, resting="cancel", **AAPL)],
    [Fault(kind="luld", at_s=15, seconds=20, **AAPL)],
    [Fault(kind="flash_crash", at_s=10, seconds=20, share=0.05, **AAPL)],
    [Fault(kind="drought", at_s=5, seconds=40, share=0.05, **AAPL)],
    [Fault(kind="crossed_book", at_s=t, venue="XLIT2", **AAPL) for t in (10, 20, 30)],
]


@pytest.mark.parametrize("script", CASES, ids=lambda script: script[0].kind)
def test_flt_3_seed_3_after_a_fault_the_servers_books_are_the_markets(script):
    assert_right_books(played(*script))


def test_every_kind_of_fault_has_its_case():
    """What the engines do alone, number by number, is in test_faults_face.py and, against the server, in test_docs.py."""
    assert {f.kind for script in CASES for f in script} | {"sequence_gap"} == set(KINDS)


def test_flt_2_seed_5_the_same_script_does_the_same():
    """Two runs: one tape of fills. Another seed: another."""
    script = [Fault(kind="drop", seconds=40, share=0.2), Fault(kind="delay", seconds=30, ms=100, jitter_ms=400), Fault(kind="bust", at_s=25)]
    assert played(*script, seed=5).fills == played(*script, seed=5).fills
    assert played(*script, seed=5).fills != played(*script, seed=6).fills


WRONG = [
    ({"kind": "earthquake"}, "no fault: there are delay"),
    ({"kind": "delay", "seconds": 5}, "needs `ms`"),
    ({"kind": "drop", "seconds": 5, "share": -0.1}, "`share` must not be negative"),
    ({"kind": "drop", "seconds": 5, "share": 1.5}, "`share` is a fraction"),
    ({"kind": "drop", "seconds": -5}, "`seconds` must not be negative"),
    ({"kind": "halt", "symbol": "AAPL", "ms": 5}, "`ms` means nothing to a halt"),
    ({"kind": "halt", "symbol": "AAPL", "resting": "sell"}, "keep or cancel"),
    ({"kind": "flash_crash", "symbol": "AAPL", "share": 1.0, "seconds": 5}, "needs `share`|`share` is a fraction"),
    ({"kind": "sequence_gap", "count": 0}, "`count` must be at least 1"),
    ({"kind": "halt"}, "needs `symbol`"),
    ({"kind": "halt", "symbol": "AAPL", "colour": "red"}, "colour"),
]


@pytest.mark.parametrize(("entry", "said"), WRONG)
def test_flt_1_a_wrong_fault_is_named(entry, said):
    with pytest.raises((ValueError, msgspec.ValidationError), match=said):
        msgspec.convert(entry, Fault, strict=False)


def test_flt_1_a_wrong_script_names_file_and_key(tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text('[[faults]]\nkind = "drop"\nseconds = 5\nshare = -1.0\n')
    with pytest.raises(BadConfig, match=r"wrong.toml.*share"):
        faults.load(str(path))
    with pytest.raises(ValueError, match="no scenario nowhere: there are bad-day"):
        faults.load("nowhere")


@pytest.mark.parametrize("name", faults.known())
def test_the_shipped_scripts_run(name):
    """On a market that has what they are about, to their end."""
    exchange = quiet_crowd()
    stage = Stage(exchange)
    script = faults.load(name)
    stage.run(T0, script)
    last = max(f.at_s + f.seconds for f in script.faults)
    stage.advance(T0 + int((last + 1) * SECOND))
    assert stage.waiting() == []
    assert stage.lasting(T0 + int((last + 1) * SECOND)) == []


def quiet_crowd():
    exchange = Exchange(scenario(msgspec.structs.replace(FLOW, trade_qty=20_000, book_events_per_s=1.0)))
    exchange.advance(T0)
    return exchange


def test_wire_1_nothing_overtakes_what_is_late():
    """A short delay behind a long one waits for it, and so does what comes after the fault."""
    wire = Wire()
    wire.begin(0, Fault(kind="delay", seconds=1, ms=500))
    assert wire.sent(0, session("V"), "35=8\x01first") == []
    wire.begin(SECOND, Fault(kind="drop", seconds=1, share=0.0))
    assert wire.sent(400 * MS, session("V"), "35=8\x01second") == []
    assert wire.sent(SECOND, session("V"), "35=8\x01third") == ["35=8\x01third"] or wire.next_ts() == 500 * MS
    assert [b[-5:] for _, b in wire.due(500 * MS)] == ["first"]
    assert next(b for _, b in wire.due(2 * SECOND)).endswith("second")
    assert wire.sent(2 * SECOND, session("V"), "35=8\x01x") == ["35=8\x01x"]


def test_wire_2_only_reports_are_dropped_and_doubled():
    wire = Wire()
    wire.begin(0, Fault(kind="drop", seconds=1))
    assert wire.sent(0, session("V"), "35=8\x01") == []
    assert wire.sent(0, session("V"), "35=X\x01") == ["35=X\x01"]
    assert wire.sent(SECOND, session("V"), "35=8\x01") == ["35=8\x01"]
    wire.begin(SECOND, Fault(kind="duplicate", seconds=1, venue="V"))
    assert wire.sent(SECOND, session("V"), "35=8\x0117=E\x01") == ["35=8\x0117=E\x01", "35=8\x0197=Y\x0117=E\x01"]
    assert wire.sent(SECOND, session("W"), "35=8\x0117=E\x01") == ["35=8\x0117=E\x01"]


def test_wire_3_what_is_not_read_waits_in_its_order():
    wire = Wire()
    wire.begin(0, Fault(kind="slow_consumer", seconds=1, venue="V"))
    a, b, up = ("app", session("V"), "a"), ("app", session("W"), "b"), ("up", session("V"), "")
    assert wire.read(0, [a, b, up]) == [b, up]
    assert wire.next_ts() == SECOND
    assert wire.read(SECOND, [("app", session("V"), "c")]) == [a, ("app", session("V"), "c")]


def test_lat_1_seed_2_a_venue_with_latency_hears_and_is_heard_later_in_order():
    """Around 10 ms each way, drawn by the seed; nothing overtakes; another venue is as fast as ever."""
    drawn = []
    for _ in range(2):
        wire = Wire(2, {"V": LatencyConfig(ms=10, spread=0.5), "W": None})
        told, read = [], []
        for n in range(200):
            assert wire.sent(n * MS, session("V"), f"35=8\x01{n}") == []
            read += [(n * MS, text) for _, _, text in wire.read(n * MS, [("app", session("V"), str(n))])]
        assert wire.sent(0, session("W"), "35=8\x01") == ["35=8\x01"]
        while wire.next_ts() < FOREVER:
            ts = wire.next_ts()
            told += [(ts, body) for _, body in wire.due(ts)]
            read += [(ts, text) for _, _, text in wire.read(ts, [])]
        drawn.append((told, read))
    assert drawn[0] == drawn[1]
    told, read = drawn[0]
    assert [body for _, body in told] == [f"35=8\x01{n}" for n in range(200)]
    assert [text for _, text in read] == [str(n) for n in range(200)]
    ways = sorted(ts - n * MS for n, (ts, _) in enumerate(read))
    assert 5 * MS < ways[100] < 40 * MS


def traded() -> Street:
    """ALGO has bought 100 of 300 at 50; the rest stands."""
    street = Street(quiet())
    street.ask(new("X", BUY, 300, "50"))
    street.fill(100)
    return street


def test_mis_1_a_late_fill_leaves_the_order_canceled():
    street = traded()
    stage = Stage(street.exchange)
    with pytest.raises(Impossible, match="no canceled order"):
        stage.inject(street.ts, Fault(kind="late_fill"))
    street.ask(cancel("C", "X"))
    (late,) = [a for a in stage.inject(street.ts, Fault(kind="late_fill", qty="150")) if isinstance(a, Trade)]
    assert (late.ord_status.name, late.cum_qty, late.leaves_qty, late.last_qty) == ("CANCELED", 250, 0, 150)
    (rest,) = [a for a in stage.inject(street.ts, Fault(kind="late_fill")) if isinstance(a, Trade)]
    assert (rest.last_qty, rest.cum_qty) == (50, 300)


def test_mis_2_a_bust_opens_a_live_order_again_and_an_ended_one_stays_ended():
    """J.1.a: 200 stand, the bust brings 100 back; J.1.b: canceled stays canceled. A fill is busted once."""
    street = traded()
    stage = Stage(street.exchange)
    (busted,) = [a for a in stage.inject(street.ts, Fault(kind="bust", client="ALGO")) if isinstance(a, TradeCancel)]
    assert (busted.ord_status.name, busted.cum_qty, busted.leaves_qty, busted.avg_px) == ("NEW", 0, 300, 0)
    assert street.book()[0] == (("50", 300),)
    with pytest.raises(Impossible, match="no fill"):
        stage.inject(street.ts, Fault(kind="bust", client="ALGO"))
    assert street.fill(300) == ["Trade/FILLED (X) 300 300/0"]
    street.ask(new("Y", BUY, 200, "49"))
    street.fill(50, "49")
    street.ask(cancel("C", "Y"))
    (busted,) = [a for a in stage.inject(street.ts, Fault(kind="bust", client="ALGO")) if isinstance(a, TradeCancel)]
    assert (busted.ord_status.name, busted.cum_qty, busted.leaves_qty) == ("CANCELED", 0, 0)


def test_mis_2_a_bust_of_what_can_not_wait_ends_it():
    street = Street(quiet())
    street.ask(new("S", SELL, 100, "50", client="OTHER"))
    street.ask(new("X", BUY, 100, "50", TimeInForce.IOC))
    out = Stage(street.exchange).inject(street.ts, Fault(kind="bust", client="ALGO"))
    assert [type(a).__name__ for a in out if getattr(a, "client", "") == "ALGO"] == ["TradeCancel", "Canceled"]


def test_mis_3_a_correction_changes_price_or_quantity():
    """By default a tick against the client; the corrected fill has a new ExecID, which the next correction refers to."""
    street = traded()
    stage = Stage(street.exchange)
    first = next(a for a in street.seen if isinstance(a, Trade) and a.client == "ALGO")
    (corrected,) = stage.inject(street.ts, Fault(kind="correction", client="ALGO"))
    assert (corrected.exec_ref_id, corrected.last_px, corrected.avg_px, corrected.cum_qty) == (first.exec_id, px("50.01"), px("50.01"), 100)
    with pytest.raises(Impossible, match="at most"):
        stage.inject(street.ts, Fault(kind="correction", exec_id=corrected.exec_id, qty="101"))
    out = stage.inject(street.ts, Fault(kind="correction", exec_id=corrected.exec_id, qty="40"))
    assert (out[0].exec_ref_id, out[0].cum_qty, out[0].leaves_qty, out[0].avg_px) == (corrected.exec_id, 40, 260, px("50.01"))
    assert street.book()[0] == (("50", 260),)


def test_mis_4_stg_1_a_crash_and_a_drought_end():
    """The price falls by a tenth and comes back; the depth goes to a tenth and comes back."""
    exchange = quiet_crowd()
    stage = Stage(exchange)
    before, shown = exchange.source("AAPL").reference_px(), depth(exchange)
    stage.run(T0, Script(faults=[Fault(kind="flash_crash", seconds=20, share=0.1, **AAPL), Fault(kind="drought", seconds=20, share=0.1, **AAPL)]))
    stage.advance(T0 + SECOND)
    assert exchange.source("AAPL").reference_px() < 0.92 * before
    assert depth(exchange) < 0.2 * shown
    stage.advance(T0 + 30 * SECOND)
    exchange.advance(T0 + 5 * MINUTE)
    assert 0.97 * before < exchange.source("AAPL").reference_px() < 1.03 * before
    assert depth(exchange) > 0.4 * shown


def depth(exchange) -> int:
    return sum(q for side in exchange.book("XLIT1", "AAPL", 10) for _, q in side)


def test_a_crossed_book_is_crossed_between_venues_and_never_within_one():
    exchange = quiet_crowd()
    Stage(exchange).inject(T0, Fault(kind="crossed_book", venue="XLIT1", **AAPL))
    (bids, asks), (_, offers) = exchange.book("XLIT1", "AAPL"), exchange.book("XLIT2", "AAPL")
    assert bids[0][0] > offers[0][0]
    assert not asks or asks[0][0] > bids[0][0]


def test_stg_2_what_has_nothing_to_happen_to_is_noted_in_a_script_and_refused_by_hand():
    stage = Stage(quiet_crowd())
    stage.run(T0, Script(faults=[Fault(kind="bust", at_s=1)]))
    stage.advance(T0 + 2 * SECOND)
    assert stage.passed == ["bust: no fill that stands"]
    with pytest.raises(Impossible, match="not listed"):
        stage.run(T0, Script(faults=[Fault(kind="halt", symbol="NONE")]))
    with pytest.raises(Impossible, match="not part of this market"):
        stage.inject(T0 + 2 * SECOND, Fault(kind="drop", seconds=1, venue="NOWHERE"))
    with pytest.raises(Impossible, match="tape"):
        Stage(quiet()).inject(T0, Fault(kind="drought", seconds=1, share=0.5, **AAPL))


def test_ops_1_the_console_does_what_it_is_told_and_says_what_is_wrong():
    exchange = quiet_crowd()
    console = Console(exchange, Stage(exchange))

    def ask(verb, **more):
        return console.ask(T0, {"verb": f"sim.{verb}", **more})

    assert ask("phase")[0]["phases"][0]["phase"] == "continuous"
    said, happened = ask("halt", target="AAPL", seconds=30)
    assert (said["phases"][0]["phase"], [a.is_halted for a in happened if isinstance(a, SecurityStatus)]) == ("halted", [True, True])
    assert ask("resume", target="all")[0]["phases"][0]["phase"] == "continuous"
    assert ask("phase", target="AAPL", phase="paused")[0]["phases"][0]["phase"] == "paused"
    assert ask("inject", target="drop", values={"seconds": "5", "share": "0.5"})[0]["injected"] == {"kind": "drop", "seconds": 5.0, "share": 0.5}
    assert ask("run", target="bad-day")[0]["faults"] == 5
    status = ask("status")[0]
    assert [f["kind"] for f in status["lasting"]] == ["drop"]
    assert [f["kind"] for f in status["waiting"]] == ["drought", "flash_crash", "crossed_book", "stale_feed", "luld"]
    assert {row["scenario"] for row in ask("scenario")[0]["scenarios"]} == {p.stem for p in Path(faults.FOLDER).glob("*.toml")}
    assert ask("resume", target="AAPL")[0]["phases"][0]["phase"] == "continuous"
    for verb, more, code in (
        ("run", {"target": "nowhere"}, "not_found"), ("inject", {"target": "earthquake"}, "usage"), ("halt", {"target": "NONE"}, "not_found"),
        ("inject", {"target": "drop", "values": {"seconds": "-1"}}, "usage"), ("inject", {"target": "bust"}, "refused"), ("dance", {}, "usage"),
        ("resume", {"target": "AAPL"}, "refused"), ("phase", {"target": "AAPL", "phase": "closed"}, "not_found"),
        ("halt", {"target": "AAPL", "seconds": -5}, "usage"), ("inject", {"target": "drop", "values": {"seconds": "1", "at_s": "1"}}, "refused"),
    ):  # fmt: skip
        said, happened = ask(verb, **more)
        assert (said["error"]["code"], bool(said["error"]["text"]), happened) == (code, True, []), (verb, more)


def test_ops_2_an_ordered_halt_and_the_price_survive_a_restart_and_a_script_does_not():
    """What the ledger keeps of a market is enough for the next one."""
    exchange = quiet_crowd()
    console = Console(exchange, Stage(exchange))
    console.ask(T0, {"verb": "sim.run", "target": "bad-day"})
    console.ask(T0, {"verb": "sim.halt", "target": "AAPL"})
    exchange.source("AAPL").shift(1.1)
    mark = msgspec.json.decode(msgspec.json.encode(exchange.mark()), type=type(exchange.mark()))
    after = Exchange(exchange.config)
    after.remember(mark, T0 + SECOND)
    after.advance(T0 + SECOND)
    assert after.is_halted("AAPL")
    assert abs(after.source("AAPL").reference_px() - exchange.source("AAPL").reference_px()) <= px("0.05")
    assert Console(after, Stage(after)).ask(T0 + SECOND, {"verb": "sim.status"})[0]["waiting"] == []
    after.resume(T0 + 2 * SECOND, "AAPL")
    assert not after.is_halted("AAPL")
