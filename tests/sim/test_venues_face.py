"""Every kind of venue over FIX (cfg/sim-venues.toml): terms, mass cancels, quotes, indications, fees, rates, disconnects, a restart."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.sim.fixclient import ROOT, Client, Simulator, cancel, order

SHIPPED = (ROOT / "cfg" / "sim-venues.toml").read_text()


def config(folder):
    """The shipped market, whose quotes and invitations wait for a busy machine."""
    path = folder / "sim.toml"
    text, count = re.subn(r"(?m)^(valid_ms|firm_up_ms) = 2000 ", r"\1 = 600_000 ", SHIPPED)
    assert count == 2
    path.write_text(text)
    return str(path)


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("venues")
    simulator = Simulator(folder, config(folder))
    yield simulator
    assert simulator.stop() == 0


@pytest.fixture
def client(simulator):
    client = Client(simulator.port, reset=True)
    yield client
    client.logout()


def term(cl_ord_id, fields, side=1, qty=100, kind="2", tif="0", head="35=D|"):
    return f"{head}11={cl_ord_id}|55=AAPL|54={side}|60=20190628-14:00:00|38={qty}|40={kind}|59={tif}|{fields}"


def tomorrow():
    return f"{datetime.now(UTC) + timedelta(days=1):%Y%m%d-%H:%M:%S}"


def test_every_term_is_taken_and_told_again(client):
    """A report says 40, 59, 18 and the terms as the order did."""
    until = tomorrow()
    client.send(term("t1", "99=900|", kind="3"))
    client.report(_11="t1", _150="0", _40="3", _99="900")
    client.send(term("t2", "44=901|99=900|", kind="4"))
    client.report(_11="t2", _150="0", _40="4", _99="900", _44="901")
    client.send(term("t3", "44=150|111=10|"))
    client.report(_11="t3", _150="0", _111="10")
    client.send(term("t4", "44=150|1138=0|"))
    client.report(_11="t4", _150="0", _111="0")
    client.send(term("t5", "18=R|211=-0.05|44=150|", kind="P"))
    client.report(_11="t5", _150="0", _40="P", _18="R", _211="-0.05")
    client.send(term("t6", "44=150|18=6|"))
    client.report(_11="t6", _150="0", _18="6")
    client.send(term("t7", f"44=150|126={until}|", tif="6"))
    client.report(_11="t7", _150="0", _59="6", _126=f"{until}.000")
    client.send(term("t8", "44=150|", tif="1"))
    client.report(_11="t8", _150="0", _59="1")
    client.send(term("t9", "44=400|110=50|", tif="3"))
    client.report(_11="t9", _150="0", _110="50")
    client.report(_11="t9", _150="F")
    client.send(term("t0", "44=400|18=6|"))
    client.report(_11="t0", _150="8", _103="99")
    client.send("35=q|11=q1|530=1|55=AAPL|60=20190628-14:00:00|")
    client.wait(lambda m: m["35"] == "r" and (m["11"], m["531"], m["533"]) == ("q1", "1", "8"))
    assert {client.report(_150="4", _58="mass cancel")["11"] for _ in range(8)} == {f"t{n}" for n in range(1, 9)}
    client.send("35=q|11=q2|530=1|55=NONE|60=20190628-14:00:00|")
    client.wait(lambda m: m["35"] == "r" and (m["11"], m["531"], m["532"]) == ("q2", "0", "99"))


def test_a_fill_reports_its_fee(client):
    client.send(order("fee1", "400", qty=10))
    filled = client.report(_150="0", _11="fee1") and client.report(_150="F", _11="fee1")
    assert (filled["136"], filled["138"], filled["139"]) == ("1", "USD", "4")
    assert float(filled["137"]) == pytest.approx(0.003 * float(filled["32"]))


def test_cod_1_what_a_session_left_behind_is_canceled(simulator):
    """At XLIT2, not at XLIT1; the client is told when it is back."""
    here, there = Client(simulator.port, target="XLIT2", reset=True), Client(simulator.port, reset=True)
    here.send(term("d1", "44=150|", tif="1"))
    here.report(_11="d1", _150="0")
    there.send(order("d2", "150"))
    there.report(_11="d2", _150="0")
    here.logout()
    there.logout()
    here = Client(simulator.port, target="XLIT2", seq=here.seq)
    here.send("35=2|7=1|16=0|")
    canceled = here.wait(lambda m: m["35"] == "8" and m["150"] == "4")
    assert (canceled["11"], canceled["39"], canceled["58"]) == ("d1", "4", "cancel on disconnect")
    there = Client(simulator.port, seq=there.seq)
    there.send("35=H|11=d2|55=AAPL|54=1|")
    there.report(_11="d2", _150="I", _39="0")
    here.logout()
    there.logout()


def test_a_dealer_over_fix(simulator):
    """R, S by 131 and 117; D on it is looked at and traded; Z ends the stream; a bad R is AG; a lit venue quotes nobody."""
    client = Client(simulator.port, target="XDEAL1", reset=True)
    client.send("35=R|131=r1|146=1|55=AAPL|54=1|38=100|")
    quote = client.wait(lambda m: m["35"] == "S")
    assert (quote["131"], quote["55"], quote["134"], float(quote["132"]) < float(quote["133"])) == ("r1", "AAPL", "2000", True)
    client.send(term("k1", f"44={quote['133']}|117={quote['117']}|", kind="D", tif="4"))
    client.report(_11="k1", _150="A", _39="A", _40="D")
    decided = client.report(_11="k1")
    if decided["150"] == "0":
        client.report(_11="k1", _150="F", _39="2", _31=quote["133"], _29="4", _30="XDEAL1")
    else:
        assert (decided["150"], decided["103"]) == ("8", "99")
    client.send("35=Z|131=r1|117=*|298=1|")
    client.send("35=Z|131=r1|117=*|298=1|")
    client.wait(lambda m: m["35"] == "j" and m["372"] == "Z")
    client.send("35=R|131=r2|146=1|55=NONE|")
    assert client.wait(lambda m: m["35"] == "AG")["658"] == "1"
    client.logout()
    lit = Client(simulator.port, reset=True)
    lit.send("35=R|131=r3|146=1|55=AAPL|")
    assert lit.wait(lambda m: m["35"] == "AG")["658"] == "99"
    lit.logout()


def test_indications_over_fix(simulator):
    """Two clients indicate, both are invited, both firm up, and trade at the mid; a bad one is j."""
    one, other = Client(simulator.port, target="XDARK1", reset=True), Client(simulator.port, sender="ALGOMD", target="XDARK1")
    one.send("35=6|23=i1|28=N|55=AAPL|54=1|27=77700|62=20991231-00:00:00|")
    other.send("35=6|23=i2|28=N|55=AAPL|54=2|27=55500|")
    for client, ioi, side in ((one, "i1", 1), (other, "i2", 2)):
        invited = client.wait(lambda m, ioi=ioi: m["35"] == "R" and m["131"] == ioi)
        assert invited["54"] == str(side)
        client.send(term(f"x{ioi}", f"23={ioi}|110=55500|", side=side, qty=55_500, kind="E"))
        client.report(_11=f"x{ioi}", _150="0", _40="E")
    filled = [client.report(_150="F", _39="2", _32="55500") for client in (one, other)]
    assert filled[0]["31"] == filled[1]["31"]
    one.send("35=6|23=i3|28=N|55=AAPL|54=1|27=L|")
    one.report(_35="j", _372="6")
    one.logout()
    other.logout()


def test_ten_levels_and_imbalances_can_be_asked_for(simulator):
    data = Client(simulator.port, sender="ALGOMD")
    data.send("35=V|262=m1|263=1|264=10|265=1|267=3|269=0|269=1|269=A|146=1|55=AAPL|")
    assert data.wait(lambda m: m["35"] == "W")["268"] in [str(n) for n in range(12, 21)]
    data.send("35=V|262=m2|263=1|264=0|265=1|267=1|269=4|146=1|55=AAPL|")
    data.wait(lambda m: m["35"] == "Y" and m["281"] == "8")
    data.logout()


def test_thr_1_more_messages_than_agreed_are_refused_and_a_cancel_passes(simulator):
    """The last at XLIT2, for a second is full afterwards: it takes 20 a second: of 400 at once some are rejected; what stands can be canceled."""
    fast = Client(simulator.port, target="XLIT2", reset=True)
    for n in range(400):
        fast.send(order(f"r{n}", "150"))
    seen = [fast.report() for _ in range(400)]
    refused = [m for m in seen if m["150"] == "8"]
    assert {m["58"] for m in refused} == {"throttled: more than 20 messages a second"}
    assert {m["103"] for m in refused} == {"99"}
    taken = next(m["11"] for m in seen if m["150"] == "0")
    for n in range(25):
        fast.send("35=e|324=s|55=AAPL|263=0|")
        fast.send(cancel(f"c{n}", taken if n == 0 else "nothing"))
    fast.wait(lambda m: m["35"] == "8" and m["150"] == "4" and m["41"] == taken)
    fast.logout()


def test_books_orders_and_numbers_survive_a_kill(tmp_path):
    """Live orders stand in their queues as they did, a stop sleeps on, numbers go on, and nothing is told twice."""
    simulator = Simulator(tmp_path / "state", config(tmp_path))
    client = Client(simulator.port)
    client.send(order("A", "150"))
    client.report(_150="0", _11="A")
    client.send(term("S", "99=900|", kind="3", tif="1"))
    client.report(_150="0", _11="S")
    client.send(order("B", "150", qty=70))
    client.report(_150="0", _11="B")
    client.send(order("A2", "150", qty=60, head="35=G|41=A|"))
    client.report(_150="5", _11="A2")
    simulator.kill()
    client.close()

    simulator.start()
    client = Client(simulator.port, seq=client.seq)
    client.send("35=H|11=S|55=AAPL|54=1|")
    told = client.report()
    assert (told["150"], told["39"], told["151"], told["99"]) == ("I", "0", "100", "900")
    client.send(order("Z", "1", qty=100, side=2, head="35=D|"))
    client.send("35=H|11=A2|55=AAPL|54=1|")
    assert client.wait(lambda m: m["35"] == "8" and m["150"] == "I" and m["11"] == "A2")["151"] == "60"
    client.send(cancel("C", "B"))
    client.report(_35="8", _150="4", _41="B")
    client.logout()
    assert simulator.stop() == 0
