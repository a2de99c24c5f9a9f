"""docs/controls.md says what the code does: its codes, its limits, its tests."""

import re
from pathlib import Path

from typer.testing import CliRunner

from algoserver.cli import app
from algoserver.controls import page
from algoserver.domain.controls import CONTROLS, LEVELS
from algoserver.domain.limits import LIMITS

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("risk", "admission", "breakers", "stops", "bounds", "proposals", "watch")
SAID = re.compile(
    r"""\b(?:no|over|over_value|_sum_over)\(\s*"([a-z_]+)"|alert\(\s*out, "([a-z_]+)"|pause\(out, parent, "([a-z_]+)"|\belse "([a-z_]+)", scope"""
    r"""|stops\.stop\(state, \w+, "([a-z_]+)"|(?:return|refused =) f?"([a-z_]+): |\("([a-z_]+): """
)
OF_NO_CONTROL = {"can_not_complete"}  # a plan that is late is no risk


def codes(room: str) -> set[str]:
    """What a room says to clients and operators."""
    return {code for found in SAID.findall((ROOT / "algoserver" / "core" / f"{room}.py").read_text()) for code in found if code}


def test_the_page_is_what_the_declarations_say(tmp_path: Path):
    """`algoserver controls` writes it anew."""
    assert page() == (ROOT / "docs" / "controls.md").read_text()
    doc = tmp_path / "controls.md"
    assert CliRunner().invoke(app, ["controls", "--doc", str(doc)]).exit_code == 0
    assert doc.read_text() == page()


def test_every_control_is_there_once_and_every_level_and_limit_is_one():
    """1 to 34."""
    assert [c.number for c in CONTROLS] == list(range(1, 35))
    assert {letter for c in CONTROLS for letter in c.levels} == set(LEVELS)
    assert {x.control for x in LIMITS} <= {c.number for c in CONTROLS if c.tests}


def test_every_code_of_the_gates_belongs_to_a_control():
    """And a control names no code that nothing says."""
    said = {code for room in ROOMS for code in codes(room)}
    assert {"killed", "price_collar", "order_to_trade", "restricted", "venues_denied", "gross_value_max", "price_moved", "stopped_by_limit"} <= said
    declared = {code for c in CONTROLS for code in c.codes}
    assert said - OF_NO_CONTROL - declared == set()
    elsewhere = {"not_sent", "refusals", "disconnected", "venue_down"}
    core = "".join(p.read_text() for p in (ROOT / "algoserver" / "core").glob("*.py"))
    assert [code for code in declared - said - elsewhere if f'"{code}' not in core] == []
    assert [code for code in elsewhere if f'"{code}"' not in core] == []


def test_every_named_test_and_room_exists():
    """By its whole name."""
    tests = {name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)}
    assert [name for c in CONTROLS for name in c.tests if name not in tests] == []
    assert [room for c in CONTROLS for room in c.rooms if not (ROOT / "algoserver" / room).is_file()] == []
    assert [c.number for c in CONTROLS if not (c.tests or c.missing)] == []
