"""What is agreed with clients, over sockets: a broker's tags, fills of an interval, who may log on, who listens; and replayed."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from algoserver.credentials import hashed
from algoserver.domain.commands import ReportChild, ReportParent
from algoserver.journal import read
from algoserver.recovery import replay
from tests.e2e.street import ROOT, Client
from tests.e2e.venue import MESSAGE_S_MAX, RawClient, Scripted, now, refusal

PASSWORD = "correct horse battery"
SECRET = f'username = "desk"\npassword = "{hashed(PASSWORD)}"\n'
AGREED = f"""
[[profiles]]
client = "CLIENT1"
strategy = "TWAP"
venues = ["XLIT1"]
fills_ms = 2000
dialect = "dialect-r.toml"
[profiles.defaults]
MaxPctVol = "1"

[[profiles]]
client = "CLIENT42"
dialect = "dialect-t.toml"

[[profiles]]
client = "CLIENT50"
dialect = "dialect-t.toml"

[[profiles]]
client = "LOCKED"
{SECRET}
[[profiles]]
client = "LOCKED42"
{SECRET}
[[profiles]]
client = "LOCKED50"
{SECRET}
[[drop_copies]]
session = "DROP1"
clients = ["CLIENT2", "CLIENT3"]
children = true

[[drop_copies]]
session = "DROP42"
clients = ["CLIENT2"]
"""
LISTENED = ("CLIENT2", "CLIENT3")
# An address that nobody here has, and hours that are over or begin later.
SESSIONS = """
[SESSION]
TargetCompID=LOCKED

[SESSION]
TargetCompID=LOCKED42
BeginString=FIX.4.2
DataDictionary=FIX42.xml

[SESSION]
TargetCompID=LOCKED50
BeginString=FIXT.1.1
DefaultApplVerID=FIX.5.0SP2
TransportDataDictionary=FIXT11.xml
AppDataDictionary=FIX50SP2.xml

[SESSION]
TargetCompID=CLIENT3

[SESSION]
TargetCompID=DROP1

[SESSION]
TargetCompID=DROP42
BeginString=FIX.4.2
DataDictionary=FIX42.xml

[SESSION]
TargetCompID=FAR
AllowedRemoteAddresses=192.0.2.10

[SESSION]
TargetCompID=CLOSED
NonStopSession=N
StartTime={later}
EndTime={end}
"""
SAID = "Rejected Logon Attempt: check Username (553) and Password (554)"


@pytest.fixture(scope="module")
def street(tmp_path_factory) -> Iterator[Scripted]:
    """One server for all of these."""
    sessions = SESSIONS.format(later=now(7_200)[9:], end=now(10_800)[9:])
    scripted = Scripted(tmp_path_factory.mktemp("profiles") / "street", agreed=AGREED, sessions=sessions)
    scripted.client().close()
    yield scripted
    assert scripted.close() == 0
    assert replay(scripted.state / "journal").outputs > 0  # it raises where a decision differs


def test_an_order_in_a_brokers_tags_is_worked_and_its_fills_are_summed(street):
    """No 847, times and I-would in own tags: the engine lets them in, and two fills are one report once the interval is over."""
    client = RawClient(street.port)
    client.order("R1", (6063, now(600)), (7927, "300"), (6064, 100), (9207, "EMS"), without=(847, 126))
    new = client.next()
    assert (new["150"], new["58"].partition(":")[0]) == ("0", "TWAP")
    child: dict[str, str] = {}
    while not child:
        street.venue.trade(20_000, "200.01")
        child = street.venue.next_or_none("D", new["37"])
    assert child["56"] == "XLIT1"
    street.venue.report(child, "0", "0", 0, 1_000)
    street.venue.report(child, "F", "1", 100, 900, 100)
    street.venue.report(child, "F", "1", 300, 700, 200)
    trade = client.next()
    assert (trade["150"], trade["32"], trade["14"], trade["30"]) == ("F", "300", "300", "XLIT1")
    street.venue.report(child, "F", "1", 400, 600, 100)
    street.venue.report(child, "F", "2", 1_000, 0, 600)
    filled = client.next()
    assert (filled["39"], filled["32"], filled["14"]) == ("2", "700", "1000")
    client.close()


@pytest.mark.parametrize("name", ["CLIENT42", "CLIENT50"])
def test_own_tags_pass_in_every_version(street, name: str):
    """The engine lets them in; what can't be said is refused by code, and 4.2 has 103=0 for what it does not name."""
    client = RawClient(street.port, name)
    client.order("T1", (7126, 20), (7148, "STRICT"))
    refused = client.next()
    assert (refused["150"], refused["103"], refused["58"].partition(":")[0]) == ("8", "0" if name == "CLIENT42" else "11", "unsupported_tag")
    client.order("T2", (7126, 20), (7114, now(600)), t168=now(300), without=(126,))
    assert "at most 20 % of volume" in client.next()["58"]
    client.peer.send("F", (11, "T3"), (41, "T2"), (55, "AAPL"), (54, 1), (60, now()), (6999, "x"))
    assert [client.next()["150"] for _ in range(2)] == ["6", "4"]
    client.close()


