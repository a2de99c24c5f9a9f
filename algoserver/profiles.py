"""What is agreed with each client and who may listen, as cfg/server.toml says it: defaults, what he may use, how he hears of fills, tags of his own.

Rule: what could never be accepted from a client is an error here: the server does not start with it.
"""

from pathlib import Path

import msgspec

from algoserver.credentials import Credential
from algoserver.domain.params import BY_NAME, USES
from algoserver.domain.policy import ClientProfile, CustomTag, DropCopy
from algoserver.fix.dialect import USER_DEFINED_MIN
from algoserver.fix.read import Unusable, parameter
from algoserver.settings import BadConfig, Entry, read

# Enough for any instrument: a default's quantity is read anew with the decimals of the order's.
DECIMALS_MAX = 8
FILLS_MS_MAX = 3_600_000
BUILT = {s.name: int(s) for s in USES}


class ProfileConfig(Entry, frozen=True, kw_only=True):
    """client: its SenderCompID. strategy, defaults: where a D names none. algos, venues: empty for all. fills_ms: market ms; 0: every fill.

    dialect: file of its own tags, relative to this one. username, password: of its Logon, the latter as `algoserver password` prints it.
    """

    client: str
    strategy: str = ""
    algos: tuple[str, ...] = ()
    venues: tuple[str, ...] = ()
    fills_ms: int = 0
    dialect: str = ""
    username: str = ""
    password: str = ""
    defaults: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def credential(self) -> Credential | None:
        """What its Logon must say; None where it needs no password."""
        return Credential(self.username, self.password) if self.username or self.password else None

    def __post_init__(self) -> None:
        if bool(self.username) != bool(self.password) or ":" in self.username:
            raise ValueError("`username` and `password` come together, and a username has no colon")
        _ = self.credential  # a hash that is none is found now
        for name in (*filter(None, [self.strategy]), *self.algos):
            if name not in BUILT:
                raise ValueError(f"{name!r} is no strategy that is built; use {', '.join(BUILT)}")
        if self.strategy and self.algos and self.strategy not in self.algos:
            raise ValueError(f"`strategy` {self.strategy} is not among `algos`; add it there")
        if not 0 <= self.fills_ms <= FILLS_MS_MAX:
            raise ValueError(f"`fills_ms` is not within 0 and {FILLS_MS_MAX}")
        for name, text in self.defaults.items():
            _check(f"`defaults` {name}", name, text)
            if BY_NAME[name].kind == "time":
                raise ValueError(f"`defaults` {name}: a moment can't be a default; leave it out")


class DropCopyConfig(Entry, frozen=True, kw_only=True):
    """session: its CompID, one of clients.sessions. clients: whose reports; empty for all. children: those of their children too."""

    session: str
    clients: tuple[str, ...] = ()
    children: bool = False


class TagEntry(Entry, frozen=True, kw_only=True):
    """One tag. name: as the client's side calls it. parameter: ours; "" refuses it. percent: 15 is our 0.15.

    values: its value -> ours, "" to leave it out. neutral: values that ask for nothing.
    """

    tag: int
    name: str
    parameter: str = ""
    percent: bool = False
    values: dict[str, str] = msgspec.field(default_factory=dict)
    neutral: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.tag < USER_DEFINED_MIN:
            raise ValueError(f"`tag` is below {USER_DEFINED_MIN}: FIX has given it a meaning of its own")
        if not self.parameter and (self.values or self.percent):
            raise ValueError("`values` and `percent` translate to a `parameter`: name it, or leave them out to refuse the tag")
        if self.parameter:
            for value, text in self.values.items():
                if text:
                    _check(f"`values` {value}", self.parameter, text)
            if self.parameter not in BY_NAME:
                raise ValueError(_unknown("`parameter`", self.parameter))
            if self.percent and (self.values or BY_NAME[self.parameter].kind != "share"):
                raise ValueError(f"`percent` is for a parameter that is a fraction, without `values`; {self.parameter} is none")


class DialectFile(Entry, frozen=True, kw_only=True):
    """A file of tags. ignored: tags that say nothing of an order, as the name of a client's software."""

    tags: list[TagEntry]
    ignored: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        seen = [(t.tag, t.parameter) for t in self.tags]
        for tag, name in seen:
            if seen.count((tag, name)) > 1 or (name and (tag, "") in seen) or tag in self.ignored:
                raise ValueError(f"`tags`: {tag} is there more than once; one tag may fill several parameters, each once")
        if any(tag < USER_DEFINED_MIN for tag in self.ignored):
            raise ValueError(f"`ignored`: tags from {USER_DEFINED_MIN} on")


def profiles(path: Path, entries: list[ProfileConfig], venues: list[str]) -> tuple[ClientProfile, ...]:
    """The profiles of the configuration file `path`. Raises BadConfig."""
    names = [entry.client for entry in entries]
    for entry in entries:
        where = f"{path}: profiles {entry.client!r}"
        if names.count(entry.client) > 1 or not entry.client:
            raise BadConfig(f"{where} client: each client has one profile; put both together")
        for venue in entry.venues:
            if venue not in venues:
                raise BadConfig(f"{where} venues: {venue!r} is no venue here; use {', '.join(venues)}")
    return tuple(_profile(path.parent, entry) for entry in entries)


def drop_copies(path: Path, entries: list[DropCopyConfig]) -> tuple[DropCopy, ...]:
    """The drop copies of the configuration file `path`. Raises BadConfig."""
    names = [entry.session for entry in entries]
    for entry in entries:
        where = f"{path}: drop_copies {entry.session!r}"
        if names.count(entry.session) > 1 or not entry.session:
            raise BadConfig(f"{where} session: each session is one drop copy; put both together")
        if own := [name for name in entry.clients if name in names]:
            raise BadConfig(f"{where} clients: {own[0]!r} is a drop copy itself, which has no reports; name clients")
    return tuple(DropCopy(entry.session, entry.clients, entry.children) for entry in entries)


def dialect_files(base: Path, entries: list[ProfileConfig]) -> list[Path]:
    """The files that the profiles name, each once."""
    return list(dict.fromkeys(base / entry.dialect for entry in entries if entry.dialect))


def _profile(base: Path, entry: ProfileConfig) -> ClientProfile:
    dialect = read(base / entry.dialect, DialectFile) if entry.dialect else DialectFile(tags=[])
    return ClientProfile(
        client=entry.client,
        strategy=BUILT.get(entry.strategy, 0),
        defaults=tuple(entry.defaults.items()),
        algos=tuple(BUILT[name] for name in entry.algos),
        venues=entry.venues,
        fills_ns=entry.fills_ms * 1_000_000,
        tags=tuple(CustomTag(str(t.tag), t.name, t.parameter, t.percent, t.values, t.neutral) for t in dialect.tags),
        ignored=tuple(str(tag) for tag in dialect.ignored),
    )


def _check(where: str, name: str, text: str) -> None:
    """A value that the parameter can have."""
    if name not in BY_NAME:
        raise ValueError(_unknown(where, name))
    try:
        parameter(BY_NAME[name], text, DECIMALS_MAX)
    except Unusable as e:
        raise ValueError(f"{where}: {e.text}") from e


def _unknown(where: str, name: str) -> str:
    return f"{where}: {name!r} is no parameter; known are {', '.join(BY_NAME)}"
