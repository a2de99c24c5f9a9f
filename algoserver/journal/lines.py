"""One line of the journal: kind letter, space, crc32 as 8 hex digits, space, JSON, newline.

Rule 1: the crc covers the kind letter and the JSON, and is compared as text: no flip of a byte goes unseen.
Rule 2: JSON text holds no newline, so a line is a record and a record is a line.

`I 3c9d1f02 {"type":"Wakeup","seq":7,"ts":1760000000000000000}`
"""

import re
from pathlib import Path
from zlib import crc32

import msgspec

from algoserver.domain import commands, events

FORMAT = 1
NEWLINE = 0x0A
HEAD_BYTES = 11  # "I 3c9d1f02 "


class Header(msgspec.Struct, frozen=True):
    """H, the first line of a segment. seq: the first input that it holds or will hold.

    previous and previous_bytes: the segment before and its length uncompressed, "" and 0 for the first.
    sent_seq: the last sent marker before this segment. wall_ts: ns UTC, as the caller gave it.
    """

    format: int
    seq: int
    previous: str
    previous_bytes: int
    sent_seq: int
    wall_ts: int


class Output(msgspec.Struct, frozen=True):
    """O, a command: the seq of its event and its number within that step, from 0."""

    seq: int
    n: int
    command: commands.ANY


class Digest(msgspec.Struct, frozen=True):
    """D, the digest (hex) of the state after the step of `seq`."""

    seq: int
    digest: str


class Sent(msgspec.Struct, frozen=True):
    """S: all outputs up to those of `seq` were handed to the FIX engine."""

    seq: int


class Numbered(msgspec.Struct, frozen=True):
    """What every record has; the rest is skipped, not decoded."""

    seq: int


SEEDS = {kind: crc32(kind.encode()) for kind in "HIODS"}
# Looked up by the first byte of a line. An unknown letter gets a head that no line can have.
_HEADS = {ord(kind): (b"%b %%08x " % kind.encode(), kind, seed) for kind, seed in SEEDS.items()}
_UNKNOWN = (b"", "", 0)
_HEAD = re.compile(rb"[HIODS] [0-9a-f]{8} ")

encode = msgspec.json.Encoder().encode
decode_event = msgspec.json.Decoder(events.ANY).decode
decode_output = msgspec.json.Decoder(Output).decode
decode_digest = msgspec.json.Decoder(Digest).decode
decode_header = msgspec.json.Decoder(Header).decode
decode_numbered = msgspec.json.Decoder(Numbered).decode


def line(kind: str, record: msgspec.Struct) -> bytes:
    """The line of a record. Not for the hot path of inputs and outputs, which have this spelled out."""
    body = encode(record)
    return b"%b %08x %b\n" % (kind.encode(), crc32(body, SEEDS[kind]), body)


def line_bytes(body: bytes) -> int:
    """The length of the line that holds `body`."""
    return HEAD_BYTES + len(body) + 1


def kind_of(text: bytes) -> str:
    """The kind of a whole and sound line; "" if it is neither."""
    head, kind, seed = _HEADS.get(text[0], _UNKNOWN)
    if kind and text[:HEAD_BYTES] == head % crc32(text[HEAD_BYTES:-1], seed) and text[-1] == NEWLINE:
        return kind
    return ""


def is_torn(text: bytes) -> bool:
    """Whether a bad last line may be the rest of an interrupted write.

    Not if a sound record ends it: then a newline before that record was damaged, and both had been committed.
    """
    return not any(kind_of(text[found.start() :]) for found in _HEAD.finditer(text, 1))


def fault(text: bytes) -> tuple[str, str]:
    """What was expected and what was found in a bad line, for a person."""
    _, kind, seed = _HEADS.get(text[0], _UNKNOWN)
    if not kind:
        return "a kind letter of HIODS", ascii(text[:HEAD_BYTES])
    if text[-1] != NEWLINE:
        return "a newline at the end of the record", f"the end of the file after {len(text)} bytes"
    computed = crc32(text[HEAD_BYTES:-1], seed)
    return f"crc {computed:08x} as computed over the record", ascii(text[1:HEAD_BYTES])


class JournalFailed(Exception):
    """The journal can't be written; `__cause__` is the OSError. What was not committed must not be acted on."""


class JournalLocked(Exception):
    """Another server has this journal open."""


class JournalCorrupt(Exception):
    """The journal is damaged elsewhere than in a torn last record. offset: byte in the uncompressed file; number: line, from 1."""

    def __init__(self, path: Path, offset: int, number: int, expected: str, found: str, remedy: str = "") -> None:
        remedy = remedy or "`serve --safe-mode` replays to the last good record before it"
        super().__init__(f"{path}: byte {offset}, line {number}: expected {expected}, found {found}; {remedy}")
        self.path = path
        self.offset = offset
        self.number = number
        self.expected = expected
        self.found = found
