"""Token buckets: how much of anything may happen in a second and in a day, in market time.

Rule: room is asked for first and spent only when everything else allows the message too.
"""

import msgspec

from algoserver.domain.types import SECOND

SLOTS = 60  # of a window that slides: a minute slides by a second


# More than any time: of a bucket from which nothing may be taken, or of what nobody waits for.
NEVER = 1 << 62


class Rate(msgspec.Struct, gc=False):
    """A bucket that holds one second's messages. full_ts: market time at which it is full again. sent_today: how many, until its owner's day ends."""

    full_ts: int = 0
    sent_today: int = 0


class Count(msgspec.Struct, gc=False):
    """How often something happened in a window that slides by width_ns: in each of its slots, by their numbers, oldest first. times: in all.

    end_ts: when the last slot ends. Before that nothing leaves the window.
    """

    width_ns: int
    times: int = 0
    slots: list[int] = []
    parts: list[int] = []
    end_ts: int = 0


def rate(rates: dict[str, Rate], key: str) -> Rate:
    """A bucket; a full one if nobody has taken from it yet."""
    found = rates.get(key)
    if found is None:
        found = rates[key] = Rate()
    return found


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
        ended_ts = min(ts, found.end_ts - 1)
        found.width_ns, found.slots, found.parts, found.end_ts = width_ns, [ended_ts // width_ns], [found.times], 0
    if ts >= found.end_ts:
        _slide(found, window_ns, ts)
    return found


def _slide(found: Count, window_ns: int, ts: int) -> None:
    gone, slot = _gone(found, window_ns, ts), ts // found.width_ns
    if gone:
        found.times -= sum(found.parts[:gone])
        del found.slots[:gone], found.parts[:gone]
    if not found.slots or found.slots[-1] != slot:
        found.slots.append(slot)
        found.parts.append(0)
    found.end_ts = (slot + 1) * found.width_ns


def note(found: Count) -> None:
    """Once more, in the slot of the moment that count() was asked for."""
    found.parts[-1] += 1
    found.times += 1


def recent(found: Count, window_ns: int, ts: int) -> int:
    """What count() would find, to read."""
    return found.times - sum(found.parts[: _gone(found, window_ns, ts)])


def _gone(found: Count, window_ns: int, ts: int) -> int:
    """How many slots are before the window, which begins with a slot: it is longer than it was asked for rather than shorter."""
    first, gone = ts // found.width_ns - -(-window_ns // found.width_ns), 0
    while gone < len(found.slots) and found.slots[gone] < first:
        gone += 1
    return gone
