"""The evidence of a self-assessment: controls, their code, the tests and drills that were run, the audit, the journal, the manifest; one document.

Rule 1: it claims nothing that was not run on this very build. A result of another build is no result, and what has none is listed by name.
Rule 2: it runs nothing that trades. Tests and drills hand in what they found; audit, manifest and (where asked) the replay are looked at here.
"""

import json
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from algoserver.audit import FILE_NAME, GENESIS, HEAD_NAME, examine, reaches
from algoserver.checks import Facts
from algoserver.config import Config
from algoserver.domain.controls import CONTROLS, LEVELS
from algoserver.domain.events import Commanded
from algoserver.domain.types import utc_text
from algoserver.journal import NO_OUTPUTS, JournalCorrupt, read
from algoserver.manifest import POLICY, measure, parts
from algoserver.recovery import Diverged, replay
from algoserver.source import PACKAGE, source_hash

PASSED, FAILED, NOT_RUN, SKIPPED = "passed", "FAILED", "not run", "skipped"
DRILLS = ("kill", "venue-down", "runaway", "stale-data", "restart", "stress")
SHORT = 12  # characters of a hash


class Evidence(NamedTuple):
    """The document. failed and not_run: what of it, in words."""

    text: str
    failed: list[str]
    not_run: list[str]


class Found:
    """Lines of the document, and what stands out."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.failed: list[str] = []
        self.not_run: list[str] = []

    def say(self, *lines: str) -> None:
        """More text."""
        self.lines += lines

    def note(self, what: str, state: str) -> str:
        """One result; the word for it."""
        if state == FAILED:
            self.failed.append(what)
        elif state in (NOT_RUN, SKIPPED):
            self.not_run.append(f"{what}{'' if state == NOT_RUN else ' (skipped)'}")
        return state


def gather(config: Config, state_dir: Path | None, results: Iterable[Path], drills: Path | None, is_replayed: bool) -> Evidence:
    """Look at everything. results: JUnit files of the test suite; drills: folder of drills' reports. Raises OSError, ValueError."""
    build, found = source_hash(PACKAGE), Found()
    _tests(found, build, list(results))
    _drills(found, build, drills)
    _audit(found, config, state_dir)
    _journal(found, state_dir, is_replayed)
    _manifest(found, config)
    head = [
        "# Evidence of a self-assessment", "",
        f"Written {utc_text(time.time_ns())} UTC by `algoserver evidence` of build `{build}`.",
        "The software supports a firm's controls; it does not make it compliant. A test that passed says what was tested, and no more; results of",
        "another build count as not run.", "",
        f"- controls: {len(CONTROLS)}, of which {sum(not c.missing for c in CONTROLS)} have nothing listed as not built",
        f"- failed: {len(found.failed)}", f"- not run: {len(found.not_run)}", "",
        "## What failed", "", *(f"- {what}" for what in found.failed or ["nothing"]), "",
        "## What was not run", "", *(f"- {what}" for what in found.not_run or ["nothing: all of the below was"]), "",
    ]  # fmt: skip
    return Evidence("\n".join(head + found.lines) + "\n", found.failed, found.not_run)


def outcomes(path: Path) -> tuple[str, dict[str, list[str]]]:
    """A JUnit file: the build that it says it ran, and each test's outcomes, one for each of its cases. Raises ValueError."""
    try:
        root = ET.parse(path).getroot()
    except ET.ParseError as error:
        raise ValueError(f"{path}: no JUnit file: {error}") from error
    build = next((p.get("value", "") for p in root.iter("property") if p.get("name") == "build"), "")
    seen: dict[str, list[str]] = {}
    for case in root.iter("testcase"):
        tags = {child.tag for child in case}
        state = FAILED if tags & {"failure", "error"} else SKIPPED if "skipped" in tags else PASSED
        seen.setdefault(case.get("name", "").partition("[")[0], []).append(state)
    return build, seen


def _tests(found: Found, build: str, results: list[Path]) -> None:
    seen: dict[str, list[str]] = {}
    found.say("## Controls", "")
    for path in results:
        ran, own = outcomes(path)
        is_ours = ran == build
        others = f"another build ({ran[:SHORT] or 'it does not say which'}): counts as not run"
        found.say(f"- `{path.name}`: {sum(map(len, own.values()))} tests of {'this build' if is_ours else others}")
        for name, states in own.items() if is_ours else ():
            seen.setdefault(name, []).extend(states)
    if not results:
        found.say("No results of tests were given (`pytest --junitxml FILE`, then `--tests FILE`).")
    found.say("", "| # | control | level | code | tests | not built |", "|---|---|---|---|---|---|")
    for control in CONTROLS:
        became = {name: _state(seen.get(name, [])) for name in control.tests}
        for name, state in became.items():
            found.note(f"control {control.number}: `{name}`", state)
        if not control.tests:
            found.note(f"control {control.number}: it has no test", NOT_RUN)
        missing = [room for room in control.rooms if not (PACKAGE / room).is_file()]
        for room in missing:
            found.note(f"control {control.number}: its code `{room}` is not there", FAILED)
        code = ", ".join(f"`{room}`" for room in control.rooms)
        tests = "<br>".join(f"{state}: `{name}`" for name, state in became.items()) or "none"
        levels = ", ".join(LEVELS[letter] for letter in control.levels)
        found.say(f"| {control.number} | {control.name} | {levels} | {code} | {tests} | {control.missing} |")
    found.say("")


