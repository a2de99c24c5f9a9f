"""The audit of what people ask: one line each, chained, and nothing of it can be changed unseen."""

import json
import os
import resource
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from algoserver import porter as porters
from algoserver.audit import CUT, GENESIS, Audit, digest, examine, hash_in
from algoserver.core.state import Audited, load
from algoserver.domain.events import OperatorCommanded
from algoserver.porter import Porter
from tests.desk import Firm
from tests.test_people import TERMS

KEYS = [
    "sha256", "n", "time", "person", "how", "role", "verb", "target", "reason", "result", "text", "seq", "before", "after", "prev",
]  # fmt: skip


def lines(state_dir: Path) -> list[dict[str, Any]]:
    """What stands in the file."""
    return [json.loads(line) for line in (state_dir / "audit.jsonl").read_text().splitlines()]


def busy(at: Firm) -> None:
    """Six commands: done, refused, denied."""
    at.by("tim", "kill", "--reason", "drill")
    at.by("vic", "kill")
    at.by("tim", "order", "resume", "P1")
    at.by("bob", "release", "--yes", "--reason", "over")
    at.by("ann", "approval", "approve", at.waiting()[0]["id"])
    at.by("tim", "order", "pause", "P1", "--reason", "news")


def test_every_command_has_its_line_and_a_question_has_none(firm):
    """Who, how, in which role, what, why, with what result, and what it changed."""
    firm.by("vic", "status")
    firm.by("tim", "order", "cancel", "P1", "--dry-run")
    busy(firm)
    found = lines(firm.state_dir)
    assert [list(line) for line in found] == [KEYS] * 6
    assert [(x["person"], x["role"], x["verb"], x["result"]) for x in found] == [
        ("tim", "trader", "kill", "done"), ("vic", "", "kill", "denied"), ("tim", "trader", "order.resume", "nothing_to_do"),
        ("bob", "operator", "release", "done"), ("ann", "risk", "approval.approve", "done"), ("tim", "trader", "order.pause", "done"),
    ]  # fmt: skip
    assert {x["how"] for x in found} == {"token"}
    assert (found[0]["reason"], found[5]["target"], found[1]["text"].startswith("vic has role viewer")) == ("drill", "P1", True)
    assert [bool(x["seq"]) for x in found] == [True, False, False, True, True, True]
    assert [x["before"] != x["after"] for x in found] == [True, False, False, True, True, True]
    assert (found[3]["after"], found[5]["after"]) == (found[4]["before"], digest(firm.day.state, firm.day.order().parent_id))
    assert (found[0]["prev"], [x["prev"] for x in found[1:]]) == (GENESIS, [x["sha256"] for x in found[:-1]])
    shown = json.loads(firm.by("vic", "audit", "tail", "-n", "2").stdout)["lines"]
    assert shown == found[-2:]


def test_one_flipped_byte_anywhere_is_found_and_its_line_named(firm):
    """Every byte of the file, one bit each; and through algoctl, exit 1."""
    busy(firm)
    file = firm.state_dir / "audit.jsonl"
    raw = file.read_bytes()
    whole = json.loads(firm.by("vic", "audit", "verify").stdout)
    assert (whole["is_whole"], whole["lines"], examine(raw).wrong) == (True, 6, "")
    starts = [0, *(i + 1 for i, byte in enumerate(raw) if byte == 10)]
    for at in range(len(raw)):
        flipped = bytearray(raw)
        flipped[at] ^= 1 << at % 8
        number = sum(start <= at for start in starts)
        assert examine(bytes(flipped)).wrong.startswith(f"line {number} "), (at, examine(bytes(flipped)).wrong)
    flipped[starts[2] + 100] ^= 1
    file.write_bytes(flipped[:-1] + b"\n")
    refused = firm.by("vic", "audit", "verify")
    assert (refused.exit_code, "failed: audit: line 3 is not what was written" in refused.stderr) == (1, True)


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("kept", [0, 3, 5])
def test_a_tail_that_was_cut_off_is_missed(firm, monkeypatch, kept, is_restarted):
    """While the server runs, and after a restart: the journal's events know how far it must reach."""
    monkeypatch.setattr(porters, "SETTLE_S_MAX", 0.1)
    busy(firm)
    file = firm.state_dir / "audit.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:kept]))
    if is_restarted:
        (firm.state_dir / "audit.head").unlink()
        firm.porter._audit = firm.audit = Audit(firm.state_dir)
    refused = firm.by("vic", "audit", "verify")
    assert (refused.exit_code, "cut off" in refused.stderr) == (1, True), refused.stdout


@pytest.mark.parametrize("how", ["cut", "emptied", "written anew"])
def test_refusals_that_are_cut_off_between_two_runs_are_found_and_never_forgotten(firm, how):
    """No event knows of them, the head beside the audit does. A line says so, and every later start finds that line."""
    busy(firm)
    for _ in range(3):
        assert firm.by("vic", "kill").exit_code == 4
    file = firm.state_dir / "audit.jsonl"
    kept = {"cut": 7, "emptied": 0, "written anew": 8}[how]
    lines_kept = file.read_bytes().splitlines(keepends=True)[:kept]
    firm.audit.close()
    file.write_bytes(b"".join(lines_kept))
    if how == "written anew":
        forged = Audit(firm.state_dir / "..", firm.state_dir / "other.head")
        forged._path, forged._fd = file, os.open(file, os.O_RDWR | os.O_APPEND)
        forged.head, forged._lines, forged._size = hash_in(lines_kept[-1]), kept, len(b"".join(lines_kept))
        assert forged.write({**lines(firm.state_dir)[-1], "person": "nobody"} | {"n": 9}) == ""
        forged.close()
    for _ in range(2):
        firm.porter._audit = firm.audit = Audit(firm.state_dir)
        refused = firm.by("vic", "audit", "verify")
        assert (refused.exit_code, "cut off" in refused.stderr) == (1, True), refused.stdout
        assert [line["verb"] for line in lines(firm.state_dir)].count(CUT) == 1
        assert firm.by("tim", "kill").exit_code == 0
        firm.audit.close()


