"""Damaged messages of every type through decoder, core and encoders: no exception, and every answer is FIX in every version."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoserver.domain import commands
from algoserver.domain.events import Garbled
from algoserver.fix.codec import decode_client, encode_cancel_reject, encode_message_reject, encode_report
from algoserver.fix.mass_codec import encode_mass_cancel
from algoserver.fix.text import fields, readable
from algoserver.fix.versions import V42, V44, V50
from tests.core.day import AAPL, Day
from tests.e2e.fuzz import APPLICATION, DIALECTS, Bad, Damage, damages, valid

VERSIONS = {"CLIENT42": V42, "CLIENT1": V44, "CLIENT50": V50}
EXAMPLES = 150
# What was made of the messages: a fuzz of which everything is garbage, or nothing, proves little.
MADE: Counter[str] = Counter()


def _answers(day: Day, text: str, session: str) -> list[str]:
    """What the client is told, as bodies in its version."""
    event = decode_client(text, session, {"AAPL": AAPL})
    assert msgspec.json.decode(msgspec.json.encode(event), type=type(event)) == event, "the journal can't keep it"
    MADE["garbled" if isinstance(event, Garbled) else "understood"] += 1
    version, bodies = VERSIONS[session], []
    for c in day.feed(event):
        if isinstance(c, commands.ReportParent):
            bodies.append(encode_report(c, version))
        elif isinstance(c, commands.RejectCancel):
            bodies.append(encode_cancel_reject(c, version))
        elif isinstance(c, commands.ReportMassCancel):
            bodies.append(encode_mass_cancel(c, version))
        elif isinstance(c, commands.RejectMessage):
            bodies.append(encode_message_reject(c))
    return bodies


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.session)
def test_every_answer_to_a_damaged_message_is_fix(dialect):
    """As the engine hands it over, which may have less to say against it than we: tags are numbers, no field is empty."""
    MADE.clear()

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
    @given(st.lists(st.tuples(st.sampled_from(APPLICATION), damages), min_size=3, max_size=6))
    def fuzz(messages: list[tuple[str, Damage]]) -> None:
        day = Day()
        day.quote()
        day.parent("X", session=dialect.session)
        for number, (kind, damage) in enumerate(messages):
            header = [(b"8", dialect.begin_string.encode()), (b"35", kind.encode()), (b"34", b"%d" % (number + 2))]
            raw = Bad(kind, *damage).raw(header, valid(kind, f"Y{number}", "X"))
            text = readable(raw.decode("utf-8", "surrogateescape"))
            # The engine itself answers a message without a type.
            for body in _answers(day, text, dialect.session) if fields(text).get("35") else ():
                pairs = [pair.partition("=") for pair in body.split("\x01")[:-1]]
                assert body.endswith("\x01")
                assert all(tag.isdecimal() and equals and value for tag, equals, value in pairs), body

    fuzz()
    assert min(MADE["garbled"], MADE["understood"]) >= EXAMPLES // 2, MADE
