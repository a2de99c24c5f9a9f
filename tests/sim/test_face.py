"""The FIX face over sockets: orders, market data, and what a client finds after a kill -9."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from algoserver.door import call
from tests.sim.fixclient import ROOT, Client, Simulator, cancel, order


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    simulator = Simulator(tmp_path_factory.mktemp("sim"))
    yield simulator
    assert simulator.stop() == 0


@pytest.fixture
def fresh(tmp_path):
    simulator = Simulator(tmp_path / "state")
    yield simulator
    simulator.stop()


@pytest.fixture
def canceling(tmp_path):
    """A market that cancels what was live when it starts again."""
    config = tmp_path / "sim.toml"
    config.write_text((ROOT / "cfg" / "sim.toml").read_text().replace('on_restart = "keep"', 'on_restart = "cancel"'))
    simulator = Simulator(tmp_path / "state", str(config))
    yield simulator
    simulator.stop()


@pytest.fixture
def client(simulator):
    client = Client(simulator.port, reset=True)
    yield client
    client.close()


def test_an_order_lives_over_fix(client):
    """D New, G Replaced, H status, F Canceled, then too late; a taker is filled; a duplicate is refused."""
    client.send(order("f1", "150"))
    client.report(_35="8", _150="0", _39="0", _11="f1", _38="100", _151="100", _14="0", _44="150", _55="AAPL")
    client.send(order("f2", "151", qty=80, head="35=G|41=f1|"))
    client.report(_35="8", _150="5", _39="0", _11="f2", _41="f1", _38="80", _151="80", _44="151")
    client.send("35=H|11=f2|55=AAPL|54=1|790=r1|")
    client.report(_35="8", _150="I", _39="0", _11="f2", _790="r1", _14="0", _151="80", _6="0")
    client.send(cancel("f3", "f2"))
    client.report(_35="8", _150="4", _39="4", _11="f3", _41="f2", _151="0")
    client.send(cancel("f4", "f3"))
    client.report(_35="9", _39="4", _11="f4", _41="f3", _102="0", _434="1")
    client.send(cancel("f5", "never"))
    client.report(_35="9", _39="8", _37="NONE", _102="1")
    client.send("35=H|11=never|55=AAPL|54=1|")
    client.report(_35="8", _150="I", _39="8", _103="5")
    client.send(order("f1", "150"))
    client.report(_35="8", _150="8", _103="6")
    client.send(order("f6", "150.001"))
    client.report(_35="8", _150="8", _39="8", _103="11")
    client.send(order("f7", "150", qty="1.5"))
    client.report(_35="8", _150="8", _39="8", _103="13")
    client.send(order("f8", "150", symbol="NONE"))
    client.report(_35="8", _150="8", _39="8", _103="1")
    client.send(order("f9", "400", qty=10))
    client.report(_35="8", _150="0", _11="f9")
    filled = client.report(_35="8", _150="F", _39="2", _14="10", _151="0", _32="10", _851="2", _30="XLIT1", _29="1")
    assert filled["6"] == filled["31"]


def test_a_message_type_without_a_place_here_is_rejected(client):
    client.send("35=x|320=q|559=0|")
    client.report(_35="j", _380="3", _372="x")


def test_a_dark_venue_over_fix(simulator):
    """Two clients' pegs meet at XDARK1, past any smaller order of the crowd; its book is empty, its trade is told, and a lit venue takes no peg."""
    data = Client(simulator.port, sender="ALGOMD", target="XDARK1")
    data.send("35=V|262=d1|263=1|264=5|265=0|267=3|269=0|269=1|269=2|146=1|55=GE|")
    assert data.wait(lambda m: m["35"] == "W")["268"] == "0"
    dark = Client(simulator.port, target="XDARK1", reset=True)
    peg = "35=D|11={}|55=GE|54={}|60=20190628-14:00:00|38=12345|40=P|18=M|{}59=0|"
    dark.send(peg.format("k1", 1, "110=12345|"))
    dark.report(_150="0", _11="k1", _40="P", _18="M", _110="12345")
    dark.send(peg.format("k2", 2, "44=1|110=12345|"))
    dark.report(_150="0", _11="k2", _44="1")
    filled = [dark.report(_150="F", _39="2", _32="12345") for _ in range(2)]
    assert {f["11"] for f in filled} == {"k1", "k2"}
    assert data.wait(lambda m: m["35"] == "X" and m.get("271") == "12345")["270"] == filled[0]["31"]
    dark.send(peg.format("k3", 2, "110=1.5|"))
    dark.report(_150="8", _103="13")
    dark.send("35=D|11=k4|55=GE|54=1|60=20190628-14:00:00|38=100|40=1|59=0|")
    dark.report(_150="8", _103="11")
    dark.close()
    data.close()


