"""What bars are read from, each as rows of text with file and row: CSV, Parquet, recorded volumes, a server's journal. rules.py judges them.

Rule: nothing is guessed and nothing is passed over. A row with more or fewer cells than its header is a row that can't be read, and is told.
"""

import csv
import hashlib
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from algoserver.domain.events import PolicyLoaded, TradePrinted
from algoserver.domain.types import MINUTE, PX_ONE
from algoserver.journal import NO_OUTPUTS, JournalCorrupt, read
from algoserver.learn.volumes import read_file

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

COLUMNS = ("symbol", "ts", "open", "high", "low", "close", "volume", "bid", "ask")
NEEDED = ("ts", "volume")
ALIASES = {"ticker": "symbol", "time": "ts", "timestamp": "ts", "datetime": "ts"}
HEADER_CHARS_MAX = 100_000
NEW_YORK = ZoneInfo("America/New_York")


def spread(sources: Sequence[Path]) -> list[Path]:
    """Files, and those of folders, in order; a server's state directory is one source."""
    found: list[Path] = []
    for source in sources:
        if not source.exists():
            raise ValueError(f"{source}: is not there")
        if source.is_dir() and not (source / "journal").is_dir():
            of = sorted(p for p in source.rglob("*") if p.suffix in (".csv", ".parquet"))
            if not of:
                raise ValueError(f"{source}: has no .csv and no .parquet file, and is no state directory of a server")
            found += of
        elif source.is_dir() or source.suffix in (".csv", ".parquet"):
            found.append(source)
        else:
            raise ValueError(f"{source.name}: neither .csv nor .parquet")
    names = [p.name for p in found]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise ValueError(f"two sources are called {twice}; a fault could not say which it is of: rename one")
    return found


def load(con: "DuckDBPyConnection", source: Path, scratch: Path) -> None:
    """One source's rows as text."""
    import duckdb

    if set("*?[") & set(os.fspath(source)):
        # DuckDB would read every file that fits.
        raise ValueError(f"{source}: a path with *, ? or [ is a pattern of paths: rename it")
    if (source / "journal").is_dir():
        path = _journal_bars(source, scratch)
    elif source.suffix == ".csv" and _first_line(source).startswith("bin,"):
        path = _wide_bars(source, scratch)
    else:
        path = source
    table = f"read_parquet('{quoted(path)}')" if path.suffix == ".parquet" else _csv(path)
    try:
        names = [column[0] for column in con.execute(f"SELECT * FROM {table} LIMIT 0").description]
        columns = _columns(source, names)
        chosen = ", ".join(f'CAST("{columns[c]}" AS VARCHAR)' if c in columns else _default(c, source) for c in COLUMNS)
        con.execute(f"INSERT INTO raw SELECT {chosen}, $name, row_number() OVER (), '' FROM {table}", {"name": source.name})
        if path.suffix == ".csv":
            _tell_rejected(con, source.name)
            _find_swallowed(con, path, source.name)
    except duckdb.Error as error:
        raise ValueError(f"{source.name}: can't be read ({str(error).splitlines()[0][:200]})") from error


def _tell_rejected(con: "DuckDBPyConnection", name: str) -> None:
    """Rows that were no rows, at their place: those after them are counted on."""
    rejected = "SELECT line - 1 AS row, first(error_message) AS problem, row_number() OVER (ORDER BY line) AS nth FROM reject_errors GROUP BY line"
    con.execute(f"CREATE OR REPLACE TEMP TABLE rejected AS {rejected}")
    con.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")
    before = "(SELECT count(*) FROM rejected r WHERE r.row - (r.nth - 1) <= raw.row)"
    con.execute(f"UPDATE raw SET row = row + {before} WHERE source = $name AND EXISTS (SELECT 1 FROM rejected)", {"name": name})
    con.execute("INSERT INTO raw (source, row, problem) SELECT $name, row, problem FROM rejected ORDER BY row", {"name": name})


def _find_swallowed(con: "DuckDBPyConnection", path: Path, name: str) -> None:
    """ValueError where a quote that is not closed has swallowed the rest: DuckDB passes over that in silence."""
    with path.open("rb") as file:
        if not any(b'"' in block for block in iter(lambda: file.read(1 << 20), b"")):
            return
    told = con.execute("SELECT count(*) FROM raw WHERE source = $name", {"name": name}).fetchall()[0][0]
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            there = sum(1 for row in csv.reader(text) if row) - 1
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: after row {told}: {error}; is a quote not closed?") from error
    if told < there:
        raise ValueError(f"{name}: a quote at row {told + 1} or later is not closed, and all that follows would be lost; mend it")


