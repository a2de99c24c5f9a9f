"""Who may do what, and what two persons decide: through algoctl on a real socket, with two tokens."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from algoserver import control
from algoserver.cli import app as server_app
from algoserver.control import QUESTIONS
from algoserver.core import stops
from algoserver.core.proposals import LAPSES_NS
from algoserver.credentials import token_hash
from algoserver.domain.commands import RaiseAlert
from algoserver.domain.types import MINUTE
from algoserver.door import Caller
from algoserver.operators import ROLES, VERBS, Known, OperatorEntry, Operators, Unknown, load_operators, table
from algoserver.porter import Porter
from algoserver.rules import placed
from algoserver.settings import BadConfig
from tests.core.day import POLICY, Day, policy_loaded
from tests.desk import PERSONS, TOKENS, Street

ROOT = Path(__file__).resolve().parents[1]
SMALL = msgspec.structs.replace(POLICY, parent_qty_max=1_000)
TERMS = ("--client", "CLIENT1", "--symbol", "AAPL", "--side", "buy", "--qty", "3000", "--minutes", "10", "--reason", "client called")


def test_a_release_needs_two_persons_and_a_kill_one(firm):
    """The first asks, and nothing is open; the second opens it. The journal's alert has both names."""
    assert firm.by("tim", "kill", "--reason", "drill").exit_code == 0
    assert firm.day.state.gate.killed == "tim: drill"
    asked = firm.by("bob", "release", "--yes", "--reason", "over")
    assert (asked.exit_code, "waits for another person" in asked.stderr) == (0, True), asked.stderr
    assert firm.day.state.gate.killed
    (row,) = firm.waiting()
    assert (row["verb"], row["target"], row["by"], row["reason"], row["has_lapsed"]) == ("release", "firm", "bob", "over", False)
    again = firm.by("ann", "release", "--yes")
    assert (again.exit_code, f"approve {row['id']}" in again.stderr) == (5, True)
    assert firm.by("ann", "approval", "approve", row["id"]).exit_code == 0
    assert (firm.day.state.gate.killed, firm.waiting()) == ("", [])
    assert [c.text for c in firm.day.commands if isinstance(c, RaiseAlert) and c.code == "released"] == ["by bob and ann: over"]


def test_the_maker_can_not_approve_and_a_trader_may_not(firm):
    """Exit 4 for both; the proposal stays."""
    firm.by("ann", "kill")
    firm.by("ann", "release", "--yes")
    proposal = firm.waiting()[0]["id"]
    own = firm.by("ann", "approval", "approve", proposal)
    assert (own.exit_code, "another person must" in own.stderr) == (4, True)
    denied = firm.by("tim", "approval", "approve", proposal)
    assert (denied.exit_code, "tim has role trader; approval.approve needs roles risk or admin" in denied.stderr) == (4, True)
    assert firm.day.state.gate.killed
    assert firm.waiting()[0]["id"] == proposal


def test_a_proposal_lapses_and_can_be_withdrawn(firm):
    """After an hour it is too late, even if nothing has happened since; a withdrawn one is gone."""
    firm.by("ann", "kill")
    firm.by("ann", "release", "--yes")
    first = firm.waiting()[0]["id"]
    firm.day.now += LAPSES_NS + MINUTE
    assert firm.waiting()[0]["has_lapsed"] is True
    late = firm.by("bob", "approval", "approve", first)
    assert (late.exit_code, "lapsed" in late.stderr) == (5, True)
    assert firm.by("ann", "release", "--yes").exit_code == 0
    (second,) = (row["id"] for row in firm.waiting())
    assert firm.by("bob", "approval", "approve", first).exit_code == 3
    assert firm.by("tim", "approval", "withdraw", second).exit_code == 0
    assert firm.by("bob", "approval", "approve", second).exit_code == 3
    assert firm.waiting() == []
    assert firm.day.state.gate.killed


def test_an_override_lets_exactly_one_order_pass_and_expires(firm):
    """Two persons; the next order of its kind is refused again, and what is not used in time is worth nothing."""
    day = firm.day = Day(policy_loaded(policy=SMALL))
    day.quote()
    assert firm.by("tim", "risk", "override", *TERMS).exit_code == 0
    day.parent("A", 3_000)
    assert day.reports("A")[-1].text.startswith("parent_qty_max")
    assert firm.by("ann", "approval", "approve", firm.waiting()[0]["id"]).exit_code == 0
    for cl_ord_id, qty, passes in (("B", 3_001, False), ("C", 3_000, True), ("D", 3_000, False)):
        day.parent(cl_ord_id, qty)
        assert day.reports(cl_ord_id)[-1].text.startswith("parent_qty_max") != passes, cl_ord_id
    firm.by("tim", "risk", "override", *TERMS)
    firm.by("ann", "approval", "approve", firm.waiting()[0]["id"])
    day.now += 10 * MINUTE + 1
    day.quote()
    day.parent("E", 3_000)
    assert day.reports("E")[-1].text.startswith("parent_qty_max")


