"""Bars of any symbols from CSV, Parquet, recorded volumes or our own journal into one checked folder of Parquet: `bars/symbol=S/month=YYYY-MM/`.

Rule 1: a dataset is written once and as a whole: a folder beside it, then a rename. `dataset.json` says what it was made of and sha256 of every file.
Rule 2: every row is read or has a fault that names its file and row (rules.py). With faults nothing is written, unless they are to be left out.
Rule 3: times are UTC and say the beginning of a bar. A time of another zone is a fault: to guess it would shift a day.
Rule 4: the same sources give the same bytes.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from algoserver.learn.rules import FAULTS, REMARKS, found
from algoserver.learn.sources import COLUMNS, NEW_YORK, hash_of, load, quoted, sha256, spread
from algoserver.learn.store import flush_dir, write_flushed
from algoserver.learn.volumes import DATASET, SESSION_BINS, Volumes

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SHOWN_MAX = 20  # examples of each rule in a report
TIME = r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|\+00(:?00)?)?$"
FIX_TIME = r"^\d{8}-\d\d:\d\d:\d\d(\.\d{1,9})?$"
SYMBOL = r"^[A-Za-z0-9][A-Za-z0-9._/:-]{0,31}$"


class Seen(msgspec.Struct, frozen=True):
    """One rule's rows: how many, and the first of them."""

    rule: str
    is_fault: bool
    rows: int
    examples: list[str]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was read. sources: file -> sha256. bar_s: seconds of a bar. rows: all that were read; left_out: those with a fault."""

    sources: dict[str, str]
    bar_s: int
    rows: int
    left_out: int
    symbols: int
    first: str
    last: str
    seen: list[Seen]

    @property
    def faults(self) -> int:
        """Rows that are unusable."""
        return sum(s.rows for s in self.seen if s.is_fault)


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """dataset.json. files: path -> sha256."""

    report: Report
    files: dict[str, str]


def validate(sources: Sequence[Path], now: datetime, bar_s: int = 0) -> Report:
    """Read and judge, write nothing. bar_s 0: the commonest distance of two bars. ValueError: a source can't be read at all."""
    with _judged(sources, now, bar_s) as (_, report):
        return report


def ingest(sources: Sequence[Path], out: Path, now: datetime, bar_s: int = 0, leaves_out: bool = False) -> Report:
    """Make a dataset at `out`, which must not be there. leaves_out: rows with a fault are left out. ValueError: else they are refused."""
    if out.exists():
        raise ValueError(f"{out} is there already; a dataset is written once: name another folder")
    with _judged(sources, now, bar_s) as (con, report):
        if report.faults and not leaves_out:
            first = next(s for s in report.seen if s.is_fault)
            raise ValueError(f"{report.faults} rows have faults ({first.rule}: {first.examples[0]}); mend them, or leave them out with --drop")
        if report.rows == report.left_out:
            raise ValueError("no row is left; nothing was written")
        out.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            con.execute(
                f"COPY (SELECT {', '.join(COLUMNS)}, strftime(ts, '%Y-%m') AS month FROM kept ORDER BY symbol, ts) "
                f"TO '{quoted(draft / 'bars')}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (symbol, month))"
            )
            files = {p.relative_to(draft).as_posix(): sha256(p) for p in sorted((draft / "bars").rglob("*.parquet"))}
            told = msgspec.json.format(msgspec.json.encode(Dataset(report=report, files=files)), indent=1)
            write_flushed(draft / DATASET, told + b"\n")
            draft.chmod(0o755)
            draft.rename(out)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        flush_dir(out.parent)
    return report


