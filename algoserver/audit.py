"""The audit: STATE/audit.jsonl, one line for every command that a person asked for, done or not, each with the hash of the one before.

Rule 1: a line is on disk before its answer leaves. What can't be written is kept and written first when the disk takes it again.
Rule 2: a line is its own sha256, then what it is of; `prev` is the sha256 of the line before. One flipped byte is found by its line.
Rule 3: a command's event carries the chain's head, so the journal knows how far the audit must reach: a tail that is cut off is found out.
Rule 4: refusals are no events. The head is kept in a file of its own too, `audit.head` or where [control] audit_head says, after each line. A start
that finds less than that writes a line about it, and from then on the audit is never whole again.
"""

import hashlib
import os
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import structlog

from algoserver.core.state import State
from algoserver.domain.types import OURS, utc_text
from algoserver.journal.snapshots import fsync_directory

FILE_NAME = "audit.jsonl"
HEAD_NAME = "audit.head"
CUT = "audit.cut"  # verb of the line that a start writes where lines are missing
GENESIS = "0" * 64  # what the first line follows
HEAD, AFTER_HEAD = b'{"sha256":"', b'",'
TAIL_MAX = 1_000  # lines that one answer shows
WAITING_MAX = 1_000  # lines that wait for a disk


class Extent(NamedTuple):
    """A chain that was read: lines that are whole, the last one's hash, the bytes they take, seqs of the events; wrong: "" or where it breaks.

    cut: number of the first line that says that lines before it are missing; 0: none does.
    """

    lines: int
    head: str
    size: int
    seqs: set[int]
    wrong: str
    cut: int = 0


def digest(state: State, target: str) -> str:
    """sha256 of what operators change: the policy and the model in force, stops, overrides, proposals and the order that is meant."""
    proposals = {i: (p.by, p.verb, p.target, p.reason, p.ts, p.digest, p.override) for i, p in state.proposals.items()}
    policy = state.setup.policy_digest if state.setup else ""
    used = state.models[-1:], state.model_wanted
    known = (policy, used, state.gate.stops, state.gate.overrides, proposals, state.parents.get(target), state.foreign.get(target))
    return hashlib.sha256(msgspec.json.encode(known, order="deterministic")).hexdigest()


class Audit:
    """The file of one server. Any thread may write. damage: what was wrong with the file at the start, "" if nothing."""

    def __init__(self, state_dir: Path, head_file: Path | None = None) -> None:
        self._path = state_dir / FILE_NAME
        self._head_file = head_file or state_dir / HEAD_NAME
        self._lock = threading.Lock()
        self._log = structlog.get_logger()
        self._waiting: list[dict[str, Any]] = []
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        fsync_directory(state_dir)
        raw = self._path.read_bytes()
        whole = raw.rfind(b"\n") + 1
        if whole < len(raw):
            # Its answer has never left: the server was killed while it wrote.
            os.ftruncate(self._fd, whole)
            self._log.warning("audit_torn", torn_bytes=len(raw) - whole)
        read = examine(raw[:whole])
        self.damage = read.wrong
        if self.damage:
            self._log.error("audit_damaged", text=self.damage)
        self.head, self._lines, self._size, self._seqs = read.head, read.lines, whole, read.seqs
        if self.damage:
            # Go on behind what is there: to cut it off would destroy evidence.
            last = raw[:whole].splitlines()
            self.head, self._lines = hash_in(last[-1]), len(last)
        missing = "" if self.damage else reaches(raw[:whole], self._head_file)
        self._head_fd = os.open(self._head_file, os.O_RDWR | os.O_CREAT, 0o600)
        fsync_directory(self._head_file.parent)
        if missing:
            self.damage = missing
            self._log.error("audit_cut", text=missing)
            now = {"time": utc_text(time.time_ns()), "person": OURS, "how": "start", "role": "", "verb": CUT, "target": self._path.name, "reason": ""}
            self.write({**now, "result": "found", "text": missing, "seq": 0, "before": "", "after": ""})

    def knows(self, seq: int) -> bool:
        """Whether the command of this event has its line."""
        return seq in self._seqs

    def write(self, entry: dict[str, Any], patience_s: float = -1) -> str:
        """Write one line, and those that wait; "" when all are on disk, else why not. patience_s: to wait for another's write; -1: for ever."""
        if not self._lock.acquire(timeout=patience_s):
            return "the audit is busy: its disk does not answer"
        try:
            if len(self._waiting) < WAITING_MAX:
                self._waiting.append(entry)
            else:
                # The oldest are worth more: the last thing that was done is among them, what came since was refused.
                self._log.error("audit_line_lost", person=entry["person"], verb=entry["verb"], result=entry["result"])
            return self._flush()
        finally:
            self._lock.release()

    def flush(self) -> str:
        """Write what waits; "" if nothing does any more."""
        with self._lock:
            return self._flush()

    def tail(self, count: int) -> list[dict[str, Any]]:
        """The latest lines, oldest first."""
        lines = self._path.read_bytes().splitlines()[-max(1, min(count, TAIL_MAX)) :]
        return [_shown(line) for line in lines]

    def verify(self, seq: int, head: str) -> tuple[int, str]:
        """Read it all again: how many lines there are, and what is wrong, "" if nothing. seq, head: how far the journal says it reaches."""
        with self._lock:
            raw = self._path.read_bytes()
            read = examine(raw)
            if read.wrong:
                return read.lines, read.wrong
            if read.cut:
                return read.lines, f"line {read.cut} says that a tail before it was cut off or written anew: keep it as evidence, begin another"
            if (read.head, read.lines) != (self.head, self._lines):
                return read.lines, f"it ends with line {read.lines}, but line {self._lines} was written: its tail was cut off or changed"
            if head not in ("", GENESIS) and head.encode() not in raw:
                return read.lines, f"line {head[:12]}, which the journal's event {seq} knows, is missing: its tail was cut off"
            if seq and seq not in read.seqs and not self._waiting:
                return read.lines, f"the command of the journal's event {seq} has no line: its tail was cut off"
            waiting = f"{len(self._waiting)} lines could not be written and wait for the disk" if self._waiting else ""
            return read.lines, waiting

    def close(self) -> None:
        """Write what waits and let the file go."""
        with self._lock:
            self._flush()
            os.close(self._fd)
            os.close(self._head_fd)
            self._fd = self._head_fd = -1

    def _flush(self) -> str:
        if not self._waiting:
            return ""
        head, number, text = self.head, self._lines, bytearray()
        for entry in self._waiting:
            number += 1
            line, head = _line(number, entry, head)
            text += line
        try:
            written = os.write(self._fd, text)
            if written < len(text):
                raise OSError(28, "No space left on device")
            os.fsync(self._fd)
        except OSError as error:
            self._log.error("audit_not_written", error=str(error), waiting=len(self._waiting))
            self._take_back()
            return f"{self._path.name} can't be written: {error.strerror or error}"
        self._seqs.update(entry["seq"] for entry in self._waiting)
        self.head, self._lines, self._size, self._waiting = head, number, self._size + len(text), []
        try:
            # In place and in one sector: it is whole or as it was. Behind by a line is right, a line ahead never is.
            os.pwrite(self._head_fd, b"%012d %b\n" % (number, head.encode()), 0)
            os.fsync(self._head_fd)
        except OSError as error:
            self._log.error("audit_head_not_kept", error=str(error))
        return ""

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._fd, self._size)
        except OSError as error:
            self._log.error("audit_not_cut", error=str(error))


