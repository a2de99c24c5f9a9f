"""Read the journal: strict about every record's checksum and every input's seq, streaming, across segments.

Rule 1: what is yielded is a prefix of what was committed, in order; the reader never resumes behind damage.
Rule 2: reading needs no lock. Of a journal that is being written it gives what is on disk, without a torn last line.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from algoserver.domain import commands, events
from algoserver.journal.lines import JournalCorrupt, decode_digest, decode_event, decode_output, line_bytes
from algoserver.journal.segments import Line, Segment, checked_lines, header_of, list_segments, segment_at

NO_OUTPUTS = 2**63 - 1  # as `outputs_after_seq`: no output and no sent marker is decoded


class Record(NamedTuple):
    """One record. payload: an event (I), a command (O), a hex digest (D), None (S). n: the command's number within its step."""

    kind: str
    seq: int
    payload: events.ANY | commands.ANY | str | None
    n: int = 0


def read(
    directory: str | os.PathLike[str], after_seq: int = 0, *, outputs_after_seq: int | None = None, until_corrupt: bool = False
) -> Iterator[Record]:
    """Yield what concerns events beyond `after_seq`, in the order written: inputs, digests, outputs, sent markers.

    outputs_after_seq: a bound of their own for outputs and sent markers, lower or higher; recovery gives `Journal.sent_seq`.
    until_corrupt: end before damage instead of raising JournalCorrupt (safe mode).
    """
    outputs_after_seq = after_seq if outputs_after_seq is None else outputs_after_seq
    try:
        for segment, (kind, seq, body, offset, number) in _lines(Path(directory), min(after_seq, outputs_after_seq)):
            if seq <= (after_seq if kind in "ID" else outputs_after_seq):
                continue
            try:
                if kind == "I":
                    record = Record(kind, seq, decode_event(body))
                elif kind == "O":
                    output = decode_output(body)
                    record = Record(kind, seq, output.command, output.n)
                elif kind == "D":
                    record = Record(kind, seq, decode_digest(body).digest)
                else:
                    record = Record(kind, seq, None)
            except msgspec.DecodeError as error:
                # Its crc is right: this is not damage but a record of another version.
                remedy = "run the version that wrote it"
                raise JournalCorrupt(segment.path, offset, number, f"a record {kind} of this version", str(error), remedy) from error
            yield record
    except JournalCorrupt:
        if not until_corrupt:
            raise


def _lines(directory: Path, after_seq: int) -> Iterator[tuple[Segment, Line]]:
    """Every line but headers, from the segment that holds input `after_seq` + 1 to the end."""
    segments = list_segments(directory)
    if segments and segments[0].first_seq > after_seq + 1:
        raise _missing(segment_at(directory, after_seq + 1), "a segment that holds it", f"{segments[0].path.name} as the oldest")
    # An output stands in the segment of its event or in a later one, never before.
    first = max((i for i, segment in enumerate(segments) if segment.first_seq <= after_seq + 1), default=0)
    before: Segment | None = None
    before_end = end = next_seq = 0
    for segment in segments[first:]:
        for line in checked_lines(segment, segment is segments[-1]):
            kind, seq, body, offset, _ = line
            end = offset + line_bytes(body)
            if kind == "I":
                next_seq = seq + 1
            elif kind == "H":
                header = header_of(segment, body)
                if before is not None:
                    _check_follows(segment, header.previous, header.previous_bytes, next_seq, before, before_end)
                next_seq = seq
                continue
            yield segment, line
        before, before_end = segment, end


def _check_follows(segment: Segment, previous: str, previous_bytes: int, next_seq: int, before: Segment, before_end: int) -> None:
    if previous != before.path.name:
        found = f"{before.path.name} and {segment.path.name} without it"
        raise _missing(Segment(0, segment.path.with_name(previous)), "this segment", found)
    if (previous_bytes, segment.first_seq) != (before_end, next_seq):
        expected = f"{previous_bytes} bytes up to input {segment.first_seq - 1}, as the next segment says"
        raise JournalCorrupt(before.path, before_end, 0, expected, f"{before_end} bytes up to input {next_seq - 1}")


def _missing(segment: Segment, expected: str, found: str) -> JournalCorrupt:
    return JournalCorrupt(segment.path, 0, 0, expected, found, "put the missing file back, or `serve --safe-mode`")


def last_seq(directory: str | os.PathLike[str]) -> int:
    """The last input that can be read from the last segment, 0 for an empty journal."""
    segments = list_segments(Path(directory))
    if not segments:
        return 0
    seq = segments[-1].first_seq - 1
    try:
        for kind, line_seq, _, _, _ in checked_lines(segments[-1], is_last=True):
            if kind == "I":
                seq = line_seq
    except JournalCorrupt:
        pass  # the readers will say so
    return seq
