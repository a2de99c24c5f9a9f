"""The certification script: against the real server, against an honest one, and against every lie that a check is there to find."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from algoserver.certify import play
from algoserver.certify.dialect import DIALECTS
from algoserver.certify.report import Report
from algoserver.certify.run import CHAPTERS, NoSession, Plan, certify, choose
from algoserver.certify.script import BadScript, scenarios
from algoserver.certify.session import Message
from tests.e2e.street import PATIENCE_S, ROOT, Process, free_port, venues_of
from tests.honest import Fields, Honest, Lie

# What the honest server of the tests is too small for.
BEYOND_HONEST = {"S.11", "S.12", "S.13", "S.14"}


@pytest.fixture(scope="module")
def port(tmp_path_factory) -> Iterator[int]:
    """The default simulator and server, with prices."""
    folder, venue_port, client_port = tmp_path_factory.mktemp("certify"), free_port(), free_port()
    sim = Process("sim", "--state", str(folder / "sim"), "--port", str(venue_port))
    server = Process("serve", "--state", str(folder / "server"), "--port", str(client_port), "--venue-port", str(venue_port))
    deadline = time.monotonic() + PATIENCE_S
    while not (rows := venues_of(folder / "server")) or not all("AAPL" in str(v["quotes"]) for v in rows):
        assert time.monotonic() < deadline, "no market data came"
    yield client_port
    assert [server.stop(), sim.stop()] == [0, 0]


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """`algoserver certify` to its end."""
    return subprocess.run([sys.executable, "-m", "algoserver", "certify", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=560)


def test_the_server_is_certified_in_every_version_at_once(port, tmp_path):
    """Three FIX desks, each its own version, at the same time: nothing fails, each scenario once in both reports, which are well-formed.

    An order that trades has twenty seconds of real time: where the machine stood still for them, its scenario is played once more.
    """

    def pages(fix: str) -> tuple[Path, Path]:
        return tmp_path / fix / "report.json", tmp_path / fix / "report.html"

    def desk(fix: str, *wanted: str) -> "subprocess.CompletedProcess[str]":
        return command("--port", str(port), "--sender", senders[fix], "--fix", fix, "--patience", "120", *wanted)

    senders = {"4.4": "CLIENT1", "4.2": "CLIENT42", "5.0SP2": "CLIENT50"}
    with ThreadPoolExecutor() as desks:
        runs = {fix: desks.submit(desk, fix, "--json", str(pages(fix)[0]), "--html", str(pages(fix)[1])) for fix in senders}
    for fix, run in runs.items():
        report = json.loads(pages(fix)[0].read_text())
        wrong = {r["id"]: [s for s in r["steps"] if s["problem"]] for r in report["results"] if not r["passed"]}
        assert (run.result().returncode, report["passed"]) == ((1, False) if wrong else (0, True)), run.result().stderr
        assert "no answer to 35=A" not in str(wrong), "a Logon that is not answered in two minutes is lost"
        again = [desk(fix, "--only", scenario) for scenario in wrong]
        assert [done.returncode for done in again] == [0] * len(wrong), (fix, wrong)
        expected = [s.id for chapter, s in choose(()) if chapter not in DIALECTS[fix].lacks_chapters]
        assert [r["id"] for r in report["results"]] == expected
        page = ElementTree.fromstring(pages(fix)[1].read_text().removeprefix("<!DOCTYPE html>"))
        assert (len(page.findall(".//details")), len(page.findall(".//details[@open]"))) == (len(expected), len(wrong))
        assert run.result().stdout.splitlines()[-1].startswith(f"{len(expected) - len(wrong)} of {len(expected)} scenarios passed")


def logon_heard(fix: str, *arguments: str, **environment: str) -> dict[str, str]:
    """Fields of the first message that certify sends to somebody who does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wanted = ["--port", str(listener.getsockname()[1]), "--patience", "0.1", "--fix", fix, *arguments]
        with subprocess.Popen(
            [sys.executable, "-m", "algoserver", "certify", *wanted], cwd=ROOT, env={**os.environ, **environment}, stderr=subprocess.DEVNULL
        ):
            listener.settimeout(60)
            heard = b""
            peer, _ = listener.accept()
            with peer:
                peer.settimeout(60)
                while b"\x0110=" not in heard:
                    heard += peer.recv(4_096)
    return dict(pair.split("=", 1) for pair in heard.decode().split("\x01") if pair)


