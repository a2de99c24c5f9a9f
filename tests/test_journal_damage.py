"""A damaged journal: a torn last record is cut off, anything else stops the reader, and nothing wrong is ever read."""

from pathlib import Path

import msgspec
import pytest

from algoserver.domain import commands, events
from algoserver.journal import Journal, JournalCorrupt, Record, last_seq, read
from algoserver.journal.lines import Sent, kind_of, line

ALERT = commands.RaiseAlert(code="late", subject="P1", text="D 00000000 {}")  # looks like a record and is none


def write_journal(directory: Path, count: int, segment_bytes_max: int = 1 << 20) -> list[Record]:
    """A journal of `count` events with outputs, digests and sent markers; what it holds."""
    with Journal(directory, segment_bytes_max) as journal:
        for seq in range(1, count + 1):
            journal.append_input(events.SessionDown(seq=seq, ts=seq, session="acme", reason="O 12345678 x"))
            journal.append_outputs(seq, [ALERT] * (seq % 2))
            if seq % 3 == 0:
                journal.append_digest(seq, "ab12")
                journal.append_sent(seq - 1)
            journal.commit()
    return list(read(directory))


def inputs(records: list[Record]) -> list[int]:
    return [record.seq for record in records if record.kind == "I"]


def corruption(directory: Path) -> JournalCorrupt | None:
    """What reading to the end raises."""
    try:
        list(read(directory))
    except JournalCorrupt as corrupt:
        return corrupt
    return None


def goes_on(directory: Path) -> None:
    """Reopen, append two events, and find them behind what was there."""
    with Journal(directory) as journal:
        before = list(read(directory))
        seq = journal.next_seq
        journal.append_input(events.Wakeup(seq=seq, ts=seq))
        journal.commit()
        journal.append_input(events.Wakeup(seq=seq + 1, ts=seq))
        journal.append_outputs(seq, [ALERT])
    assert list(read(directory))[: len(before)] == before
    assert inputs(list(read(directory))) == list(range(1, seq + 2))


@pytest.mark.parametrize("segment_bytes_max", [1 << 20, 300])
def test_every_prefix_of_the_bytes_reads_as_a_prefix_of_the_records(tmp_path, segment_bytes_max):
    """Whatever part of the last segment reached the disk, reopening keeps the whole records, cuts the rest and goes on."""
    everything = write_journal(tmp_path / "whole", 6, segment_bytes_max)
    *closed, last = sorted((tmp_path / "whole").glob("*.log"))
    content = last.read_bytes()
    for size in range(len(content) + 1):
        directory = tmp_path / "cut"
        directory.mkdir()
        for path in closed:
            (directory / path.name).write_bytes(path.read_bytes())
        (directory / last.name).write_bytes(content[:size])

        records = list(read(directory))
        assert records == everything[: len(records)]
        with Journal(directory) as journal:
            assert journal.torn_bytes == size - (content.rfind(b"\n", 0, size) + 1)
            assert list(read(directory)) == records
            assert journal.next_seq == 1 + len(inputs(records)) == 1 + last_seq(directory)
            assert journal.sent_seq == max((r.seq for r in records if r.kind == "S"), default=0)
        goes_on(directory)
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()


def test_no_flip_of_a_byte_gives_wrong_data(tmp_path):
    """Any single byte changed: JournalCorrupt at that line, or, in the last record alone, that record is torn off."""
    everything = write_journal(tmp_path, 5)
    (path,) = tmp_path.glob("*.log")
    content = path.read_bytes()
    last_line = content.rfind(b"\n", 0, -1) + 1
    for at, byte in enumerate(content):
        for changed in {byte ^ 0x01, byte ^ 0x20, byte ^ 0x80, 0x0A, 0x00} - {byte}:
            path.write_bytes(content[:at] + bytes([changed]) + content[at + 1 :])
            records = list(read(tmp_path, until_corrupt=True))
            corrupt = corruption(tmp_path)
            if corrupt:
                assert corrupt.path == path
                assert corrupt.offset == content.rfind(b"\n", 0, at) + 1
                assert corrupt.number == content.count(b"\n", 0, at) + 1
                assert records == everything[: len(records)]
            else:
                assert at >= last_line, f"byte {at} changed to {changed:#x} went unseen"
                assert records == everything[:-1]


