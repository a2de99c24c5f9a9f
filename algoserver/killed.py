"""Kills that the core has not heard: STATE/kill, written past it when it stands still, made an event by the next start.

Rule 1: the file has its room on disk from the start and is overwritten in place, so that a full disk can't forget a kill.
Rule 2: one that can't be read is a kill of the firm.
Rule 3: it is cleared when the journal has what it says.
"""

import os
from pathlib import Path

import msgspec

from algoserver.journal.snapshots import fsync_directory

FILE_NAME = "kill"
ROOM_BYTES = 4_096
FIRM = "firm"


class Kill(msgspec.Struct, frozen=True):
    """Who wants which scope stopped, and why."""

    operator: str
    scope: str
    reason: str


class Remembered:
    """The file of one server. Raises OSError."""

    def __init__(self, state_dir: Path) -> None:
        self._is_clear = False
        self._fd = os.open(state_dir / FILE_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        fsync_directory(state_dir)
        if os.fstat(self._fd).st_size < ROOM_BYTES:
            # What stands there stays in front: a file that was cut short is not a file that says nothing.
            self._write(os.pread(self._fd, ROOM_BYTES, 0))

    def kills(self) -> list[Kill]:
        """What no journal has yet, oldest first."""
        text = os.pread(self._fd, ROOM_BYTES, 0).strip()
        try:
            return msgspec.json.decode(text, type=list[Kill]) if text else []
        except (msgspec.DecodeError, ValueError):
            return [Kill("unknown", FIRM, f"the file {FILE_NAME} can't be read")]

    def add(self, kills: list[Kill]) -> None:
        """Remember these too. What is too much for the file becomes one kill of the firm."""
        both = [*self.kills(), *kills]
        text = msgspec.json.encode(both)
        if len(text) > ROOM_BYTES:
            text = msgspec.json.encode([Kill(both[-1].operator, FIRM, f"{len(both)} kills that the core did not hear")])
        self._write(text)

    def clear(self) -> None:
        """The journal has it."""
        if not self._is_clear:
            self._write(b"")
            self._is_clear = True

    def _write(self, text: bytes) -> None:
        self._is_clear = False
        os.pwrite(self._fd, text.ljust(ROOM_BYTES), 0)
        os.fsync(self._fd)
