"""Snapshots of the state beside the journal, so that recovery replays minutes and not days.

Rule 1: a snapshot is a shortcut, never the truth: any doubt about it and the one before is taken, or none.
Rule 2: never newer than the journal. A state beyond the last input belongs to records that are lost.
"""

import os
import re
from pathlib import Path
from zlib import crc32

from algoserver.journal.reader import last_seq

KEPT = 2
_NAME = re.compile(r"snapshot-(\d{16})\.bin")
_HEAD = b"algoserver snapshot 1 %016d %016d "


def write_snapshot(directory: str | os.PathLike[str], seq: int, payload: bytes) -> Path:
    """Keep `payload`, the state after the step of `seq`, and of the older ones only the last. seq: committed.

    From any thread; an OSError leaves those that were there and harms nothing.
    """
    path = Path(directory) / f"snapshot-{seq:016d}.bin"
    tmp = path.with_name(path.name + ".tmp")
    try:
        with open(tmp, "wb") as file:
            file.write(_head(seq, payload))
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        os.replace(tmp, path)
    except OSError:
        tmp.unlink(missing_ok=True)
        raise
    fsync_directory(Path(directory))
    for older in [s for s in _seqs(Path(directory)) if s <= seq][:-KEPT]:
        (Path(directory) / f"snapshot-{older:016d}.bin").unlink(missing_ok=True)
    return path


def latest_snapshot(directory: str | os.PathLike[str], through_seq: int | None = None) -> tuple[int, bytes] | None:
    """The newest sound snapshot up to `through_seq` with its seq, or None.

    through_seq: the journal's last input, looked up if not given.
    """
    through_seq = last_seq(directory) if through_seq is None else through_seq
    for seq in reversed(_seqs(Path(directory))):
        if seq <= through_seq:
            payload = _sound_payload(Path(directory) / f"snapshot-{seq:016d}.bin", seq)
            if payload is not None:
                return seq, payload
    return None


def set_aside_newer(directory: Path, through_seq: int) -> list[Path]:
    """Rename snapshots beyond `through_seq` to `.orphan`: once the journal has grown past them they would pass for its own."""
    newer = [directory / f"snapshot-{seq:016d}.bin" for seq in _seqs(directory) if seq > through_seq]
    for path in newer:
        os.replace(path, path.with_name(path.name + ".orphan"))
    if newer:
        fsync_directory(directory)
    return newer


def fsync_directory(directory: Path) -> None:
    """Make created, renamed and removed names of `directory` durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _head(seq: int, payload: bytes) -> bytes:
    head = _HEAD % (seq, len(payload))
    return head + b"%08x\n" % crc32(payload, crc32(head))


def _sound_payload(path: Path, seq: int) -> bytes | None:
    try:
        head, _, payload = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    return payload if head + b"\n" == _head(seq, payload) else None


def _seqs(directory: Path) -> list[int]:
    names = (_NAME.fullmatch(entry.name) for entry in directory.iterdir()) if directory.is_dir() else ()
    return sorted(int(name[1]) for name in names if name)
