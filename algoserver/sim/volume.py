"""The volume of one recorded day as a path through the session: how much should have traded by now.

Rule 1: the session is split equally into the recorded day's bins, however long it is; within a bin volume is even.
Rule 2: each market day follows the same recorded day.
"""

import csv
from pathlib import Path

from algoserver.recorded import VOLUME_DIR


class UnknownRecording(Exception):
    """No such recorded instrument or day; the text says which there are."""


def recorded_bins(symbol: str, day: str) -> list[int]:
    """Shares traded in each bin of `day` ("2019-06-28"), session order, rounded to whole shares; "" is the mean of all days.

    symbol: of a recording that ships, or the path of a file like it: a column a day, a row a bin.
    """
    path = Path(symbol) if symbol.endswith(".csv") else VOLUME_DIR / f"{symbol}_15min_volume_2019H1.csv"
    if not path.is_file():
        raise UnknownRecording(f"no recorded volume for {symbol}")
    header, *rows = csv.reader(path.read_text().splitlines())
    if not day:
        return [round(sum(map(float, row[1:])) / len(row[1:])) for row in rows]
    if day not in header[1:]:
        raise UnknownRecording(f"no recorded day {day} for {symbol}: {header[1]} to {header[-1]}, trading days only")
    column = header.index(day)
    return [round(float(row[column])) for row in rows]


class VolumePath:
    """Cumulated target volume over a session of `length` ns; 0 at its open."""

    def __init__(self, bins: list[int], length: int):
        assert 0 < len(bins) <= length
        assert sum(bins) > 0
        self.bins = bins
        self.length = length
        self.total = sum(bins)
        self._before = [sum(bins[:i]) for i in range(len(bins) + 1)]

    def edge(self, i: int) -> int:
        """When bin `i` opens, in ns after the open of the session; edge(len(bins)) is the close."""
        return i * self.length // len(self.bins)

    def bin_at(self, elapsed: int) -> int:
        return min(elapsed * len(self.bins) // self.length, len(self.bins) - 1)

    def cumulated(self, elapsed: int) -> float:
        """Units that should have traded `elapsed` ns after the open. Past the close the last bin's pace goes on."""
        i = self.bin_at(elapsed)
        start, end = self.edge(i), self.edge(i + 1)
        return self._before[i] + self.bins[i] * (elapsed - start) / (end - start)

    def rate(self, elapsed: int) -> float:
        """Units per second in the bin at `elapsed`."""
        i = self.bin_at(elapsed)
        return self.bins[i] * 1e9 / (self.edge(i + 1) - self.edge(i))
