"""A street that may do anything the wire allows (street_people.py), told to the core; after every event the books must hold (books.py).

HUNT=2000 in the environment tries so many random streets instead of the seeded few, of 60 steps each; `--hypothesis-seed=7` names
them. A failing one becomes a test by name. What happened is counted: a thing that never happened proves nothing.
"""

import os
import time
from typing import get_args

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture.providers import HypothesisProvider
from hypothesis.stateful import run_state_machine_as_test

from algoserver.domain import commands, events
from tests.core.books import HAPPENED
from tests.core.limits_book import RELEASED
from tests.core.street_people import Street

HUNT = int(os.environ.get("HUNT", "0"))
STEPS_A_STREET = 60
STREETS = HUNT or 380
STEPS_MIN = HUNT * STEPS_A_STREET * 9 // 10 or 20_000
# All that can be told and asked for, and each report that a client may get, happens this often in the seeded streets at least.
TIMES_MIN = 20
REPORTS = [f"ReportParent {name}" for name in (
    "NEW", "REJECTED", "TRADE", "TRADE_CANCEL", "TRADE_CORRECT", "PENDING_CANCEL", "CANCELED", "PENDING_REPLACE", "REPLACED", "ORDER_STATUS",
)]  # fmt: skip
EVENTS = [kind.__name__ for kind in get_args(events.ANY)]
# Limits that must have bound, and what persons must have done: a limit that is never met proves nothing.
BOUND_MIN = 1
BOUND = (
    "fill_not_heard", "fill_not_copied", "copy_differs", "gate_children_open_max", "gate_open_value_max", "gate_net_value_max",
    "gate_position_max", "gate_gross_value_max", "gate_repeats_max",
    "gate_traded_max", "gate_self_match", "gate_message_rate", "stopped_by_limit", "price_moved", "order_to_trade", "killed", "kill_verified",
    "released", "release by two", "policy by one", "policy by two", "override by two", "overridden", "approval_refused", "withdrawn",
    "on_disconnect pause", "on_disconnect cancel", RELEASED,
)  # fmt: skip
COMMANDS = [kind.__name__ for kind in get_args(commands.ANY) if kind is not commands.ReportParent]


@pytest.mark.timeout(0 if HUNT else 600)  # a failing street is made shorter for up to five minutes
def test_whatever_the_street_does_the_books_hold(monkeypatch):
    """At least 20,000 steps, in which everything that can happen has happened."""
    if not HUNT:  # else hypothesis draws numbers of the modules that are loaded too: other streets with other tests before this one
        monkeypatch.setattr(HypothesisProvider, "_maybe_draw_constant", lambda self, choice_type, constraints, **chance: None)
    began = time.monotonic()
    run_state_machine_as_test(
        Street,
        settings=settings(
            max_examples=STREETS, stateful_step_count=STEPS_A_STREET, deadline=None, derandomize=not HUNT, database=None, print_blob=False
        ),
    )
    print(f"{HAPPENED['step']} steps in {STREETS} streets, {time.monotonic() - began:.0f} s: {dict(HAPPENED)}")
    assert HAPPENED["step"] >= STEPS_MIN
    assert HUNT or [what for what in (*EVENTS, *COMMANDS, *REPORTS) if HAPPENED[what] < TIMES_MIN] == []
    assert HUNT or [what for what in BOUND if HAPPENED[what] < BOUND_MIN] == []
