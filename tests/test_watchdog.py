"""The watchdog's second duty, a kill; the outboxes that it shuts; and what the next start remembers."""

import os
import queue
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from algoserver.config import load
from algoserver.core.state import State
from algoserver.dispatch import Dispatcher
from algoserver.domain.events import OperatorCommanded, QuoteUpdated
from algoserver.door import Caller
from algoserver.fix.outbox import Letter, Outbox
from algoserver.journal import read
from algoserver.killed import Kill, Remembered
from algoserver.operators import Operators
from algoserver.outside import Outside
from algoserver.porter import Porter
from algoserver.reply import Reply
from algoserver.server import Server
from algoserver.watchdog import Watchdog

ROOT = Path(__file__).resolve().parents[1]


class Engine:
    """Stands in for a venue's endpoint."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def is_logged_on(self, session: str) -> bool:
        return True

    def send(self, session: str, body: str, grouped: bool = False) -> bool:
        self.sent.append(body)
        return True


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server whose core's turns are the test's; its sessions are not started. The last process left two kills."""
    state_dir = tmp_path_factory.mktemp("server")
    Remembered(state_dir).add([Kill("ann", "symbol:AAPL", "drill"), Kill("bob", "symbol:TYPO", "fast")])
    made = Server(load(ROOT / "cfg" / "server.toml"), state_dir)
    made._introduce()
    made._models.stop()  # what they were asked at the start is answered now, and not in the midst of a test
    yield made
    made._journal.close()
    for endpoint in made._endpoints:
        endpoint._engine = None  # QuickFIX knows a session once in a process: another file's tests may need it


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue's thread and a disk have the time that a busy machine needs; who must not wait is told so by its test."""
    for bound in ("dispatch.VENUE_S_MAX", "watchdog.MARKER_S_MAX", "porter.AUDIT_S_MAX"):
        monkeypatch.setattr(f"algoserver.{bound}", 60.0)


def silence() -> Reply:
    """What a core says that stands still."""
    return Reply(lambda said: None)


def asked(server: Server, verb: str, **more: str) -> Reply:
    """Put a command where ask() would, and do not wait."""
    reply = silence()
    item = ("ask", {"verb": verb, **more}, "ann", reply)
    if verb == "kill":
        server._ask_first(item, reply)
    else:
        server._inbox.put(item)
    return reply


def quote(n: int) -> tuple[str, QuoteUpdated]:
    """The n-th piece of a queue."""
    return "event", QuoteUpdated(venue="XLIT1", symbol="AAPL", bid_px=n, bid_qty=1, ask_px=n + 1, ask_qty=1)


def journaled(server: Server) -> list[Any]:
    """Every event."""
    server._journal.commit()
    return [r.payload for r in read(server._journal.directory) if r.kind == "I"]


def test_a_start_kills_what_the_last_core_did_not_hear(server):
    """By name and scope; a scope that is unknown is the firm. It is in the journal then, and not in the file."""
    kills = [(event.operator, event.target, event.reason) for event in journaled(server) if isinstance(event, OperatorCommanded)]
    assert kills == [("ann", "symbol:AAPL", "drill"), ("bob", "firm", "fast")]
    assert set(server.state.gate.stops) >= {"symbol:AAPL", "firm"}
    assert Remembered(server._journal.directory.parent).kills() == []


def test_a_kill_is_the_first_of_a_full_queue(server):
    """Two thousand events and a status wait; the kill is the very next event, and it is answered with the first batch."""
    for n in range(1, 2_001):
        server._inbox.put(quote(n))
    before = len(journaled(server))
    reply = asked(server, "kill", reason="now")
    server._turn(server._drain())
    first = journaled(server)[before]
    assert isinstance(first, OperatorCommanded)
    assert (first.verb, first.reason, reply.get(0)["verb"]) == ("kill", "now", "kill")
    assert server.state.gate.killed == "ann: now"


