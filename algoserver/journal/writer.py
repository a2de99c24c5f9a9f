"""Write the journal: append in memory, commit in one write and one fdatasync.

Rule 1: `append_*` and `commit` belong to one thread, `compress_closed` to another; no lock between them, since a closed
segment is never written again.
Rule 2: a failed commit is taken back from the file as far as the disk lets us, and nothing is taken after it.
Rule 3: opening repairs only what a crash leaves: a torn last record, a new segment without its header, tmp files.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, NoReturn
from zlib import crc32

import structlog

from algoserver.domain import commands, events
from algoserver.journal import lines
from algoserver.journal.lines import Digest, Header, JournalCorrupt, JournalFailed, JournalLocked, Output, Sent, encode
from algoserver.journal.segments import Segment, checked_lines, compress, header_of, list_segments, segment_at
from algoserver.journal.snapshots import fsync_directory, set_aside_newer

SEGMENT_BYTES_MAX = 64 * 1024 * 1024  # about 250,000 records: a second to read, and a tenth of it compressed
_INPUT_SEED, _OUTPUT_SEED = lines.SEEDS["I"], lines.SEEDS["O"]
log = structlog.get_logger()


class Tail(NamedTuple):
    """Where a segment ends: the next input's seq, the last sent marker, its length in bytes. bytes 0: not even a header."""

    next_seq: int
    sent_seq: int
    bytes: int


NOTHING = Tail(1, 0, 0)