def test_the_head_may_be_kept_elsewhere(tmp_path):
    """On another disk, say: who may write here can't change it there."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    entry = {"person": "p", "how": "token", "role": "", "verb": "kill", "target": "", "reason": "", "result": "denied", "text": "", "seq": 0}
    audit = Audit(tmp_path / "a", tmp_path / "b" / "head")
    for _ in range(3):
        assert audit.write(entry) == ""
    audit.close()
    assert [p.name for p in sorted((tmp_path / "a").iterdir())] == ["audit.jsonl"]
    (tmp_path / "a" / "audit.jsonl").unlink()
    again = Audit(tmp_path / "a", tmp_path / "b" / "head")
    assert "knows line 3: its tail was cut off" in again.damage
    again.close()


def test_a_line_taken_out_or_put_in_breaks_the_chain(firm):
    """Whole lines are no better than bytes."""
    busy(firm)
    written = (firm.state_dir / "audit.jsonl").read_bytes().splitlines(keepends=True)
    assert examine(b"".join(written[:2] + written[3:])).wrong.startswith("line 3 does not follow line 2")
    assert examine(b"".join(written[:3] + written[2:])).wrong.startswith("line 4 does not follow line 3")


def test_a_torn_last_line_is_cut_off_and_a_lost_one_is_written_again(firm):
    """Kill -9 between the journal and the audit: the start finds the command and says what it does not know."""
    busy(firm)
    file = firm.state_dir / "audit.jsonl"
    raw = file.read_bytes()
    file.write_bytes(raw[:-40])
    # The kill came before the head of that line was kept.
    (firm.state_dir / "audit.head").write_text(f"{5:012d} {hash_in(raw.splitlines()[4])}\n")
    again = Audit(firm.state_dir)
    assert len(lines(firm.state_dir)) == 5
    mark = firm.day.state.audited
    events = [event for event in firm.day.fed if isinstance(event, OperatorCommanded)]
    Porter(firm.operators, again, firm.ask).recovered(events)
    found = lines(firm.state_dir)
    assert [(x["person"], x["verb"], x["seq"], x["result"], x["how"]) for x in found[5:]] == [("tim", "pause", mark.seq, "unknown", "journal")]
    assert again.verify(mark.seq, mark.head) == (6, "")
    Porter(firm.operators, again, firm.ask).recovered(events)
    assert len(lines(firm.state_dir)) == 6


def test_a_full_disk_stops_no_kill_and_everything_else(firm):
    """The kill is done and says that it is not written; what was missed is written when there is room."""
    firm.by("tim", "order", "pause", "P1")
    size = (firm.state_dir / "audit.jsonl").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, before[1]))
        killed = firm.by("tim", "kill", "--reason", "now")
        assert (killed.exit_code, "audit.jsonl can't be written" in killed.stderr) == (0, True)
        assert firm.day.state.gate.killed == "tim: now"
        refused = firm.by("bob", "release", "--yes")
        assert (refused.exit_code, "nothing but a kill is done" in refused.stderr) == (1, True)
        assert firm.waiting() == []
        assert (firm.state_dir / "audit.jsonl").stat().st_size == size
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert firm.by("bob", "release", "--yes").exit_code == 0
    assert [(x["verb"], x["result"]) for x in lines(firm.state_dir)] == [
        ("order.pause", "done"), ("kill", "done"), ("release", "failed"), ("release", "done"),
    ]  # fmt: skip
    assert firm.by("vic", "audit", "verify").exit_code == 0


def test_of_what_waits_for_a_disk_the_oldest_is_kept(tmp_path, monkeypatch):
    """A flood of refusals does not push out the kill that could not be written."""
    monkeypatch.setattr("algoserver.audit.WAITING_MAX", 3)
    audit = Audit(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, text: 0)
        for n in range(5):
            assert "No space left" in audit.write({"person": "p", "verb": f"v{n}", "result": "r", "seq": 0})
        assert "3 lines could not be written" in audit.verify(0, "")[1]
    assert audit.flush() == ""
    assert [line["verb"] for line in audit.tail(9)] == ["v0", "v1", "v2"]
    assert audit.verify(0, "") == (3, "")


def test_a_disk_that_hangs_keeps_no_kill_back(firm, monkeypatch):
    """The answer says that it is not written yet."""
    monkeypatch.setattr(porters, "AUDIT_S_MAX", 0.1)
    is_over = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda fd: is_over.wait(60))
    killed = firm.by("tim", "kill")
    is_over.set()
    assert (killed.exit_code, "the audit's disk does not answer" in killed.stderr) == (0, True)


def test_what_operators_change_is_in_the_digest_and_nothing_else(firm):
    """Stops, overrides, proposals and the order; not the market."""
    state = firm.day.state
    empty = digest(state, "")
    firm.day.quote(bid="201.00", ask="201.02")
    assert digest(state, "") == empty
    firm.by("tim", "risk", "override", *TERMS)
    asked = digest(state, "")
    assert asked != empty
    firm.by("ann", "approval", "approve", firm.waiting()[0]["id"])
    assert digest(state, "") not in (asked, empty)
    order = digest(state, firm.day.order().parent_id)
    firm.by("tim", "order", "pause", "P1")
    assert digest(state, firm.day.order().parent_id) != order


def test_the_state_keeps_how_far_the_audit_must_reach():
    """Over snapshots too; an old one has none."""
    assert load(b"{}").audited == Audited(0, "")
