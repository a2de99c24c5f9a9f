"""The journal among failing disks and kills: what commit returned is there, and nothing is acted on that is not durable."""

import errno
import os
import resource
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from algoserver.domain import commands, events
from algoserver.journal import Journal, JournalFailed, latest_snapshot, read, write_snapshot

ALERT = commands.RaiseAlert(code="late", subject="P1", text="behind the plan")
CALLS = ("open", "write", "fdatasync", "fsync", "replace", "unlink", "ftruncate")


def append(journal: Journal, records: int = 1) -> int:
    """Append `records` inputs with an output each, commit, and return the last seq."""
    for _ in range(records):
        seq = journal.next_seq
        journal.append_input(events.Wakeup(seq=seq, ts=seq))
        journal.append_outputs(seq, [ALERT])
    journal.commit()
    return seq


def append_for_ever(journal: Journal, report: Callable[[int], None]) -> None:
    while True:
        report(append(journal, records=2))


def inputs(directory: Path) -> list[int]:
    return [record.seq for record in read(directory) if record.kind == "I"]


def in_child(work: Callable[[Callable[[int], None]], None]) -> tuple[int, int]:
    """Start `work` in a forked process with a function to report a seq by; its pid and our end of the pipe."""
    reading, writing = os.pipe()
    write = os.write
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            os.close(reading)
            work(lambda seq: write(writing, b"%d\n" % seq) and None)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    return pid, reading


def outcome(pid: int, reading: int) -> tuple[int, int]:
    """The last seq that the child reported (0: none), and its exit status; waits for its end."""
    with open(reading, "rb") as pipe:
        reported = pipe.read().split()
    return int(reported[-1]) if reported else 0, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("bytes_max", range(400, 3_000, 173))
def test_after_a_full_disk_exactly_what_was_committed_is_there(tmp_path, bytes_max):
    """The kernel takes a part of a write and then none: JournalFailed, everything after it too, and a clean reopening."""

    def fill(report):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        journal = Journal(tmp_path)
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, bytes_max))
        with pytest.raises(JournalFailed) as caught:
            append_for_ever(journal, report)
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.__cause__.errno == errno.EFBIG
        for refused in (lambda: append(journal), journal.commit, lambda: journal.append_sent(1), lambda: journal.append_digest(1, "")):
            with pytest.raises(JournalFailed):
                refused()
        journal.close()

    pid, reading = in_child(fill)
    committed, status = outcome(pid, reading)
    assert status == 0
    assert committed < bytes_max // 60
    with Journal(tmp_path) as journal:
        assert journal.torn_bytes == 0
        assert inputs(tmp_path) == list(range(1, committed + 1))
        append(journal)
    assert inputs(tmp_path) == list(range(1, committed + 2))


@pytest.mark.parametrize("call", ["write", "fdatasync", "open", "fsync"])
def test_a_disk_error_in_any_call_ends_the_journal(tmp_path, monkeypatch, call):
    """open and fsync fail at rotation, before anything of the commit was written."""
    journal = Journal(tmp_path, segment_bytes_max=200)
    committed = append(journal, records=3)

    def fails(*_args, **_options):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, fails)
        with pytest.raises(JournalFailed, match="Input/output error"):
            append(journal)
    with pytest.raises(JournalFailed):  # the disk is well again, but what it lost is unknown
        append(journal)
    journal.close()
    with Journal(tmp_path) as journal:
        assert inputs(tmp_path) == list(range(1, committed + 1))
        append(journal)
    assert inputs(tmp_path) == list(range(1, committed + 2))


def test_short_writes_are_completed(tmp_path, monkeypatch):
    """os.write may take less than it was given."""
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
        with Journal(tmp_path, segment_bytes_max=300) as journal:
            for _ in range(10):
                append(journal)
    assert inputs(tmp_path) == list(range(1, 11))


def test_an_interrupt_within_commit_ends_the_journal_too(tmp_path, monkeypatch):
    """How much was written is unknown then; the interrupt itself goes on upwards."""
    journal = Journal(tmp_path)
    append(journal)

    def interrupted(fd):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            append(journal)
    with pytest.raises(JournalFailed):
        append(journal)
    journal.close()
    assert inputs(tmp_path) == [1]


