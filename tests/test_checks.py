"""The table of checks, and what refuses a start: facts in, rows out, and the same through the commands on real files."""

import fcntl
import json
import os
import shutil
import socket
import time
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from algoserver import checks, health
from algoserver.answers import doctor
from algoserver.checks import FAIL, OK, WARN, Facts, Hash, refusal, table
from algoserver.cli import app
from algoserver.config import ShellConfig, load
from algoserver.core.models import is_taken
from algoserver.core.state import Applied, State
from algoserver.ctl import app as ctl
from algoserver.domain.commands import CancelChild
from algoserver.domain.events import ActionProposed, MachineWarned, ModelActivated
from algoserver.domain.types import SECOND, ExecType, OrdStatus
from algoserver.door import Door
from algoserver.journal import Journal
from algoserver.learn.registry import Configured, Registry
from algoserver.learn.store import save_model
from algoserver.settings import BadConfig
from tests.core.day import Day, policy_loaded
from tests.e2e.venue import refused_start
from tests.learn.test_store import FILES, manifest_of

ROOT = Path(__file__).resolve().parents[1]


def state_of(facts: Facts, check: str) -> str:
    return next(row.state for row in table(facts) if row.check == check)


@pytest.mark.parametrize(
    ("facts", "check", "refuses"),
    [
        (Facts(configuration="server.toml: no"), "configuration", True),
        (Facts(manifest="m.toml", manifest_error="m.toml: gone"), "manifest", True),
        (Facts(manifest="m.toml", hashes=(Hash("build", "algoserver", "a" * 64, "b" * 64),)), "build", True),
        (Facts(manifest="m.toml", hashes=(Hash("model", "model/model.txt", "a" * 64, ""),)), "model", True),
        (Facts(manifest="m.toml", policy=("b" * 64, "a" * 64, "")), "policy", True),
        (Facts(write_error="Read-only file system"), "state_directory", True),
        (Facts(in_use=True), "only_server", True),
        (Facts(disk_free=99 * checks.MB, disk_free_min=100 * checks.MB), "disk", True),
        (Facts(behind_s=5.1), "clock", True),
        (Facts(synced=False, require_synced=True), "kernel_clock", True),
        (Facts(stores=("a.seqnums: no sequence numbers in it",)), "session_stores", True),
        (Facts(journal_error="damaged"), "journal", True),
        (Facts(unfit="venues: 'X' is missing"), "open_orders_fit", False),  # recovery.unfit refuses, with its own words
        (Facts(unknown={"XLIT1": 2}, is_started=True), "open_orders_known", False),
        (Facts(foreign={"XLIT1": 1}), "foreign_orders", False),  # only a running server can adopt or cancel it
        (Facts(port=9880, port_error="Address already in use"), "port", False),
        (Facts(core_s=-1.0), "core", False),
        (Facts(venues_down=("XLIT1",)), "venues", False),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_what_fails_says_what_to_do_and_what_refuses_a_start_names_it(facts, check, refuses):
    """Each failure has a value and a remedy, and the start is refused by exactly those that could lose money or books."""
    (row,) = [r for r in table(facts) if r.state == FAIL]
    assert (row.check, bool(row.value), bool(row.to_do)) == (check, True, True)
    assert (check in refusal(facts)) is refuses
    assert not checks.is_healthy(table(facts))


def test_a_model_that_can_not_be_used_is_a_warning_and_refuses_no_start(tmp_path):
    """Its bytes are looked at; the median stands in."""
    name = save_model(tmp_path, manifest_of(), FILES).name
    at = tmp_path / name
    assert health.model_error(Configured(name, "", at)) == health.model_error(Configured("median20")) == ""
    assert health.model_error(Configured("champion", "", None, "there is no champion")) == "there is no champion"
    (at / "p10.txt").write_text("changed")
    facts = Facts(forecast=(name, health.model_error(Configured(name, "", at))))
    (row,) = table(facts)
    assert (row.check, row.state, "p10.txt was changed" in row.value, refusal(facts)) == ("forecast", WARN, True, "")
    assert state_of(Facts(forecast=("", "")), "forecast") == WARN
    assert state_of(Facts(forecast=("median20", "")), "forecast") == OK


def test_the_doctor_looks_at_the_model_that_trades_and_not_only_at_the_configured_one(tmp_path):
    """A model that was swapped in is checked on its shelf, by the bytes that were decided on; the configured one has a row of its own then."""
    name = save_model(tmp_path, manifest_of(), FILES).name
    sha256 = Registry(tmp_path).load(name)[0].model_sha256
    config = load(ROOT / "cfg" / "server.toml")
    shelf = msgspec.structs.replace(config.server.forecast, registry=str(tmp_path))
    config = msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, forecast=shelf))
    day = Day(policy_loaded(model="median20"))

    def rows() -> dict[str, tuple[str, str]]:
        found = health.running(config, tmp_path, lambda asked: doctor(day.state))["checks"]
        return {row["check"]: (row["state"], row["value"]) for row in found if row["check"].startswith("forecast")}

    assert rows() == {"forecast": (OK, "median20")}
    day.feed(ActionProposed(operator="ann", verb="model", target=name, reason="better", digest=sha256, is_enough=True))
    day.feed(ModelActivated(name=name, sha256=sha256))
    assert rows() == {"forecast": (OK, name), "forecast_configured": (OK, "median20; another is in force by `algoctl model`")}
    (tmp_path / name / "p10.txt").write_text("changed")
    state, value = rows()["forecast"]
    assert (state, "p10.txt was changed" in value) == (WARN, True)
    day.feed(policy_loaded(model="median20"))  # a start keeps it
    assert not is_taken(day.state, policy_loaded(model="median20"))
    assert is_taken(day.state, policy_loaded(model="other"))


