"""The rules of engagement say what the code does: its parameters and its codes."""

import re
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from algoserver.cli import app
from algoserver.domain.params import PARAMS, USES
from algoserver.policies import PolicyFile
from algoserver.policy_doc import TABLES
from algoserver.rules import NoPlace, render
from tests.core.test_requests import REFUSALS
from tests.e2e.test_hostile import BAD

ROOT = Path(__file__).resolve().parents[1]
DOC = ROOT / "docs" / "rules-of-engagement.md"
# Codes made from a name or chosen in place, which the patterns below can't see.
MADE = {"unknown_side", "unknown_ordtype", "unknown_timeinforce", "bad_number"}
# The gate's words about children, which an operator hears; and no code but a status.
NOT_OF_A_REQUEST = {
    "beyond_limit", "child_qty_max", "child_value_max", "children_open_max", "conservation", "duplicate_child", "message_count",
    "net_value_max", "no_limit_price", "no_parent", "not_the_parents", "open_value_max", "paused", "position_max", "repeats_max",
    "self_match", "traded_max", "venue_denied", "venue_shut", "venue_unusable",
}  # fmt: skip
SAID = re.compile(r"""\b(?:Unusable|no|over|over_value|_sum_over)\(\s*"([a-z_]+)"|Denied\("\w+", "([a-z_]+)"|f?"([a-z_]+): """)


def codes() -> set[str]:
    """Every code that a request can be answered with, as core and fix write it."""
    sources = [p.read_text() for room in ("core", "fix") for p in (ROOT / "algoserver" / room).glob("*.py")]
    return {next(filter(None, found)) for text in sources for found in SAID.findall(text)} - NOT_OF_A_REQUEST | MADE


def test_the_tables_are_what_the_declarations_say():
    """`algoserver atdl rules` writes them anew."""
    assert render(DOC.read_text()) == DOC.read_text()
    assert all(f"| {p.name} |" in DOC.read_text() for p in PARAMS)
    assert all(f"{s.name} {int(s)}" in DOC.read_text() for s in USES)


def test_every_code_is_explained():
    """A code that is new in the code fails here, and so does one that is gone."""
    text = DOC.read_text()
    assert codes() - set(re.findall(r"`([a-z_]+)`", text)) == set()
    assert set(re.findall(r"^\| `([a-z_]+)`(?:,.*?)? \|", text, re.MULTILINE)) - codes() == set()


def test_the_reasons_are_those_that_are_answered():
    """103 of each code that the tests of requests and of hostile clients provoke."""
    written = dict(re.findall(r"^\| `([a-z_]+)` \| (\d*) \|", DOC.read_text(), re.MULTILINE))
    answered = {(code, str(reason)) for code, reason, _ in REFUSALS} | {(code, reason) for *_, code, reason in BAD.values()}
    assert {(code, written.get(code)) for code, _ in answered} == answered


def test_a_parameter_that_changed_is_written_by_the_command(tmp_path):
    """A stale table is replaced, the words around it stay."""
    stale = tmp_path / "rules.md"
    stale.write_text(DOC.read_text().replace("| MaxPctVol |", "| MaxPctOfOldDays |"))
    done = CliRunner().invoke(app, ["atdl", "rules", "--doc", str(stale)])
    assert (done.exit_code, stale.read_text()) == (0, DOC.read_text())


def test_a_document_without_a_place_is_an_error():
    """Which place is missing is said."""
    with pytest.raises(NoPlace, match="generated: parameters"):
        render("# Rules\n")


def test_the_policys_document_has_every_key_of_its_file(tmp_path):
    """`algoserver policy rules` writes its tables; a limit that is new in the code fails here."""
    path = ROOT / "docs" / "policy.md"
    assert render(path.read_text(), TABLES) == path.read_text()
    keys = {f.name for f in msgspec.structs.fields(PolicyFile)} - {"name"}
    assert {key for key in keys if f"`{key}`" not in path.read_text() and f"[[{key}]]" not in path.read_text()} == set()
    stale = tmp_path / "policy.md"
    stale.write_text(path.read_text().replace("| `collar_ticks` |", "| `collar_of_old_days` |"))
    done = CliRunner().invoke(app, ["policy", "rules", "--doc", str(stale)])
    assert (done.exit_code, stale.read_text()) == (0, path.read_text())


def test_the_policy_of_the_repository_says_every_key_that_the_firm_can_set():
    """With its unit, or as an example in a comment."""
    text = (ROOT / "cfg" / "policy.toml").read_text()
    keys = {f.name for f in msgspec.structs.fields(PolicyFile)}
    assert {key for key in keys if not re.search(rf"\b{key}\b", text)} == set()
