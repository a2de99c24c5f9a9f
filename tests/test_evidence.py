"""The evidence: what was run on this build and nothing else, from real results, reports, audits and journals."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from algoserver import evidence
from algoserver.cli import app
from algoserver.domain.controls import CONTROLS
from algoserver.drills.faults import DRILLS
from algoserver.drills.report import Report
from algoserver.source import PACKAGE, source_hash
from tests.test_export import eventful, journaled

ROOT = Path(__file__).resolve().parents[1]
BUILD = source_hash(PACKAGE)


@pytest.fixture(autouse=True)
def _same_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source is hashed once: a file that is saved meanwhile is another matter."""
    monkeypatch.setattr(evidence, "source_hash", lambda package: BUILD)


def results(path: Path, build: str, **states: str) -> Path:
    """A JUnit file."""
    cases = "".join(f'<testcase name="{name}[a-b]">{f"<{tag}/>" if tag else ""}</testcase>' for name, tag in states.items())
    properties = f'<properties><property name="build" value="{build}"/></properties>'
    path.write_text(f'<testsuites><testsuite name="pytest">{properties}{cases}</testsuite></testsuites>')
    return path


def gathered(out: Path, *more: str) -> tuple[int, str]:
    """Exit status and document."""
    done = CliRunner().invoke(app, ["evidence", "--out", str(out), *more])
    assert done.exit_code in (0, 1, 6), done.output
    return done.exit_code, out.read_text()


def not_run(text: str) -> list[str]:
    """What the document lists so."""
    return [line[2:] for line in text.partition("## What was not run")[2].partition("\n## ")[0].splitlines() if line.startswith("- ")]


def test_without_anything_everything_was_not_run(tmp_path):
    """Each test by its name, each drill, audit, replay, manifest; exit status 6."""
    status, text = gathered(tmp_path / "new" / "evidence.md")
    listed = not_run(text)
    assert status == 6
    for control in CONTROLS:
        assert all(f"control {control.number}: `{name}`" in listed for name in control.tests)
    assert {f"drill {name}" for name in evidence.DRILLS} <= set(listed)
    assert any("audit" in line for line in listed)
    assert any("replay" in line for line in listed)
    assert any("manifest" in line for line in listed)
    assert ("passed" in text.partition("## Controls")[2], set(DRILLS) | {"stress"} == set(evidence.DRILLS)) == (False, True)


def test_a_real_run_of_tests_says_its_build_and_counts(tmp_path):
    """pytest writes the file; its results count for this build, and not for another."""
    file = tmp_path / "results.xml"
    one = "tests/core/test_risk.py::test_control_16_without_policy_nothing_leaves"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "--junitxml", str(file), one]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    build, seen = evidence.outcomes(file)
    assert (len(build), seen) == (64, {one.rpartition(":")[2]: ["passed"]})
    file.write_text(file.read_text().replace(build, BUILD))  # the same, unless a file was saved between the two
    _, text = gathered(tmp_path / "e.md", "--tests", str(file))
    assert f"passed: `{one.rpartition(':')[2]}`" in text
    file.write_text(file.read_text().replace(BUILD, "0" * 64))
    _, text = gathered(tmp_path / "e.md", "--tests", str(file))
    assert ("another build (000000000000)" in text, f"control 16: `{one.rpartition(':')[2]}`" in not_run(text)) == (True, True)


def test_all_that_was_run_and_held_is_said_and_one_failure_is_not_hidden(firm, tmp_path_factory):
    """Tests, drills, the audit against the journal, the replay; a test of two cases of which one failed has failed."""
    away = tmp_path_factory.mktemp("evidence")
    eventful(firm)
    journaled(firm.day, firm.state_dir)
    names = {name: "" for control in CONTROLS for name in control.tests}
    file = results(away / "r.xml", BUILD, **names)
    drills = away / "drills"
    drills.mkdir()
    for name in evidence.DRILLS:
        report = Report(name, "", build=BUILD)
        report.check("it holds", True)
        (drills / f"{name}.json").write_text(json.dumps(evidence_of(report)))
    given = ("--tests", str(file), "--drills", str(drills), "--state", str(firm.state_dir), "--replay")
    status, text = gathered(away / "e.md", *given)
    untested = {f"control {c.number}: it has no test" for c in CONTROLS if not c.tests}
    assert (status, set(not_run(text))) == (6, {"the comparison with a manifest: none is enforced"} | untested)
    assert "## What failed\n\n- nothing\n" in text
    assert "no command of the journal lacks its line" in text
    assert f"passed: {len(firm.day.fed)} events again" in text

    bad = next(iter(names))
    again = results(away / "again.xml", BUILD, **{bad: "failure"})
    broken = Report("kill", "", build=BUILD)
    broken.check("it holds", False)
    (drills / "kill.json").write_text(json.dumps(evidence_of(broken)))
    audit = firm.state_dir / "audit.jsonl"
    audit.write_bytes(b"".join(audit.read_bytes().splitlines(keepends=True)[:-1]))
    status, text = gathered(away / "e.md", *given, "--tests", str(again))
    failed = text.partition("## What failed")[2].partition("## What was not run")[0]
    assert (status, f"`{bad}`" in failed, "drill kill" in failed, "cut off" in failed) == (1, True, True, True)


def evidence_of(report: Report) -> dict[str, object]:
    """As a drill prints it."""
    import msgspec

    return {"is_passed": report.is_passed, **msgspec.to_builtins(report)}


def test_what_is_no_result_is_refused(tmp_path):
    """A file that is no JUnit file, a report that is none: exit status 2, and nothing is written."""
    (tmp_path / "x.json").write_text("[]")
    (tmp_path / "x.xml").write_text("none")
    for more, text in ((("--tests", str(tmp_path / "x.xml")), "no JUnit file"), (("--drills", str(tmp_path)), "no report of a drill")):
        done = CliRunner().invoke(app, ["evidence", "--out", str(tmp_path / "e.md"), *more])
        assert (done.exit_code, text in done.stderr, (tmp_path / "e.md").exists()) == (2, True, False), done.output
