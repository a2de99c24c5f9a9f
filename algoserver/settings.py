"""TOML files to frozen structs: what every configuration of server and simulator is read with.

Rule 1: an unknown key is an error; every error names file, entry, key and what would be right.
Rule 2: prices, quantities and shares are text in the file ("0.01"): TOML's floats are not exact.
"""

import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from algoserver.clock import Clock
from algoserver.domain.types import DAY, SECOND, utc

T = TypeVar("T")


class BadConfig(Exception):
    """A configuration that can't be used; the text names file, entry and key."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Any table of a configuration file."""


class ClockConfig(Entry, frozen=True, kw_only=True):
    """speed: market seconds per wall second. Epochs: UTC text, both empty for real time."""

    speed: float = 1.0
    market_epoch: str = ""
    wall_epoch: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.speed <= 10_000:
            raise ValueError("`speed` is not in (0, 10000]")
        if self.market_epoch:
            utc(self.market_epoch)
        if self.wall_epoch:
            utc(self.wall_epoch)

    def clock(self, wall_now_ts: int) -> Clock:
        """The clock; wall_now_ts stands in for a wall epoch that is not given."""
        if not self.market_epoch:
            return Clock(self.speed, wall_now_ts, wall_now_ts) if self.speed != 1.0 else Clock()
        return Clock(self.speed, utc(self.market_epoch), utc(self.wall_epoch) if self.wall_epoch else wall_now_ts)


class HoursConfig(Entry, frozen=True, kw_only=True):
    """Trading day in UTC, "HH:MM" each; "00:00" to "24:00" is always open."""

    open: str = "00:00"
    close: str = "24:00"

    def __post_init__(self) -> None:
        if not time_of_day(self.open) < time_of_day(self.close) <= DAY:
            raise ValueError("`open` is not before `close`")


def read(path: Path, kind: type[T]) -> T:
    """Read a TOML file as `kind`. Raises BadConfig."""
    try:
        raw = tomllib.loads(path.read_text())
    except OSError as e:
        raise BadConfig(f"{path}: {e.strerror}") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise BadConfig(f"{path}: {e}") from e
    return convert(raw, kind, str(path))


def convert(raw: dict[str, Any], kind: type[T], source: str) -> T:
    """What a TOML file holds as `kind`. source: what an error calls it. Raises BadConfig."""
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as e:
        raise BadConfig(f"{source}: {named(str(e), raw)}{_known(str(e), kind)}") from e


def time_of_day(text: str) -> int:
    """ "HH:MM" to ns after midnight, up to "24:00"."""
    match = re.fullmatch(r"([0-9]{2}):([0-5][0-9])", text)
    if match is None or int(match[1]) > 24 or (match[1] == "24" and match[2] != "00"):
        raise ValueError(f"not a time of day HH:MM: {text[:20]!r}")
    return (int(match[1]) * 3600 + int(match[2]) * 60) * SECOND


def named(error: str, raw: dict[str, Any]) -> str:
    """msgspec's path `$.instruments[1].tick` as "instruments 'GE' tick": a person searches the file by name."""
    match = re.search(r" - at `\$\.?(\w+)\[(\d+)\]\.?([\w.]*)`", error)
    if match is None:
        return error
    entry = raw[match[1]][int(match[2])]
    keys = ("name", "symbol", "client", "session", "tag")
    name = next((entry[k] for k in keys if entry.get(k)), match[2]) if isinstance(entry, dict) else match[2]
    return f"{match[1]} {name!r} {match[3]}".strip() + ": " + error[: match.start()]


def _known(error: str, kind: type) -> str:
    """For an unknown key of the file's top level or of a table in it: the keys that are known there."""
    if "unknown field" not in error:
        return ""
    found: Any = kind
    match = re.search(r" - at `\$\.?([\w.\[\]0-9]*)`", error)
    for part in re.findall(r"\w+", match[1]) if match else []:
        if part.isdecimal():
            continue
        found = _element({f.name: f.type for f in msgspec.structs.fields(found)}.get(part))
        if not (isinstance(found, type) and issubclass(found, msgspec.Struct)):
            return ""
    return f"; known here: {', '.join(f.name for f in msgspec.structs.fields(found))}"


def _element(kind: Any) -> Any:
    arguments = getattr(kind, "__args__", None)
    if not arguments:
        return kind
    return next((a for a in arguments if isinstance(a, type) and issubclass(a, msgspec.Struct)), None)
