"""What goes into the journal comes out of it: every event, command, digest and marker, across segments and compression."""

import tempfile
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import get_args, get_origin

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoserver.domain import commands, events
from algoserver.domain.types import Side
from algoserver.journal import NO_OUTPUTS, Journal, JournalCorrupt, JournalLocked, Record, last_seq, read

CANCEL = commands.CancelChild(child_id="P1.1", cancel_id="P1.1c", venue="LIT", symbol="ACME", side=Side.BUY, order_qty=100)
ALERT = commands.RaiseAlert(code="late", subject="P1", text="a line\nand “another”")


def wakeup(seq: int) -> events.Wakeup:
    return events.Wakeup(seq=seq, ts=1_000 + seq)


def append(journal: Journal, count: int) -> None:
    """Append and commit `count` inputs one by one."""
    for _ in range(count):
        journal.append_input(wakeup(journal.next_seq))
        journal.commit()


def seqs(directory: Path, **options) -> list[int]:
    return [record.seq for record in read(directory, **options) if record.kind == "I"]


def values(annotation) -> st.SearchStrategy:
    """Any value of a field's type, within what the wire allows: text without half surrogate pairs."""
    if get_origin(annotation) is tuple:
        first, *rest = get_args(annotation)
        return st.lists(values(first), max_size=3).map(tuple) if rest == [...] else st.tuples(values(first), *map(values, rest))
    if isinstance(annotation, UnionType):
        return st.one_of([st.none() if one is NoneType else values(one) for one in get_args(annotation)])
    if issubclass(annotation, Enum):
        return st.sampled_from(annotation)
    if issubclass(annotation, msgspec.Struct):
        fields = {field.name: values(field.type) for field in msgspec.structs.fields(annotation) if field.name != "seq"}
        return st.fixed_dictionaries(fields).map(lambda given: annotation(**given))
    if get_origin(annotation) is dict:
        return st.dictionaries(*(values(argument) for argument in get_args(annotation)), max_size=2)
    return {bool: st.booleans(), int: st.integers(-(2**70), 2**70), str: st.text(max_size=12)}[annotation]


ANY_EVENT = st.one_of([values(kind) for kind in get_args(events.ANY)])
ANY_COMMAND = st.one_of([values(kind) for kind in get_args(commands.ANY)])
STEP = st.tuples(ANY_EVENT, st.lists(ANY_COMMAND, max_size=3), st.sampled_from(["", "digest", "sent", "commit", "compress", "reopen"]))


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=12), st.integers(1, 3_000))
def test_what_was_appended_is_read_in_its_order(steps, segment_bytes_max):
    """Round trip of random events and commands over random segment sizes, commits, compressions and restarts."""
    with tempfile.TemporaryDirectory() as directory:
        journal = Journal(directory, segment_bytes_max)
        expected = []
        for seq, (event, asked, then) in enumerate(steps, 1):
            event = msgspec.structs.replace(event, seq=seq)
            journal.append_input(event)
            journal.append_outputs(seq, asked)
            expected += [Record("I", seq, event)] + [Record("O", seq, command, n) for n, command in enumerate(asked)]
            if then == "digest":
                journal.append_digest(seq, "c0ffee")
                expected.append(Record("D", seq, "c0ffee"))
            elif then == "sent":
                journal.append_sent(seq)
                expected.append(Record("S", seq, None))
            elif then == "commit":
                journal.commit()
            elif then == "compress":
                journal.compress_closed()
            elif then == "reopen":
                journal.close()
                journal = Journal(directory, segment_bytes_max)
                assert (journal.next_seq, journal.torn_bytes) == (seq + 1, 0)
                assert journal.sent_seq == max((r.seq for r in expected if r.kind == "S"), default=0)
        journal.close()

        assert list(read(directory)) == expected
        assert last_seq(directory) == len(steps)


def test_reading_from_a_seq_gives_the_rest_wherever_its_segments_are(tmp_path):
    """read(after_seq) is the tail of read() at every seq, outputs in later segments included."""
    with Journal(tmp_path, segment_bytes_max=400) as journal:
        for seq in range(1, 31):
            journal.append_input(wakeup(seq))
            if seq > 5:
                journal.append_outputs(seq - 5, [CANCEL, ALERT])  # five events late, as after a batch
            journal.commit()
            if seq % 7 == 0:
                journal.compress_closed()
    everything = list(read(tmp_path))

    assert len(list(tmp_path.glob("*.log.zst"))) > 3
    for after_seq in range(32):
        assert list(read(tmp_path, after_seq)) == [record for record in everything if record.seq > after_seq]


