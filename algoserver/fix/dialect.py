"""A client's own tags as our parameters: pure, and nothing of an order is lost on the way.

Rule: a user-defined tag of an order that the client's profile does not know is refused: it may have been his cap.
"""

from collections.abc import Iterator

from algoserver.domain import types
from algoserver.domain.params import BY_NAME, Param
from algoserver.domain.policy import ClientProfile, CustomTag
from algoserver.fix.read import OTHER, UNSUPPORTED_CHARACTERISTIC, Fields, Unusable

# From here on FIX leaves tags to whoever wants some; this many digits or more.
USER_DEFINED_MIN = 5_000
DIGITS_MIN = len(str(USER_DEFINED_MIN))


def custom(f: Fields, profile: ClientProfile) -> Iterator[tuple[str, str, str]]:
    """(parameter, value in our text, where it stood) of every tag of the client's own. Raises Unusable."""
    known: dict[str, list[CustomTag]] = {}
    for entry in profile.tags:
        known.setdefault(entry.tag, []).append(entry)
    for tag, value in f.items():
        if len(tag) < DIGITS_MIN or not tag.isdecimal() or int(tag) < USER_DEFINED_MIN or tag in profile.ignored:
            continue
        if tag not in known:
            raise Unusable("unknown_tag", f"tag {tag} is not agreed for {profile.client}; leave it out")
        for entry in known[tag]:
            if value not in entry.neutral:
                text = _translated(entry, value)
                if text:
                    yield entry.parameter, text, f"{entry.name} ({tag})"


def _translated(entry: CustomTag, value: str) -> str:
    """Our text of a value, "" where it asks for nothing."""
    spelled = f"{entry.name} ({entry.tag})"
    if not entry.parameter:
        neutral = f"send {' or '.join(entry.neutral)}, or leave it out" if entry.neutral else "leave it out"
        raise Unusable("unsupported_tag", f"{spelled} is not supported; {neutral}", UNSUPPORTED_CHARACTERISTIC)
    if entry.values:
        if value not in entry.values:
            raise Unusable("bad_parameter", f"{spelled}: {value[:16]!r} is not one of {', '.join(entry.values)}", OTHER)
        return entry.values[value]
    if entry.is_percent:
        return _fraction(spelled, BY_NAME[entry.parameter], value)
    return value


def _fraction(spelled: str, param: Param, percent: str) -> str:
    """15 is 0.15. Four decimals of a per cent are our millionths: exact."""
    try:
        share = types.qty(percent, 4)
    except ValueError as e:
        raise Unusable("bad_parameter", f"{spelled}: {e}", OTHER) from e
    if not param.least <= share <= param.most:
        least, most = types.qty_text(param.least, 4), types.qty_text(param.most, 4)
        raise Unusable("bad_parameter", f"{spelled}: {percent} is not within {least} and {most} per cent", OTHER)
    return types.ppm_text(share)

