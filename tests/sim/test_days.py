"""The turn of a trading day: what is over is forgotten, what lives is not, in memory and on disk."""

import gc
import os

import pytest

from algoserver.domain.types import DAY, MINUTE, SECOND, Side, utc
from algoserver.sim.blotter import ClientOrder
from algoserver.sim.config import SessionHours
from algoserver.sim.exchange import Exchange
from algoserver.sim.faults import Fault
from algoserver.sim.ledger import Ledger, Line
from algoserver.sim.mishaps import Impossible
from algoserver.sim.reports import GOOD_TILL_CANCEL, Report, TradePrint
from algoserver.sim.stage import Stage
from tests.sim.fixclient import Client, Simulator, order
from tests.sim.street import OPEN, T0, Street, cancel, new, quiet, replace, rewish, status, told, wish

BUY, SELL = Side.BUY, Side.SELL
DAYS = 4 * 24 * 60  # minutes of a market
PREFIX = "p-"


def market(session: SessionHours = OPEN) -> Exchange:
    """Quiet, over days."""
    return quiet(DAYS, session=session)


def a_day() -> Street:
    """F is filled, C canceled, R rejected; L, first K, lives until it is canceled, with 30 of 100 done."""
    street = Street(market())
    k = wish("K", BUY, 200, "50", expire_ts=GOOD_TILL_CANCEL)
    for request in (new("F", BUY, 100, "51"), new("C", BUY, 100, "49"), cancel("C2", "C"), new("R", BUY, -1, "49"), k):
        street.ask(request)
    street.fill(130, "50")
    street.ask(rewish("L", "K", k, order_qty=100))
    street.ask(wish("L2", BUY, 100, "50", expire_ts=GOOD_TILL_CANCEL))
    return street


def known(street: Street, *names: str) -> list[str]:
    """What a status request is answered, in short."""
    return [street.ask(status(name))[0].split()[0].removeprefix("OrderStatus/") for name in names]


def exec_ids(answers: list) -> list[str]:
    return [a.exec_id for a in answers if isinstance(a, Report)]


def test_day_1_what_is_over_is_forgotten_when_a_day_begins_and_what_lives_stays():
    """At the next open, and not before. L is known by every name that it ever had, and its fill can be taken back."""
    street = a_day()
    street.ts = T0 + DAY - SECOND
    assert known(street, "F", "C", "C2", "R", "K", "L", "L2") == ["FILLED", "CANCELED", "CANCELED", "REJECTED"] + ["PARTIALLY_FILLED"] * 2 + ["NEW"]
    assert not street.exchange.turned
    street.ts = T0 + DAY
    assert known(street, "F", "C", "C2", "R", "K", "L", "L2") == ["REJECTED"] * 4 + ["PARTIALLY_FILLED"] * 2 + ["NEW"]
    assert street.exchange.turned
    assert street.exchange.counter.blotter.fills() == [a.exec_id for a in street.seen if type(a).__name__ == "Trade" and a.cl_ord_id == "K"]
    Stage(street.exchange).inject(street.ts, Fault(kind="bust", client="ALGO"))
    assert known(street, "L") == ["NEW"]
    assert street.ask(new("L", BUY, 100, "50")) == ["Rejected/NEW (L) 100 0/100"]


def test_day_1_a_market_that_never_closes_keeps_the_last_hour_of_a_day_for_another_day():
    """Its day begins at midnight UTC: A, filled at 22:59, is forgotten then; B, at 23:30, a day later."""
    street = Street(market(SessionHours()))
    midnight = T0 - T0 % DAY + DAY
    for name, ts in (("A", midnight - 61 * MINUTE), ("B", midnight - 30 * MINUTE)):
        street.ts = ts
        street.ask(new(name, BUY, 100, "50"))
        street.fill(100)
    street.ts = midnight - SECOND
    assert known(street, "A", "B") == ["FILLED", "FILLED"]
    street.ts = midnight
    assert known(street, "A", "B") == ["REJECTED", "FILLED"]
    street.ts = midnight + DAY
    assert known(street, "B") == ["REJECTED"]


def test_day_1_how_often_somebody_looks_forgets_nothing_more_or_less():
    """Every ten minutes over three days or at once: the same orders are left. One expires at the second night."""
    left = []
    for step in (3 * DAY, 10 * MINUTE):
        street = a_day()
        street.ask(wish("E", BUY, 100, "48", expire_ts=T0 + DAY + 30 * MINUTE))
        until = T0 + 2 * DAY - MINUTE
        while street.ts < until:
            street.ts = min(street.ts + step, until)
            street.go(0)
        left.append([o.cl_ord_id for o in street.exchange.counter.blotter.every()])
    assert left == [["L", "L2", "E"]] * 2


