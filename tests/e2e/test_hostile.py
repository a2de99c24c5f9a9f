"""Hostile algos, clients and wires against a real server: what leaves is only what may, and nobody else notices."""

import os
import resource
import socket
import subprocess
import sys

import pytest

from algoserver.journal import read
from tests.e2e.street import PATIENCE_S, ROOT, ask
from tests.e2e.venue import RawClient, Scripted, now, refused_start

# What stops a mad algo sooner is proven elsewhere; here it goes on, and the gate alone holds.
NO_BREAKER = {"rejects_max": "1000000", "repeats_max": "1000000", "children_per_second_max": "1000000"}


def test_a_mad_algo_gets_no_byte_past_the_gate(tmp_path):
    """Of 11,000 children, wrong ones and a flood, the venue hears ten right ones: all that the parent's 1,000 shares allow."""
    scripted = Scripted(tmp_path / "street", launcher="tests.e2e.hostile", policy=NO_BREAKER)
    client = scripted.client()
    client.order("MAD")
    assert client.next()["150"] == "0"
    for _ in range(10):
        scripted.venue.next("D")
    client.peer.send("H", (11, "MAD"), (55, "AAPL"), (54, 1))
    assert client.next()["150"] == "I"  # the server lives, and all that it decided before is out
    assert scripted.close() == 0
    sent = [m for m in scripted.venue.received if m["35"] == "D"]
    assert [(m["55"], m["54"], m["38"], m["44"], m["56"]) for m in sent] == [("AAPL", "1", "100", "200", "XLIT1")] * 10


def test_a_flood_is_held_to_the_venues_message_rate(tmp_path):
    """With room for everything else, the rate is what stops a flood within one event."""
    scripted = Scripted(tmp_path / "street", launcher="tests.e2e.hostile", policy={"venue_messages_per_second_max": "25", **NO_BREAKER})
    client = scripted.client()
    client.order("MAD", t38=500_000)
    assert client.next()["150"] == "0"
    for _ in range(25):
        scripted.venue.next("D")
    client.peer.send("H", (11, "MAD"), (55, "AAPL"), (54, 1))
    assert client.next()["150"] == "I"
    assert scripted.close() == 0
    assert len([m for m in scripted.venue.received if m["35"] == "D"]) == 25


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """A server and its scripted venue."""
    scripted = Scripted(tmp_path_factory.mktemp("hostile") / "street")
    yield scripted
    assert scripted.close() == 0


@pytest.fixture
def client(street):
    """A client that is logged on."""
    raw = street.client()
    yield raw
    raw.close()


