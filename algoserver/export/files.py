"""An export's folder: every table as JSON lines and as CSV, and export.json, which says what they are.

Rule 1: nothing is written in the state directory. The folder appears when it is whole; what fails leaves none.
Rule 2: the journal is read first, then the audit: a line of the audit that the journal has no event for yet is the next export's.
"""

import csv
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import msgspec

from algoserver.audit import FILE_NAME, examine
from algoserver.domain.types import utc, utc_text
from algoserver.export.columns import TABLES, Table
from algoserver.export.rows import Tracer
from algoserver.export.texts import Row, steps
from algoserver.health import is_in_use
from algoserver.journal import JournalCorrupt, Record, read
from algoserver.source import PACKAGE, source_hash

FORMAT = 1
SUMMARY = "export.json"
# What rows of all tables are made with; a table takes what it declares of it.
SHARED = frozenset(("id", "seq", "ts_ns", "utc", "order_id", "client", "desk", "algo", "model", "symbol", "side", "policy"))
FOR_EVER = 2**63 - 1


class NotExported(Exception):
    """There is no export; the text says why."""


class Damaged(NotExported):
    """Journal or audit are damaged; the text says where."""


def moment(text: str) -> int:
    """A day YYYYMMDD or YYYY-MM-DD, its beginning, or a time YYYYMMDD-HH:MM:SS[.fraction], in ns UTC. Raises ValueError."""
    day = re.fullmatch(r"(\d{4})-?(\d{2})-?(\d{2})", text)
    return utc(f"{''.join(day.groups())}-00:00:00" if day else text)


def export(state_dir: Path, out: Path, begin: int = 0, end: int = FOR_EVER, until_damage: bool = False) -> dict[str, Any]:
    """Write the folder `out`; returns what export.json says. Raises NotExported, Damaged, OSError."""
    journal = state_dir / "journal"
    if not journal.is_dir():
        raise NotExported(f"{state_dir}: no journal here; give the --state directory of a server")
    if begin >= end:
        raise NotExported("--from is not before --to")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise NotExported(f"{out} exists and is not an empty folder; an export is a folder of its own")
    if state_dir.resolve() in (out.resolve(), *out.resolve().parents):
        raise NotExported(f"{out} is in the state directory, where nothing but the server writes")
    unfinished = out.with_name(f"{out.name}.{os.getpid()}.tmp")
    unfinished.mkdir(parents=True)
    try:
        said = _write(state_dir, journal, unfinished, begin, end, until_damage)
        if out.exists():
            out.rmdir()
        unfinished.rename(out)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return said


def _write(state_dir: Path, journal: Path, out: Path, begin: int, end: int, until_damage: bool) -> dict[str, Any]:
    is_running = is_in_use(journal)
    writers = {table.name: _Writer(out, table) for table in TABLES}
    tracer = Tracer(lambda table, row: writers[table].put(row))
    damage: list[str] = []
    last_seq = 0
    try:
        for step in steps(_records(journal, until_damage, damage), is_running or until_damage):
            if step[0].ts >= end:
                break
            last_seq = step[0].seq
            tracer.take(step, step[0].ts >= begin)
        tracer.last()
        audit = _commands(state_dir, tracer, begin, end, last_seq, writers["commands"])
    finally:
        for writer in writers.values():
            writer.close()
    if audit["damage"]:
        damage.append(audit["damage"])
        if not until_damage:
            raise Damaged(damage[-1])
    said = {
        "format": FORMAT, "state_directory": str(state_dir.resolve()), "run": tracer.run, "server_was_running": is_running,
        "from_ns": begin, "to_ns": None if end == FOR_EVER else end, "events_from": tracer.seqs[0], "events_to": tracer.seqs[1],
        "damage": "; ".join(damage), "audit": audit, "build": source_hash(PACKAGE), "tables": {name: w.said() for name, w in writers.items()},
    }  # fmt: skip
    (out / SUMMARY).write_text(json.dumps(said, indent=2) + "\n")
    return said