def test_a_line_that_is_completed_while_it_is_read_is_not_damage(tmp_path, monkeypatch):
    """A reader may meet a line half-written, and the rest of it arrives before the reader asks whether that was the end."""
    everything = write_journal(tmp_path, 3)
    (path,) = tmp_path.glob("*.log")
    content = path.read_bytes()
    path.write_bytes(content[:-5])

    def completing(text):
        if not text.endswith(b"\n"):
            path.write_bytes(content)
        return kind_of(text)

    monkeypatch.setattr("algoserver.journal.segments.kind_of", completing)
    assert list(read(tmp_path)) == everything[:-1]
    assert list(read(tmp_path)) == everything


def test_a_corrupt_record_stops_the_writer_and_tells_what_to_do(tmp_path):
    """The error names file, byte, line, what was expected and found, and the way out; the lock is free again."""
    write_journal(tmp_path, 5)
    (path,) = tmp_path.glob("*.log")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"acme", b"acne")
    path.write_bytes(b"".join(lines))
    offset = len(b"".join(lines[:3]))

    for _ in range(2):
        with pytest.raises(JournalCorrupt) as caught:
            Journal(tmp_path)
    assert f"{path}: byte {offset}, line 4: expected crc " in str(caught.value)
    assert "serve --safe-mode" in str(caught.value)
    assert path.read_bytes() == b"".join(lines)


@pytest.mark.parametrize("is_compressed", [False, True])
def test_damage_in_a_closed_segment_is_never_torn(tmp_path, is_compressed):
    """Cut or changed anywhere, a closed segment is corrupt; safe mode reads up to the damage and not behind it."""
    everything = write_journal(tmp_path, 12, segment_bytes_max=300)
    if is_compressed:
        with Journal(tmp_path) as journal:
            journal.compress_closed()
    path = sorted(tmp_path.glob("*.log*"))[1]
    content = path.read_bytes()
    sizes = range(len(content))
    for damaged in [content[:size] for size in sizes] + [content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :] for at in sizes]:
        path.write_bytes(damaged)
        good = list(read(tmp_path, until_corrupt=True))
        assert good == everything[: len(good)]
        assert good != everything or is_compressed  # some bits of a zstd frame mean nothing for its content
        if good != everything:
            with pytest.raises(JournalCorrupt):
                list(read(tmp_path))


def test_a_missing_segment_is_corrupt_and_named(tmp_path):
    """In the middle the next segment's header tells; at the end a compressed newest segment tells."""
    write_journal(tmp_path, 12, segment_bytes_max=300)
    second, third = sorted(tmp_path.glob("*.log"))[1:3]
    content = second.read_bytes()
    second.unlink()
    with pytest.raises(JournalCorrupt, match=second.name):
        list(read(tmp_path))
    assert inputs(list(read(tmp_path, until_corrupt=True))) == list(range(1, int(second.stem)))
    assert inputs(list(read(tmp_path, after_seq=int(third.stem) - 1)))[0] == int(third.stem)

    second.write_bytes(content)
    with Journal(tmp_path) as journal:
        journal.compress_closed()
    (newest,) = tmp_path.glob("*.log")
    newest.unlink()
    with pytest.raises(JournalCorrupt, match="newer segment"):
        Journal(tmp_path)


def test_a_missing_or_repeated_record_is_corrupt_though_every_crc_is_right(tmp_path):
    """Inputs go up by one, and nothing is about an input that is not yet there."""
    write_journal(tmp_path, 5)
    (path,) = tmp_path.glob("*.log")
    lines = path.read_bytes().splitlines(keepends=True)
    second = next(n for n, text in enumerate(lines) if b'"seq":2,' in text and text[:1] == b"I")
    for wrong in (
        lines[:second] + lines[second + 1 :],
        [*lines[: second + 1], *lines[second:]],
        [*lines[:second], lines[0], *lines[second:]],
        [*lines[:second], line("S", Sent(2)), *lines[second:]],
        lines[1:],
    ):
        path.write_bytes(b"".join(wrong))
        with pytest.raises(JournalCorrupt):
            list(read(tmp_path))


def test_a_record_of_another_version_is_not_taken_for_damage(tmp_path):
    """Its crc is right, so the error says to run the version that wrote it; so does a format beyond ours."""
    write_journal(tmp_path, 1)
    (path,) = tmp_path.glob("*.log")
    content = path.read_bytes()
    path.write_bytes(content + line("I", events.Event(seq=2, ts=2)))
    with pytest.raises(JournalCorrupt, match="run the version that wrote it"):
        list(read(tmp_path))

    header = content.splitlines()[0][11:].replace(b'"format":1', b'"format":2')
    path.write_bytes(line("H", msgspec.Raw(header)))
    with pytest.raises(JournalCorrupt, match="format 2"):
        Journal(tmp_path)