def examine(raw: bytes) -> Extent:
    """Follow the chain from its first line to its end, or to where it breaks."""
    head, size, cut = GENESIS, 0, 0
    seqs: set[int] = set()
    lines = raw.split(b"\n")
    torn = lines.pop()
    for number, line in enumerate(lines, 1):
        body = b"{" + line[len(HEAD) + 64 + len(AFTER_HEAD) :]
        found = hashlib.sha256(body).hexdigest()
        if line != HEAD + found.encode() + AFTER_HEAD + body[1:]:
            return Extent(number - 1, head, size, seqs, f"line {number} is not what was written: its sha256 differs", cut)
        entry = msgspec.json.decode(body, type=dict[str, Any])
        if entry["prev"] != head or entry["n"] != number:
            wrong = f"line {number} does not follow line {number - 1}: one was taken out, put in or written anew"
            return Extent(number - 1, head, size, seqs, wrong, cut)
        head, size = found, size + len(line) + 1
        seqs.add(entry["seq"])
        if not cut and entry["verb"] == CUT and entry["how"] == "start":
            cut = number
    return Extent(len(lines), head, size, seqs, f"line {len(lines) + 1} is torn: it has no end" if torn else "", cut)


def reaches(raw: bytes, head_file: Path) -> str:
    """What a sound chain lacks of what its head file knows; "" if nothing. One without a head file is of an earlier version, or was robbed of it."""
    try:
        number, _, head = head_file.read_text().strip().partition(" ")
    except (OSError, UnicodeDecodeError):
        return ""
    lines = raw.splitlines()
    if not number.isdigit() or len(head) != len(GENESIS):
        return f"{head_file} is not what was written" if number else ""
    if len(lines) < int(number):
        return f"it ends with line {len(lines)}, but {head_file} knows line {int(number)}: its tail was cut off"
    is_there = int(number) == 0 or hash_in(lines[int(number) - 1]) == head
    return "" if is_there else f"line {int(number)} is another than {head_file} knows: its tail was written anew"


def hash_in(line: bytes) -> str:
    """The hash that a line says to have."""
    return line[len(HEAD) : len(HEAD) + 64].decode(errors="replace")


def _line(number: int, entry: dict[str, Any], prev: str) -> tuple[bytes, str]:
    body = msgspec.json.encode({"n": number, **entry, "prev": prev})
    own = hashlib.sha256(body).hexdigest()
    return HEAD + own.encode() + AFTER_HEAD + body[1:] + b"\n", own


def _shown(line: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, ValueError):
        return {"n": 0, "text": "this line can't be read; `algoctl audit verify` says which it is"}