def _state(states: list[str]) -> str:
    if not states:
        return NOT_RUN
    return FAILED if FAILED in states else PASSED if PASSED in states else SKIPPED


def _drills(found: Found, build: str, folder: Path | None) -> None:
    found.say("## Drills", "", "| drill | result | begun | what was found |", "|---|---|---|---|")
    reports: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")) if folder is not None else ():
        try:
            said = json.loads(path.read_text())
            if said["build"] == build and said["begun"] >= reports.get(said["drill"], {}).get("begun", ""):
                reports[said["drill"]] = said
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: no report of a drill: {error!r}") from error
    for name in DRILLS:
        said = reports.get(name)
        if said is None:
            found.say(f"| {name} | {found.note(f'drill {name}', NOT_RUN)} | | |")
            continue
        wrong = [f["must_hold"] for f in said["findings"] if not f["is_met"]]
        state = found.note(f"drill {name}", PASSED if said["findings"] and not wrong else FAILED)
        held = f"{len(said['findings']) - len(wrong)} of {len(said['findings'])} held{': not ' + '; '.join(wrong) if wrong else ''}"
        found.say(f"| {name} | {state} | {said['begun']} | {held} |")
    found.say("")


def _audit(found: Found, config: Config, state_dir: Path | None) -> None:
    found.say("## Audit", "")
    if state_dir is None:
        found.say(found.note("the audit: no state directory was given", NOT_RUN), "")
        return
    path = state_dir / FILE_NAME
    elsewhere = config.server.control.audit_head
    # In this order: a running server writes the line after its event, and the head after its line.
    wanted: list[Commanded] = []
    try:
        for record in read(state_dir / "journal", outputs_after_seq=NO_OUTPUTS):
            if isinstance(record.payload, Commanded) and record.payload.audit_head:
                wanted.append(record.payload)
    except JournalCorrupt:
        pass  # said where the journal is looked at
    cut = reaches(path.read_bytes() if path.exists() else b"", config.path(elsewhere) if elsewhere else state_dir / HEAD_NAME)
    raw = path.read_bytes() if path.exists() else b""
    known = examine(raw[: raw.rfind(b"\n") + 1])
    missing = [e.seq for e in wanted if e.seq not in known.seqs or (e.audit_head != GENESIS and e.audit_head.encode() not in raw)]
    wrong = known.wrong or (f"line {known.cut} says that a tail was cut off before it" if known.cut else "") or cut
    if not wrong and missing:
        wrong = f"the commands of the journal's events {', '.join(map(str, missing[:10]))} have no line"
    state = found.note(f"the audit: {wrong}" if wrong else "the audit", FAILED if wrong else PASSED)
    found.say(f"{state}: {wrong or 'each line is the hash of itself and of the one before, and no command of the journal lacks its line'}.", "")
    found.say(f"{known.lines} lines, {len(wanted)} commands in the journal, head `{known.head}`.", "")


def _journal(found: Found, state_dir: Path | None, is_replayed: bool) -> None:
    found.say("## Journal", "")
    if state_dir is None or not is_replayed:
        found.say(f"{found.note('the replay of the journal (`--replay`)', NOT_RUN)}: that each decision is reproduced.", "")
        return
    try:
        done = replay(state_dir / "journal")
    except (Diverged, JournalCorrupt) as error:
        found.say(f"{found.note(f'the replay: {error}', FAILED)}: {error}", "")
        return
    found.note("the replay", PASSED)
    found.say(f"{PASSED}: {done.events} events again, {done.outputs} outputs and {done.digests} digests compared, digest `{done.digest}`.", "")


def _manifest(found: Found, config: Config) -> None:
    facts = Facts()
    measure(config, facts)
    found.say("## Manifest", "")
    if not facts.manifest:
        found.say(f"{found.note('the comparison with a manifest: none is enforced', NOT_RUN)}: [manifest] file is empty. What is here:", "")
    elif facts.manifest_error:
        found.say(f"{found.note(f'the manifest: {facts.manifest_error}', FAILED)}: {facts.manifest_error}. What is here:", "")
    else:
        wrong = [h.name for h in facts.hashes if h.approved != h.found]
        state = found.note(f"the manifest: {', '.join(wrong)} is not what was approved" if wrong else "the manifest", FAILED if wrong else PASSED)
        found.say(f"{state}: {len(facts.hashes) - len(wrong)} of {len(facts.hashes)} hashes are those that were approved.", "")
    approved = {(h.part, h.name): h.approved for h in facts.hashes}
    found.say("| part | name | here | approved |", "|---|---|---|---|")
    for part, entries in parts(config).items():
        for name, here in entries.items():
            word = "by the journal's own history" if part == POLICY else approved.get((part, name), "-")
            found.say(f"| {part} | `{name}` | `{here}` | {f'`{word}`' if len(word) == len(GENESIS) else word} |")
    found.say("")