def test_what_is_at_its_bound_holds():
    """Least free room, and as far behind as is allowed, are right; a little more to spare is no warning."""
    at_bound = Facts(disk_free=100 * checks.MB, disk_free_min=100 * checks.MB, behind_s=checks.BEHIND_S_MAX)
    assert refusal(at_bound) == ""
    assert (state_of(at_bound, "disk"), state_of(at_bound, "clock")) == (WARN, OK)
    assert state_of(Facts(disk_free=200 * checks.MB, disk_free_min=100 * checks.MB), "disk") == OK


def test_what_was_not_measured_has_no_row():
    """An empty table is no table of things that are right."""
    assert table(Facts()) == []


def test_a_policy_that_persons_applied_is_not_the_manifests_to_forbid():
    """Nobody's policy must be the approved one; one that two persons applied holds, and the difference is said."""
    assert state_of(Facts(manifest="m", policy=("b" * 64, "a" * 64, "ann and bob")), "policy") == WARN
    assert state_of(Facts(manifest="m", policy=("a" * 64, "a" * 64, "")), "policy") == OK
    assert state_of(Facts(manifest="", policy=("b" * 64, "", "")), "policy") == OK


def test_all_that_fails_is_said_at_once():
    """A person repairs it in one go."""
    both = refusal(Facts(disk_free=0, disk_free_min=1, behind_s=60.0))
    assert "disk: " in both
    assert "clock: 60.0 s behind" in both


def test_the_policy_in_force_is_judged_by_who_applied_it():
    """The journal's last one: 'start' is nobody, others are named."""
    config = load(ROOT / "cfg" / "server.toml")
    state = State(setup=config.setup, policies=[Applied("a" * 64, "firm", 1, "start", "", "")])
    facts = Facts()
    health.journal(facts, config, state)
    assert facts.policy == ("a" * 64, "", "")
    state.policies.append(Applied("b" * 64, "firm", 2, "ann", "bob", "tighter"))
    health.journal(facts, config, state)
    assert facts.policy == ("b" * 64, "", "ann and bob")