def test_a_client_without_tags_of_its_own_is_held_to_the_dictionary(street):
    """CLIENT2 has no profile: the engine refuses the tag, as before."""
    client = RawClient(street.port, "CLIENT2")
    client.order("X1", (6064, 100))
    refused = client.next()
    assert (refused["35"], refused["371"]) == ("3", "6064")
    client.close()


RIGHT = {
    "LOCKED": ((553, "desk"), (554, PASSWORD)), "LOCKED50": ((553, "desk"), (554, PASSWORD)),
    "LOCKED42": ((95, len(PASSWORD) + 5), (96, f"desk:{PASSWORD}")),
}  # fmt: skip
WRONG = {
    "LOCKED": [(), ((553, "desk"), (554, "guess")), ((553, "other"), (554, PASSWORD)), ((554, PASSWORD),)],
    "LOCKED50": [((553, "desk"), (554, "guess"))],
    "LOCKED42": [(), ((95, 10), (96, "desk:guess"))],
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_client_with_a_password_logs_on_by_it_alone(street, name: str):
    """In every version; a wrong user and a wrong password hear the same, and the right ones are let in after that."""
    assert [refusal(street.port, name, *logon) for logon in WRONG[name]] == [SAID] * len(WRONG[name])
    client = RawClient(street.port, name, *RIGHT[name])
    client.peer.send("1", (112, "here?"))
    assert client.heard.get(timeout=MESSAGE_S_MAX)["112"] == "here?"
    client.close()


@pytest.mark.parametrize(("name", "fix"), [("LOCKED", "4.4"), ("LOCKED42", "4.2"), ("LOCKED50", "5.0SP2")])
def test_certify_gets_in_by_the_password(street, name: str, fix: str):
    """With the right one, and with no other."""
    wanted = ["certify", "--port", str(street.port), "--sender", name, "--fix", fix, "--username", "desk", "--only", "S.1"]
    done = [
        subprocess.run(
            [sys.executable, "-m", "algoserver", *wanted], cwd=ROOT, env={**os.environ, "ALGOSERVER_CERTIFY_PASSWORD": secret}, timeout=MESSAGE_S_MAX,
            capture_output=True,
        ) for secret in (PASSWORD, "guess")
    ]  # fmt: skip
    assert [d.returncode for d in done] == [0, 2], done


def test_a_refused_logon_is_in_the_log_and_no_password_is_on_disk(street):
    """Which session and that it was refused; of the passwords nothing, right or wrong, in any file of the server."""
    assert refusal(street.port, "LOCKED", (553, "desk"), (554, "hunter22")) == SAID
    written = {p: p.read_bytes() for p in street.state.rglob("*") if p.is_file()}
    log = written[street.state / "log" / "server.jsonl"]
    assert b'"session": "LOCKED"' in log
    assert b"logon refused" in log
    assert written.keys() >= {street.state / "fix" / f"FIX.4.4-ALGO-LOCKED.{kind}" for kind in ("body", "header", "seqnums")}
    assert [p for p, data in written.items() if PASSWORD.encode() in data or b"hunter22" in data] == []


def test_a_session_has_its_own_addresses_and_hours(street):
    """From elsewhere, or outside of its hours, a Logon ends without a word; the other sessions do not notice."""
    assert [refusal(street.port, name) for name in ("FAR", "CLOSED")] == ["", ""]
    RawClient(street.port, "CLIENT2").close()


def trade(street: Scripted, client: RawClient, cl_ord_id: str) -> None:
    """An order whose child fills in two trades."""
    group = ((957, 2), (958, "MaxPctVol"), (960, "1"), (958, "IWouldPrice"), (960, "300"))
    client.order(cl_ord_id, *group)
    order_id = client.next()["37"]
    child: dict[str, str] = {}
    while not child:
        street.venue.trade(20_000, "200.01")
        child = street.venue.next_or_none("D", order_id)
    street.venue.report(child, "0", "0", 0, 1_000)
    street.venue.report(child, "F", "1", 400, 600, 400)
    street.venue.report(child, "F", "2", 1_000, 0, 600)
    assert [client.next()["14"] for _ in range(2)] == ["400", "1000"]


def written(street: Scripted) -> dict[str, str]:
    """ExecID -> client, of every report to them that the journal has."""
    payloads = [r.payload for r in read(street.state / "journal") if r.kind == "O"]
    reports = [p.report if isinstance(p, ReportChild) else p for p in payloads if isinstance(p, ReportParent | ReportChild)]
    return {r.exec_id: r.session for r in reports if r.session in LISTENED}


def catch_up(street: Scripted, *lives: Client) -> dict[str, set[str]]:
    """Read the last life until all lives together have every ExecID; ExecID -> the MsgSeqNums under which it came."""
    deadline = time.monotonic() + 3 * MESSAGE_S_MAX
    numbers: dict[str, set[str]] = {}
    while numbers.keys() != written(street).keys():
        assert time.monotonic() < deadline, written(street).keys() ^ numbers.keys()
        lives[-1].read(0.2)
        for life in lives:
            assert life.told_twice == []
            for exec_id, fields in life.reports.items():
                numbers.setdefault(exec_id, set()).add(fields["34"])
    return numbers


def test_a_drop_copy_misses_nothing_and_hears_nothing_twice(street, tmp_path):
    """Two clients trade; the copy is cut off, the server is killed in the meantime, and each ExecID is there under one number."""
    one, two = RawClient(street.port, "CLIENT3"), RawClient(street.port, "CLIENT2")
    drop = Client(tmp_path / "drop", street.port, "DROP1")
    trade(street, one, "A1")
    trade(street, two, "A1")
    catch_up(street, drop)
    whose = {(r["115"], r["11"], r.get("198", "")) for r in drop.reports.values()}
    parents = {name: next(r["37"] for r in drop.reports.values() if r["115"] == name and r["11"] == "A1") for name in LISTENED}
    assert whose == {(name, "A1", "") for name in parents} | {(name, f"{parent}.1", parent) for name, parent in parents.items()}

    drop.kill()
    trade(street, one, "A2")
    street.server.kill()
    street.server.start()
    street.venue.await_feed()
    street.venue.quote("200.00", "200.02", 20_000)
    # The other copy was never logged on; 141=Y deletes what waited for it.
    two, late = street.client("CLIENT2"), RawClient(street.port, "DROP42")
    trade(street, two, "A3")
    again = Client(tmp_path / "drop", street.port, "DROP1")
    numbers = catch_up(street, drop, again)
    assert {len(n) for n in numbers.values()} == {1}
    assert len({n for seen in numbers.values() for n in seen}) == len(numbers)

    again.send(f"35=D|11=X1|21=1|55=AAPL|54=1|60={now()}|38=100|40=1|847=1001")
    again.send(f"35=Q|37=NONE|17={next(iter(numbers))}|127=A|54=1|55=AAPL")
    deadline = time.monotonic() + MESSAGE_S_MAX
    while len(again.other) < 2 and time.monotonic() < deadline:
        again.read(0.2)
    assert [(m["35"], m["380"], m["372"], m["58"].partition(":")[0]) for m in again.other] == [
        ("j", "6", "D", "read_only"), ("j", "6", "Q", "read_only"),
    ]  # fmt: skip
    assert numbers.keys() == written(street).keys()
    again.kill()

    # It hears of the one client, parents alone, in its own words.
    heard = [late.next() for _ in range(3)]
    assert [(r["115"], r["20"], r["150"]) for r in heard] == [("CLIENT2", "0", exec_type) for exec_type in "012"]
    late.peer.send("D", (11, "X2"), (21, 1), (55, "AAPL"), (54, 1), (60, now()), (38, 100), (40, 1), (847, 1001))
    refused = late.next()
    assert (refused["35"], refused["380"]) == ("j", "0")  # 4.2 has no 6
    for client in (one, two, late):
        client.close()


def test_a_refused_logon_with_a_reset_has_reset_the_numbers(street):
    """The engine does so before a password is looked at: a limit that docs/rules-of-engagement.md states, found here when it is gone."""
    client = RawClient(street.port, "LOCKED", *RIGHT["LOCKED"])
    for _ in range(5):
        client.peer.send("1", (112, "here?"))
        assert client.heard.get(timeout=MESSAGE_S_MAX)["112"] == "here?"
    client.close()
    stored = street.state / "fix" / "FIX.4.4-ALGO-LOCKED.seqnums"
    before = [int(n) for n in stored.read_text().split(":")]
    assert refusal(street.port, "LOCKED", (553, "desk"), (554, "guess")) == SAID
    after = [int(n) for n in stored.read_text().split(":")]
    assert min(before) > 5
    assert max(after) <= 2
