"""What can go wrong on purpose: the kinds of faults, and scripts of them (cfg/scenarios/*.toml).

FLT-1: a fault that is unknown, lacks what it needs, has what it does not take, or a number below zero is refused by name before anything happens.
FLT-2: chance comes from the script's seed: the same script on the same market at the same times does the same.
FLT-3: times are market time. A fault lasts `seconds` from its moment; faults of different kinds may overlap.
"""

from pathlib import Path
from typing import NamedTuple

import msgspec

from algoserver.settings import Entry, read

FOLDER = Path(__file__).resolve().parents[2] / "cfg" / "scenarios"


class Kind(NamedTuple):
    """needs, takes: keys of the entry that it can't and can be without. what: it in one sentence."""

    needs: tuple[str, ...]
    takes: tuple[str, ...]
    what: str


SESSION = ("venue", "client")
KINDS = {
    "delay": Kind(("ms", "seconds"), (*SESSION, "jitter_ms"), "reports and market data leave `ms` later, plus up to `jitter_ms`, in their order"),
    "drop": Kind(("seconds",), (*SESSION, "share"), "a `share` of the reports never leaves; nothing says so but a status request"),
    "duplicate": Kind(("seconds",), (*SESSION, "share"), "a `share` of the reports leaves twice, the second time with 97=Y"),
    "disconnect": Kind((), SESSION, "the connection breaks; the client may come back at once"),
    "sequence_gap": Kind((), (*SESSION, "count"), "`count` numbers (34) are left out: the client has to ask, and gets a gap fill"),
    "slow_consumer": Kind(("seconds",), SESSION, "the venue reads nothing for so long, then all of it in its order"),
    "reject_storm": Kind(("seconds",), (*SESSION, "share"), "a `share` of new orders and replaces is refused (103=0, 102=99)"),
    "stale_feed": Kind(("seconds",), ("venue",), "market data stands still while the market does not; its trades are never told"),
    "late_fill": Kind((), (*SESSION, "symbol", "order", "qty", "px"), "an order that was canceled is filled all the same: the latest, or `order`"),
    "bust": Kind((), (*SESSION, "symbol", "exec_id"), "a fill is taken back (150=H): the latest, or `exec_id`"),
    "correction": Kind((), (*SESSION, "symbol", "exec_id", "qty", "px"), "a fill gets another `qty` or `px` (150=G): the latest, or `exec_id`"),
    "halt": Kind(("symbol",), ("seconds", "resting"), "trading stops; without `seconds` until it is resumed"),
    "luld": Kind(("symbol", "seconds"), (), "trading pauses as at the limit of a price band, and reopens by auction"),
    "flash_crash": Kind(("symbol", "share", "seconds"), (), "the crowd's price falls by a `share` of itself, and comes back after `seconds`"),
    "drought": Kind(("symbol", "share", "seconds"), (), "the crowd shows only a `share` of its depth"),
    "crossed_book": Kind(("symbol", "venue"), (), "the venue's bid stands a tick above another's offer, until the crowd takes it back"),
}


class Fault(Entry, frozen=True):
    """One of KINDS. at_s: seconds after the script begins. Empty names: every one. share: 0 to 1."""

    kind: str
    at_s: float = 0.0
    seconds: float = 0.0
    venue: str = ""
    client: str = ""
    symbol: str = ""
    share: float = 1.0
    ms: int = 0
    jitter_ms: int = 0
    count: int = 1
    order: str = ""
    exec_id: str = ""
    qty: str = ""
    px: str = ""
    resting: str = "keep"

    def __post_init__(self) -> None:
        kind = KINDS.get(self.kind)
        if kind is None:
            raise ValueError(f"`kind` {self.kind!r} is no fault: there are {', '.join(KINDS)}")
        defaults = {f.name: f.default for f in msgspec.structs.fields(Fault)}
        given = [name for name, default in defaults.items() if getattr(self, name) != default and name not in ("kind", "at_s")]
        for name in kind.needs:
            if name not in given and name != "share":
                raise ValueError(f"a {self.kind} needs `{name}`")
        for name in given:
            if name not in kind.needs and name not in kind.takes:
                raise ValueError(f"`{name}` means nothing to a {self.kind}: it takes {', '.join((*kind.needs, *kind.takes)) or 'nothing'}")
        for name in ("at_s", "seconds", "ms", "jitter_ms", "share"):
            if getattr(self, name) < 0:
                raise ValueError(f"`{name}` must not be negative: {getattr(self, name):g}")
        if self.share > 1 or (self.kind == "flash_crash" and not 0 < self.share < 1):
            raise ValueError(f"`share` is a fraction, 0 to 1{' and neither' if self.kind == 'flash_crash' else ''}: {self.share:g}")
        if self.count < 1 or self.resting not in ("keep", "cancel"):
            raise ValueError("`count` must be at least 1, `resting` keep or cancel")

    def concerns(self, session: str) -> bool:
        """Whether a session, "FIX.4.4:VENUE->CLIENT", is meant."""
        venue, _, client = session.partition(":")[2].partition("->")
        return self.venue in ("", venue) and self.client in ("", client)


class Script(Entry, frozen=True):
    """What goes wrong, in time. seed: of all its chances."""

    faults: list[Fault]
    seed: int = 1
    about: str = ""


def known() -> list[str]:
    """Names of the scripts that come with the simulator."""
    return sorted(p.stem for p in FOLDER.glob("*.toml"))


def load(name: str) -> Script:
    """A script by its name, or by its path if it ends in .toml. Raises BadConfig, ValueError."""
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file() or (not name.endswith(".toml") and name not in known()):
        raise ValueError(f"no scenario {name}: there are {', '.join(known())}, or the path of a .toml file")
    return read(path, Script)
