"""Days that trade unlike others, from the date alone: half days, expiries, quarter expiries. US rules, known years ahead.

Rule 1: a day's kind is arithmetic on its date. Nothing of the day's volume is needed, so it may be asked before the first bin.
Rule 2: an exception that an exchange decrees (a day of mourning) is not found here: its bins are missing, and missing is handled.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

MONDAY, THURSDAY, FRIDAY = 0, 3, 4
QUARTER_MONTHS = (3, 6, 9, 12)
# A half day of NYSE and Nasdaq ends at 13:00: 14 of the 26 bins of 15 minutes.
US_BINS, HALF_DAY_BINS = 26, 14


@dataclass(frozen=True)
class DayKind:
    """What a calendar says of a day. is_rebalance: the last Friday of Russell's year in June, whose close trades like a quarter expiry's."""

    weekday: int
    is_half_day: bool
    is_expiry: bool
    is_quarter_expiry: bool
    is_rebalance: bool


@lru_cache(maxsize=4096)
def day_kind(day: date) -> DayKind:
    """The kind of a trading day."""
    is_expiry = day == expiry(day.year, day.month)
    return DayKind(
        weekday=day.weekday(),
        is_half_day=is_half_day(day),
        is_expiry=is_expiry,
        is_quarter_expiry=is_expiry and day.month in QUARTER_MONTHS,
        is_rebalance=day == _nth(day.year, 6, FRIDAY, 4),
    )


def is_half_day(day: date) -> bool:
    """Whether NYSE and Nasdaq close at 13:00: July 3 and December 24 where Monday to Thursday, the Friday after Thanksgiving."""
    if (day.month, day.day) in ((7, 3), (12, 24)):
        return MONDAY <= day.weekday() <= THURSDAY
    return day == _nth(day.year, 11, THURSDAY, 4) + timedelta(days=1)


def expiry(year: int, month: int) -> date:
    """Day on which the month's stock options and futures end: the third Friday, or the Thursday before a Good Friday."""
    third = _nth(year, month, FRIDAY, 3)
    return third - timedelta(days=1) if third == easter(year) - timedelta(days=2) else third


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (Meeus, Jones, Butcher)."""
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    k = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * k) // 451
    month, day = divmod(h + k - 7 * m + 114, 31)
    return date(year, month, day + 1)


def _nth(year: int, month: int, weekday: int, n: int) -> date:
    """The n-th of a weekday in a month."""
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))
