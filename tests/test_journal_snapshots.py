"""Snapshots: the newest sound one that the journal can vouch for."""

from pathlib import Path

import pytest

from algoserver.domain import events
from algoserver.journal import Journal, latest_snapshot, write_snapshot


def write_journal(directory: Path, through_seq: int) -> None:
    with Journal(directory) as journal:
        while journal.next_seq <= through_seq:
            journal.append_input(events.Wakeup(seq=journal.next_seq, ts=journal.next_seq))


def test_the_newest_snapshot_comes_back_and_two_are_kept(tmp_path):
    """Any bytes, newlines and none at all included."""
    write_journal(tmp_path, 40)
    assert latest_snapshot(tmp_path) is None
    for seq, payload in ((10, b""), (20, b"\n\x00\n" * 1000), (30, b"thirty")):
        write_snapshot(tmp_path, seq, payload)
        assert latest_snapshot(tmp_path) == (seq, payload)
    assert sorted(int(path.stem[-16:]) for path in tmp_path.glob("snapshot-*")) == [20, 30]
    assert latest_snapshot(tmp_path, through_seq=29) == (20, b"\n\x00\n" * 1000)


def test_a_broken_snapshot_falls_back_to_the_one_before(tmp_path):
    """Cut at or changed in any byte; two broken ones give none."""
    write_journal(tmp_path, 40)
    older, newer = write_snapshot(tmp_path, 10, b"ten"), write_snapshot(tmp_path, 20, b"twenty")
    content = newer.read_bytes()
    for at in range(len(content)):
        for damaged in (content[:at], content[:at] + bytes([content[at] ^ 0x20]) + content[at + 1 :]):
            newer.write_bytes(damaged)
            assert latest_snapshot(tmp_path) == (10, b"ten")
    older.write_bytes(content)  # sound, but of another seq
    assert latest_snapshot(tmp_path) is None


def test_a_snapshot_beyond_the_journal_is_ignored_and_never_comes_back(tmp_path):
    """Its records are lost: when the journal has grown past its seq with other events it must not pass for theirs."""
    write_journal(tmp_path, 20)
    write_snapshot(tmp_path, 10, b"ten")
    write_snapshot(tmp_path, 20, b"twenty")
    (path,) = tmp_path.glob("*.log")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:16]))  # the header and 15 inputs
    assert latest_snapshot(tmp_path) == (10, b"ten")
    write_journal(tmp_path, 30)
    assert latest_snapshot(tmp_path) == (10, b"ten")


def test_a_snapshot_that_cannot_be_written_leaves_the_others(tmp_path, monkeypatch):
    """A full disk costs the snapshot and nothing else."""
    write_journal(tmp_path, 20)
    write_snapshot(tmp_path, 10, b"ten")

    def fails(*_args):
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", fails)
        with pytest.raises(OSError, match="No space"):
            write_snapshot(tmp_path, 20, b"twenty")
    assert latest_snapshot(tmp_path) == (10, b"ten")
    assert not list(tmp_path.glob("*.tmp"))
