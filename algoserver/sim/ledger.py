"""What must survive a kill -9: every report of the market, and how far each session's messages were processed.

Rule 1: a line is written before its reports leave. One line is one message and all that it caused, or what the
market did by itself; a line that was torn by the kill never happened, and its message is asked for again.
Rule 2: written means handed to the kernel (os.write, no fsync): it survives the death of the process, not of the machine.
Rule 3: the reports of one write are sent before the next write begins. So only those of the last write may never
have left (`unconfirmed`), and those that wait for a session's logon after a restart (`owed`).
Rule 4: between two `shrink`s the file only grows. Its first line carries the prefix of the market's OrderIDs and ExecIDs, and how many
there were when it was written.
Rule 5: what is written anew is a file of its own until the disk has it; only then it takes the old one's name.
"""

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from algoserver.sim.halts import Mark
from algoserver.sim.reports import AnyReport, CancelReject, MassCancelReport

# Ids are ours and plain. Within a text of somebody else's a quote would not stand alone.
ORDER_ID, EXEC_ID = (re.compile(rb'"%s":"([^"\\]*)"' % name) for name in (b"order_id", b"exec_id"))


class BrokenLedger(Exception):
    """A line before the last can't be read; the text says which."""


class Line(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """seq: MsgSeqNum (34) of the message of `session` that caused `reports`; 0 if none did.

    owed: ExecIDs to be sent to `session` at its next logon; empty once they were. begins: first line of a write.
    mark: where the market stands. counted: how many OrderIDs and ExecIDs there were.
    """

    session: str = ""
    seq: int = 0
    prefix: str = ""
    reports: list[AnyReport] = []
    owed: list[str] | None = None
    begins: bool = False
    mark: Mark | None = None
    counted: tuple[int, int] = (0, 0)


class Old(msgspec.Struct, omit_defaults=True):
    """A line of which only the reports matter, and of these only the names."""

    reports: list[msgspec.Raw] = []


class Named(msgspec.Struct, frozen=True):
    """Of a report."""

    report: str
    order_id: str
    exec_id: str = ""


class Ledger:
    """An open ledger. is_new: there was none before.

    prefix, reports, last_seq and owed (both by session), unconfirmed (ExecIDs), counted and the last mark are what it held when opened.
    """

    def __init__(self, path: Path, new_prefix: str):
        """Open or begin a ledger; new_prefix names a new one. Cuts a torn last line. Raises BrokenLedger."""
        self._path = path
        self._anew = path.with_name(path.name + ".new")
        self._anew.unlink(missing_ok=True)  # of a kill while it was written
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self.prefix = new_prefix
        self.reports: list[AnyReport] = []
        self.last_seq: dict[str, int] = {}
        self.owed: dict[str, list[str]] = {}
        self.unconfirmed: list[str] = []
        self.mark: Mark | None = None
        self.counted = (0, 0)
        kept = self._read()
        os.ftruncate(self._fd, kept)
        self.is_new = kept == 0
        if self.is_new:
            self.write([Line(prefix=new_prefix)])

    def write(self, lines: list[Line]) -> None:
        """Append lines in order. Returns when the kernel has them."""
        lines = [msgspec.structs.replace(lines[0], begins=True), *lines[1:]]
        rest = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        for line in lines:
            self._note(line)

    def size(self) -> int:
        """Of the file, bytes."""
        return os.fstat(self._fd).st_size

    def shrink(self, order_ids: Collection[str], counted: tuple[int, int]) -> None:
        """Write the ledger anew: what was reported of these orders and of those that somebody is still owed, all numbers and debts.

        Between two writes, when everything has left. counted: how many OrderIDs and ExecIDs there were.
        Raises OSError, DecodeError: then the old one stands.
        """
        debts = {exec_id for owed in self.owed.values() for exec_id in owed}
        owing = {name.order_id for reports in self._of(EXEC_ID, debts) for name, _ in reports if name.exec_id in debts} if debts else set()
        kept_ids = owing.union(order_ids)
        lines = [Line(prefix=self.prefix, counted=counted, mark=self.mark, begins=True)]
        lines += [Line(session=session, seq=seq) for session, seq in self.last_seq.items()]
        lines += [Line(session=session, owed=owed) for session, owed in self.owed.items() if owed]
        fd = os.open(self._anew, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            with open(fd, "wb", closefd=False) as file:
                file.writelines(msgspec.json.encode(line) + b"\n" for line in lines)
                for reports in self._of(ORDER_ID, kept_ids):
                    kept = [raw for name, raw in reports if name.order_id in kept_ids]
                    if kept:
                        file.write(msgspec.json.encode(Old(kept)) + b"\n")
            os.fsync(fd)
            os.replace(self._anew, self._path)
        except (OSError, msgspec.DecodeError):
            os.close(fd)
            raise
        os.close(self._fd)
        self._fd = fd

    def close(self) -> None:
        os.close(self._fd)

    def _of(self, pattern: re.Pattern[bytes], ids: Collection[str]) -> Iterator[list[tuple[Named, msgspec.Raw]]]:
        """What the lines report that name one of these, but for answers to status requests, which changed nothing. Most lines are only glanced at."""
        decode, name = msgspec.json.Decoder(Old).decode, msgspec.json.Decoder(Named).decode
        wanted = {i.encode() for i in ids}
        with self._path.open("rb") as file:
            for text in file:
                if not wanted.isdisjoint(pattern.findall(text)):
                    named = [(name(raw), raw) for raw in decode(text).reports]
                    yield [(said, raw) for said, raw in named if said.report != "status"]

    def _read(self) -> int:
        """Take over what the file holds; returns the length that is sound."""
        decode = msgspec.json.Decoder(Line).decode
        kept, size = 0, self.size()
        with self._path.open("rb") as file:
            for number, text in enumerate(file, 1):
                try:
                    line = decode(text) if text.endswith(b"\n") else None
                except msgspec.DecodeError as e:
                    if kept + len(text) < size:
                        raise BrokenLedger(f"{self._path} line {number}: {e}") from e
                    line = None
                if line is None:
                    break
                kept += len(text)
                self._take(line)
        return kept

    def _note(self, line: Line) -> None:
        if line.owed is not None:
            self.owed[line.session] = line.owed
        self.mark = line.mark or self.mark

    def _take(self, line: Line) -> None:
        self._note(line)
        self.prefix = line.prefix or self.prefix
        self.counted = max(line.counted, self.counted)
        self.reports += line.reports
        if line.seq:
            self.last_seq[line.session] = line.seq
        if line.begins:
            self.unconfirmed = []
        self.unconfirmed += [r.exec_id for r in line.reports if not isinstance(r, CancelReject | MassCancelReport)]