def test_day_1_a_late_word_about_an_order_keeps_it_for_its_day():
    """C was canceled yesterday and is filled late this morning: it is there until tomorrow's open. An hour is enough for what came just before."""
    street = a_day()
    street.ts = T0 + DAY - 30 * MINUTE
    stage = Stage(street.exchange)
    stage.inject(street.ts, Fault(kind="late_fill", order="C"))
    street.ts = T0 + DAY
    assert known(street, "F", "C") == ["REJECTED", "CANCELED"]
    stage.inject(street.ts, Fault(kind="bust"))
    street.ts = T0 + 2 * DAY
    assert known(street, "C") == ["REJECTED"]


def test_day_1_what_is_forgotten_leaves_memory_without_a_search_for_garbage():
    """A filled order and its place in the book know each other, and the simulator does not look for such pairs."""
    gc.collect()
    gc.disable()
    try:
        street = a_day()
        street.ts = T0 + DAY
        street.go(0)
        left = sum(isinstance(o, ClientOrder) for o in gc.get_objects())
        assert left == len(street.exchange.counter.blotter.every()) == 2
    finally:
        gc.enable()


def test_day_2_an_order_that_is_forgotten_is_unknown_and_its_names_are_free():
    street = a_day()
    fill = next(a.exec_id for a in street.seen if type(a).__name__ == "Trade" and a.cl_ord_id == "F")
    street.ts = T0 + DAY
    answers = [street.exchange.submit(street.ts, r)[-1] for r in (status("F"), cancel("X", "F"), replace("X", "F", 200, "51"))]
    assert told(answers) == ["OrderStatus/REJECTED (F) 0 0/0", "CxlRej/REJECTED (X,F) 1", "CxlRej/REJECTED (X,F) 1"]
    assert [a.order_id for a in answers] == ["NONE"] * 3
    assert (answers[0].ord_rej_reason, answers[0].text) == (5, "unknown order F")
    stage = Stage(street.exchange)
    for fault in (Fault(kind="bust", exec_id=fill), Fault(kind="correction", exec_id=fill), Fault(kind="late_fill", order="C")):
        with pytest.raises(Impossible, match="ended on an earlier day is forgotten"):
            stage.inject(street.ts, fault)
    assert street.ask(new("F", BUY, 100, "40")) == ["New/NEW (F) 100 0/100"]
    assert street.ask(new("C2", BUY, 100, "40", is_poss_resend=True)) == ["New/NEW (C2) 100 0/100"]
    assert known(street, "F", "C") == ["NEW", "REJECTED"]