def test_outputs_have_a_bound_of_their_own(tmp_path):
    """Recovery reads inputs from the snapshot on, outputs from the last sent marker on, be it before or after."""
    with Journal(tmp_path, segment_bytes_max=300) as journal:
        for seq in range(1, 11):
            journal.append_input(wakeup(seq))
            journal.append_outputs(seq, [CANCEL])
            journal.commit()

    def kinds(**options):
        return [(record.kind, record.seq) for record in read(tmp_path, **options)]

    assert kinds(after_seq=8, outputs_after_seq=6) == [("O", 7), ("O", 8), ("I", 9), ("O", 9), ("I", 10), ("O", 10)]
    assert kinds(after_seq=8, outputs_after_seq=9) == [("I", 9), ("I", 10), ("O", 10)]
    assert kinds(after_seq=8, outputs_after_seq=NO_OUTPUTS) == [("I", 9), ("I", 10)]


def test_the_last_sent_marker_survives_rotation_and_restart(tmp_path):
    """Its segment may be long closed: every header carries it on."""
    with Journal(tmp_path, segment_bytes_max=200) as journal:
        append(journal, 3)
        journal.append_sent(2)
        append(journal, 20)
    with Journal(tmp_path) as journal:
        assert (journal.sent_seq, journal.next_seq) == (2, 24)


def test_what_was_not_committed_is_not_read(tmp_path):
    """An append alone writes nothing; close commits."""
    journal = Journal(tmp_path)
    append(journal, 2)
    journal.append_input(wakeup(3))
    assert seqs(tmp_path) == [1, 2]
    journal.close()
    assert seqs(tmp_path) == [1, 2, 3]


def test_an_event_that_cannot_be_written_leaves_no_trace(tmp_path):
    """Half a surrogate pair is no UTF-8: the append raises, in the middle of a step too, and the journal goes on."""
    broken = commands.RaiseAlert(code="x", subject="x", text="\ud800")
    with Journal(tmp_path) as journal:
        with pytest.raises(UnicodeEncodeError):
            journal.append_input(events.SessionUp(seq=1, ts=1, session="\ud800"))
        journal.append_input(wakeup(1))
        with pytest.raises(UnicodeEncodeError):
            journal.append_outputs(1, [CANCEL, broken])
        journal.append_outputs(1, [ALERT])
    assert list(read(tmp_path)) == [Record("I", 1, wakeup(1)), Record("O", 1, ALERT)]


def test_a_seq_out_of_order_is_an_assertion(tmp_path):
    """A gap or a repeat would make the journal unreadable, so it never gets in."""
    with Journal(tmp_path) as journal:
        append(journal, 3)
        for wrong in (0, 3, 5):
            with pytest.raises(AssertionError):
                journal.append_input(wakeup(wrong))
        for late in (journal.append_sent, lambda seq: journal.append_digest(seq, ""), lambda seq: journal.append_outputs(seq, [])):
            with pytest.raises(AssertionError):
                late(4)


def test_two_writers_are_refused(tmp_path):
    """The second is told whose fault it is and changes nothing; after the first closed it may."""
    with Journal(tmp_path) as journal:
        append(journal, 1)
        with pytest.raises(JournalLocked, match="in use by another server"):
            Journal(tmp_path)
        append(journal, 1)
    with Journal(tmp_path) as journal:
        assert journal.next_seq == 3


def test_a_reader_needs_no_lock_and_sees_a_prefix(tmp_path):
    """A reader that began before rotation and compression still ends with a whole prefix."""
    with Journal(tmp_path, segment_bytes_max=200) as journal:
        append(journal, 10)
        reading = read(tmp_path)
        first = [next(reading).seq]
        append(journal, 10)
        assert journal.compress_closed() > 0
        seen = first + [record.seq for record in reading]
        assert seen == list(range(1, len(seen) + 1))
        assert len(seen) >= 10
        assert seqs(tmp_path) == list(range(1, 21))


def test_an_empty_or_absent_journal_reads_as_nothing(tmp_path):
    """No directory, no file, no record."""
    assert list(read(tmp_path / "none")) == []
    assert last_seq(tmp_path / "none") == 0
    Journal(tmp_path / "a" / "b").close()
    assert list(read(tmp_path / "a" / "b")) == []


def test_archived_segments_are_missed_only_by_who_needs_them(tmp_path):
    """Old segments below a snapshot may be taken away; reading from the beginning then says which is missing."""
    with Journal(tmp_path, segment_bytes_max=200) as journal:
        append(journal, 20)
    oldest, second = sorted(tmp_path.glob("*.log"))[:2]
    oldest.unlink()
    first_seq = int(second.stem)
    assert seqs(tmp_path, after_seq=first_seq - 1) == list(range(first_seq, 21))
    with pytest.raises(JournalCorrupt, match=oldest.name):
        seqs(tmp_path)