def test_market_data_over_fix(simulator):
    """A full book of five levels a side, then trades; an unknown symbol is Y, and V works on an order session too."""
    data = Client(simulator.port, sender="ALGOMD")
    data.send("35=V|262=m1|263=1|264=5|265=0|267=3|269=0|269=1|269=2|146=2|55=AAPL|55=GE|")
    assert data.wait(lambda m: m["35"] == "W" and m["55"] == "AAPL")["268"] == "10"
    trader = Client(simulator.port, reset=True)
    trader.send("35=V|262=m2|263=0|264=1|267=2|269=0|269=1|146=1|55=AAPL|")
    assert trader.wait(lambda m: m["35"] == "W")["268"] == "2"
    trader.send(order("md1", "400", qty=7))
    printed = data.wait(lambda m: m["35"] == "X" and m.get("271") == "7")
    assert (printed["279"], printed["269"], printed["55"]) == ("0", "2", "AAPL")
    assert printed["272"]
    assert printed["273"]
    data.send("35=V|262=m3|263=1|264=5|265=0|267=1|269=0|146=1|55=NONE|")
    data.wait(lambda m: m["35"] == "Y" and m["281"] == "0")
    trader.close()
    data.close()


def test_a_halt_is_told_to_who_asks_and_orders_are_refused_in_it(tmp_path):
    """e is answered by f, g by h; D by 103=2. The halt is half a day around now."""
    begin = datetime.now(UTC) - timedelta(hours=6)
    config = tmp_path / "sim.toml"
    config.write_text((ROOT / "cfg" / "sim.toml").read_text() + f'[[halts]]\nsymbol = "AAPL"\nbegin = "{begin:%H:%M:%S}"\nseconds = 43200\n')
    halted = Simulator(tmp_path / "state", str(config))
    try:
        data, trader = Client(halted.port, sender="ALGOMD"), Client(halted.port)
        data.send("35=e|324=s1|55=AAPL|263=1|")
        assert data.wait(lambda m: m["35"] == "f" and m["55"] == "AAPL")["326"] == "2"
        data.send("35=e|324=s2|55=GE|263=1|")
        assert data.wait(lambda m: m["35"] == "f" and m["55"] == "GE")["326"] == "17"
        data.send("35=g|335=all|263=1|")
        assert data.wait(lambda m: m["35"] == "h")["340"] == "2"
        trader.send(order("h1", "150"))
        trader.report(_150="8", _39="8", _103="2", _58="trading in AAPL is halted")
        trader.close()
        data.close()
    finally:
        assert halted.stop() == 0


def test_after_a_kill_the_client_is_told_everything_once_more(canceling):
    """Live orders: their reports come again with 97=Y and the same ExecIDs, then Canceled. Ended ones are remembered."""
    client = Client(canceling.port)
    client.send(order("A", "150"))
    first = client.report(_150="0")
    client.send(order("B", "400", qty=10))
    client.report(_150="0")
    client.report(_150="F", _39="2")
    canceling.kill()
    client.close()

    canceling.start()
    client = Client(canceling.port, seq=client.seq)
    again = client.report(_97="Y", _150="0", _11="A")
    assert again["17"] == first["17"]
    canceled = client.report(_150="4", _39="4", _11="A", _151="0", _58="venue restarted")
    assert "97" not in canceled
    assert canceled["17"] != first["17"]
    client.send("35=H|11=B|55=AAPL|54=1|")
    client.report(_150="I", _39="2", _14="10")
    client.send(order("B", "400", qty=10))
    client.report(_150="8", _39="2", _103="6")
    client.send(cancel("C", "A"))
    client.report(_35="9", _102="0", _39="4")
    client.close()


def test_a_second_kill_before_the_client_is_back_loses_no_cancel(canceling):
    client = Client(canceling.port)
    client.send(order("A", "150"))
    client.report(_150="0")
    client.close()
    for _ in range(2):
        canceling.kill()
        canceling.start()
    client = Client(canceling.port, seq=client.seq)
    client.report(_97="Y", _150="0", _11="A")
    client.report(_150="4", _11="A", _58="venue restarted")
    client.close()


def test_a_report_that_missed_the_wire_is_told_after_the_kill(fresh):
    """The ledger has a fill that the engine's store has not: it comes with 97=Y, once, and nothing else does.

    Once also if the next kill falls between the telling and the ledger's note that it was told.
    """
    client = Client(fresh.port)
    client.send(order("A", "400", qty=10))
    client.report(_150="0")
    filled = client.report(_150="F", _39="2")
    fresh.kill()
    client.close()
    lost = filled["17"].encode()
    [body] = (fresh.state / "fix").glob("FIX.4.4-XLIT1-ALGO.body")
    body.write_bytes(body.read_bytes().replace(lost, b"x" * len(lost)))

    for expected in ("F", "I", "I"):
        fresh.start()
        client = Client(fresh.port, seq=client.seq)
        client.send("35=H|11=A|55=AAPL|54=1|")
        told = client.report(_39="2")
        assert (told["150"], told.get("97"), told["17"] == filled["17"]) == (("F", "Y", True) if expected == "F" else ("I", None, False))
        if expected == "F":
            client.report(_150="I")  # the request is answered, and so its number is counted before the next kill
        client.close()
        fresh.kill()
        _forget_what_was_paid(fresh.state / "ledger.jsonl")