def work_a_while(directory: Path, report: Callable[[int], None]) -> None:
    """Everything a server does to its journal: open, commit, rotate, compress, snapshot, close, open again."""
    for _ in range(2):
        with Journal(directory, segment_bytes_max=350) as journal:
            for _ in range(3):
                seq = append(journal, records=2)
                report(seq)
                journal.compress_closed()
                write_snapshot(directory, seq, b"state %d" % seq)


def die_before_call(number: int) -> None:
    """Make this process exit, nothing flushed, no `finally` run, instead of its system call `number`; a write leaves a half."""
    left = count(number, -1)

    def watched(name, call):
        def counted(*args, **options):
            if next(left) == 0:
                if name == "write":
                    call(args[0], bytes(args[1])[: len(args[1]) // 2])
                os._exit(9)
            return call(*args, **options)

        return counted

    for name in CALLS:
        setattr(os, name, watched(name, getattr(os, name)))


def test_a_kill_between_any_two_steps_loses_and_repeats_nothing(tmp_path):
    """Death before every single system call in turn, in opening, commit, rotation, compression and snapshot."""
    for number in count():
        directory = tmp_path / f"{number}"

        def work(report, number=number, directory=directory):
            die_before_call(number)
            work_a_while(directory, report)

        pid, reading = in_child(work)
        committed, status = outcome(pid, reading)
        if status == 0:
            break
        assert status == 9

        seen = inputs(directory)
        assert seen == list(range(1, len(seen) + 1))
        # Two records that were written and not acknowledged may be there: the crash came before the answer.
        assert committed <= len(seen) <= committed + 2
        with Journal(directory, segment_bytes_max=350) as journal:
            assert inputs(directory) == seen
            assert not list(directory.glob("*.tmp"))
            snapshot = latest_snapshot(directory)
            assert snapshot is None or (snapshot[0] <= len(seen) and snapshot[1] == b"state %d" % snapshot[0])
            append(journal, records=9)
            append(journal)
            journal.compress_closed()
            assert len(list(directory.glob("*.log"))) == 1
        assert inputs(directory) == list(range(1, len(seen) + 11))
    assert number > 80


def test_both_forms_of_a_segment_and_half_a_compressed_one_are_cleaned_up(tmp_path):
    """A kill within compression leaves a part of the new form, or both forms: the `.log` counts."""
    with Journal(tmp_path, segment_bytes_max=300) as journal:
        for _ in range(12):
            append(journal)
    first, second = sorted(tmp_path.glob("*.log"))[:2]
    first.with_suffix(".log.zst").write_bytes(b"whatever this is")
    second.with_suffix(".log.zst.tmp").write_bytes(b"half")
    assert inputs(tmp_path) == list(range(1, 13))
    with Journal(tmp_path, segment_bytes_max=300) as journal:
        assert inputs(tmp_path) == list(range(1, 13))
        assert journal.compress_closed() > 1
        assert journal.compress_closed() == 0
    assert inputs(tmp_path) == list(range(1, 13))
    assert not first.exists()


def test_a_reader_beside_a_live_writer_never_sees_damage(tmp_path):
    """Half-written lines, rotation and compression under its eyes: every reading is a prefix, at least as long as the one before."""

    def work(report):
        with Journal(tmp_path, segment_bytes_max=60_000) as journal:
            for _ in range(60):
                report(append(journal, records=300))
                journal.compress_closed()

    pid, reading = in_child(work)
    os.read(reading, 1)
    seen = 0
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        records = inputs(tmp_path)
        assert records == list(range(1, len(records) + 1))
        assert len(records) >= seen
        seen = len(records)
    assert outcome(pid, reading)[1] == 0
    assert len(inputs(tmp_path)) == 18_000


def test_after_kill_9_everything_whose_commit_returned_is_there(tmp_path):
    """A process that commits in a loop and reports each seq, killed at no particular moment."""

    def work(report):
        with Journal(tmp_path, segment_bytes_max=4_000) as journal:
            append_for_ever(journal, report)

    pid, reading = in_child(work)
    received = b""
    while received.count(b"\n") < 300:
        received += os.read(reading, 64)
    os.kill(pid, signal.SIGKILL)
    committed, status = outcome(pid, reading)
    committed = committed or int(received.split(b"\n")[-2])
    assert status == -signal.SIGKILL
    with Journal(tmp_path) as journal:
        assert committed <= journal.next_seq - 1 <= committed + 2
        append(journal)
        assert inputs(tmp_path) == list(range(1, journal.next_seq))
