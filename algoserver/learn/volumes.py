"""Recorded volumes: traded quantity per bin and day, read from CSV files, one a symbol.

Rule 1: a file is right in every cell or refused as a whole; the error names file, row and column and what would be right.
Rule 2: nothing is filled in, dropped or sorted here. An empty cell is a bin that nobody knows: NaN, which every model passes over; a row that
ends early, or anything else that is no volume, is refused.
Rule 3: files named SYMBOL_*price*.csv are prices, in the same form, and no volumes. Of a dataset of bars no prices are taken yet.
"""

import csv
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# The regular US session, 09:30 to 16:00, in bins of 15 minutes.
SESSION_BINS = 26
DATASET = "dataset.json"  # what a dataset says of itself
# Recorded days that travel with an instrument: what a volume model looks back on.
HISTORY_DAYS = 60


@dataclass(frozen=True)
class Volumes:
    """One symbol's volumes: bins in units, shape (n_days, n_bins), days ascending, each bin >= 0 or NaN (unknown)."""

    symbol: str
    dates: tuple[date, ...]
    bin_starts: tuple[str, ...]
    bins: NDArray[np.float64]

    def through(self, last: date) -> "Volumes":
        """The days up to and including `last`."""
        n_days = sum(day <= last for day in self.dates)
        return Volumes(self.symbol, self.dates[:n_days], self.bin_starts, self.bins[:n_days])


def read_volumes(volume_dir: Path, n_bins: int = SESSION_BINS) -> list[Volumes]:
    """Read every `<symbol>_*.csv` (or `<symbol>.csv`) of a directory, in order of symbol. ValueError names the wrong cell.

    A symbol's days may be spread over several files, as long as each day is in one of them. A dataset of bars (dataset.py) is read as well.
    """
    if (volume_dir / DATASET).exists():
        from algoserver.learn.dataset import volumes_of

        return volumes_of(volume_dir, n_bins)
    paths = [path for path in sorted(volume_dir.glob("*.csv")) if not _is_price(path)]
    if not paths:
        raise ValueError(f"{volume_dir}: no volumes; files named <symbol>_*.csv are needed")
    return _read(paths, n_bins)


def read_prices(volume_dir: Path, n_bins: int = SESSION_BINS) -> list[Volumes]:
    """The same of the files of prices; none is fine."""
    return _read([path for path in sorted(volume_dir.glob("*.csv")) if _is_price(path)], n_bins)


def _is_price(path: Path) -> bool:
    return "price" in path.stem.partition("_")[2].lower()


def _read(paths: list[Path], n_bins: int) -> list[Volumes]:
    read: dict[str, Volumes] = {}
    for path in paths:
        volumes = read_file(path, n_bins)
        first = next(iter(read.values()), volumes)
        if volumes.bin_starts != first.bin_starts:
            raise ValueError(f"{path.name}: bins differ from those of {first.symbol}; all symbols need the same bins")
        before = read.get(volumes.symbol)
        read[volumes.symbol] = volumes if before is None else _joined(path.name, before, volumes)
    return [read[symbol] for symbol in sorted(read)]


def _joined(name: str, one: Volumes, other: Volumes) -> Volumes:
    twice = sorted(set(one.dates) & set(other.dates))
    if twice:
        raise ValueError(f"{name}: {other.symbol} of {twice[0]} was read from another file already; each day is needed once")
    dates, bins = (*one.dates, *other.dates), np.vstack([one.bins, other.bins])
    order = sorted(range(len(dates)), key=dates.__getitem__)
    return Volumes(one.symbol, tuple(dates[n] for n in order), one.bin_starts, bins[order])


def read_file(path: Path, n_bins: int = SESSION_BINS) -> Volumes:
    """Read one symbol: a header `bin,<date>,<date>,...`, then a row per bin, `HH:MM,<volume>,<volume>,...`."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file, strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path.name}: not a CSV file in UTF-8 ({error})") from error
    if not rows:
        raise ValueError(f"{path.name}: empty; a header `bin,<date>,...` and {n_bins} rows are needed")
    header, body = rows[0], rows[1:]
    dates = _dates(path.name, header)
    if len(body) != n_bins:
        raise ValueError(f"{path.name}: {len(body)} bins; {n_bins} rows below the header are needed")
    return Volumes(
        symbol=path.stem.partition("_")[0],
        dates=dates,
        bin_starts=_bin_starts(path.name, body),
        bins=np.array([_volumes_of_bin(path.name, row, dates) for row in body], dtype=np.float64).T.copy(),
    )


def _dates(name: str, header: list[str]) -> tuple[date, ...]:
    if header[0] != "bin" or len(header) < 2:
        raise ValueError(f"{name}: header begins {','.join(header)[:40]!r}; `bin,<date>,<date>,...` is needed")
    dates: list[date] = []
    for column, text in enumerate(header[1:], start=2):
        try:
            day = date.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{name}: header, column {column}: {text!r} is not a date; YYYY-MM-DD is needed") from None
        if day in dates:
            raise ValueError(f"{name}: header, column {column}: {text} is a duplicate; each day is needed once")
        if dates and day < dates[-1]:
            raise ValueError(f"{name}: header, column {column}: {text} follows {dates[-1]}; ascending days are needed")
        dates.append(day)
    return tuple(dates)


def _bin_starts(name: str, body: list[list[str]]) -> tuple[str, ...]:
    starts: list[str] = []
    for number, row in enumerate(body, start=2):
        start = row[0]
        try:
            is_start = time.fromisoformat(start).strftime("%H:%M") == start
        except ValueError:
            is_start = False
        if not is_start:
            raise ValueError(f"{name}: row {number}, column bin: {start!r} is not a time; HH:MM is needed")
        if starts and start <= starts[-1]:
            raise ValueError(f"{name}: row {number}, column bin: {start} follows {starts[-1]}; ascending bins are needed, each once")
        starts.append(start)
    return tuple(starts)


def _volumes_of_bin(name: str, row: list[str], dates: tuple[date, ...]) -> list[float]:
    cells = row[1:]
    if len(cells) > len(dates):
        raise ValueError(f"{name}: row {row[0]}: {len(cells)} cells; {len(dates)} are needed, one a day of the header")
    values: list[float] = []
    for column, day in enumerate(dates):
        if column >= len(cells):
            raise ValueError(f"{name}: row {row[0]}, column {day}: missing; a volume >= 0 is needed, or an empty cell where nobody knows")
        text = cells[column].strip()
        if not text:
            values.append(math.nan)
            continue
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < 0:
            raise ValueError(f"{name}: row {row[0]}, column {day}: {text[:40]!r}; a volume >= 0 is needed")
        values.append(value)
    return values


def volumes_sha256(volumes: Sequence[Volumes]) -> str:
    """Digest of what a model learnt from. Of the numbers, not the files: days added later don't change it."""
    digest = hashlib.sha256()
    for one in volumes:
        head = "\n".join([one.symbol, " ".join(one.bin_starts), " ".join(day.isoformat() for day in one.dates), ""])
        digest.update(head.encode())
        digest.update(one.bins.astype("<f8").tobytes())
    return digest.hexdigest()