@pytest.mark.parametrize(
    ("changed", "status", "text"),
    [
        (("--client", "CLIENT9"), 3, "no client 'CLIENT9' is known"),
        (("--symbol", "NONE"), 3, "no symbol 'NONE' is known"),
        (("--side", "up"), 2, "side 'UP' is not one of"),
        (("--qty", "0"), 2, "not a positive multiple of lot"),
        (("--qty", "-5"), 2, "qty"),
        (("--qty", "1.5"), 2, "qty"),
        (("--minutes", "0"), 2, "minutes '0' is not a whole number from 1 to 60"),
        (("--minutes", "61"), 2, "minutes '61'"),
        (("--minutes", "1e1"), 2, "minutes '1e1'"),
        (("--reason", ""), 2, "an override needs a reason"),
    ],
)
def test_an_override_has_sane_terms(firm, changed, status, text):
    """What can't be meant is refused, and nothing waits."""
    done = firm.by("tim", "risk", "override", *TERMS, *changed)
    assert (done.exit_code, text in done.stderr) == (status, True), done.stderr
    assert firm.waiting() == []


def test_a_limits_stop_is_re_enabled_and_a_persons_kill_is_not(firm):
    """Two persons; re-enable is not another way to release what a person has killed."""
    stops.stop(firm.day.state, "algo:TWAP@AAPL", "repeats_max", "too many", [], is_automatic=True)
    assert firm.by("bob", "risk", "re-enable", "algo:TWAP@AAPL", "--yes").exit_code == 0
    assert firm.by("ann", "approval", "approve", firm.waiting()[0]["id"]).exit_code == 0
    assert firm.day.state.gate.stops == {}
    firm.by("ann", "kill", "--scope", "symbol:AAPL")
    refused = firm.by("bob", "risk", "re-enable", "symbol:AAPL", "--yes")
    assert (refused.exit_code, "was stopped by a person" in refused.stderr) == (5, True)


def test_one_person_needs_no_second_one(tmp_path):
    """Nobody is named: the server's own user releases and overrides at once, and the status says so."""
    alone = Street(tmp_path)
    alone.door.start()
    assert alone.ctl("kill").exit_code == 0
    assert alone.json("release", "--yes")["awaits_approval"] is False
    assert alone.day.state.gate.killed == ""
    assert alone.json("risk", "override", *TERMS)["awaits_approval"] is False
    assert len(alone.day.state.gate.overrides) == 1
    assert alone.json("status")["operators"].startswith("one person: the server's own user has every role")
    alone.door.stop()


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_is_for_its_roles_and_nobody_else(tmp_path, verb):
    """From the table: a role that has it is let through, one that has not is denied and told which it takes."""
    persons = [OperatorEntry(name=role, roles=[role], token=token_hash(TOKENS[role])) for role in ROLES]
    asked: list[str] = []

    class NoAudit:
        damage = head = ""

        def flush(self) -> str:
            return ""

        def write(self, line: dict[str, Any], patience_s: float = -1) -> str:
            return ""

        def knows(self, seq: int) -> bool:
            return True

        def tail(self, count: int) -> list[Any]:
            asked.append("tail")
            return []

        def verify(self, seq: int, head: str) -> tuple[int, str]:
            return 0, ""

    def ask(request: dict[str, Any], operator: str, late: Any) -> dict[str, Any]:
        asked.append(operator)
        return {}

    porter = Porter(Operators(persons), NoAudit(), ask)
    for role in ROLES:
        asked.clear()
        said = porter.ask({"verb": verb}, Caller(4_000_000_001, "x", TOKENS[role]))
        if role in VERBS[verb]:
            assert (bool(asked), "error" in said) == (True, False), role
        else:
            assert (asked, said["error"]["code"]) == ([], "denied"), role
            assert all(wanted in said["error"]["text"].partition("needs")[2] for wanted in VERBS[verb])


