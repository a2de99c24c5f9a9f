"""The files of the journal: which there are, their checked lines, and their compression.

Rule 1: where `.log` and `.log.zst` both exist the `.log` is the truth; the other is left from an interrupted compression.
Rule 2: a `.log` goes only after its `.log.zst` was flushed, read back and found equal.
Rule 3: only the last segment may have a torn tail, and only its last line.
"""

import os
import re
from collections.abc import Callable, Iterator
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast
from zlib import crc32

import msgspec
import zstandard

from algoserver.journal.lines import (
    FORMAT,
    HEAD_BYTES,
    NEWLINE,
    Header,
    JournalCorrupt,
    decode_header,
    decode_numbered,
    fault,
    is_torn,
    kind_of,
)

READ_BYTES = 1 << 18  # larger gains nothing measurable
_NAME = re.compile(r"(\d{16})\.log(\.zst)?")


class Segment(NamedTuple):
    """A segment by the name of its `.log`, whether that or its `.log.zst` exists."""

    first_seq: int
    path: Path

    @property
    def zst(self) -> Path:
        """Where its compressed form is or will be."""
        return self.path.with_name(self.path.name + ".zst")

    def open(self) -> BinaryIO:
        """Open for reading, uncompressed. A compressing thread may take the `.log` away at any moment: then the other is whole."""
        try:
            return open(self.path, "rb", buffering=READ_BYTES)
        except FileNotFoundError:
            return _open_zst(self.zst)


# A checked line: kind, seq, JSON, offset of its first byte, number from 1. A plain tuple: there are 250,000 in a segment.
Line = tuple[str, int, bytes, int, int]


def _open_zst(path: Path) -> BinaryIO:
    stream = zstandard.ZstdDecompressor().stream_reader(open(path, "rb"), closefd=True)  # noqa: SIM115
    return BufferedReader(cast("RawIOBase", stream), READ_BYTES)


def segment_at(directory: Path, first_seq: int) -> Segment:
    """The segment that begins with `first_seq`, whether it exists or not."""
    return Segment(first_seq, directory / f"{first_seq:016d}.log")


def list_segments(directory: Path) -> list[Segment]:
    """All segments of a journal, oldest first."""
    names = (_NAME.fullmatch(entry.name) for entry in directory.iterdir()) if directory.is_dir() else ()
    return [segment_at(directory, seq) for seq in sorted({int(name[1]) for name in names if name})]


def header_of(segment: Segment, body: bytes) -> Header:
    """The header of a segment, decoded and compared with the file's name and our format."""
    try:
        header = decode_header(body)
    except msgspec.DecodeError as error:
        raise JournalCorrupt(segment.path, 0, 1, "a segment header", str(error)) from error
    if header.format != FORMAT:
        raise JournalCorrupt(segment.path, 0, 1, f"format {FORMAT}", f"format {header.format}", "run the version that wrote it")
    if header.seq != segment.first_seq:
        raise JournalCorrupt(segment.path, 0, 1, f"first seq {segment.first_seq} as in the file's name", f"{header.seq}")
    return header


def checked_lines(segment: Segment, is_last: bool) -> Iterator[Line]:
    """The lines of a segment, the header first.

    Each is sound, inputs go up by one from the file's name, and nothing else is about a later event than the last input.
    Ends before a torn last line if `is_last`; anything else that is wrong raises JournalCorrupt.
    """
    number = offset = 0
    last_seq = segment.first_seq - 1

    def corrupt(expected: str, found: str) -> JournalCorrupt:
        return JournalCorrupt(segment.path, offset, number, expected, found)

    with segment.open() as file:
        try:
            for text in file:
                number += 1
                kind = kind_of(text)
                if not kind:
                    # Without a newline it was the end when read; a writer may have gone on since.
                    if is_last and (text[-1] != NEWLINE or not file.read(1)) and is_torn(text):
                        return
                    raise corrupt(*fault(text))
                body = text[HEAD_BYTES:-1]
                seq = decode_numbered(body).seq
                if (kind == "H") != (number == 1):
                    raise corrupt("a segment header in line 1 and nowhere else", f"kind {kind}")
                if kind == "I":
                    if seq != last_seq + 1:
                        raise corrupt(f"input {last_seq + 1}", f"input {seq}")
                    last_seq = seq
                elif seq > last_seq and kind != "H":
                    raise corrupt(f"a record about an input up to {last_seq}", f"one about {seq}")
                yield kind, seq, body, offset, number
                offset += len(text)
        except zstandard.ZstdError as error:
            number += 1
            raise corrupt("a zstd stream", str(error)) from error
        except msgspec.DecodeError as error:
            raise corrupt("a record with a seq", str(error)) from error


def compress(segment: Segment, fsync_directory: Callable[[], None]) -> None:
    """Replace a closed segment's `.log` by its `.log.zst`. Atomic: a kill at any point leaves one whole form at least."""
    tmp = segment.zst.with_name(segment.zst.name + ".tmp")
    compressor = zstandard.ZstdCompressor(write_checksum=True)
    with open(segment.path, "rb") as source, open(tmp, "wb") as target:
        compressor.copy_stream(source, target, size=segment.path.stat().st_size)
        target.flush()
        os.fsync(target.fileno())
    with open(segment.path, "rb") as source, _open_zst(tmp) as copy:
        if _crc(source) != _crc(copy):
            raise OSError(f"{tmp} does not read back as {segment.path}; the disk or the memory is not to be trusted")
    os.replace(tmp, segment.zst)
    fsync_directory()
    os.unlink(segment.path)


def _crc(file: BinaryIO) -> tuple[int, int]:
    crc = size = 0
    while chunk := file.read(READ_BYTES):
        crc = crc32(chunk, crc)
        size += len(chunk)
    return crc, size
