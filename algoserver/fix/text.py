"""FIX text to fields, and no further: shared by every side of every session."""

SOH = "\x01"

# Beyond this a message is not an order: it is refused before anything is looked at.
TEXT_CHARS_MAX = 65_536


def fields(text: str) -> dict[str, str]:
    """Tag -> value. Of a tag that comes more than once the last stands; groups are read by group()."""
    return dict([pair.split("=", 1) for pair in text.split(SOH) if "=" in pair])


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