def _csv(path: Path) -> str:
    """The file as a table of text. Nothing is guessed: a row that has more or fewer cells than the header is rejected, and told."""
    line = _first_line(path)
    if not line:
        raise ValueError(f"{path.name}: is empty or begins with an empty line; a header is needed")
    try:
        names = next(csv.reader([line]), [])
    except csv.Error as error:
        raise ValueError(f"{path.name}: its header can't be read ({error})") from error
    if not names or len({name.lower() for name in names}) < len(names) or not all(names):
        raise ValueError(f"{path.name}: its header {','.join(names)[:80]!r} has a column without a name, or one twice")
    columns = ", ".join(f"'{name.replace(chr(39), chr(39) * 2)}': 'VARCHAR'" for name in names)
    return (
        f"read_csv('{quoted(path)}', header=true, auto_detect=false, delim=',', quote='\"', escape='\"', columns={{{columns}}}, "
        "store_rejects=true, parallel=false)"
    )


def _columns(source: Path, names: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        known = ALIASES.get(name.strip().lower(), name.strip().lower())
        if known in COLUMNS and known in found:
            raise ValueError(f"{source.name}: columns {found[known]} and {name} are both {known}; leave one out")
        found[known] = name
    missing = [c for c in NEEDED if c not in found]
    if missing:
        raise ValueError(f"{source.name}: has columns {', '.join(names)[:120]}; {' and '.join(missing)} are missing ({', '.join(COLUMNS)} are known)")
    return {c: found[c] for c in COLUMNS if c in found}


def _default(column: str, source: Path) -> str:
    """A file of one symbol need not say it in every row: it begins its name."""
    if column != "symbol":
        return "NULL"
    return f"'{source.stem.partition('_')[0].replace(chr(39), '')}'"


def _wide_bars(source: Path, scratch: Path) -> Path:
    """Recorded volumes (volumes.py) as bars of New York's session."""
    one = read_file(source)
    path = scratch / f"{source.stem}.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(("symbol", "ts", "volume"))
        for day, bins in zip(one.dates, one.bins.tolist(), strict=True):
            for start, volume in zip(one.bin_starts, bins, strict=True):
                if volume == volume:  # a bin that nobody knows is no bar
                    local = datetime.fromisoformat(f"{day} {start}").replace(tzinfo=NEW_YORK)
                    out.writerow((one.symbol, local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), repr(volume)))
    return path


def _journal_bars(state_dir: Path, scratch: Path) -> Path:
    """Every print that a server has heard, as bars of a minute, in whole shares or coins and money."""
    decimals: dict[str, int] = {}
    bars: dict[tuple[str, int], list[int]] = {}
    for event in _events(state_dir):
        if isinstance(event, PolicyLoaded):
            decimals = {i.instrument.symbol: i.instrument.qty_decimals for i in event.instruments}
        elif isinstance(event, TradePrinted):
            px = event.last_px
            bar = bars.setdefault((event.symbol, event.ts // MINUTE), [px, px, px, px, 0])
            bar[1], bar[2], bar[3], bar[4] = max(bar[1], px), min(bar[2], px), px, bar[4] + event.last_qty
    if not bars:
        raise ValueError(f"{state_dir}: its journal has no trade of the market")
    path = scratch / f"journal-{state_dir.name}.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(("symbol", "ts", "open", "high", "low", "close", "volume"))
        for (symbol, minute), (first, high, low, last, quantity) in sorted(bars.items()):
            prices = (repr(p / PX_ONE) for p in (first, high, low, last))
            ts = datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            out.writerow((symbol, ts, *prices, repr(quantity / 10 ** decimals.get(symbol, 0))))
    return path


def _events(state_dir: Path) -> Iterator[object]:
    try:
        for record in read(state_dir / "journal", outputs_after_seq=NO_OUTPUTS):
            yield record.payload
    except JournalCorrupt as damage:
        raise ValueError(str(damage)) from damage


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig") as file:
            line = file.readline(HEADER_CHARS_MAX).rstrip("\r\n")
        if len(line) >= HEADER_CHARS_MAX - 2:
            raise ValueError(f"{path.name}: its first line has more than {HEADER_CHARS_MAX} characters: that is no header")
        return line
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name}: not a CSV file in UTF-8 ({error})") from error


def hash_of(source: Path) -> str:
    """sha256 of a file; of a state directory that of its journal's segments."""
    if source.is_file():
        return sha256(source)
    parts = [f"{sha256(p)}  {p.name}\n" for p in sorted((source / "journal").glob("*.log*"))]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def quoted(path: Path) -> str:
    return os.fspath(path).replace("'", "''")