def _records(journal: Path, until_damage: bool, damage: list[str]) -> Iterator[Record]:
    """The whole journal, for what an order was is told when it came."""
    try:
        yield from read(journal)
    except JournalCorrupt as error:
        if not until_damage:
            raise Damaged(str(error)) from error
        damage.append(str(error))


def _commands(state_dir: Path, tracer: Tracer, begin: int, end: int, last_seq: int, writer: "_Writer") -> dict[str, Any]:
    """Put the commands: each line of the audit in the range, and what the journal has beyond them. What is known of the audit."""
    path = state_dir / FILE_NAME
    raw = path.read_bytes() if path.exists() else b""
    raw = raw[: raw.rfind(b"\n") + 1]  # a line that is being written has no answer yet
    read_so_far = examine(raw)
    known, rows = dict(tracer.commanded), []
    for line in raw.splitlines()[: read_so_far.lines]:
        entry = msgspec.json.decode(line, type=dict[str, Any])
        seq, wall_ts = entry["seq"], utc(entry["time"])
        own = known.pop(seq, None)
        if seq > last_seq or (seq and own is None) or (not seq and not begin <= wall_ts < end):
            continue
        when = own[0] if own else {
            "id": f"{tracer.run}.a{entry['n']}", "seq": "", "ts_ns": wall_ts, "utc": f"{entry['time']}{wall_ts % 1_000_000:06d}", "policy": "",
        }  # fmt: skip
        row = {key: entry[key] for key in ("person", "how", "role", "verb", "target", "reason", "result", "text", "before", "after")}
        rows.append({**when, "source": "audit", "audit_line": entry["n"], "audit_sha256": entry["sha256"], "asked_utc": entry["time"], **row})
    for when, event in known.values():
        word = "server" if not event.audit_head else "unknown"
        rows.append({
            **when, "source": "journal", "person": event.operator, "how": "journal", "verb": getattr(event, "verb", "order.amend"),
            "target": event.target, "reason": event.reason, "result": word,
        })  # fmt: skip
    for row in sorted(rows, key=lambda row: int(row["ts_ns"])):
        writer.put(row)
    return {"lines": read_so_far.lines, "sha256": read_so_far.head, "damage": f"{path}: {read_so_far.wrong}" if read_so_far.wrong else ""}


class _Writer:
    """A table's two files."""

    def __init__(self, folder: Path, table: Table) -> None:
        self._table, self._rows = table, 0
        self._paths = [folder / f"{table.name}.{kind}" for kind in ("jsonl", "csv")]
        self._json: TextIO = self._paths[0].open("w", encoding="utf-8", newline="\n")
        self._file: TextIO = self._paths[1].open("w", encoding="utf-8", newline="")
        self._csv = csv.writer(self._file, lineterminator="\n")
        self._csv.writerow(table.names)

    def put(self, row: Row) -> None:
        """One row; what it does not say is empty."""
        names = self._table.names
        strange = row.keys() - SHARED - set(names)
        assert not strange, f"{self._table.name} declares no {', '.join(sorted(strange))}"
        values = [row.get(name, "") for name in names]
        self._json.write(msgspec.json.encode(dict(zip(names, values, strict=True))).decode() + "\n")
        self._csv.writerow([("true" if value else "false") if isinstance(value, bool) else value for value in values])
        self._rows += 1

    def close(self) -> None:
        """No row follows."""
        self._json.close()
        self._file.close()

    def said(self) -> dict[str, Any]:
        """Rows, and the hash of each file."""
        return {"rows": self._rows, **{p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in self._paths}}


def range_text(begin: int, end: int) -> str:
    """A range for a person."""
    return f"from {utc_text(begin) if begin else 'the beginning'} to {utc_text(end) if end != FOR_EVER else 'the end'}"
