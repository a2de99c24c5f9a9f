"""Who gets which report, and that a drop copy which does not read is nobody's affair."""

import threading

from algoserver.desks import never_left
from algoserver.dispatch import Dispatcher
from algoserver.domain.commands import CancelChild, ReportParent, SendChild
from algoserver.domain.policy import DropCopy
from algoserver.domain.types import SECOND, ExecType, Instrument, OrdStatus, OrdType, Side, TimeInForce


class Engine:
    """Stands in for an endpoint. Sends to `stuck` wait until `read` is set."""

    def __init__(self, stuck: str = "") -> None:
        self.sent: list[tuple[str, str]] = []
        self.read = threading.Event()
        self._stuck = stuck

    def send(self, session: str, body: str, grouped: bool = False) -> bool:
        if session == self._stuck:
            self.read.wait(60)
        self.sent.append((session.rpartition("->")[2], body))
        return True

    def is_logged_on(self, session: str) -> bool:
        return True


def report(client: str, exec_id: str) -> ReportParent:
    """Some report."""
    return ReportParent(
        session=client, exec_id=exec_id, order_id="p", cl_ord_id="c", exec_type=ExecType.NEW, ord_status=OrdStatus.NEW, symbol="AAPL", side="1",
        order_qty=1, cum_qty=0, leaves_qty=1, avg_px=0,
    )  # fmt: skip


def street(engine: Engine, copy: DropCopy) -> Dispatcher:
    """Two clients and a drop copy in FIX 4.2."""
    dispatcher = Dispatcher({}, lambda _: None)
    for name in ("A", "B"):
        dispatcher.add_client(name, engine, f"FIX.4.4:ALGO->{name}")
    dispatcher.add_copy("DROP", engine, "FIX.4.2:ALGO->DROP", copy)
    return dispatcher


def test_a_copy_says_whose_report_it_is_in_its_own_version():
    """OnBehalfOfCompID (115); reports of clients that were not asked for stay away."""
    engine = Engine()
    dispatcher = street(engine, DropCopy("DROP", ("A",)))
    for seq, name in enumerate("AB", 1):
        dispatcher.dispatch(seq, 1, report(name, f"x{seq}"))
    dispatcher.post()
    assert dispatcher.stop(10) == []
    assert sorted(name for name, _ in engine.sent) == ["A", "B", "DROP"]
    (copy,) = [body for name, body in engine.sent if name == "DROP"]
    assert copy.startswith("35=8\x01115=A\x01")
    assert "\x0117=x1\x0120=0\x01150=0\x01" in copy


def test_a_copy_that_does_not_read_holds_nobody_up():
    """Clients have their reports while the copy has none; only the journal's marker waits for it."""
    engine = Engine(stuck="FIX.4.2:ALGO->DROP")
    dispatcher = street(engine, DropCopy("DROP"))
    for seq in range(1, 101):
        dispatcher.dispatch(seq, 1, report("A", f"x{seq}"))
        dispatcher.post()
    assert dispatcher.stop(5) == ["DROP"]
    assert [name for name, _ in engine.sent] == ["A"] * 100
    assert dispatcher.handed_seq(100) < 100
    engine.read.set()


class Desks:
    """Sessions whose engine has stored some reports."""

    def __init__(self, folder, stored: dict[str, str]) -> None:
        self.store_dir = folder
        self.sessions = [f"FIX.4.4:ALGO->{name}" for name in stored]
        for name, exec_id in stored.items():
            body = f"35=8\x0117={exec_id}\x01"
            (folder / f"FIX.4.4-ALGO-{name}.body").write_text(body)
            (folder / f"FIX.4.4-ALGO-{name}.header").write_text(f"1,0,{len(body)} ")
            (folder / f"FIX.4.4-ALGO-{name}.seqnums").write_text("0000000002 : 0000000001")


def test_after_a_crash_each_session_gets_what_it_has_not_had(tmp_path):
    """A report that left to its client and not to the copy is sent to the copy alone, and the other way round."""
    desks = Desks(tmp_path, {"A": "x1", "DROP": "x2"})
    unsent = [(1, 1, report("A", "x1")), (2, 2, report("A", "x2"))]
    kept = never_left(unsent, desks, (DropCopy("DROP"),))
    assert [(seq, to) for seq, _, _, to in kept] == [(1, "DROP"), (2, "A")]


def test_control_4_orders_have_a_rate_by_the_walls_clock_that_cancels_never_ask():
    """Whatever the market's clock says. What is held back comes back as not sent, for a reason, and nobody has to cancel it."""
    engine, wall, unsent = Engine(), [0], []
    dispatcher = Dispatcher({"AAPL": Instrument("AAPL", 1, 1, 1, 0, 1)}, lambda _: None, 2, lambda: wall[0])
    for name in ("V", "W"):
        dispatcher.add_venue(name, engine, f"FIX.4.4:ALGO->{name}", lambda venue, letter, why: unsent.append((venue, letter.child_id, why)))
    about = {"symbol": "AAPL", "side": Side.BUY, "order_qty": 1}

    def send(child_id: str, venue: str = "V") -> None:
        child = SendChild(child_id=child_id, venue=venue, ord_type=OrdType.LIMIT, price=1, time_in_force=TimeInForce.DAY, client="A", **about)
        dispatcher.dispatch(1, len(child_id), child)

    for n in range(4):
        send(f"p.{n}")
    send("p.w", "W")
    dispatcher.dispatch(1, 1, CancelChild(child_id="p.0", cancel_id="p.0.c1", venue="V", **about))
    assert unsent == [("V", f"p.{n}", "more than 2 orders in a second of wall time to V") for n in (2, 3)]
    wall[0] += SECOND // 2
    send("p.4")
    send("p.5")
    dispatcher.post()
    assert dispatcher.stop(10) == []
    sent = [(name, body.partition("\x0111=")[2].partition("\x01")[0]) for name, body in engine.sent]
    assert sorted(sent) == [("V", "p.0"), ("V", "p.0.c1"), ("V", "p.1"), ("V", "p.4"), ("W", "p.w")]
    assert dispatcher.cancel_all() == 4
