"""Recorded volumes: traded quantity per bin and day, read from CSV files, one a symbol.

Rule 1: a file is right in every cell or refused as a whole; the error names file, row and column and what would be right.
Rule 2: nothing is filled in, dropped or sorted here. A hole in the data is for a person to close.
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


@dataclass(frozen=True)
class Volumes:
    """One symbol's volumes: bins in units, shape (n_days, n_bins), days ascending, each bin >= 0."""

    symbol: str
    dates: tuple[date, ...]
    bin_starts: tuple[str, ...]
    bins: NDArray[np.float64]

    def through(self, last: date) -> "Volumes":
        """The days up to and including `last`."""
        n_days = sum(day <= last for day in self.dates)
        return Volumes(self.symbol, self.dates[:n_days], self.bin_starts, self.bins[:n_days])


def read_volumes(volume_dir: Path, n_bins: int = SESSION_BINS) -> list[Volumes]:
    """Read every `<symbol>_*.csv` (or `<symbol>.csv`) of a directory, in order of symbol. ValueError names the wrong cell."""
    paths = sorted(volume_dir.glob("*.csv"))
    if not paths:
        raise ValueError(f"{volume_dir}: no volumes; files named <symbol>_*.csv are needed")
    read: dict[str, Volumes] = {}
    for path in paths:
        volumes = read_file(path, n_bins)
        if volumes.symbol in read:
            raise ValueError(f"{path.name}: {volumes.symbol} was read from another file already; one file a symbol is needed")
        first = next(iter(read.values()), volumes)
        if volumes.bin_starts != first.bin_starts:
            raise ValueError(f"{path.name}: bins differ from those of {first.symbol}; all symbols need the same bins")
        read[volumes.symbol] = volumes
    return [read[symbol] for symbol in sorted(read)]


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
        text = cells[column].strip() if column < len(cells) else ""
        if not text:
            raise ValueError(f"{name}: row {row[0]}, column {day}: missing; a volume >= 0 is needed")
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