def test_a_kill_that_comes_while_a_batch_is_worked_waits_for_one_event_of_it(server, monkeypatch):
    """Not for the batch."""
    work = server._apply

    def apply(event: Any, decided: Any) -> None:
        work(event, decided)
        if isinstance(event, QuoteUpdated) and event.bid_px == 3:
            asked(server, "kill")

    while not server._inbox.empty():
        server._turn(server._drain())
    before = len(journaled(server))
    monkeypatch.setattr(server, "_apply", apply)
    for n in range(1, 101):
        server._inbox.put(quote(n))
    server._turn(server._drain())
    events = journaled(server)[before:]
    (at,) = (i for i, event in enumerate(events) if isinstance(event, OperatorCommanded))
    assert (events[at - 1].bid_px, events[at + 1].bid_px) == (3, 4)


def test_a_batch_that_takes_too_long_is_cut_and_its_rest_is_the_next_one(server, monkeypatch):
    """Many orders at work make each event dear: what was decided leaves, the core is heard of, and nothing is lost or overtaken."""
    while not server._inbox.empty() or server._left:
        server._turn(server._drain())
    monkeypatch.setattr("algoserver.server.TURN_S_MAX", -1.0)  # every event is too long
    before = len(journaled(server))
    for n in range(1, 6):
        server._inbox.put(quote(n))
    reply = asked(server, "status")
    heard = []
    for _ in range(6):
        assert reply.get(0) is None
        server._turn(server._drain())
        heard.append([event.bid_px for event in journaled(server)[before:] if isinstance(event, QuoteUpdated)])
    assert heard == [[1], [1, 2], [1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]]
    assert (reply.get(0)["seq"] > 0, server._left) == (True, [])


def test_a_shut_outbox_lets_cancels_go_and_no_order():
    """What does not leave is told, as if the session were down."""
    engine, unsent = Engine(), []
    outbox = Outbox(engine, "V", unsent.append)
    outbox.shut(1)
    for body, msg_type in (("35=D|1", "D"), ("35=F|2", "F")):
        outbox.put(Letter(1, body, msg_type, "p.1"))
    outbox.post()
    assert outbox.stop(10)
    assert (engine.sent, [letter.body for letter in unsent]) == (["35=F|2"], ["35=D|1"])


def past_core(tmp_path: Path, stall_ms: int = 200) -> tuple[Watchdog, Dispatcher, Remembered, Engine]:
    """A watchdog whose core never answers, and a venue."""
    engine, remembered = Engine(), Remembered(tmp_path)
    dispatcher = Dispatcher({}, lambda _: None)
    dispatcher.add_venue("XLIT1", engine, "V", lambda venue, letter, why: None)
    dispatcher._open["p.1"] = ("XLIT1", 100, "35=F|p.1")
    outside = Outside(load(Path("cfg/server.toml")).server, State(), lambda: 0)
    return Watchdog(stall_ms, dispatcher, [], remembered, outside), dispatcher, remembered, engine


def test_a_core_that_stays_silent_is_ended_and_a_kill_before_it_is_remembered(tmp_path, monkeypatch):
    """Everything is taken back once more, the kill that waited is in the file, and the status is 70."""
    watchdog, dispatcher, remembered, engine = past_core(tmp_path, stall_ms=300)
    ended: queue.SimpleQueue[int] = queue.SimpleQueue()
    kill = Kill("ann", "firm", "now")
    watchdog._pending[id(kill)] = kill
    monkeypatch.setattr("os._exit", lambda status: (ended.put(status), watchdog.stop()))
    watchdog.start()
    assert ended.get(timeout=60) == 70
    assert (engine.sent, remembered.kills(), dispatcher._outboxes["XLIT1"]._is_shut) == (["35=F|p.1"], [kill], True)