class Journal:
    """The writer of a journal directory, which it creates or continues; alone, or JournalLocked.

    next_seq: the seq that the next input must have, 1 in a new journal. sent_seq: the last sent marker.
    torn_bytes: what opening cut off. wall_ts: ns UTC for the next segment's header; the caller may keep it current.
    """

    next_seq: int
    sent_seq: int
    _segment: Segment
    _committed: Tail  # of _segment

    def __init__(self, directory: str | os.PathLike[str], segment_bytes_max: int = SEGMENT_BYTES_MAX, wall_ts: int = 0) -> None:
        self.directory = Path(directory)
        self.wall_ts = wall_ts
        self.torn_bytes = 0
        self._segment_bytes_max = segment_bytes_max
        self._buffer = bytearray()
        self._failure: BaseException | None = None
        self._fd = -1
        self.directory.mkdir(parents=True, exist_ok=True)
        fsync_directory(self.directory.parent)
        self._lock_fd = self._lock()
        try:
            self._open()
        except BaseException:
            self._close_files()
            raise

    def append_input(self, event: events.Event) -> None:
        """Take an event; durable after `commit`. What can't be encoded (half a surrogate pair) raises and leaves no trace."""
        if self._failure is not None:
            self._refuse()
        assert event.seq == self.next_seq, f"input {event.seq} where {self.next_seq} is next"
        body = encode(event)
        self._buffer += b"I %08x %b\n" % (crc32(body, _INPUT_SEED), body)
        self.next_seq += 1

    def append_outputs(self, seq: int, commands: Iterable[commands.Command]) -> None:
        """Take all commands of the step of `seq`, numbered from 0."""
        if self._failure is not None:
            self._refuse()
        assert 0 < seq < self.next_seq, f"outputs of {seq}, but the last input is {self.next_seq - 1}"
        # All are encoded before the first is taken.
        bodies = [encode(Output(seq, n, command)) for n, command in enumerate(commands)]  # type: ignore[arg-type]  # every Command is one of ANY
        for body in bodies:
            self._buffer += b"O %08x %b\n" % (crc32(body, _OUTPUT_SEED), body)

    def append_digest(self, seq: int, digest: str) -> None:
        """Take the digest (hex) of the state after the step of `seq`."""
        if self._failure is not None:
            self._refuse()
        assert 0 < seq < self.next_seq, f"digest of {seq}, but the last input is {self.next_seq - 1}"
        self._buffer += lines.line("D", Digest(seq, digest))

    def append_sent(self, seq: int) -> None:
        """Note that all outputs up to those of `seq` were handed to the FIX engine."""
        if self._failure is not None:
            self._refuse()
        assert self.sent_seq <= seq < self.next_seq, f"sent {seq}, but {self.sent_seq} was and {self.next_seq - 1} is the last input"
        self._buffer += lines.line("S", Sent(seq))
        self.sent_seq = seq

    def commit(self) -> None:
        """Make everything appended since durable, or raise JournalFailed: then none of it counts, and nothing ever will again."""
        if self._failure is not None:
            self._refuse()
        if not self._buffer:
            return
        try:
            if self._committed.bytes >= self._segment_bytes_max and self._committed.next_seq > self._segment.first_seq:
                self._create(segment_at(self.directory, self._committed.next_seq), self._segment, self._committed)
            _write_all(self._fd, self._buffer)
            os.fdatasync(self._fd)
        except BaseException as error:
            self._give_up(error)
            if isinstance(error, OSError):
                self._refuse()
            raise
        self._committed = Tail(self.next_seq, self.sent_seq, self._committed.bytes + len(self._buffer))
        self._buffer.clear()

    def compress_closed(self) -> int:
        """Compress every closed segment that is not yet; how many. From any one thread; an OSError leaves the `.log` and harms nothing."""
        closed = [s for s in list_segments(self.directory) if s.first_seq < self._segment.first_seq and s.path.exists()]
        for segment in closed:
            compress(segment, lambda: fsync_directory(self.directory))
        return len(closed)

    def close(self) -> None:
        """Commit what is pending and give the directory free. After a failure only the latter."""
        try:
            if self._failure is None:
                self.commit()
        finally:
            self._failure = self._failure or ValueError("it is closed")
            self._close_files()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _lock(self) -> int:
        fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            raise JournalLocked(
                f"{self.directory} is in use by another server; stop that one or give this one a state directory of its own"
            ) from error
        return fd

    def _open(self) -> None:
        for tmp in self.directory.glob("*.tmp"):
            tmp.unlink()
        segments = list_segments(self.directory)
        last = segments[-1] if segments else segment_at(self.directory, 1)
        if segments and not last.path.exists():
            # Only closed segments are compressed, so a newer one was here.
            raise JournalCorrupt(last.zst, 0, 0, "a newer segment", "none", "put the missing file back")
        tail = _tail(last, is_last=True) if segments else NOTHING
        if tail.bytes:
            self._use(last, os.open(last.path, os.O_WRONLY | os.O_APPEND), tail)
            self._cut_torn(last.path.stat().st_size - tail.bytes)
            # Whole records may be there that a killed server had written and not yet flushed: replay acts on them.
            os.fsync(self._fd)
        else:
            self._replace_headless(last, segments[-2] if len(segments) > 1 else None)
        self.next_seq, self.sent_seq, _ = self._committed
        newer = set_aside_newer(self.directory, self.next_seq - 1)
        if newer:
            log.error("journal_older_than_snapshot", last_seq=self.next_seq - 1, set_aside=[path.name for path in newer])

    def _cut_torn(self, torn_bytes: int) -> None:
        if torn_bytes:
            os.ftruncate(self._fd, self._committed.bytes)
            self.torn_bytes = torn_bytes
            log.warning("journal_torn", segment=self._segment.path.name, torn_bytes=torn_bytes, last_seq=self._committed.next_seq - 1)

    def _replace_headless(self, segment: Segment, before: Segment | None) -> None:
        """Create the first segment, or again one whose header is torn: the crash came while it was created."""
        tail = Tail(segment.first_seq, 0, 0) if before is None else _tail(before, is_last=False)
        if tail.next_seq != segment.first_seq:
            raise JournalCorrupt(segment.path, 0, 1, f"a segment that begins with {tail.next_seq}", f"{segment.first_seq}")
        if segment.path.exists():
            self.torn_bytes = segment.path.stat().st_size
            log.warning("journal_torn", segment=segment.path.name, torn_bytes=self.torn_bytes, last_seq=tail.next_seq - 1)
            segment.path.unlink()
        self._create(segment, before, tail)

    def _create(self, segment: Segment, before: Segment | None, tail: Tail) -> None:
        """Create a segment behind `before`, which ends at `tail`, and go on in it."""
        previous = before.path.name if before else ""
        header = lines.line("H", Header(lines.FORMAT, segment.first_seq, previous, tail.bytes, tail.sent_seq, self.wall_ts))
        fd = os.open(segment.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o640)
        try:
            _write_all(fd, header)
            os.fsync(fd)
            fsync_directory(self.directory)
        except BaseException:
            os.close(fd)
            raise
        closed_fd = self._fd
        self._use(segment, fd, tail._replace(bytes=len(header)))
        if closed_fd >= 0:
            os.close(closed_fd)

    def _use(self, segment: Segment, fd: int, tail: Tail) -> None:
        # Together and without a call between: a failure truncates _fd to _committed.bytes.
        self._segment, self._fd, self._committed = segment, fd, tail

    def _give_up(self, error: BaseException) -> None:
        self._failure = error
        # What cannot be taken back is read again at the next start as if the crash had come just after it was written.
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, self._committed.bytes)
            os.fsync(self._fd)

    def _refuse(self) -> NoReturn:
        raise JournalFailed(f"{self.directory}: nothing more can be written: {self._failure}") from self._failure

    def _close_files(self) -> None:
        fds, self._fd, self._lock_fd = (self._fd, self._lock_fd), -1, -1
        for fd in fds:
            if fd >= 0:
                os.close(fd)


def _tail(segment: Segment, is_last: bool) -> Tail:
    """Where `segment` ends, before a torn last line if it is the last one. Raises JournalCorrupt."""
    next_seq, sent_seq, end = segment.first_seq, 0, 0
    for kind, seq, body, offset, _ in checked_lines(segment, is_last):
        end = offset + lines.line_bytes(body)
        if kind == "I":
            next_seq = seq + 1
        elif kind == "S":
            sent_seq = seq
        elif kind == "H":
            sent_seq = header_of(segment, body).sent_seq
    return Tail(next_seq, sent_seq, end)


def _write_all(fd: int, data: bytes | bytearray) -> None:
    """One write, but for a signal or a nearly full disk: those may take a part, and the rest or its error follows."""
    with memoryview(data) as view:
        written = os.write(fd, view)
        while written < len(view):
            written += os.write(fd, view[written:])
