"""The language of the scenarios: one line is one message, in FIX's own tags.

    > D X work 38=1000 Urgency=5    send. X is a ClOrdID of this run; `work` a set of fields (below); Name=value goes to
                                    the parameter group 957; 126=+10m is a time from now; -44 leaves a field out
    < 8 X 150=0 39=0 14=0 151=qty   the next message must be this. qty, cum and leaves are the order's own by what was reported so
                                    far; 41=X the ClOrdID that X stands for; 102=2|99 either; 533>=2; 58~TWAP contains; 58=* any;
                                    41=- absent; code=wrong_lot: Text (58) begins with this code and goes on with a sentence
    ? 8 Y 150=E                     the same, but it may be left out
    < fill X | fills X | ends X     the order's next trade; all of them until it is filled; or until the rest is canceled
    < canceled X by M               the end of an order that another message than its own F has canceled
    < statuses M X Y                the answer to AF: reports of these orders, and how many there are (911, 912)
    < resent                        every number up to now once more, with PossDupFlag or filled by SequenceReset
    < closed                        the server ends the connection, without a Logon
    ! connect | skip 2 | garble     a new connection; use up numbers of ours; send a message with a wrong CheckSum

A trade that comes where no trade is expected is booked and checked, and passed over: the market does not wait.
"""

import re
from dataclasses import dataclass, field

MARKS = {">": "send", "<": "expect", "?": "may", "!": "act"}
VERBS = ("fill", "fills", "ends", "canceled", "statuses", "resent", "closed")
CONDITION = re.compile(r"(code|\d+)(>=|=|~)(.*)")

# Sets of fields by name. LOW is a price far below any market: such a buy rests, or can't be done at once. `quick` trades soon
# and surely, as an IOC does not: its wish price is met by any market.
SETS = {
    "work": "40=2 44=LOW 59=0 847=1001 126=+10m",
    "trade": "40=1 59=0 847=1001 126=+20s Urgency=5 MaxPctVol=1 Completion=HARD",
    "ioc": "40=1 59=3 847=1001",
    "quick": "40=1 59=0 847=1001 126=+1m IWouldPrice=1000000 MaxPctVol=1",
    "vwap": "40=2 44=LOW 59=0 847=1 126=+10m",
    "pov": "40=2 44=LOW 59=0 847=2 126=+10m",
    "is": "40=2 44=LOW 59=0 847=3 126=+10m",
    "iceberg": "40=2 44=LOW 59=0 847=1004 126=+10m",
}
# What every message of a type says unless its line says otherwise.
ALWAYS = {
    "D": "21=1 55=SYMBOL 54=1 60=NOW",
    "F": "55=SYMBOL 54=1 60=NOW 38=qty",
    "G": "21=1 55=SYMBOL 54=1 60=NOW 38=qty 40=2 44=LOW",
    "H": "55=SYMBOL 54=1",
    "q": "60=NOW",
}


class BadScript(Exception):
    """A line that does not read; the text is the line and why."""


@dataclass(frozen=True)
class Condition:
    """What a field must be. tag: a number, or "code"."""

    tag: str
    sign: str
    value: str

    def __str__(self) -> str:
        return f"{self.tag}{self.sign}{self.value}"


@dataclass(frozen=True)
class Step:
    """One line. act: send, expect, may or act. what: a MsgType or a verb. ids: ClOrdIDs by letter, the message's own first."""

    line: str
    act: str
    what: str
    ids: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Scenario:
    """One numbered flow. id: the standard's where it has one."""

    id: str
    title: str
    steps: tuple[Step, ...] = field(default=())


def scenarios(text: str) -> list[Scenario]:
    """Every scenario of a table: "# ID Title", then its lines. Raises BadScript."""
    found: list[Scenario] = []
    for line in filter(None, (raw.strip() for raw in text.splitlines())):
        if line.startswith("#"):
            name, _, title = line[1:].strip().partition(" ")
            found.append(Scenario(name, title.strip()))
        elif found:
            found[-1] = Scenario(found[-1].id, found[-1].title, (*found[-1].steps, step(line)))
        else:
            raise BadScript(f"{line}: no scenario begins before it")
    return found


def step(line: str) -> Step:
    """One line. Raises BadScript."""
    mark, *words = line.split()
    if mark not in MARKS or not words:
        raise BadScript(f"{line}: begins with none of {' '.join(MARKS)}")
    act, what = MARKS[mark], words[0]
    if act == "send":
        ids = words[1:2] if words[1:] and re.fullmatch(r"[A-Z]\d?", words[1]) else []
        return Step(line, act, what, tuple(ids), _fields(line, what, words[1 + len(ids) :]))
    if act == "act":
        return Step(line, act, what, tuple(words[1:]))
    ids = [w for w in words[1:] if re.fullmatch(r"[A-Z]\d?", w)]
    if what in VERBS:
        return Step(line, act, what, tuple(ids))
    found = [CONDITION.fullmatch(w) for w in words[1:] if w not in ids]
    if not all(found):
        raise BadScript(f"{line}: every condition is tag=value, tag>=value, tag~value or code=value")
    return Step(line, act, what, tuple(ids), (), tuple(Condition(m[1], m[2], m[3]) for m in found if m))


def _fields(line: str, msg_type: str, words: list[str]) -> tuple[tuple[str, str], ...]:
    """The message's fields in order, later words over earlier ones."""
    given: dict[str, str] = {}
    spelled = " ".join([ALWAYS.get(msg_type, ""), *(SETS.get(word, word) for word in words)])
    for word in spelled.split():
        name, equals, value = word.partition("=")
        if equals:
            given[name] = value
        elif word.startswith("-"):
            given.pop(word[1:], None)
        else:
            raise BadScript(f"{line}: {word} is no tag=value and no known set of fields")
    return tuple(given.items())
