"""Token buckets: how much of anything may happen in a second and in a day, in market time.

Rule: room is asked for first and spent only when everything else allows the message too.
"""

import msgspec

from algoserver.domain.types import DAY, SECOND


class Rate(msgspec.Struct, gc=False):
    """A bucket that holds one second's messages. spent_ns: market time until it is full again. And a count, until the UTC day ends."""

    spent_ns: int = 0
    updated_ts: int = 0
    day_end_ts: int = 0
    sent_today: int = 0


class Count(msgspec.Struct, gc=False):
    """How often something happened since since_ts."""

    since_ts: int = 0
    times: int = 0


def rate(rates: dict[str, Rate], key: str, ts: int) -> Rate:
    """A bucket as of now."""
    found = rates.get(key)
    if found is None:
        found = rates[key] = Rate(updated_ts=ts, day_end_ts=_day_end(ts))
    left_ns = found.spent_ns - (ts - found.updated_ts)
    found.spent_ns = left_ns if left_ns > 0 else 0
    found.updated_ts = ts
    if ts >= found.day_end_ts:
        found.day_end_ts, found.sent_today = _day_end(ts), 0
    return found


def _day_end(ts: int) -> int:
    return (ts // DAY + 1) * DAY


def token_ns(per_second_max: int) -> int:
    """How much of a full bucket one message takes; a limit of 0 lets nothing pass."""
    return SECOND // per_second_max if per_second_max > 0 else SECOND + 1


def has_room(found: Rate, per_second_max: int) -> bool:
    """Whether one more fits now."""
    return found.spent_ns + token_ns(per_second_max) <= SECOND


def spend(found: Rate, per_second_max: int) -> None:
    """One message; it may go beyond the limit, and those after it wait the longer."""
    found.spent_ns += SECOND // max(1, per_second_max)
    found.sent_today += 1


def count(counts: dict[str, Count], key: str, window_ns: int, ts: int) -> Count:
    """A counter of the running window; a new window begins when the last is over."""
    found = counts.get(key)
    if found is None:
        found = counts[key] = Count(ts)
    elif ts - found.since_ts >= window_ns:
        found.since_ts, found.times = ts, 0
    return found
