"""The export of a real journal, counted again from its bytes by other means: nothing is missing, nothing is twice, nothing is whose it is not."""

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard
from typer.testing import CliRunner, Result

from algoserver.cli import app
from algoserver.core.engine import step
from algoserver.core.orders import ord_status
from algoserver.core.state import State
from algoserver.domain import events as e
from algoserver.domain.params import AlgoParams
from algoserver.domain.types import SECOND, OrdType, Side, utc, utc_text
from algoserver.export.columns import TABLES
from algoserver.export.files import moment
from algoserver.export.page import page
from algoserver.journal import Journal
from algoserver.policies import digest_of
from tests.core.day import Day
from tests.desk import Firm

ROOT = Path(__file__).resolve().parents[1]
REPORTS = {"ReportParent": "8", "RejectCancel": "9", "ReportMassCancel": "r", "RejectMessage": "j"}
REQUESTS = ("CancelRequested", "ReplaceRequested", "MassCancelRequested", "StatusRequested", "MassStatusRequested", "TradeDisputed")
POLICY_TEXT = (ROOT / "cfg" / "policy.toml").read_text()


@pytest.fixture
def away(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside of the state directory."""
    return tmp_path_factory.mktemp("export")


def eventful(firm: Firm) -> None:
    """An hour in which everything happens that an export has a place for."""
    day = firm.day
    day.accept(firm.child)
    day.fill(firm.child, 300, exec_id="E-a")
    day.fill(firm.child, 300, exec_id="E-a")
    day.fill(firm.child, 100, exec_id="E-b")
    day.correct(firm.child, "E-b", 150)
    day.bust(firm.child, "E-a")
    day.parent("P1")
    day.parent("P2", qty=2_000_000)
    day.parent("P3", qty=500)
    day.feed(e.ReplaceRequested(session="CLIENT1", cl_ord_id="R1", orig_cl_ord_id="P3", symbol="AAPL", side=Side.BUY, ord_type=OrdType.MARKET,
                                order_qty=700, params=AlgoParams(urgency=4), given=("urgency",)))  # fmt: skip
    day.cancel("P3", "C1")
    day.cancel("nobody", "C2")
    day.feed(e.StatusRequested(session="CLIENT1", cl_ord_id="P1"))
    day.feed(e.MassStatusRequested(session="CLIENT1", mass_status_req_id="M1", request_type="7"))
    day.feed(e.TradeDisputed(session="CLIENT1", order_id=day.order().parent_id, exec_id="X", dk_reason="A", text="not ours"))
    day.feed(e.Garbled(session="CLIENT1", msg_type="D", code="bad_side", text="side 9", reject_reason=0, cl_ord_id="G1", symbol="AAPL"))
    day.feed(e.ForeignOrderReported(session="XLIT2", child_id="who", ord_status="0", symbol="AAPL", side="1", order_qty=10, cum_qty=0))
    firm.by("tim", "order", "resume", "P1", "--reason", '=news, "and" more')
    firm.by("vic", "kill")
    applied = firm.state_dir / "new.toml"
    applied.write_text(POLICY_TEXT.replace('name = "firm"', 'name = "tighter"'))
    asked = firm.by("bob", "policy", "apply", str(applied), "--yes", "--reason", "quarter")
    assert asked.exit_code == 0, asked.stderr
    for row in firm.waiting():
        assert firm.by("ann", "approval", "approve", row["id"]).exit_code == 0
    assert day.state.setup.policy.name == "tighter"
    day.quote()
    day.parent("P4", qty=400)
    firm.by("tim", "kill", "--reason", "drill")
    day.canceled(firm.child)
    day.feed(e.MassCancelRequested(session="CLIENT1", cl_ord_id="Q1", request_type="7"))


def journaled(day: Day, state_dir: Path, segment_bytes_max: int = 8_000) -> None:
    """Write what a server would have: events, and what each step said."""
    state = State()
    with Journal(state_dir / "journal", segment_bytes_max=segment_bytes_max) as journal:
        for event in day.fed:
            journal.append_input(event)
            said = step(state, event)
            if said:
                journal.append_outputs(event.seq, said)
            journal.commit()
        journal.compress_closed()


def raw(state_dir: Path) -> tuple[dict[int, dict[str, Any]], list[dict[str, Any]]]:
    """The journal by nothing of ours but zstd: events by seq, outputs."""
    inputs: dict[int, dict[str, Any]] = {}
    outputs: list[dict[str, Any]] = []
    for path in sorted((state_dir / "journal").glob("*.log*")):
        data = path.read_bytes()
        if path.suffix == ".zst":
            data = zstandard.ZstdDecompressor().stream_reader(data).read()
        for line in data.splitlines():
            body = json.loads(line[11:])
            if line[:1] == b"I":
                inputs[body["seq"]] = body
            elif line[:1] == b"O":
                outputs.append(body)
    return inputs, outputs


def exported(state_dir: Path, out: Path, *more: str) -> dict[str, list[dict[str, Any]]]:
    """Run the command; its tables, from JSON lines, and the same from CSV."""
    done = run(state_dir, out, *more)
    assert done.exit_code == 0, done.stderr
    said, tables = json.loads((out / "export.json").read_text()), {}
    for table in TABLES:
        rows = [json.loads(line) for line in (out / f"{table.name}.jsonl").read_text().splitlines()]
        with (out / f"{table.name}.csv").open(newline="") as file:
            flat = list(csv.DictReader(file))
        assert flat == [{k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in row.items()} for row in rows]
        assert [tuple(row) for row in rows[:1]] in ([], [table.names])
        assert len({row["id"] for row in rows}) == len(rows) == said["tables"][table.name]["rows"]
        for kind in ("jsonl", "csv"):
            text = (out / f"{table.name}.{kind}").read_bytes()
            assert hashlib.sha256(text).hexdigest() == said["tables"][table.name][f"{table.name}.{kind}"]
        tables[table.name] = rows
    return tables


def run(state_dir: Path, out: Path, *more: str) -> Result:
    """`algoserver export`."""
    return CliRunner().invoke(app, ["export", "--state", str(state_dir), "--out", str(out), *more])


def agrees(state_dir: Path, tables: dict[str, list[dict[str, Any]]], last_seq: int = 2**63) -> None:
    """Counts and quantities are the journal's."""
    inputs, outputs = raw(state_dir)
    inputs = {seq: x for seq, x in inputs.items() if seq <= last_seq}
    outputs = [x for x in outputs if x["seq"] <= last_seq]
    types = Counter(x["type"] for x in inputs.values())
    said = Counter(x["command"]["type"] for x in outputs)
    clients = next(x["clients"] for x in inputs.values() if x["type"] == "PolicyLoaded")
    garbled = sum(x["type"] == "Garbled" and x["session"] in clients for x in inputs.values())
    assert len(tables["parents"]) == types["ParentRequested"]
    assert len(tables["requests"]) == sum(types[name] for name in REQUESTS) + garbled
    assert Counter(row["msg_type"] for row in tables["reports"]) == Counter({m: said[n] for n, m in REPORTS.items() if said[n]})
    assert len(tables["alerts"]) == said["RaiseAlert"] + said["EndAlert"]
    sent = [x["command"] for x in outputs if x["command"]["type"] == "SendChild"]
    assert [(row["child_id"], int(row["order_qty"]), row["client"], row["algo"]) for row in tables["children"]] == [
        (x["child_id"], x["order_qty"], x["client"], x["algo"]) for x in sent
    ]
    told = [x["command"] for x in outputs if x["command"]["type"] == "ReportParent"]
    assert [(r["exec_id"], int(r["cum_qty"])) for r in tables["reports"] if r["msg_type"] == "8"] == [(x["exec_id"], x["cum_qty"]) for x in told]
    assert Counter(row["kind"] for row in tables["executions"]) == Counter(
        {k: types[n] for k, n in (("trade", "ChildFilled"), ("bust", "FillBusted"), ("correction", "FillCorrected")) if types[n]}
    )
    fills = {(x["child_id"], x["exec_id"]): x["last_qty"] for x in inputs.values() if x["type"] == "ChildFilled"}
    trades = [row for row in tables["executions"] if row["kind"] == "trade" and not row["is_repeat"]]
    assert {(row["child_id"], row["exec_id"]): int(row["last_qty"]) for row in trades} == fills
    assert len(trades) == len(fills)
    for rows in tables.values():
        for row in rows:
            if row["seq"] != "":
                assert row["ts_ns"] == inputs[row["seq"]]["ts"]


def test_counts_and_quantities_are_the_journals_and_every_row_is_somebodys(firm, away):
    """Over several segments, some compressed; busts and corrections in the books, and each row with its client, algo and policy."""
    eventful(firm)
    journaled(firm.day, firm.state_dir)
    assert len(list((firm.state_dir / "journal").glob("*.zst"))) >= 1
    before = {p: p.read_bytes() for p in firm.state_dir.rglob("*") if p.is_file()}
    tables = exported(firm.state_dir, away / "out")
    assert {p: p.read_bytes() for p in firm.state_dir.rglob("*") if p.is_file()} == before
    agrees(firm.state_dir, tables)
    by_id = {row["cl_ord_id"]: row for row in tables["parents"] if row["result"] != "duplicate"}
    state = firm.day.state
    for name, row in by_id.items():
        assert (int(row["cum_qty"]), row["ord_status"]) == (firm.day.order(name).order.cum_qty, ord_status(firm.day.order(name).order)), name
    assert {name: row["result"] for name, row in by_id.items()} == {"P1": "accepted", "P2": "rejected", "P3": "accepted", "P4": "accepted"}
    assert by_id["P2"]["text"].startswith("parent_")
    (child,) = [row for row in tables["children"] if row["child_id"] == firm.child.child_id]
    assert int(child["cum_qty"]) == state.children[firm.child.child_id].order.cum_qty == 150
    assert (child["status"], child["order_id"], child["client"], child["algo"]) == ("canceled", by_id["P1"]["order_id"], "CLIENT1", "TWAP")
    assert [(r["request"], r["answer"]) for r in tables["requests"]] == [
        ("replace", "accepted"), ("cancel", "accepted"), ("cancel", "rejected"), ("status", "accepted"), ("mass_status", "accepted"),
        ("dispute", "none"), ("unreadable", "rejected"), ("mass_cancel", "accepted"),
    ]  # fmt: skip
    assert (tables["requests"][0]["params"], tables["requests"][0]["order_qty"]) == ('{"Urgency":4}', "700")
    assert tables["requests"][2]["text"].startswith("unknown_order")


def test_commands_have_who_why_and_the_policy_that_was_in_force(firm, away):
    """From the audit, refused ones too; each row of the day has the digest that held at its moment."""
    eventful(firm)
    journaled(firm.day, firm.state_dir)
    tables = exported(firm.state_dir, away / "out")
    lines = [json.loads(line) for line in (firm.state_dir / "audit.jsonl").read_text().splitlines()]
    audited = [row for row in tables["commands"] if row["source"] == "audit"]
    assert sorted(row["audit_line"] for row in audited) == [line["n"] for line in lines]
    resumed = next(row for row in audited if row["verb"] == "order.resume")
    assert (resumed["person"], resumed["reason"], resumed["result"], resumed["role"]) == ("tim", '=news, "and" more', "done", "trader")
    assert {(row["person"], row["result"]) for row in audited if row["verb"] == "kill"} == {("vic", "denied"), ("tim", "done")}
    new = digest_of(POLICY_TEXT.replace('name = "firm"', 'name = "tighter"').encode())
    assert [(row["name"], row["policy"]) for row in tables["policies"]] == [("test", ""), ("tighter", new)]
    assert tables["policies"][1]["by"] == "bob"
    turn = tables["policies"][1]["seq"]
    for name in ("parents", "reports", "children", "executions"):
        assert {row["policy"] for row in tables[name] if row["seq"] < turn} <= {""}
        assert {row["policy"] for row in tables[name] if row["seq"] > turn} <= {new}
    assert tables["reports"][-1]["seq"] > turn


def test_a_range_has_its_rows_and_every_order_that_they_name(firm, away):
    """Two halves are the whole, row for row and id for id; a fill of the second half leads to its order of the first."""
    eventful(firm)
    journaled(firm.day, firm.state_dir)
    middle = next(x for x in firm.day.fed if isinstance(x, e.FillBusted)).ts
    text = moment_text(middle)
    whole = exported(firm.state_dir, away / "whole")
    first, second = exported(firm.state_dir, away / "a", "--to", text), exported(firm.state_dir, away / "b", "--from", text)
    for name in ("requests", "reports", "child_events", "executions", "alerts"):
        assert first[name] + second[name] == whole[name]
        assert all(row["ts_ns"] < middle for row in first[name])
    (bust,) = [row for row in second["executions"] if row["kind"] == "bust"]
    assert bust["order_id"] in {row["order_id"] for row in second["parents"]}
    assert bust["child_id"] in {row["child_id"] for row in second["children"]}
    assert [row["name"] for row in second["policies"]] == ["test", "tighter"]
    assert moment("2019-06-28") == moment("20190628") == utc("20190628-00:00:00")


def moment_text(ts: int) -> str:
    """YYYYMMDD-HH:MM:SS.nnnnnnnnn."""
    return f"{utc_text(ts).partition('.')[0]}.{ts % SECOND:09d}"


@pytest.mark.parametrize("what", ["flipped", "garbage", "audit"])
def test_damage_is_named_and_leaves_no_folder_unless_what_is_before_it_is_wanted(firm, away, what):
    """The file, byte and line; with --until-damage the rows before it, and exit status 6."""
    eventful(firm)
    journaled(firm.day, firm.state_dir, 2**30)
    (log,) = (firm.state_dir / "journal").glob("*.log")
    victim = firm.state_dir / "audit.jsonl" if what == "audit" else log
    data = bytearray(victim.read_bytes())
    at = data.index(b"\n", len(data) // 2) + 40
    data[at : at + (1 if what != "garbage" else 400)] = b"\0" if what != "garbage" else bytes(range(11, 211)) * 2
    victim.write_bytes(data)
    out = away / "out"
    refused = run(firm.state_dir, out)
    assert (refused.exit_code, str(victim) in refused.stderr, "line " in refused.stderr, out.exists()) == (1, True, True, False), refused.stderr
    assert list(away.glob("out*")) == []
    partly = run(firm.state_dir, out, "--until-damage")
    assert (partly.exit_code, str(victim) in json.loads((out / "export.json").read_text())["damage"]) == (6, True), partly.stderr
    assert len((out / "reports.jsonl").read_text().splitlines()) >= 2


def test_what_can_not_be_exported_says_why(firm, away):
    """No journal, a folder that has something, one in the state directory, a range of nothing, a word that is no time."""
    journaled(firm.day, firm.state_dir)
    (away / "full").mkdir()
    (away / "full" / "x").touch()
    for state, out, more, text in (
        (away / "full", away / "out", (), "no journal here"),
        (firm.state_dir, away / "full", (), "not an empty folder"),
        (firm.state_dir, firm.state_dir / "out", (), "in the state directory"),
        (firm.state_dir, away / "out", ("--from", "20190629", "--to", "20190628"), "not before"),
        (firm.state_dir, away / "out", ("--from", "yesterday"), "not a UTC timestamp"),
    ):
        done = run(state, out, *more)
        assert (done.exit_code, text in done.stderr) == (2, True), done.stderr
    assert not (away / "out").exists()


def test_the_page_is_what_the_columns_say():
    """docs/export.md is made from them."""
    assert page() == (ROOT / "docs" / "export.md").read_text()