def test_the_core_tells_a_doctor_of_children_that_nobody_knows():
    """A venue that is down keeps its children unknown, until it has said how they stand."""
    day = Day()
    child = day.resting()
    day.accept(child)
    assert doctor(day.state)["unknown"] == {}
    day.down("XLIT1")
    told = doctor(day.state)
    assert (told["unknown"], told["venues_down"]) == ({"XLIT1": 1}, ["XLIT1"])
    day.up("XLIT1")
    assert doctor(day.state)["unknown"] == {"XLIT1": 1}
    day.status_of(child)
    assert doctor(day.state)["unknown"] == {}


def test_the_core_tells_a_doctor_which_prices_can_not_be_believed():
    """Never seen, seen, and seen too long ago."""
    day = Day()
    assert doctor(day.state)["doubted"] == ["AAPL unseen"]
    day.quote()
    assert doctor(day.state)["doubted"] == []
    day.wait(61 * SECOND)
    day.feed(MachineWarned(code="disk_short", subject="", text=""))
    assert doctor(day.state)["doubted"] == ["AAPL in doubt"]


def test_a_disk_that_becomes_short_is_alerted_once_and_its_end_too(tmp_path, monkeypatch):
    """The alert is an event, so it is in the journal; a disk that stays short says it once."""
    free = iter([300, 50, 40, 150, 150])
    monkeypatch.setattr(health, "disk_free", lambda _: next(free) * checks.MB)
    watch = health.DiskWatch(tmp_path, 100 * checks.MB)
    said = [watch.look() for _ in range(5)]
    assert [[w.code for w in found] for found in said] == [[], ["disk_short"], [], ["disk_enough"], []]
    day = Day()
    day.feed(said[1][0])
    assert day.alerts() == ["disk_short"]


def test_a_disk_that_is_nearly_full_kills_the_firm_while_that_can_still_be_written(tmp_path, monkeypatch):
    """Below the second bound, once until there is room again: every child is taken back, nobody's order is taken, and persons release it."""
    free = iter([300, 99, 9, 8, 20, 7, 150, 9])
    monkeypatch.setattr(health, "disk_free", lambda _: next(free) * checks.MB)
    watch = health.DiskWatch(tmp_path, 100 * checks.MB, 10 * checks.MB)
    said = [watch.look() for _ in range(8)]
    assert [[type(x).__name__ for x in found] for found in said] == [
        [], ["MachineWarned"], ["OperatorCommanded"], [], [], [], ["MachineWarned"], ["MachineWarned", "OperatorCommanded"],
    ]  # fmt: skip
    day = Day()
    child = day.resting()
    day.accept(child)
    out = [command for found in said[:3] for event in found for command in day.feed(event)]
    assert [c.child_id for c in out if isinstance(c, CancelChild)] == [child.child_id]
    day.parent("P2")
    assert day.order("P2").order.status is OrdStatus.REJECTED
    assert day.state.gate.killed == "server: disk: 9 MB are free, below disk_stop_mb_min 10"
    assert day.alerts()[:2] == ["disk_short", "killed"]
    day.canceled(child)
    assert "kill_verified" in day.alerts()
    day.operator("release")
    assert day.parent("P3")[0].exec_type is ExecType.NEW


def test_the_bound_of_the_kill_is_below_that_of_the_alert():
    """Else the firm would stop before anybody is told; without an alert's bound there is none to compare."""
    with pytest.raises(ValueError, match="disk_stop_mb_min"):
        ShellConfig(disk_free_mb_min=50, disk_stop_mb_min=51)
    assert ShellConfig(disk_free_mb_min=0).disk_stop_mb_min == 100


def test_broken_session_stores_are_named(tmp_path):
    """A file without its numbers, and one that is none; whole ones, and one that a kill left empty, are right."""
    for name, text in (("a.seqnums", "0000000003 : 0000000007"), ("b.seqnums", ""), ("b.body", ""), ("c.seqnums", "garbage"), ("d.seqnums", "")):
        (tmp_path / name).write_text(text)
    (tmp_path / "d.body").write_text("8=FIX.4.4")
    (tmp_path / "e.header").mkdir()
    assert [text.partition(":")[0] for text in health.broken_stores(tmp_path)] == ["c.seqnums", "d.seqnums", "e.header"]