def _forget_what_was_paid(ledger):
    """As if the kill had come before the note that nothing is owed any more, the last that a turn writes."""
    lines = [line for line in ledger.read_bytes().splitlines(keepends=True) if b'"owed":[]' not in line]
    ledger.write_bytes(b"".join(lines))


def test_what_was_received_but_not_processed_is_asked_for_again(fresh):
    """A ledger that lacks the last message makes the engine ask for it; what was processed is not done twice."""
    client = Client(fresh.port)
    client.send(order("A", "400", qty=10))
    client.report(_150="0")
    client.report(_150="F", _39="2")
    client.send(order("B", "400", qty=10))
    client.report(_150="0")
    client.report(_150="F", _39="2")
    fresh.kill()
    ledger = fresh.state / "ledger.jsonl"
    kept = [line for line in ledger.read_bytes().splitlines(keepends=True) if b'"seq":3' not in line]
    ledger.write_bytes(b"".join(kept)[:-1] + b"\n" + b'{"session":"FIX.4.4:XLIT1->ALGO","seq":3,"rep')

    fresh.start()
    client = Client(fresh.port, seq=client.seq)
    asked = client.wait(lambda m: m["35"] == "2")
    assert asked["7"] == "3"
    client.send(order("A", "400", qty=10), seq=2, header="43=Y|122=20190628-14:00:00|")
    client.send(order("B", "400", qty=10), seq=3, header="43=Y|122=20190628-14:00:00|")
    client.send("35=4|123=Y|36=5|", seq=4, header="43=Y|122=20190628-14:00:00|")
    client.report(_150="0", _11="B")
    client.report(_150="F", _11="B")
    client.close()


def test_a_wrong_scenario_is_named_and_ends_with_status_2(tmp_path):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text((ROOT / "cfg" / "sim.toml").read_text().replace("seed =", "sead ="))
    command = [sys.executable, "-m", "algoserver", "sim", "--config", str(wrong), "--state", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "wrong.toml" in ended.stderr
    assert "sead" in ended.stderr or "seed" in ended.stderr


@pytest.fixture
def copying(tmp_path):
    """A simulator with a drop copy of what ALGO hears, whose orders end with his session at XLIT1."""
    config = tmp_path / "sim.toml"
    clients = '\n[[clients]]\nname = "ALGO"\nvenue = "XLIT1"\ncancel_on_disconnect = true\n'
    config.write_text((ROOT / "cfg" / "sim.toml").read_text() + clients + '[[drop_copies]]\nsession = "ALGODC"\nclient = "ALGO"\n')
    simulator = Simulator(tmp_path / "state", str(config))
    yield simulator
    assert simulator.stop() == 0


def test_copy_1_a_drop_copy_hears_what_its_client_hears_and_may_say_nothing(copying):
    """Trades and the end of an order with its client's session, with him in 115; what it missed it is told again.

    Its own order is refused. What a fault loses on the way to the client it hears.
    """
    client, copy = Client(copying.port, reset=True), Client(copying.port, sender="ALGODC", reset=True)
    client.send(order("d1", "400", qty=10))
    told = client.report(_150="0"), client.report(_150="F", _11="d1")
    heard = copy.report(_150="0", _115="ALGO"), copy.report(_150="F", _115="ALGO", _11="d1")
    assert [r["17"] for r in told] == [r["17"] for r in heard]
    copy.send(order("d2", "150"))
    copy.report(_35="j", _380="6")
    copy.close()
    client.send(order("d3", "150"))
    client.report(_150="0", _11="d3")
    client.send("35=H|11=d3|55=AAPL|54=1|")
    client.report(_150="I", _11="d3")  # a turn after d3's: the copy of that is on its way to nobody
    client.close()
    copy = Client(copying.port, sender="ALGODC", seq=copy.seq)
    copy.send("35=2|7=1|16=0|")
    missed = copy.wait(lambda m: (m.get("11"), m.get("150")) == ("d3", "0"))
    canceled = copy.wait(lambda m: m.get("150") == "4")
    assert (missed["43"], canceled["11"], canceled["58"], canceled["115"]) == ("Y", "d3", "cancel on disconnect", "ALGO")
    assert "error" not in call(copying.state, {"verb": "sim.inject", "target": "drop", "values": {"client": "ALGO", "seconds": 600}})
    client = Client(copying.port, seq=client.seq)
    client.send(order("d4", "400", qty=10))
    copy.wait(lambda m: (m.get("11"), m.get("150")) == ("d4", "F"))
    client.send("35=g|335=s1|263=0|")
    heard = []
    client.wait(lambda m: heard.append(m.get("11")) or m["35"] == "h")
    assert "d4" not in heard
    client.close()
    copy.close()
