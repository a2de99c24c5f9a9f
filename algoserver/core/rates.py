"""Token buckets: how much of anything may happen in a second and in a day, in market time.

Rule: room is asked for first and spent only when everything else allows the message too.
"""

import msgspec

from algoserver.domain.types import DAY, SECOND

SLOTS = 60  # of a window that slides: a minute slides by a second


# More than any time: of a bucket from which nothing may be taken, or of what nobody waits for.
NEVER = 1 << 62


class Rate(msgspec.Struct, gc=False):
    """A bucket that holds one second's messages. full_ts: market time at which it is full again. And a count, until the UTC day ends."""

    full_ts: int = 0
    day_end_ts: int = 0
    sent_today: int = 0


class Count(msgspec.Struct, gc=False):
    """How often something happened in a window that slides by width_ns: in each of its slots, by their numbers, oldest first. times: in all."""

    width_ns: int
    times: int = 0
    slots: list[int] = []
    parts: list[int] = []


def rate(rates: dict[str, Rate], key: str, ts: int) -> Rate:
    """A bucket as of now."""
    found = rates.get(key)
    if found is None:
        found = rates[key] = Rate(day_end_ts=_day_end(ts))
    elif ts >= found.day_end_ts:
        found.day_end_ts, found.sent_today = _day_end(ts), 0
    return found


def _day_end(ts: int) -> int:
    return (ts // DAY + 1) * DAY


def token_ns(per_second_max: int) -> int:
    """How much of a full bucket one message takes; a limit of 0 lets nothing pass."""
    return SECOND // per_second_max if per_second_max > 0 else NEVER


def has_room(found: Rate, token: int, ts: int) -> bool:
    """Whether one more fits now."""
    return found.full_ts - ts + token <= SECOND


def spend(found: Rate, token: int, ts: int) -> None:
    """One message; it may go beyond the limit, and those after it wait the longer."""
    found.full_ts = max(found.full_ts, ts) + min(token, SECOND)
    found.sent_today += 1


def count(counts: dict[str, Count], key: str, window_ns: int, ts: int) -> Count:
    """What was counted in the window that ends now, and of the slot before it: a little more is held against us, never less."""
    found, width_ns = counts.get(key), window_ns // SLOTS or 1
    if found is None:
        found = counts[key] = Count(width_ns)
    elif found.width_ns != width_ns:
        # When in its slot it was is not known: all of it counts as of the end of the last.
        ended_ts = min(ts, (found.slots[-1] + 1) * found.width_ns - 1) if found.slots else ts
        found.width_ns, found.slots, found.parts = width_ns, [ended_ts // width_ns], [found.times]
    gone = _gone(found, window_ns, ts)
    if gone:
        found.times -= sum(found.parts[:gone])
        del found.slots[:gone], found.parts[:gone]
    return found


def note(found: Count, ts: int) -> None:
    """Once more."""
    slot = ts // found.width_ns
    if found.slots and found.slots[-1] == slot:
        found.parts[-1] += 1
    else:
        found.slots.append(slot)
        found.parts.append(1)
    found.times += 1


def recent(found: Count, window_ns: int, ts: int) -> int:
    """What count() would find, to read."""
    return found.times - sum(found.parts[: _gone(found, window_ns, ts)])


def _gone(found: Count, window_ns: int, ts: int) -> int:
    """How many slots are before the window."""
    first, gone = (ts - window_ns) // found.width_ns, 0
    while gone < len(found.slots) and found.slots[gone] < first:
        gone += 1
    return gone
