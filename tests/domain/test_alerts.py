"""The table of alerts is whole: every code that the sources raise is declared, every declared one is raised, and the page says the same."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from algoserver.alerts_page import page
from algoserver.domain.alerts import ALERTS, GATE, KINDS, Ending, Severity, is_told_only, lasts

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {p.name: p.read_text() for room in ("", "core", "fix") for p in (ROOT / "algoserver" / room).glob("*.py")}
TREES = {name: ast.parse(text) for name, text in SOURCES.items()}
# Where the code stands among the arguments; a call of RaiseAlert says it by name.
PLACE = {"alert": 1, "pause": 2}
# Of parents and amends alone, which the gate for children never says.
OF_PARENTS = {"duplicate_order"}
DENIED = re.compile(r"""\b(?:no|over|over_value|_sum_over)\(\s*"([a-z_]+)"|f?"([a-z_]+): """)


def raised() -> set[str]:
    """Every code that alert(), pause() and RaiseAlert are called with, wherever it was chosen; the gate's have a test of their own."""
    found: set[str] = set()
    for name, tree in TREES.items():
        for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)):
            said = {k.arg: k.value for k in call.keywords}.get("code") if call.func.id == "RaiseAlert" else None
            if call.func.id in PLACE and name != "reports.py":
                said = call.args[PLACE[call.func.id]]
            if said is not None and name != "alerts.py":
                found |= set(_texts(said, tree))
    return found


def _texts(said: ast.expr, tree: ast.Module) -> Iterator[str]:
    """What an expression may be: a text, one of two, a name that was given one, a parameter of a stop, or a venue's Garbled."""
    if isinstance(said, ast.Constant):
        yield said.value
    elif isinstance(said, ast.IfExp):
        yield from (*_texts(said.body, tree), *_texts(said.orelse, tree))
    elif isinstance(said, ast.Name):
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                yield from _assigned(node.targets[0], node.value, said.id, tree)
            elif isinstance(node, ast.FunctionDef):
                given = zip(node.args.args[::-1], node.args.defaults[::-1], strict=False)
                yield from (d.value for a, d in given if a.arg == said.id and isinstance(d, ast.Constant))
        for its, call in ((other, n) for other in TREES.values() for n in ast.walk(other) if isinstance(n, ast.Call)):
            if isinstance(call.func, ast.Attribute) and call.func.attr in ("stop", "release") and tree is not its:
                for given_code in (k.value for k in call.keywords if k.arg == said.id):
                    yield from _texts(given_code, its)
    elif isinstance(said, ast.Attribute):
        if ast.unparse(said) == "alert.code":
            return  # one that the book has: it was declared when it was raised
        assert ast.unparse(said) == "event.code"
        yield from re.findall(r'(?:code, problem = |Garbled\(.*code=)"([a-z_]+)"', SOURCES["venue_codec.py"] + SOURCES["server.py"])
        yield from re.findall(r'"(disk_[a-z]+)", "', SOURCES["health.py"])
        warning = "".join(SOURCES[name] for name in ("opening.py", "forecast.py", "clock.py"))
        yield from re.findall(r'(?:MachineWarned\(code=|UNENFORCED = |BEHIND = )"([a-z_]+)"', warning)
    else:
        assert isinstance(said, ast.JoinedStr)
        assert ast.unparse(said) == "f'gate_{denied.code}'"


def _assigned(target: ast.expr, value: ast.expr, name: str, tree: ast.Module) -> Iterator[str]:
    if isinstance(target, ast.Name) and target.id == name:
        yield from _texts(value, tree)
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.IfExp):
        yield from (*_assigned(target, value.body, name, tree), *_assigned(target, value.orelse, name, tree))
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, its in zip(target.elts, value.elts, strict=True):
            yield from _assigned(one, its, name, tree)


def denied() -> set[str]:
    """Every code of the gate for children."""
    texts = SOURCES["risk.py"], SOURCES["bounds.py"]
    return {next(filter(None, match)) for text in texts for match in DENIED.findall(text)} - OF_PARENTS


def test_every_alert_that_a_source_raises_is_declared_and_no_other():
    """A new code needs its line in domain/alerts; a line whose code is gone must go."""
    declared = {k.code for k in KINDS}
    assert raised() - declared == set()
    assert declared - raised() == set()


def test_every_refusal_of_the_gate_is_declared_and_no_other():
    """As an alert it is gate_ and its code."""
    declared = {k.code for k in GATE}
    assert denied() - declared == set()
    assert declared - denied() == set()
    assert {f"gate_{code}" for code in declared} < set(ALERTS)


def test_the_table_makes_sense():
    """A code once; meaning and action for all; what ends another exists; a critical alert is something to do."""
    assert len(ALERTS) == len(KINDS) + len(GATE)
    for k in ALERTS.values():
        assert k.meaning
        assert k.to_do
        assert not set(k.ends) - set(ALERTS)
        assert not (k.severity is Severity.CRITICAL and k.to_do == "nothing")
        assert k.severity is not Severity.INFO or is_told_only(k) or lasts(k)
    assert {ALERTS[f"gate_{k.code}"].ending for k in GATE if k.severity is not Severity.CRITICAL} == {Ending.ORDER}


def test_the_page_is_made_from_the_table():
    """`.venv/bin/python -m algoserver.alerts_page > docs/alerts.md` writes it anew."""
    assert (ROOT / "docs" / "alerts.md").read_text() == page()
