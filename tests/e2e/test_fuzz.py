"""Some 1,500 messages that nobody should send, over sockets, in every version: no crash, no hang, every answer well formed,
and another client trades on as if nothing were.

FUZZ=100000 in the environment sends so many instead; `--hypothesis-seed=7` then names them. test_hostile has the single cases.
"""

import os
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.fuzz import ADMIN, APPLICATION, DIALECTS, Bad, Damage, Wire, damages, is_greedy, valid
from tests.e2e.street import replay
from tests.e2e.venue import Scripted, now

FUZZ = int(os.environ.get("FUZZ", "0"))
AT_ONCE = 5
# Before the logon there is little to get wrong, and a server has little patience.
KINDS = (*APPLICATION, *ADMIN)
STRANGE = st.sampled_from([False] * 39 + [True])
MESSAGES_MIN = FUZZ or 1_500
# Of every type in every version.
EACH_MIN = MESSAGES_MIN // 50
# All that the server has to say to what it does not like, or does: reports, cancel rejects, mass reports, business and session rejects.
ANSWERS = ("8", "9", "r", "j", "3")


class Calm:
    """A client in the midst of it: whatever the others send, its order works on, its questions are answered, and it hears of its own alone."""

    def __init__(self, street: Scripted) -> None:
        self.street, self.raw = street, street.client("CLIENT2")
        self.raw.order("CALM", t168=now(3_000), t126=now(6_000))
        assert self.raw.next()["150"] == "0"
        self.asked = 0

    def goes_on(self) -> None:
        self.asked += 1
        self.street.venue.quote("200.00", "200.02", 20_000)  # an old price would refuse its order
        self.raw.peer.send("1", (112, f"T{self.asked}"))
        self.raw.order(f"C{self.asked}", t168=now(3_000), t126=now(6_000))
        self.raw.peer.send("F", (11, f"X{self.asked}"), (41, f"C{self.asked}"), (60, now()), (55, "AAPL"), (54, 1), (38, 1_000))
        self.raw.peer.send("H", (11, "CALM"), (55, "AAPL"), (54, 1))
        told = [self.raw.next() for _ in range(4)]
        mine = [("C", "0"), ("X", "6"), ("X", "4")]
        assert [(t["11"], t["150"], t["39"]) for t in told] == [*((f"{name}{self.asked}", s, s) for name, s in mine), ("CALM", "I", "0")]


def _as_a_stranger(wire: Wire, message: Bad) -> None:
    """The first thing that is said on a connection, by somebody who has not logged on."""
    wire.hang_up()
    wire.connect()
    wire.send(message.raw(wire.header(message.msg_type, 1), valid(message.msg_type, "stranger", "")))
    wire.leave()


@pytest.fixture(scope="module")
def street(tmp_path_factory) -> Iterator[Scripted]:
    """A server that must live, stop in good order, and whose journal must replay."""
    scripted = Scripted(tmp_path_factory.mktemp("fuzz") / "street")
    scripted.client().close()
    yield scripted
    assert scripted.close() == 0
    assert "equal" in replay(scripted.state, "1")


@pytest.mark.timeout(0 if FUZZ else 1200)
def test_no_message_stops_the_server_or_bothers_another_client(street):
    """After every bad message the session is alive or closed; if closed it can log on again."""
    calm = Calm(street)
    wires = [Wire(street.port, dialect) for dialect in DIALECTS]
    sent: Counter[str] = Counter()
    known: set[str] = set()

    @settings(max_examples=-(-MESSAGES_MIN // AT_ONCE), deadline=None, derandomize=not FUZZ, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(damages, STRANGE), min_size=AT_ONCE, max_size=AT_ONCE))
    def fuzz(messages: list[tuple[Damage, bool]]) -> None:
        for damage, is_stranger in messages:
            number = sent.total()
            wire = wires[number % len(wires)]
            message = Bad(KINDS[number // len(wires) % len(KINDS)], *damage)
            name = f"{wire.dialect.session}-{number // 50}"
            if is_stranger:
                _as_a_stranger(wire, message)
                sent["strangers"] += 1
                continue
            wire.log_on_again()
            if name not in known:
                known.add(name)
                wire.set_number()
                wire.send(wire.good("D", wire.number, *((int(tag), value.decode()) for tag, value in valid("D", name, ""))))
            wire.set_number()
            raw = message.raw(wire.header(message.msg_type, wire.number), valid(message.msg_type, f"{name}.{number}", name))
            wire.send(raw)
            sent[f"{wire.dialect.session} {message.msg_type}"] += 1
            if is_greedy(raw):
                wire.hang_up()
            wire.is_answered()
        if sent.total() > 50 * calm.asked:
            calm.goes_on()

    fuzz()
    calm.goes_on()
    for wire in wires:
        wire.log_on_again()
        wire.set_number()
        # What is damaged is seldom a sound message of a type that has no place here: this one is, so that a j is among the answers.
        wire.send(wire.good("B", wire.number, (148, "News"), (33, "1"), (58, "Hello")))
        assert wire.is_answered()
        wire.hang_up()
    calm.raw.close()
    print(sent.total(), "messages,", {w.dialect.session: w.heard for w in wires})
    assert sent.total() >= MESSAGES_MIN
    assert sent["strangers"] >= MESSAGES_MIN // 100
    assert [kind for kind in ANSWERS if not any(wire.heard.get(kind) for wire in wires)] == []
    assert [kind for w in wires for t in KINDS if sent[kind := f"{w.dialect.session} {t}"] < EACH_MIN] == []