def test_every_verb_that_the_core_answers_is_in_the_table():
    """Each question too; what is not there is for admins alone."""
    found = {verb for verb in QUESTIONS if verb != control.MARK} | set(control.ORDER_VERBS) | set(control.TWO_PERSONS)
    assert found <= set(VERBS)
    sources = "".join(path.read_text() for path in (ROOT / "algoserver").glob("*.py") if path.name != "operators.py")
    assert [verb for verb in VERBS if f'"{verb}"' not in sources] == []
    assert Known("x", "token", ("risk", "trader")).role_for("no.such") == ""
    assert Known("x", "token", ("admin",)).role_for("no.such") == "admin"


def test_a_person_is_known_by_token_or_user_and_a_stranger_is_nobody(firm):
    """A wrong token is not made good by the right user; who is not named may not even look."""
    wrong = firm.by("not-a-token", "status")
    assert (wrong.exit_code, "is nobody's" in wrong.stderr) == (4, True)
    assert "not-a-token" not in (firm.state_dir / "audit.jsonl").read_text()
    bare = firm.ctl("kill")
    assert (bare.exit_code, "set ALGOCTL_TOKEN" in bare.stderr, firm.day.state.gate.killed) == (4, True, "")
    by_user = Operators([*PERSONS, OperatorEntry(name="una", roles=["admin"], user="una-unix")])
    assert by_user.who(Caller(7, "una-unix")) == Known("una", "uid 7", ("admin",))
    assert isinstance(by_user.who(Caller(7, "una-unix", "wrong")), Unknown)
    assert by_user.who(Caller(7, "una-unix", TOKENS["tim"])) == Known("tim", "token", ("trader",))
    assert isinstance(Operators([]).who(Caller(4_000_000_001, "eve")), Unknown)
    assert isinstance(Operators([]).who(Caller(os.geteuid(), "me")), Known)


HASH = token_hash("x")
OTHER = token_hash("y")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[operators]]\nname = "ann"\nroles = ["boss"]\ntoken = "HASH"', "operators 'ann': `roles` has 'boss'; there are viewer"),
        ('[[operators]]\nname = "ann"\nroles = []\ntoken = "HASH"', "`roles` is empty"),
        ('[[operators]]\nname = "ann"\nroles = ["risk"]\ntoken = "secret"', "operators 'ann': `token` is no hash of one"),
        ('[[operators]]\nname = "ann"\nroles = ["risk"]', "operators 'ann': give `user` or `token`"),
        ('[[operators]]\nname = "server"\nroles = ["risk"]\ntoken = "HASH"', "`name` has up to 32"),
        ('[[operators]]\nname = "ann"\nrole = "risk"', "role"),
        (
            '[[operators]]\nname = "ann"\nroles = ["risk"]\ntoken = "HASH"\n[[operators]]\nname = "ann"\nroles = ["risk"]\ntoken = "OTHER"',
            "operators 'ann': `name` is that of another already",
        ),
        (
            '[[operators]]\nname = "ann"\nroles = ["risk"]\ntoken = "HASH"\n[[operators]]\nname = "bob"\nroles = ["risk"]\ntoken = "HASH"',
            "operators 'bob': `token` is that of 'ann' already",
        ),
        ('[[operators]]\nname = "ann"\nroles = ["risk"]\ntoken = "HASH"', "no two of them could release a kill"),
        (
            '[[operators]]\nname = "ann"\nroles = ["risk"]\nuser = "no-such-user"\n[[operators]]\nname = "bob"\nroles = ["risk"]\ntoken = "HASH"',
            "operators 'ann': `user` 'no-such-user' is no user of this machine",
        ),
    ],
)
def test_a_wrong_persons_file_is_refused_with_its_place(tmp_path, text, said):
    """File, entry, key; a secret that was put there by mistake is not repeated."""
    file = tmp_path / "operators.toml"
    file.write_text(text.replace("HASH", HASH).replace("OTHER", OTHER))
    with pytest.raises(BadConfig) as wrong:
        load_operators(file)
    assert str(wrong.value).startswith(f"{file}: ")
    assert said in str(wrong.value), str(wrong.value)
    assert "secret" not in str(wrong.value)


def test_the_shipped_file_names_nobody():
    """As installed there is one person."""
    assert load_operators(ROOT / "cfg" / "operators.toml").is_alone


def test_a_token_is_made_with_its_hash():
    """Two lines: what the person keeps, and what the file takes."""
    kept, taken = CliRunner().invoke(server_app, ["token"]).stdout.splitlines()
    assert taken == f'token = "{token_hash(kept.removeprefix("ALGOCTL_TOKEN="))}"'


def test_the_document_has_the_table_as_it_is_declared():
    """`algoserver roles --doc docs/controls-people.md` writes it."""
    text = (ROOT / "docs" / "controls-people.md").read_text()
    assert placed(text, "roles", table()) == text