def test_the_machine_is_measured_and_nothing_is_left_behind(tmp_path):
    """A directory that does not exist yet is judged by the one above it, and is not made."""
    facts = health.machine(load(ROOT / "cfg" / "server.toml"), tmp_path / "new" / "state")
    assert (facts.write_error, facts.stores, list(tmp_path.iterdir())) == ("", (), [])
    assert facts.disk_free is not None
    assert facts.synced in (True, False, None)
    assert health.write_error(Path("/proc/self")) != ""


def test_a_port_and_a_journal_in_use_are_seen(tmp_path):
    """By trying, not by asking who has them."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert health.port_error(taken.getsockname()[1]) != ""
    fd = os.open(tmp_path, os.O_RDONLY)
    assert not health.is_in_use(tmp_path)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert health.is_in_use(tmp_path)
    os.close(fd)


@pytest.mark.parametrize(("is_healthy", "status"), [(True, 0), (False, 9)])
def test_algoctl_doctor_ends_with_9_where_a_check_fails(tmp_path, is_healthy, status):
    """The running server's rows, as JSON when piped."""
    said = {"is_healthy": is_healthy, "checks": [{"check": "disk", "state": OK if is_healthy else FAIL}]}
    door = Door(tmp_path, lambda request, operator: said if request == {"verb": "doctor"} else {})
    door.start()
    done = CliRunner().invoke(ctl, ["--state", str(tmp_path), "doctor"])
    door.stop()
    assert (done.exit_code, json.loads(done.stdout)) == (status, said)


class Firm:
    """A copy of the shipped configuration that may be spoiled, and the commands on it."""

    def __init__(self, folder: Path) -> None:
        for name in ("cfg", "sessions"):
            shutil.copytree(ROOT / name, folder / name)
        self.cfg, self.state, self.server = folder / "cfg", folder / "state", folder / "cfg" / "server.toml"

    def change(self, file: str, old: str, new: str) -> None:
        """Replace one text in a file of cfg/."""
        text = (self.cfg / file).read_text()
        assert old in text
        (self.cfg / file).write_text(text.replace(old, new))

    def approve(self) -> None:
        """Write the manifest, enforced."""
        if 'file = ""' in self.server.read_text():
            self.change("server.toml", 'file = ""', 'file = "approved.toml"')
        done = CliRunner().invoke(app, ["manifest", "write", "--config", str(self.server), "--out", str(self.cfg / "approved.toml")])
        assert done.exit_code == 0, done.output

    def doctor(self) -> tuple[int, dict[str, str]]:
        """Exit status, and each check's state."""
        done = CliRunner().invoke(app, ["doctor", "--config", str(self.server), "--state", str(self.state), "--port", "1", "-o", "json"])
        return done.exit_code, {row["check"]: row["state"] for row in json.loads(done.stdout)["checks"]}

    def refusal(self) -> str:
        """What `serve` says when it does not start."""
        return refused_start("serve", "--config", str(self.server), "--state", str(self.state))


@pytest.fixture
def firm(tmp_path):
    """The shipped configuration in a folder of its own; a disk of a test machine is always large enough."""
    made = Firm(tmp_path)
    made.change("server.toml", "disk_free_mb_min = 500", "disk_free_mb_min = 0")
    return made


def test_a_manifest_holds_until_anything_that_decides_is_changed(firm):
    """Configuration, policy, a dictionary, the model: each is named as it is, and put back is right again."""
    firm.approve()
    status, seen = firm.doctor()
    assert (status, {seen[part] for part in ("manifest", "build", "configuration", "policy", "model")}) == (0, {OK})
    dictionary = firm.cfg.parent / "sessions" / "FIX44.xml"
    for path, part in (
        (firm.server, "configuration"), (firm.cfg / "instruments.toml", "configuration"), (firm.cfg / "policy.toml", "policy"),
        (firm.cfg.parent / "sessions" / "XDARK1.cfg", "configuration"), (dictionary, "configuration"),
    ):  # fmt: skip
        before = path.read_bytes()
        path.write_bytes(before + b"\n")
        status, seen = firm.doctor()
        failed = [name for name, state in seen.items() if state == FAIL]
        assert (status, failed) == (9, [part]), path
        path.write_bytes(before)
    assert firm.doctor()[0] == 0
    firm.change("server.toml", 'model = "median20"', 'model = ""')
    assert {name for name, state in firm.doctor()[1].items() if state == FAIL} == {"configuration", "model"}