def test_certify_logs_on_with_a_password_from_the_environment_or_a_file(tmp_path):
    """In the words of each version; without --username there is none."""
    secret = tmp_path / "secret"
    secret.write_text("open:sesame\nnot this\n")
    by_file = logon_heard("4.4", "--username", "desk", "--password-file", str(secret))
    assert (by_file["553"], by_file["554"]) == ("desk", "open:sesame")
    in_42 = logon_heard("4.2", "--username", "desk", ALGOSERVER_CERTIFY_PASSWORD="sesame")
    assert (in_42["95"], in_42["96"], "554" in in_42) == ("11", "desk:sesame", False)
    assert not {"553", "554", "96"} & logon_heard("5.0SP2", ALGOSERVER_CERTIFY_PASSWORD="sesame").keys()


def test_certify_without_the_password_says_how_to_give_it_and_shows_it_nowhere(tmp_path, monkeypatch):
    """No argument carries it, no report and no output repeats it."""
    monkeypatch.delenv("ALGOSERVER_CERTIFY_PASSWORD", raising=False)
    missing = command("--username", "desk")
    assert (missing.returncode, "ALGOSERVER_CERTIFY_PASSWORD or --password-file" in missing.stderr) == (2, True)
    monkeypatch.setenv("ALGOSERVER_CERTIFY_PASSWORD", "opensesame")
    server = Honest()
    pages = (tmp_path / "report.json", tmp_path / "report.html")
    done = command("--port", str(server.port), "--username", "desk", "--only", "S.1", "--json", str(pages[0]), "--html", str(pages[1]))
    server.close()
    assert done.returncode == 0, done.stdout + done.stderr
    assert not [text for text in (done.stdout, done.stderr, *(p.read_text() for p in pages)) if "opensesame" in text]


def test_the_exit_status_says_how_it_went(port):
    """0 all passed, 2 nobody there or bad usage; 1 is what a liar gets."""
    assert command("--port", str(port), "--only", "S.4", "--only", "B.", "--patience", "120").returncode == 0
    nobody = command("--port", str(free_port()))
    assert (nobody.returncode, "127.0.0.1" in nobody.stderr) == (2, True)
    assert (command("--fix", "9").returncode, command("--only", "NOSUCH").returncode) == (2, 2)
    liar = Honest(lambda f: [{**f, "112": "SOMETHING"}] if f["35"] == "0" else [f])
    for patience_s in ("0.5", "60"):  # a busy machine may be later than that with the Logon
        done = command("--port", str(liar.port), "--only", "S.4", "--patience", patience_s)
        if done.returncode == 1:
            break
    liar.close()
    assert (done.returncode, "112=ARE-YOU-THERE is due" in done.stdout) == (1, True)


QUICK_S, PATIENT_S = 0.4, 60.0


def run(only: str, lie: Lie | None = None, patience_s: float = PATIENT_S) -> Report:
    """One scenario against the server of the tests."""
    server = Honest(lie)
    try:
        return certify(Plan("127.0.0.1", server.port, "CLIENT1", "ALGO", only=(only,), patience_s=patience_s), lambda result: None)
    finally:
        server.close()


def lied(only: str, lie: Callable[[], Lie], is_found: Callable[[Report], bool], patch: pytest.MonkeyPatch) -> Report:
    """One scenario against a liar, with little patience for what never comes. Where a busy machine kept what is true back for as long, once more with
    much."""
    with patch.context() as quick:
        quick.setattr(play, "FILL_S_MAX", QUICK_S)
        with contextlib.suppress(NoSession):
            if is_found(report := run(only, lie(), QUICK_S)):
                return report
    return run(only, lie())


def problems(report: Report) -> str:
    """What is wrong, as it is told."""
    return " ".join(s.problem for r in report.results for s in r.steps).strip()


@pytest.mark.parametrize("name", [s.id for c, s in choose(()) if (c != "Refusals" or s.id == "R.1") and s.id not in BEYOND_HONEST])
def test_an_honest_server_passes(name):
    """What the script asks can be done, also where the real server can't do it yet."""
    report = run(name)
    assert report.is_passed, [(s.line, s.problem, s.wire) for r in report.failed for s in r.steps if s.problem]