def test_day_2_a_date_years_off_keeps_no_order_that_is_over():
    """GTD to 2030, canceled at once: nothing of it is left, and nothing happens at its date."""
    street = Street(market())
    street.ask(wish("G", BUY, 100, "50", expire_ts=utc("20300101-00:00:00")))
    street.ask(cancel("G2", "G"))
    assert street.exchange.counter.next_ts() == utc("20300101-00:00:00")
    street.go(DAY // SECOND)
    assert known(street, "G", "G2") == ["REJECTED"] * 2
    assert street.exchange.counter.next_ts() > utc("20300101-00:00:00")


def test_day_3_no_id_comes_twice_over_days_and_restarts(tmp_path):
    """Each day's market goes on from a ledger that holds none of the days before."""
    ledger = Ledger(tmp_path / "ledger", PREFIX)
    seen, orders, ts = [], set(), T0
    for _ in range(3):
        exchange = Exchange(market().config, prefix=PREFIX, sources={"AAPL": market().source("AAPL")})
        exchange.restore(ts, ledger.reports, counted=ledger.counted)
        answers = [a for name in ("A", "B") for a in exchange.submit(ts, new(name, BUY, -1, "50"))]
        ledger.write([Line(reports=answers)])
        seen, orders, ts = seen + exec_ids(answers), orders | {a.order_id for a in answers}, ts + DAY
        exchange.advance(ts)
        ledger.shrink({o.order_id for o in exchange.counter.blotter.every()}, exchange.counter.blotter.counted)
        ledger.close()
        ledger = Ledger(tmp_path / "ledger", "other")
        assert (ledger.prefix, ledger.reports) == (PREFIX, [])
    assert len(seen) == len(set(seen)) == len(orders) == 6


def a_ledger(path) -> tuple[Ledger, Exchange, list]:
    """Of a day that is over: its reports, what each session sent, and a debt to OTHER, who was not there."""
    street = a_day()
    reports = [a for a in street.seen if not isinstance(a, TradePrint)]
    ledger = Ledger(path, "")
    ledger.write([Line(session="S", seq=n + 1, reports=[report]) for n, report in enumerate(reports)])
    debt = next(a.exec_id for a in reports if a.client == "OTHER")
    ledger.write([Line(session="T", owed=[debt]), Line(session="U", owed=[])])
    street.ts = T0 + DAY
    street.go(0)
    return ledger, street.exchange, reports


def shrunk(ledger: Ledger, exchange: Exchange) -> None:
    ledger.shrink({o.order_id for o in exchange.counter.blotter.every()}, exchange.counter.blotter.counted)


def test_day_4_the_ledger_keeps_what_lives_what_is_owed_and_every_number(tmp_path):
    """The market that goes on from it is the one that wrote it: orders, queue, names, fills, counts."""
    path = tmp_path / "ledger"
    ledger, exchange, reports = a_ledger(path)
    shrunk(ledger, exchange)
    ledger.write([Line(session="S", seq=99)])
    ledger.close()
    after = Ledger(path, "new")
    alive = {o.order_id for o in exchange.counter.blotter.every()}
    owing = {a.order_id for a in reports if a.exec_id in after.owed["T"]}
    assert after.reports == [a for a in reports if a.order_id in alive | owing]
    assert (after.last_seq, after.owed, after.unconfirmed) == ({"S": 99}, {"T": after.owed["T"]}, [])
    assert not list(tmp_path.glob("*.new"))
    again = market()
    assert again.restore(T0 + DAY, after.reports, counted=after.counted) == []
    again.advance(T0 + DAY)
    mine, theirs = again.counter.blotter, exchange.counter.blotter
    assert [(o.order_id, o.cl_ord_id, o.cum_qty, o.notional) for o in mine.every()] == [
        (o.order_id, o.cl_ord_id, o.cum_qty, o.notional) for o in theirs.every()
    ]
    assert (mine.fills(), mine.counted, again.book("XLIT1", "AAPL")) == (theirs.fills(), theirs.counted, exchange.book("XLIT1", "AAPL"))


@pytest.mark.parametrize("dies_in", ["fsync", "replace"])
def test_day_4_a_kill_while_it_is_written_leaves_the_old_ledger(tmp_path, monkeypatch, dies_in):
    """Or a full disk: what comes next is written to the old one."""
    path = tmp_path / "ledger"
    ledger, exchange, reports = a_ledger(path)
    before = path.read_bytes()

    def full(*_):
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(os, dies_in, full)
        with pytest.raises(OSError, match="no space left"):
            shrunk(ledger, exchange)
    assert path.read_bytes() == before
    ledger.write([Line(session="S", seq=99)])
    ledger.close()
    after = Ledger(path, "new")
    assert (after.reports, after.last_seq, list(tmp_path.glob("*.new"))) == (reports, {"S": 99}, [])


def test_day_4_a_simulator_that_wakes_on_another_day_forgets_and_writes_its_ledger_anew(tmp_path):
    """2,500 orders of a day in 2019, and one good till cancel: only that one is left, after a kill too, and it can be canceled."""
    street = Street(Exchange(market().config, prefix=PREFIX, sources={"AAPL": market().source("AAPL")}))
    street.ask(wish("G", BUY, 100, "50", expire_ts=GOOD_TILL_CANCEL))
    for n in range(2_500):
        street.ask(new(f"D{n}", BUY, 100, "51"))
        street.ask(cancel(f"X{n}", f"D{n}"))
    ledger = Ledger(tmp_path / "ledger.jsonl", PREFIX)
    ledger.write([Line(reports=[a]) for a in street.seen])
    ledger.write([Line()])  # what was written before has left
    large = ledger.size()
    ledger.close()
    simulator = Simulator(tmp_path)
    client = Client(simulator.port)
    try:
        client.send("35=H|11=D7|55=AAPL|54=1|")
        client.report(_150="I", _39="8", _103="5", _37="NONE")
        client.send("35=H|11=G|55=AAPL|54=1|")
        client.report(_150="I", _39="0", _151="100")
        client.send(order("D7", "100"))
        taken = client.report(_150="0", _11="D7")
        assert large > 1 << 20 > 20_000 > (tmp_path / "ledger.jsonl").stat().st_size
        client.close()
        simulator.kill()
        simulator.start()
        client = Client(simulator.port, seq=client.seq)
        client.send("35=F|11=G2|41=G|55=AAPL|54=1|60=20190628-14:00:00|")
        canceled = client.report(_150="4", _11="G2", _41="G")
        numbers = [int(i.removeprefix(f"{PREFIX}E")) for i in (exec_ids(street.seen)[-1], taken["17"], canceled["17"])]
        assert numbers == sorted(set(numbers))
    finally:
        client.close()
        assert simulator.stop() == 0
