"""Sides, states and units, and the one exact way from FIX text to integers and back.

Rule 1: a price is an int of 1e-8, a quantity an int of the instrument's smallest unit, a share of something
an int of 1e-6 (ppm), a time an int of nanoseconds UTC. Orders, risk and router see no float.
Rule 2: text that does not fit its unit exactly is a ValueError; nothing is rounded on the way in.
"""

import re
from enum import IntEnum, StrEnum
from functools import lru_cache

import msgspec

PX_ONE = 100_000_000
PPM_ONE = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND

# A number on the wire has at most this many characters: beyond it the peer is broken, and int() is quadratic.
NUMBER_CHARS_MAX = 24


class Side(StrEnum):
    """Side (54). SELL_SHORT keeps its own value towards the venue and counts as a sale."""

    BUY = "1"
    SELL = "2"
    SELL_SHORT = "5"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sale."""
        return 1 if self is _BUY else -1


class OrdStatus(StrEnum):
    """OrdStatus (39)."""

    NEW = "0"
    PARTIALLY_FILLED = "1"
    FILLED = "2"
    DONE_FOR_DAY = "3"
    CANCELED = "4"
    REPLACED = "5"  # FIX 4.2 only: accepted from a venue, never sent in 4.4
    PENDING_CANCEL = "6"
    STOPPED = "7"
    REJECTED = "8"
    SUSPENDED = "9"
    PENDING_NEW = "A"
    CALCULATED = "B"
    EXPIRED = "C"
    ACCEPTED_FOR_BIDDING = "D"
    PENDING_REPLACE = "E"


class ExecType(StrEnum):
    """ExecType (150), FIX 4.4."""

    NEW = "0"
    DONE_FOR_DAY = "3"
    CANCELED = "4"
    REPLACED = "5"
    PENDING_CANCEL = "6"
    STOPPED = "7"
    REJECTED = "8"
    SUSPENDED = "9"
    PENDING_NEW = "A"
    CALCULATED = "B"
    EXPIRED = "C"
    RESTATED = "D"
    PENDING_REPLACE = "E"
    TRADE = "F"
    TRADE_CORRECT = "G"
    TRADE_CANCEL = "H"
    ORDER_STATUS = "I"


class OrdType(StrEnum):
    """OrdType (40)."""

    MARKET = "1"
    LIMIT = "2"
    PEGGED = "P"  # to the mid (18=M), at dark venues; no client sends it


OURS = "server"  # the operator of what the server does by itself; no person is named so
COPY_SUFFIX = ".dc"  # so is the session of its drop copy, with this
FEED_SUFFIX = ".md"  # a venue's market data session is named after it, with this
MID_PEG = "M"  # ExecInst (18): pegged to the middle of the market


class TimeInForce(StrEnum):
    """TimeInForce (59)."""

    DAY = "0"
    AT_OPEN = "2"
    IOC = "3"
    FOK = "4"
    AT_CLOSE = "7"

    @property
    def is_auction(self) -> bool:
        """Whether an order waits for a call auction."""
        return self is _AT_OPEN or self is _AT_CLOSE


# To ask the enum takes ten times as long in Python 3.11, and the gate asks for each child.
_BUY, _AT_OPEN, _AT_CLOSE = Side.BUY, TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE


class OnHalt(StrEnum):
    """What a trading halt does to an order: ExecInst (18) J or K; without either it waits."""

    WAIT = ""
    REINSTATE = "J"
    CANCEL = "K"


class Strategy(IntEnum):
    """TargetStrategy (847): 1 to 3 are FIX's own, a desk's own begin at 1000."""

    VWAP = 1
    POV = 2
    IS = 3
    TWAP = 1001
    CLOSE = 1002
    LIQUIDITY = 1003
    ICEBERG = 1004


class Instrument(msgspec.Struct, frozen=True):
    """What may be traded, and in which steps.

    qty_decimals: digits after the point of one unit (0: shares). tick: price units. lot: every quantity is a
    multiple of it. round_lot: children are multiples of it but for the tail. adv: units a day. volatility_ppm: of a day's return.
    previous_close: price units, 0 if nobody has said it.
    """

    symbol: str
    tick: int
    lot: int
    round_lot: int
    qty_decimals: int
    adv: int
    volatility_ppm: int = 20_000
    previous_close: int = 0


class Denied(msgspec.Struct, frozen=True, gc=False):
    """A refusal: which room, a machine-readable code, what to change, the limit and its usage.

    ord_rej_reason: OrdRejReason (103). stops: the scope that must not go on after this, "" for none.
    """

    room: str
    code: str
    text: str
    ord_rej_reason: int = 99
    limit: int = 0
    usage: int = 0
    stops: str = ""


def _decimal(text: str, decimals: int) -> int:
    """Text to int of 10**-decimals. Exact: a digit beyond `decimals` that is not zero is an error."""
    if len(text) > NUMBER_CHARS_MAX:
        raise ValueError(f"number of {len(text)} characters exceeds {NUMBER_CHARS_MAX}")
    if text.isdecimal() and text.isascii():
        unit: int = 10**decimals
        return int(text) * unit  # most numbers are whole
    sign = 1
    digits = text
    if text[:1] == "-":
        sign, digits = -1, text[1:]
    whole, _, fraction = digits.partition(".")
    # isdecimal() alone admits digits of every script; FIX means ASCII.
    if not (whole or fraction) or not (whole + fraction).isascii() or not (whole + fraction).isdecimal():
        raise ValueError(f"not a number: {text!r}")
    if len(fraction) > decimals:
        if fraction[decimals:].strip("0"):
            raise ValueError(f"{text} has more than {decimals} decimals")
        fraction = fraction[:decimals]
    return sign * int((whole + fraction).ljust(len(whole) + decimals, "0") or "0")


def _decimal_text(value: int, decimals: int) -> str:
    if decimals == 0 or value == 0:
        return str(value)
    sign = "-" if value < 0 else ""
    whole, fraction = divmod(abs(value), 10**decimals)
    return f"{sign}{whole}.{fraction:0{decimals}d}".rstrip("0").rstrip(".")


def px(text: str) -> int:
    """Price text to integer price units (1e-8). Exact: a ninth decimal is an error, never rounded."""
    return _decimal(text, 8)


def px_text(value: int) -> str:
    """Price units to the shortest decimal text."""
    return _decimal_text(value, 8)


def qty(text: str, decimals: int = 0) -> int:
    """Quantity text to integer units of 10**-decimals. Exact."""
    return _decimal(text, decimals)


def qty_text(value: int, decimals: int = 0) -> str:
    """Quantity units to the shortest decimal text."""
    return _decimal_text(value, decimals)


def ppm(text: str) -> int:
    """A fraction's text ("0.15") to parts per million (150000). Exact."""
    return _decimal(text, 6)


