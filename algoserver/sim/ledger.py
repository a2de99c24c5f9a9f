"""What must survive a kill -9: every report of the market, and how far each session's messages were processed.

Rule 1: a line is written before its reports leave. One line is one message and all that it caused, or what the
market did by itself; a line that was torn by the kill never happened, and its message is asked for again.
Rule 2: written means handed to the kernel (os.write, no fsync): it survives the death of the process, not of the machine.
Rule 3: the reports of one write are sent before the next write begins. So only those of the last write may never
have left (`unconfirmed`), and those that wait for a session's logon after a restart (`owed`).
Rule 4: the file only grows. Its first line carries the prefix of the market's OrderIDs and ExecIDs.
"""

import os
from pathlib import Path

import msgspec

from algoserver.sim.halts import Mark
from algoserver.sim.reports import AnyReport, CancelReject, MassCancelReport


class BrokenLedger(Exception):
    """A line before the last can't be read; the text says which."""


class Line(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """seq: MsgSeqNum (34) of the message of `session` that caused `reports`; 0 if none did.

    owed: ExecIDs to be sent to `session` at its next logon; empty once they were. begins: first line of a write.
    mark: where the market stands.
    """

    session: str = ""
    seq: int = 0
    prefix: str = ""
    reports: list[AnyReport] = []
    owed: list[str] | None = None
    begins: bool = False
    mark: Mark | None = None


class Ledger:
    """An open ledger. is_new: there was none before.

    prefix, reports, last_seq and owed (both by session), unconfirmed (ExecIDs) and the last mark are what it held when opened.
    """

    def __init__(self, path: Path, new_prefix: str):
        """Open or begin a ledger; new_prefix names a new one. Cuts a torn last line. Raises BrokenLedger."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self.prefix = new_prefix
        self.reports: list[AnyReport] = []
        self.last_seq: dict[str, int] = {}
        self.owed: dict[str, list[str]] = {}
        self.unconfirmed: list[str] = []
        self.mark: Mark | None = None
        kept = self._read(path)
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

    def close(self) -> None:
        os.close(self._fd)

    def _read(self, path: Path) -> int:
        """Take over what the file holds; returns the length that is sound."""
        decode = msgspec.json.Decoder(Line).decode
        kept = 0
        raw = path.read_bytes()
        for number, text in enumerate(raw.splitlines(keepends=True), 1):
            try:
                line = decode(text) if text.endswith(b"\n") else None
            except msgspec.DecodeError as e:
                if kept + len(text) < len(raw):
                    raise BrokenLedger(f"{path} line {number}: {e}") from e
                line = None
            if line is None:
                break
            kept += len(text)
            self._take(line)
        return kept

    def _take(self, line: Line) -> None:
        self.prefix = line.prefix or self.prefix
        self.reports += line.reports
        if line.seq:
            self.last_seq[line.session] = line.seq
        if line.owed is not None:
            self.owed[line.session] = line.owed
        self.mark = line.mark or self.mark
        if line.begins:
            self.unconfirmed = []
        self.unconfirmed += [r.exec_id for r in line.reports if not isinstance(r, CancelReject | MassCancelReport)]