def describe(folder: Path) -> tuple[Dataset, list[dict[str, Any]]]:
    """What a dataset says of itself, and a row for each symbol. ValueError: it is none, or its files are not those that were written."""
    known = check(folder)
    with _connected() as con:
        rows = con.execute(
            "SELECT symbol, count(*) AS bars, count(DISTINCT ts::DATE) AS days, min(ts)::VARCHAR AS first, max(ts)::VARCHAR AS last, "
            "round(sum(volume) / count(DISTINCT ts::DATE))::BIGINT AS volume_per_day, round(avg((volume = 0)::INT), 4) AS share_without_volume "
            f"FROM {_bars(folder)} GROUP BY symbol ORDER BY symbol"
        )
        names = [column[0] for column in rows.description]
        return known, [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


def check(folder: Path) -> Dataset:
    """The dataset's own word, checked to the byte. ValueError names the file that is another one."""
    try:
        known = msgspec.json.decode((folder / DATASET).read_bytes(), type=Dataset)
    except (OSError, msgspec.DecodeError) as error:
        raise ValueError(f"{folder}: no dataset ({getattr(error, 'strerror', None) or error}); `algoserver data ingest` makes one") from error
    there = {p.relative_to(folder).as_posix() for p in (folder / "bars").rglob("*.parquet")}
    for name in sorted(there | set(known.files)):
        if name not in there or name not in known.files or sha256(folder / name) != known.files[name]:
            raise ValueError(f"{folder}: {name} is not as it was written; ingest the sources again")
    return known


def volumes_of(folder: Path, n_bins: int = SESSION_BINS, bin_s: int = 900, opens: str = "09:30") -> list[Volumes]:
    """Volume per bin of the US session, New York time, as the models take it. A bin without a bar is unknown (NaN). ValueError: bars are too long."""
    known = check(folder)
    if bin_s % known.report.bar_s:
        raise ValueError(f"{folder}: bars of {known.report.bar_s} s; bins of {bin_s} s need bars that divide them")
    with _connected() as con:
        query = f"SELECT symbol, epoch(ts)::BIGINT // {bin_s} AS bucket, sum(volume) FROM {_bars(folder)} GROUP BY ALL ORDER BY ALL"
        rows = con.execute(query).fetchall()
    days: dict[str, dict[Any, np.ndarray[Any, np.dtype[np.float64]]]] = {}
    hour, minute = (int(part) for part in opens.split(":"))
    for symbol, bucket, volume in rows:
        local = datetime.fromtimestamp(bucket * bin_s, UTC).astimezone(NEW_YORK)
        at = ((local.hour - hour) * 3600 + (local.minute - minute) * 60) // bin_s
        if 0 <= at < n_bins:
            days.setdefault(symbol, {}).setdefault(local.date(), np.full(n_bins, np.nan))[at] = volume
    if not days:
        raise ValueError(f"{folder}: no bar is inside the session, {opens} New York time and {n_bins} bins of {bin_s} s from there")
    begin = datetime(2000, 1, 1, hour, minute)
    starts = tuple((begin + timedelta(seconds=n * bin_s)).strftime("%H:%M") for n in range(n_bins))
    return [Volumes(symbol, tuple(sorted(of)), starts, np.vstack([of[day] for day in sorted(of)])) for symbol, of in sorted(days.items())]


@contextmanager
def _judged(sources: Sequence[Path], now: datetime, bar_s: int) -> Iterator[tuple["DuckDBPyConnection", Report]]:
    """Tables `typed` (every row) and `kept` (those without a fault), and what was found."""
    with _connected() as con, tempfile.TemporaryDirectory(prefix="algoserver-data-") as scratch:
        con.execute(f"CREATE TABLE raw ({', '.join(f'{c} VARCHAR' for c in COLUMNS)}, source VARCHAR, row BIGINT, problem VARCHAR)")
        hashes = {}
        for source in spread(sources):
            hashes[source.name] = hash_of(source)
            load(con, source, Path(scratch))
        con.execute(_typed())
        length = bar_s or _commonest(con)
        asked = {"now": now.astimezone(UTC).replace(tzinfo=None), "bar_s": length}
        con.execute("CREATE TABLE kept AS SELECT * FROM typed")
        seen = []
        for name, of in FAULTS.items():
            con.execute(f"CREATE OR REPLACE TEMP TABLE hit AS {found(name, of)}", _needed(found(name, of), asked))
            seen += _seen(con, name, is_fault=True)
            con.execute("DELETE FROM kept USING hit WHERE kept.number = hit.number")
        for name, of in REMARKS.items():
            con.execute(f"CREATE OR REPLACE TEMP TABLE hit AS {found(name, of)}", _needed(found(name, of), asked))
            seen += _seen(con, name, is_fault=False)
        total, kept, symbols, first, last = _one(
            con, "SELECT (SELECT count(*) FROM typed), count(*), count(DISTINCT symbol), min(ts)::VARCHAR, max(ts)::VARCHAR FROM kept"
        )  # fmt: skip
        yield con, Report(
            sources=hashes, bar_s=length, rows=total, left_out=total - kept, symbols=symbols, first=first or "", last=last or "", seen=seen
        )  # fmt: skip


def _seen(con: "DuckDBPyConnection", name: str, is_fault: bool) -> list[Seen]:
    (count,) = _one(con, "SELECT count(*) FROM hit")
    rows = con.execute(f"SELECT source, row, text FROM hit ORDER BY source, row, ts LIMIT {SHOWN_MAX}").fetchall()
    return [Seen(name, is_fault, count, [f"{source} row {row}: {text}" for source, row, text in rows])] if count else []


def _typed() -> str:
    """Every row with its types, and what can't be read of it."""
    fix = "try_strptime(ts, ['%Y%m%d-%H:%M:%S', '%Y%m%d-%H:%M:%S.%f'])"
    time = f"CASE WHEN regexp_matches(ts, '{TIME}') THEN TRY_CAST(ts AS TIMESTAMP) WHEN regexp_matches(ts, '{FIX_TIME}') THEN {fix} END"
    numbers = COLUMNS[2:]
    wrong = " ".join(
        f"WHEN {c} IS NOT NULL AND {c} <> '' AND TRY_CAST({c} AS DOUBLE) IS NULL THEN '{c} ' || left({c}, 40) || ' is no number'" for c in numbers
    )
    return (
        f"CREATE TABLE typed AS SELECT row_number() OVER (ORDER BY rowid) AS number, symbol, {time} AS ts, "
        + ", ".join(f"TRY_CAST(nullif({c}, '') AS DOUBLE) AS {c}" for c in numbers)
        + f", source, row, CASE WHEN problem <> '' THEN problem WHEN symbol IS NULL OR NOT regexp_matches(symbol, '{SYMBOL}') "
        f"THEN 'symbol ' || coalesce(left(symbol, 40), '(none)') || ' is none' "
        f"WHEN ({time}) IS NULL THEN 'time ' || coalesce(left(ts, 40), '(none)') || ' is no UTC time; YYYY-MM-DD HH:MM:SS is needed' "
        f"WHEN volume IS NULL OR volume = '' THEN 'it has no volume' {wrong} ELSE '' END AS problem FROM raw"
    )


def _commonest(con: "DuckDBPyConnection") -> int:
    """Seconds of a bar: the commonest distance of two bars of a symbol on a day."""
    steps = "SELECT epoch(ts - lag(ts) OVER (PARTITION BY symbol, ts::DATE ORDER BY ts))::BIGINT AS step FROM typed WHERE problem = ''"
    found = con.execute(f"SELECT step FROM ({steps}) WHERE step > 0 GROUP BY step ORDER BY count(*) DESC, step LIMIT 1").fetchone()
    if found is None:
        bad = con.execute("SELECT source, row, problem, count(*) OVER () FROM typed WHERE problem <> '' ORDER BY number LIMIT 1").fetchone()
        if bad is not None:
            source, row, problem, count = bad
            raise ValueError(f"{count} rows can't be read, the first is {source} row {row}: {problem}; no two bars of a day are left")
        raise ValueError("no symbol has two bars on a day, so that nobody knows how long one is; say it with --bar-seconds")
    return int(found[0])


@contextmanager
def _connected() -> Iterator["DuckDBPyConnection"]:
    """In memory, one thread: the same rows in the same order. Nothing is fetched from anywhere."""
    try:
        import duckdb
    except ImportError as error:
        raise ValueError("this needs DuckDB: install algoserver with the extra `research`") from error
    offline = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    con = duckdb.connect(config={"threads": "1", **offline})
    try:
        yield con
    finally:
        con.close()


def _needed(query: str, asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if re.search(rf"\${name}\b", query)}


def _one(con: "DuckDBPyConnection", query: str) -> tuple[Any, ...]:
    return tuple(con.execute(query).fetchall()[0])


def _bars(folder: Path) -> str:
    return f"read_parquet('{quoted(folder / 'bars')}/**/*.parquet', hive_partitioning=true)"
