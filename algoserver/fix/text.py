"""FIX text to fields, and no further: shared by every side of every session."""

from algoserver.domain.types import NUMBER_CHARS_MAX

SOH = "\x01"

# Beyond this a message is not an order: it is refused before anything is looked at.
TEXT_CHARS_MAX = 65_536


def readable(text: str) -> str:
    """`text` as the engine has it, with U+FFFD for every byte that was no UTF-8: those it gives as lone surrogates, which can't be written."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def fields(text: str) -> dict[str, str]:
    """Tag -> value. Of a tag that comes more than once the last stands; groups are read by group()."""
    return dict([pair.split("=", 1) for pair in text.split(SOH) if "=" in pair])


def count(text: str) -> int:
    """A whole number that is not negative (34, 957); 0 for what is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < NUMBER_CHARS_MAX else 0


def group(text: str, first: str) -> list[dict[str, str]]:
    """The entries of a repeating group: each begins with tag `first` and holds what follows up to the next one."""
    entries: list[dict[str, str]] = []
    for pair in text.split(SOH):
        tag, equals, value = pair.partition("=")
        if tag == first:
            entries.append({tag: value})
        elif entries and equals:
            entries[-1].setdefault(tag, value)
    return entries