def ppm_text(value: int) -> str:
    """Parts per million to a fraction's text."""
    return _decimal_text(value, 6)


# The orders of a basket share their times.
@lru_cache(maxsize=1024)
def utc(text: str) -> int:
    """UTCTimestamp text, YYYYMMDD-HH:MM:SS[.fraction of 1 to 9 digits], to ns. A leap second is an error."""
    match = _UTC.fullmatch(text)
    if match is None:
        raise ValueError(f"not a UTC timestamp YYYYMMDD-HH:MM:SS: {text[:40]!r}")
    date, hour, minute, second, fraction = match.groups()
    days, seconds = _days_of(date), int(hour) * 3600 + int(minute) * 60 + int(second)
    if days < 0 or hour > "23" or minute > "59" or second > "59":
        raise ValueError(f"not a moment of the calendar: {text[:40]!r}")
    return days * DAY + seconds * SECOND + (int(fraction.ljust(9, "0")) if fraction else 0)


def utc_text(ts: int) -> str:
    """Nanoseconds to UTCTimestamp text with milliseconds, cut and not rounded: never in the future."""
    second, rest = divmod(ts, SECOND)
    return f"{_second_text(second)}.{rest // 1_000_000:03d}"


def clock_text(ts: int) -> str:
    """Time of day HH:MM:SS in UTC."""
    return _second_text(ts // SECOND)[9:]


def date_text(ts: int) -> str:
    """Date YYYY-MM-DD in UTC."""
    return _dashed_of(ts // DAY)


_UTC = re.compile(r"([0-9]{8})-([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.]([0-9]{1,9}))?")


# A day's messages carry a few dates over and over; every report and every order has one.
@lru_cache(maxsize=64)
def _days_of(date: str) -> int:
    """Days since 1970 of YYYYMMDD; -1 if there is no such day."""
    year, month, day = int(date[:4]), int(date[4:6]), int(date[6:])
    is_day = year >= 1970 and 1 <= month <= 12 and 1 <= day <= _month_days(year, month)
    return _days(year, month, day) if is_day else -1


# Many reports fall into one second, and a basket's windows begin and end together.
@lru_cache(maxsize=1024)
def _second_text(second: int) -> str:
    """Seconds since 1970 to YYYYMMDD-HH:MM:SS."""
    days, s = divmod(second, 86_400)
    return f"{_date_of(days)}-{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}"


@lru_cache(maxsize=64)
def _date_of(days: int) -> str:
    year, month, day = _civil(days)
    return f"{year:04d}{month:02d}{day:02d}"


@lru_cache(maxsize=64)
def _dashed_of(days: int) -> str:
    date = _date_of(days)
    return f"{date[:4]}-{date[4:6]}-{date[6:]}"


# The calendar in integers (Howard Hinnant, "chrono-compatible low-level date algorithms"): the core may not import datetime.
def _days(year: int, month: int, day: int) -> int:
    y = year - (month <= 2)
    era, yoe = divmod(y, 400)
    doy = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719_468


def _civil(days: int) -> tuple[int, int, int]:
    era, doe = divmod(days + 719_468, 146_097)
    yoe = (doe - doe // 1460 + doe // 36_524 - doe // 146_096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    month = mp + (3 if mp < 10 else -9)
    return yoe + era * 400 + (month <= 2), month, doy - (153 * mp + 2) // 5 + 1


def _month_days(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]