# Moments are seconds from when the order is sent.
BAD: dict[str, tuple[dict[str, object], tuple[int, ...], tuple[tuple[int, object], ...], str, str]] = {
    "unknown symbol": ({"t55": "NOSUCH"}, (), (), "unknown_symbol", "1"),
    "unknown side": ({"t54": "Z"}, (), (), "unknown_side", "11"),
    "unknown strategy": ({"t847": 77}, (), (), "unknown_strategy", "11"),
    "strategy not built": ({"t847": 1999}, (), (), "unknown_strategy", "11"),
    "missing strategy": ({}, (847,), (), "missing_field", "99"),
    "missing parameter": ({"t847": 2}, (), (), "missing_parameter", "99"),
    "contradictory parameter": ({"t847": 2, "t849": "0.1"}, (), ((957, 1), (958, "TargetPctVol"), (960, "0.2")), "contradictory_parameter", "99"),
    "unknown parameter": ({}, (), ((957, 1), (958, "Mood"), (960, "good")), "unknown_parameter", "99"),
    "percentage as a whole number": ({}, (), ((957, 1), (958, "MaxPctVol"), (960, "15")), "bad_parameter", "99"),
    "wrong lot": ({"t38": "10.5"}, (), (), "wrong_lot", "13"),
    "wrong tick": ({"t40": 2, "t44": "200.005"}, (), (), "wrong_tick", "99"),
    "limit without price": ({"t40": 2}, (), (), "missing_price", "99"),
    "end before start": ({"t168": 900, "t126": 300}, (), (), "end_before_start", "99"),
    "end in the past": ({"t126": -300}, (), (), "end_in_the_past", "99"),
    "too large": ({"t38": 6_000_000}, (), (), "parent_qty_max", "3"),
    "beyond the collar": ({"t40": 2, "t44": "300"}, (), (), "price_collar", "3"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_with_what_to_change(client, name):
    """35=8 Rejected, 103, and a Text that begins with a machine-readable code."""
    changes, without, more, code, reason = BAD[name]
    client.order(f"BAD {name}", *more, without=without, **{t: now(v) if t in ("t168", "t126") else v for t, v in changes.items()})
    f = client.next()
    assert (f["35"], f["150"], f["39"], f["103"]) == ("8", "8", "8", reason), f
    assert f["58"].startswith(f"{code}: "), f["58"]
    assert len(f["58"]) > len(code) + 10


def test_a_second_order_of_the_same_id_is_refused(client):
    """103=6, with the first order's state."""
    client.order("TWICE")
    assert client.next()["150"] == "0"
    client.order("TWICE", t38=2_000)
    f = client.next()
    assert (f["150"], f["39"], f["103"], f["38"]) == ("8", "0", "6", "1000")


def test_what_is_not_built_says_so(client):
    """A valid type that nobody handles: 35=j 380=3; one that we handle and can't read: 380=5 or 0, as FIX has them."""
    client.peer.send("H", (11, "x" * 65), (55, "AAPL"), (54, 1))
    f = client.next()
    assert (f["35"], f["380"], f["372"], f["58"].partition(":")[0]) == ("j", "0", "H", "bad_id")
    client.peer.send("AE", (571, "T1"), (570, "N"), (55, "AAPL"), (32, 1), (31, 1), (75, "20260101"), (60, now()), (552, 1), (54, 1), (37, "X"))
    f = client.next()
    assert (f["35"], f.get("380", ""), f.get("372", "")) == ("j", "3", "AE"), f


def test_bytes_that_are_no_text_are_answered_and_stop_nobody(street, client):
    """An id of such bytes is refused: it could not be said back. Elsewhere they are read as unreadable, a venue's too."""
    client.peer.send("H", (11, "NOBODY"), (55, b"\xff\xfe"), (54, 1))
    f = client.next()
    assert (f["35"], f["150"], f["39"], f["55"]) == ("8", "I", "8", "\ufffd\ufffd")
    client.peer.send("D", (11, b"Z\xff"), (55, "AAPL"), (54, 1), (60, now()), (38, 100), (40, 1), (847, 1001))
    f = client.next()
    assert (f["35"], f["39"], f["58"].partition(":")[0]) == ("8", "8", "bad_id")
    nobodys = {"11": "nobody.1", "55": "AAPL", "54": "1", "38": "1", "44": "1", "56": "XLIT1"}
    street.venue.report(nobodys, "8", "8", 0, 0, 0, (58, b"Gr\xf6\xdfe"))
    client.peer.send("H", (11, "NOBODY"), (55, "AAPL"), (54, 1))
    assert client.next()["150"] == "I"


def test_a_first_message_with_a_field_that_is_none_ends_its_connection_alone(street, client):
    """A tag that is no number, from somebody who has not logged on. He gets no answer; another client's order is acknowledged."""
    strangers = []
    for number, body in enumerate((b"35=A\x0134x=1\x01", b"35=A\x0134%08x\x01", b"x=1\x01", b"35=A\x0149=CLIENT1\x01=\x01")):
        text = b"8=FIX.4.4\x019=%d\x01" % len(body) + body
        strangers.append(socket.create_connection(("127.0.0.1", street.port)))
        strangers[-1].sendall(text + b"10=%03d\x01" % (sum(text) % 256))
        client.order(f"STRANGE{number}", t38=1_100 + number)
        assert client.next()["150"] == "0"
    for stranger in strangers:
        stranger.close()


def test_garbage_and_a_dripped_message_bother_nobody(street, client):
    """Bytes that are no FIX, half a Logon that never ends, a wrong CompID: another client's order is acknowledged meanwhile."""
    drips = [socket.create_connection(("127.0.0.1", street.port)) for _ in range(3)]
    drips[0].sendall(os.urandom(10_000))
    drips[1].sendall(b"8=FIX.4.4\x019=70\x0135=A\x0149=CLI")
    drips[2].sendall(b"8=FIX.4.4\x019=61\x0135=A\x0134=1\x0149=NOBODY\x0152=20260101-00:00:00\x0156=ALGO\x0198=0\x01108=30\x0110=000\x01")
    client.order("CALM", t38=1_200)
    assert client.next()["150"] == "0"
    for drip in drips:
        drip.close()


def test_a_client_that_stops_reading_bothers_nobody(street, client):
    """It is owed more reports than any socket holds; another client's orders are acknowledged as ever."""
    deaf = RawClient(street.port, "CLIENT2")
    deaf.peer._take = lambda *_: None
    deaf.peer.connection.shutdown(socket.SHUT_RD)
    for i in range(3_000):
        deaf.peer.send("H", (11, f"NONE{i}" + "x" * 40), (55, "AAPL"), (54, 1))
    for i in range(5):
        client.order(f"BUSY{i}", t38=1_300 + i)
        assert client.next()["150"] == "0"
    deaf.close()


def test_on_a_full_disk_nothing_is_acknowledged_that_is_not_kept(tmp_path):
    """The server stops with the reason; every New that a client has heard is in the journal, and a start with room goes on."""
    limited = tmp_path / "limited.py"
    limited.write_text(
        "import resource, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from algoserver.cli import main\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, {resource.RLIM_INFINITY}))\n"
        "main()\n"
    )
    os.environ["PYTHONPATH"] = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    try:
        scripted = Scripted(tmp_path / "street", launcher="limited")
        client = scripted.client()
        acknowledged = set()
        for i in range(3_000):
            try:
                client.order(f"F{i}", t38=1_000 + i, t168=now(300), t126=now(600))
                f = client.next()
            except Exception:
                break
            if f["35"] != "8":
                break
            acknowledged.add(f["11"])
        assert scripted.server.process.wait(PATIENCE_S) != 0
        kept = {r.payload.cl_ord_id for r in read(scripted.state / "journal") if type(r.payload).__name__ == "ParentRequested"}
        assert len(acknowledged) > 50
        assert acknowledged <= kept
    finally:
        del os.environ["PYTHONPATH"]
    scripted.server.command[2] = "algoserver"
    scripted.server.start()
    scripted.venue.await_feed()
    scripted.venue.quote("200.00", "200.02", 20_000)
    again = scripted.client()
    again.order("GOES ON", t38=999, t168=now(300), t126=now(600))
    assert again.next()["150"] == "0"
    again.close()
    assert scripted.close() == 0


def test_a_damaged_journal_refuses_to_start_and_safe_mode_takes_the_children_back(tmp_path):
    """The refusal names file and byte; safe mode cancels what the last good state has open, and ends when it is confirmed. One that is started
    again cancels under other ids: a venue takes an id once."""
    scripted = Scripted(tmp_path / "street")
    client = scripted.client()
    client.order("OPEN", (957, 2), (958, "MaxPctVol"), (960, "1"), (958, "IWouldPrice"), (960, "300"))
    client.next()
    scripted.venue.trade(20_000, "200.01")
    child = scripted.venue.next("D")
    scripted.venue.report(child, "0", "0", 0, 1_000)
    while ask(scripted.state, {"verb": "order.show", "target": "OPEN"})["children"][0]["ord_status"] != "NEW":
        pass  # until the child's report is in the journal
    client.peer.send("H", (11, "OPEN"), (55, "AAPL"), (54, 1))
    client.next()
    scripted.server.kill()
    client.close()
    [segment] = (scripted.state / "journal").glob("*.log")
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[-3] = lines[-3].replace(b'"', b"'", 1)
    segment.write_bytes(b"".join(lines))
    cfg = str(scripted.state.parent / "cfg" / "server.toml")
    arguments = ("serve", "--config", cfg, "--state", str(scripted.state), "--venue-port", str(scripted.venue.port))
    said = refused_start(*arguments, "--port", str(scripted.port))
    assert segment.name in said
    assert "--safe-mode" in said
    command = [sys.executable, "-m", "algoserver", *arguments, "--safe-mode"]
    safe = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    scripted.venue.next("F")
    safe.kill()
    safe.wait()
    before = {m["11"] for m in scripted.venue.received if m["35"] == "F"}
    safe = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    cancel = scripted.venue.next("F")
    while cancel["11"] in before:
        cancel = scripted.venue.next("F")
    assert cancel["41"] == child["11"]
    scripted.venue.report(child, "4", "4", 0, 0)
    out, _ = safe.communicate(timeout=PATIENCE_S)
    assert safe.returncode == 0, out
    assert "0 children not confirmed" in out
    scripted.venue.close()


def test_a_bad_configuration_names_file_entry_and_key(tmp_path):
    """The server does not start."""
    for name in ("server.toml", "policy.toml", "instruments.toml"):
        (tmp_path / name).write_text((ROOT / "cfg" / name).read_text())
    path = tmp_path / "server.toml"
    path.write_text(path.read_text().replace("../sessions", str(ROOT / "sessions")))
    good = path.read_text()
    path.write_text(good.replace("slice_s = 60", "slice_z = 60"))
    said = refused_start("serve", "--config", str(path), "--state", str(tmp_path / "s"))
    assert "server.toml" in said
    assert "slice_z" in said
    path.write_text(good)
    instruments = tmp_path / "instruments.toml"
    instruments.write_text(instruments.read_text().replace('tick = "0.01"', 'tick = "0.01x"', 1))
    said = refused_start("serve", "--config", str(path), "--state", str(tmp_path / "s"))
    assert "instruments.toml" in said
    assert "AAPL" in said
    assert "0.01x" in said


def test_two_servers_do_not_share_a_state(street):
    """The second says who has it."""
    command = [sys.executable, "-m", "algoserver", "serve", "--state", str(street.state), "--port", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 2
    assert "journal" in done.stderr