def test_a_process_that_was_stopped_as_a_whole_goes_on(tmp_path, monkeypatch):
    """Twenty seconds are over at once, for the watchdog as for the core: nothing is taken back. A core that keeps silent then is ended."""
    watchdog, _, _, engine = past_core(tmp_path, stall_ms=5_000)
    now, ended = [0.0], []
    looks = iter([(1.0, True), (20.0, False), (1.0, True), *[(1.0, False)] * 5])

    def sleep(seconds: float) -> None:
        assert (seconds, ended) == (1.0, [])
        took, is_heard = next(looks)
        now[0] += took
        if is_heard:
            watchdog.beat()

    def end(status: int) -> None:
        ended.append((status, engine.sent[:], next(looks, None)))
        watchdog.stop()

    monkeypatch.setattr("algoserver.watchdog.time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    monkeypatch.setattr("os._exit", end)
    watchdog.beat()
    watchdog._watch()
    assert ended == [(70, ["35=F|p.1"], None)]


def test_a_core_that_was_only_slow_takes_over(tmp_path):
    """The gate past it opens when its own journal has the kill, not before; then nothing is left to remember."""
    watchdog, dispatcher, remembered, engine = past_core(tmp_path)
    said = watchdog.kill({"verb": "kill", "target": "symbol:AAPL", "reason": "no\nw"}, "ann", silence)
    assert (said["is_past_core"], said["canceled"], said["is_remembered"]) == (True, 1, True)
    assert engine.sent == ["35=F|p.1"]
    assert remembered.kills() == Remembered(tmp_path).kills() == [Kill("ann", "symbol:AAPL", "now")]
    watchdog.beat(is_all_heard=False)
    assert (dispatcher._outboxes["XLIT1"]._is_shut, len(remembered.kills())) == (True, 1)
    watchdog.beat()
    assert (dispatcher._outboxes["XLIT1"]._is_shut, remembered.kills()) == (False, [])


def test_a_core_that_fails_with_a_kill_before_it_leaves_it_to_the_next_start(tmp_path):
    """A full disk stops the journal in the middle of the kill: it is in the file that has its room."""
    watchdog, _, remembered, _ = past_core(tmp_path, stall_ms=60_000)

    def ask() -> Reply:
        watchdog.fail(OSError(28, "No space left on device"))
        return silence()

    said = watchdog.kill({"verb": "kill", "reason": "now"}, "ann", ask)
    assert said["is_past_core"]
    assert Kill("ann", "firm", "now") in remembered.kills()


def test_a_disk_that_can_not_remember_is_said(tmp_path, monkeypatch):
    """The kill itself is done."""
    watchdog, _, remembered, engine = past_core(tmp_path)

    def full(kills: list[Kill]) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(remembered, "add", full)
    said = watchdog.kill({"verb": "kill"}, "ann", silence)
    assert (said["is_remembered"], engine.sent) == (False, ["35=F|p.1"])
    assert "it could not be remembered for the next start: [Errno 28]" in said["warning"]


def test_what_can_not_be_read_or_is_too_much_is_a_kill_of_the_firm(tmp_path):
    """Never forgotten, never half of it; and its room is taken from the start."""
    remembered = Remembered(tmp_path)
    assert ((tmp_path / "kill").stat().st_size, remembered.kills()) == (4_096, [])
    remembered.add([Kill("ann", f"symbol:S{n}", "x" * 200) for n in range(30)])
    (one,) = Remembered(tmp_path).kills()
    assert (one.operator, one.scope) == ("ann", "firm")
    (tmp_path / "kill").write_bytes(b'[{"operator":"a')
    assert [k.scope for k in Remembered(tmp_path).kills()] == ["firm"]
    remembered = Remembered(tmp_path)
    remembered.add([])
    remembered.clear()
    assert Remembered(tmp_path).kills() == []


def test_an_answer_is_taken_once_and_a_late_one_is_heard():
    """By the asker while he waits, else by who keeps the record: what the core did is written whoever was told what."""
    late: list[Any] = []
    reply = Reply(late.append)
    assert (reply.get(0), reply.give_up()) == (None, None)
    reply.put({"verb": "kill"})
    assert (late, reply.get(0)) == ([{"verb": "kill"}], None)
    just = Reply(late.append)
    just.put({"verb": "pause"})
    assert (just.give_up(), late) == ({"verb": "pause"}, [{"verb": "kill"}])


def test_a_kill_that_the_core_hears_late_has_both_its_lines(server, tmp_path):
    """Past the core, and then by it: the audit reaches as far as the journal's last command."""
    porter = Porter(Operators([]), server.audit, server.ask)
    server._watchdog._stall_s = 0.2
    said = porter.ask({"verb": "kill", "reason": "late"}, Caller(os.geteuid(), "me"))
    assert said["is_past_core"]
    server._turn(server._drain())
    server._house._chores.get()()
    found = [line for line in server.audit.tail(10) if line["reason"] == "late"]
    assert [(line["result"], line["seq"]) for line in found] == [("past_core", 0), ("done", server.state.audited.seq)]
    mark = server.state.audited
    assert server.audit.verify(mark.seq, mark.head) == (len(server.audit.tail(99)), "")
