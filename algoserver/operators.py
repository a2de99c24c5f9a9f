"""Who may do what: the persons of cfg/operators.toml, and the one table of verbs and the roles that may ask them.

Rule 1: a person is known by the kernel's word on his Unix user, or by a token, of which only the hash is kept.
Rule 2: who is not named may ask nothing; a verb that is not in the table is for admins alone.
Rule 3: where nobody is named there is one person, the server's own user: he has every role, and nobody is asked to approve.
"""

import os
import pwd
import re
from pathlib import Path
from typing import NamedTuple

import msgspec

from algoserver.credentials import check_token_hash, is_token
from algoserver.domain.types import OURS
from algoserver.door import Caller
from algoserver.settings import BadConfig, Entry, read

ROLES = ("viewer", "trader", "risk", "operator", "model_owner", "admin")
# A kill needs one person, and nearly any: to stop is never the greater risk. What opens again is for those who answer for limits.
VERBS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("status", "doctor", "order.ls", "order.show", "order.plan", "session.ls", "venue.ls", "venue.foreign", "alert.ls"), ROLES),
    **dict.fromkeys(("policy.validate", "policy.diff", "policy.history", "policy.show", "policy.explain", "risk.limits"), ROLES),
    **dict.fromkeys(("risk.usage", "risk.reconcile", "estimate", "model.history"), ROLES),
    "model.swap": ("model_owner", "admin"),
    "policy.apply": ("risk", "admin"),
    "policy.rollback": ("risk", "admin"),
    "alert.ack": ("trader", "risk", "operator", "admin"),
    **dict.fromkeys(("approval.ls", "audit.tail", "audit.verify"), ROLES),
    "kill": ("trader", "risk", "operator", "admin"),
    "release": ("risk", "operator", "admin"),
    "risk.re-enable": ("risk", "operator", "admin"),
    "risk.override": ("trader", "risk"),
    "approval.approve": ("risk", "admin"),
    "approval.withdraw": ("trader", "risk", "operator", "model_owner", "admin"),
    "order.pause": ("trader", "risk", "operator"),
    "order.resume": ("trader", "operator"),
    "order.cancel": ("trader", "risk", "operator"),
    "order.amend": ("trader",),
    "venue.adopt": ("risk", "operator"),
    "venue.cancel": ("trader", "operator"),
}
# What two persons decide where persons are named: one asks, another approves. The fallback instead of a model needs one.
TWO_PERSONS = ("release", "risk.re-enable", "risk.override", "model.swap")
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}"


class Known(NamedTuple):
    """A person who was recognised. how: uid or token, and which."""

    name: str
    how: str
    roles: tuple[str, ...]

    def role_for(self, verb: str) -> str:
        """The first role of his that may do this; "" if none may."""
        return next((role for role in self.roles if role in VERBS.get(verb, ("admin",))), "")


class Unknown(NamedTuple):
    """A caller who is nobody. how: what he showed."""

    how: str
    text: str


class OperatorEntry(Entry, frozen=True, kw_only=True):
    """One person. user: his Unix user. token: hash of his token, as `algoserver token` prints it. One of them or both."""

    name: str
    roles: list[str]
    user: str = ""
    token: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(NAME, self.name) or self.name == OURS:
            raise ValueError(f"`name` has up to 32 letters, digits, dots, hyphens and underscores, and is not {OURS!r}")
        strange = next((role for role in self.roles if role not in ROLES), None)
        if strange is not None or not self.roles:
            raise ValueError(f"`roles` has {strange!r}; there are {', '.join(ROLES)}" if self.roles else "`roles` is empty")
        if not (self.user or self.token):
            raise ValueError("give `user` or `token`: nobody could know him")
        if self.token:
            check_token_hash(self.token)


class OperatorsFile(Entry, frozen=True, kw_only=True):
    """cfg/operators.toml."""

    operators: list[OperatorEntry] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        for key in ("name", "user", "token"):
            seen: dict[str, str] = {}
            for person in self.operators:
                value = getattr(person, key)
                if value and value in seen:
                    other = "" if key == "name" else f" of {seen[value]!r}"
                    raise ValueError(f"operators {person.name!r}: `{key}` is that{other or ' of another'} already; two persons are two")
                seen[value] = person.name
        makers = [p.name for p in self.operators if set(p.roles) & set(VERBS["release"])]
        checkers = [p.name for p in self.operators if set(p.roles) & set(VERBS["approval.approve"])]
        if self.operators and not any(maker != checker for maker in makers for checker in checkers):
            wanted = " or ".join(VERBS["approval.approve"])
            raise ValueError(f"`operators`: no two of them could release a kill; name another with role {wanted}, or none at all")


class Operators:
    """The persons that a server knows; none: whoever is the server's own user is the one person."""

    def __init__(self, persons: list[OperatorEntry]) -> None:
        self._persons = persons

    @property
    def is_alone(self) -> bool:
        """Whether there is one person only, with every role."""
        return not self._persons

    @property
    def names(self) -> tuple[str, ...]:
        """Those who are named."""
        return tuple(p.name for p in self._persons)

    @property
    def text(self) -> str:
        """Who there is, for the status."""
        if self.is_alone:
            return "one person: the server's own user has every role and nobody is asked to approve (cfg/operators.toml names none)"
        return f"{len(self._persons)} named: {', '.join(self.names)}; what opens again or loosens needs two of them"

    def who(self, caller: Caller) -> Known | Unknown:
        """The person at the door. Who brings a token is judged by it alone."""
        uid = f"uid {caller.uid}"
        if self.is_alone:
            return Known(caller.user, uid, ROLES) if caller.uid in (0, os.geteuid()) else Unknown(uid, "this socket is for the server's own user")
        if caller.token:
            found = [p for p in self._persons if p.token and is_token(caller.token, p.token)]
            return _known(found[0], "token") if found else Unknown("token", "the token of ALGOCTL_TOKEN is nobody's")
        named = next((p for p in self._persons if p.user and p.user == caller.user), None)
        if named is not None:
            return _known(named, uid)
        return Unknown(uid, f"user {caller.user} ({uid}) is no operator; set ALGOCTL_TOKEN, or have him named in the server's operators file")


def load_operators(path: Path) -> Operators:
    """Read the persons' file. Raises BadConfig."""
    persons = read(path, OperatorsFile).operators
    for person in persons:
        try:
            if person.user:
                pwd.getpwnam(person.user)
        except KeyError as none:
            raise BadConfig(f"{path}: operators {person.name!r}: `user` {person.user!r} is no user of this machine") from none
    return Operators(persons)


def table() -> str:
    """Which role may do what, as a Markdown table; 2: another person must approve it."""
    head = f"| verb | {' | '.join(ROLES)} |\n|---|{'---|' * len(ROLES)}\n"
    rows = []
    for verb, roles in VERBS.items():
        word = "2" if verb in TWO_PERSONS else "yes"
        rows.append(f"| {verb} | {' | '.join(word if role in roles else '-' for role in ROLES)} |\n")
    return head + "".join(rows)


def _known(person: OperatorEntry, how: str) -> Known:
    return Known(person.name, how, tuple(person.roles))