# Of these messages each of these fields is changed, and left out, in turn: scenario, MsgType, which of them, tags.
STATED = "150 39 11 14 151 6 38 17 37 55 54 60"
LIES = [
    ("B.1.a", "8", 0, STATED), ("B.1.a", "8", 1, STATED + " 41"), ("B.1.a", "8", 2, STATED + " 41"), ("B.1.a", "8", 3, STATED.replace(" 11 ", " ")),
    ("A.1.a", "8", 0, STATED + " 58"), ("A.1.a", "8", 1, STATED + " 31 32"), ("A.1.a", "8", 2, STATED + " 31 32"), ("I.1.a", "8", 1, STATED),
    ("B.1.c", "9", 0, "11 39 41 58 102 434 37"), ("B.1.f", "9", 0, "37 11 39 41 58 102 434"), ("F.1.a", "8", 1, STATED + " 103 58"),
    ("F.1.b", "8", 1, STATED), ("G.1.a", "8", 0, "150 39 11 14 151 37 103 790 58"), ("R.1", "8", 0, STATED.replace(" 37", "") + " 103 58"),
    ("C.1.a", "8", 1, STATED + " 41"), ("C.1.a", "8", 2, STATED + " 41"), ("C.3.c", "8", 3, STATED + " 41"), ("D.1.a", "8", 4, STATED + " 41"),
    ("C.5.unknown", "9", 0, "37 11 39 41 58 102 434"), ("M.1", "r", 0, "11 530 531 533"), ("M.1", "8", 2, STATED),
    ("M.4", "8", 3, STATED + " 584 911 912"),
    ("S.1", "A", 1, "98 108 141"), ("S.4", "0", 0, "112"), ("S.10", "3", 0, "45 371 372 373"), ("S.15", "j", 0, "45 372 380 58"),
]  # fmt: skip


ANY_VALUE = ("60",)  # any TransactTime will do if there is one
NEW_HERE = ("17", "37")  # in the first report of a run nothing before it says what they may not be


def told(msg_type: str, which: int, change: Lie) -> Lie:
    """A lie about one message of a type, counted from 0."""
    count = -1

    def lie(f: Fields) -> list[Fields]:
        nonlocal count
        count += f["35"] == msg_type
        return change(f) if f["35"] == msg_type and count == which else [f]

    return lie


def other(tag: str, value: str) -> str:
    """Another value of the same kind."""
    if tag == "912":
        return "N" if value == "Y" else "Y"
    if tag == "533":
        return "0"
    if tag == "54":
        return "2"
    if tag == "17":
        return "E1"
    if tag == "58":
        return "no"
    return str(int(value) + 1) if value.isdecimal() else value + "x"


@pytest.mark.parametrize(("name", "msg_type", "which", "tags"), LIES, ids=lambda v: v if isinstance(v, str) and " " not in v else "")
def test_every_wrong_or_missing_field_fails(name, msg_type, which, tags, monkeypatch):
    """No check is one that can't fail: a field that the standard fixes, changed or left out, is found, and the sentence names tags."""

    def is_found(report: Report) -> bool:
        return not report.is_passed and re.search(r"\(\d+\)|\d+=", problems(report)) is not None

    unfound = []
    for tag in tags.split():
        for says in ("other", "nothing"):
            if says == "other" and (tag in ANY_VALUE or (tag in NEW_HERE and which == 0 and msg_type == "8")):
                continue

            def change(f: Fields, tag: str = tag, says: str = says) -> list[Fields]:
                return [{**f, tag: other(tag, f[tag])} if says == "other" else {t: v for t, v in f.items() if t != tag}]

            report = lied(name, lambda change=change: told(msg_type, which, change), is_found, monkeypatch)
            if not is_found(report):
                unfound.append((tag, says, problems(report)))
    assert unfound == []


