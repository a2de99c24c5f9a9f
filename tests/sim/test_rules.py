"""Every rule of the simulator has a test under its id, and the page says what the rooms say."""

import re

from tests.sim.fixclient import ROOT
from tools.venue_rules import PAGE, page, rules


def test_every_rule_has_a_test_under_its_id():
    """STOP-1 is tested by some test_..._stop_1_... of tests/sim."""
    names = "\n".join(n for p in (ROOT / "tests" / "sim").glob("test_*.py") for n in re.findall(r"^def (test_\w+)", p.read_text(), re.MULTILINE))
    ids = [number for said in rules().values() for number in said]
    assert len(ids) == len(set(ids)) > 50
    assert [i for i in ids if f"_{i.lower().replace('-', '_')}_" not in names] == []


def test_the_page_has_the_rules_as_the_rooms_have_them():
    """tools/venue_rules.py was run."""
    assert PAGE.read_text() == page()