def test_a_build_that_was_not_approved_is_refused_by_name(firm):
    """A server with other source than the manifest's does not start, and writes no journal."""
    firm.approve()
    manifest = firm.cfg / "approved.toml"
    line = next(line for line in manifest.read_text().splitlines() if line.startswith('"algoserver"'))
    manifest.write_text(manifest.read_text().replace(line, '"algoserver" = "' + "0" * 64 + '"'))
    said = firm.refusal()
    assert "build: algoserver is " in said
    assert "approved: algoserver 000000000000" in said
    assert "manifest write" in said
    assert not (firm.state / "journal").exists()


@pytest.mark.parametrize("text", ["", "[build]\n", "no toml"])
def test_a_manifest_that_can_not_be_read_enforces_itself(firm, text):
    """Empty, cut or gone, it is no leave to start with anything."""
    firm.approve()
    (firm.cfg / "approved.toml").write_text(text)
    status, seen = firm.doctor()
    assert (status, seen["manifest"]) == (9, FAIL)
    (firm.cfg / "approved.toml").unlink()
    assert firm.doctor()[1]["manifest"] == FAIL


def test_a_clock_far_behind_the_journal_refuses_the_start(firm):
    """A journal whose last event is an hour ahead of the machine: what would be traded by whose time?"""
    firm.state.mkdir()
    with Journal(firm.state / "journal") as journal:
        day = Day()
        ahead = time.time_ns() + 3_600 * SECOND
        for number, event in enumerate(day.fed, 1):
            journal.append_input(msgspec.structs.replace(event, seq=number, ts=ahead + number))
    status, seen = firm.doctor()
    assert (status, seen["clock"]) == (9, FAIL)
    assert "clock: 3" in firm.refusal()


def test_a_policys_file_that_can_not_be_used_refuses_only_a_first_start(firm):
    """A journal has the policy that is in force: then it is a warning, which says which one holds."""
    firm.change("policy.toml", 'collar = "0.05"', 'collar = "5"')
    status, seen = firm.doctor()
    assert (status, seen["policy_file"], "policy" in seen) == (9, FAIL, False)
    said = firm.refusal()
    assert ("`collar` is '5'" in said, (firm.state / "journal").exists()) == (True, False), said
    with Journal(firm.state / "journal") as journal:
        for event in Day(policy_loaded(policy_digest="a" * 64)).fed:
            journal.append_input(event)
    done = CliRunner().invoke(app, ["doctor", "--config", str(firm.server), "--state", str(firm.state), "--port", "1", "-o", "json"])
    rows = {row["check"]: row for row in json.loads(done.stdout)["checks"]}
    assert (rows["policy_file"]["state"], rows["policy_file"]["bound"]) == (WARN, "in force stays aaaaaaaaaaaa")
    assert rows["policy"]["state"] == OK


def test_a_short_disk_refuses_the_start(firm):
    """With the bound and the remedy in the text."""
    firm.change("server.toml", "disk_free_mb_min = 0", "disk_free_mb_min = 1_000_000_000")
    with pytest.raises(BadConfig, match=r"disk_free_mb_min 1000000000.*free room"):
        health.check_start(load(firm.server), firm.state)


def test_a_doctor_that_can_not_read_the_configuration_says_so(firm):
    """With exit status 9, not with a traceback."""
    firm.server.write_text("policy = 1\n")
    status, seen = firm.doctor()
    assert (status, seen["configuration"]) == (9, FAIL)