LIARS: dict[str, tuple[str, Callable[[], Lie], str]] = {
    "silence": ("B.1.a", lambda: lambda f: [] if f["35"] == "8" else [f], "no answer to 35=D"),
    "silence on a cancel": ("B.1.a", lambda: told("8", 1, lambda f: []), "ExecType (150) is 4, 6 is due"),
    "a trade twice": ("A.1.a", lambda: told("8", 1, lambda f: [f, f]), "was used before"),
    "a trade twice by two names": ("A.1.a", lambda: told("8", 1, lambda f: [f, {**f, "17": "B"}]), "is 100, but was 100 before this trade"),
    "a trade not told": ("A.1.a", lambda: told("8", 1, lambda f: []), "CumQty (14) is 200, but was 0 before this trade of 100"),
    "a mean price of its own": ("A.1.a", lambda: told("8", 1, lambda f: [{**f, "6": "9.99"}]), "AvgPx (6) is 9.99"),
    "a wrong reason": ("B.1.f", lambda: told("9", 0, lambda f: [{**f, "102": "0"}]), "CxlRejReason (102) is 0, 1 is due"),
    "no OrigClOrdID": ("B.1.a", lambda: told("8", 1, lambda f: [{t: v for t, v in f.items() if t != "41"}]), "OrigClOrdID (41) is missing"),
    "a refusal without a sentence": ("B.1.f", lambda: told("9", 0, lambda f: [{**f, "58": "unknown_order"}]), "a code, a colon and a sentence"),
    "no PendingReplace": ("C.1.a", lambda: told("8", 1, lambda f: []), "ExecType (150) is 5, E is due"),
    "PossDup answered": ("F.1.d", lambda: told("8", 1, lambda f: [{**f, "17": "P1", "150": "0"}, f]), "ExecType (150) is 0, I is due"),
    "no resend": ("S.5", lambda: lambda f: [f] if f["35"] != "8" else [{**f, "35": "B"}], "35=8"),
    "a rejected mass cancel": ("M.1", lambda: told("r", 0, lambda f: [{"35": "j", "45": "4", "372": "q", "380": "3"}]), "35=r is due, but 35=j"),
    "a status too few": ("M.4", lambda: told("8", 2, lambda f: []), "911"),
    "no Logout": ("S.1", lambda: lambda f: [] if f["35"] == "5" else [f], "the session broke"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIARS)
def test_a_liar_is_told_what_is_wrong(name, monkeypatch):
    """A sentence with what came and what is due."""
    scenario, lie, sentence = LIARS[name]
    report = lied(scenario, lie, lambda report: sentence in problems(report), monkeypatch)
    assert [r.id for r in report.failed] == [scenario]
    assert sentence in " ".join(s.problem for s in report.failed[0].steps)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("20=0 150=2 39=2", ""), ("20=3 150=0 39=0", ""), ("150=0 39=0", "ExecTransType (20) is missing"), ("20=4 150=0 39=0", "(20) is 4"),
        ("20=0 150=F 39=1", "ExecType (150) is F"), ("20=0 150=0 39=G", "OrdStatus (39) is G"), ("20=0 150=0 39=0 851=1", "tag 851"),
    ],
)  # fmt: skip
def test_a_word_that_42_does_not_have_is_a_problem(said, problem):
    """A 4.2 client would not understand it, whatever 4.4 says."""
    heard = DIALECTS["4.2"].heard(Message([(35, "8"), *((int(tag), value) for tag, value in (word.split("=") for word in said.split()))]))
    assert bool(heard.problems) == bool(problem)
    assert problem in " ".join(heard.problems)


@pytest.mark.parametrize(
    ("said", "meant"),
    [("20=0 150=2 39=2", "F 2"), ("20=1 150=0 39=0", "H 0"), ("20=2 150=1 39=1", "G 1"), ("20=3 150=1 39=1", "I 1"), ("20=0 150=5 39=5", "5 0")],
)  # fmt: skip
def test_a_42_report_in_the_words_of_44(said, meant):
    """Trades, busts, corrections, status and Replaced as the script expects them."""
    heard = DIALECTS["4.2"].heard(Message([(35, "8"), *((int(tag), value) for tag, value in (word.split("=") for word in said.split()))]))
    assert f"{heard.get(150)} {heard.get(39)}" == meant


def test_no_quantity_occurs_in_two_scenarios():
    """A desk's control against twins would refuse the second of two orders alike."""
    where: dict[str, set[str]] = {}
    for _, scenario in choose(()):
        for step in scenario.steps:
            for tag, value in step.fields:
                if step.what == "D" and tag == "38":
                    where.setdefault(value, set()).add(scenario.id)
    assert {q: ids for q, ids in where.items() if len(ids) > 1} == {}


def test_every_id_is_there_once_and_every_line_reads():
    """A scenario is chosen by its id; a line that does not read says so."""
    ids = [s.id for text in CHAPTERS.values() for s in scenarios(text)]
    assert len(ids) == len(set(ids))
    for bad in ("> D X wrok 38=1", "<< 8 X", "< 8 X 150", "# A title\n* D"):
        with pytest.raises(BadScript):
            scenarios(bad if bad.startswith("#") else f"# A title\n{bad}")
