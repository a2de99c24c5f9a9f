"""The journal: all that the server was told and all that it asked for, in one append-only log.

Rule 1: nothing is acted on before `commit` returned; what `commit` returned is there after any crash.
Rule 2: after a failure the journal takes nothing more. Never act on what is not durable.
Rule 3: damage is never skipped. A torn last record was never acted on and is cut off; anything else stops the reader
with the file, the byte and the line.
Rule 4: one writer; readers need no lock and see a prefix.

The log is a directory of segments, `NNNNNNNNNNNNNNNN.log` by the first seq they hold, closed ones as `.log.zst`; and of
snapshots, `snapshot-NNNNNNNNNNNNNNNN.bin` by the seq that they contain. Read in this order: lines, segments, reader, writer,
snapshots.
"""

from algoserver.journal.lines import JournalCorrupt, JournalFailed, JournalLocked
from algoserver.journal.reader import NO_OUTPUTS, Record, last_seq, read
from algoserver.journal.snapshots import latest_snapshot, write_snapshot
from algoserver.journal.writer import SEGMENT_BYTES_MAX, Journal

__all__ = [
    "NO_OUTPUTS",
    "SEGMENT_BYTES_MAX",
    "Journal",
    "JournalCorrupt",
    "JournalFailed",
    "JournalLocked",
    "Record",
    "last_seq",
    "latest_snapshot",
    "read",
    "write_snapshot",
]
