"""algoctl policy and risk against a door on a real socket, with the texts of policies on a real disk."""

import json
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from algoserver import door, policy_desk, policy_texts
from algoserver.control import answer
from algoserver.ctl import app
from algoserver.policies import TEXT_BYTES_MAX, digest_of
from algoserver.policy_texts import PolicyTexts
from tests.core.day import Day
from tests.test_policy_desk import CLIENT, FILE, LOWER, opened


class Desk:
    """A Day behind a door, as the server stands there: requests go by the texts to the core."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.texts = PolicyTexts(folder / "policies")
        self.texts.keep(FILE.encode())
        self.day: Day = opened()
        self.kept_before_fed = True
        self.inbox: queue.SimpleQueue[Any] | None = None
        self.door = door.Door(folder, lambda request, operator: self.texts.ask(request, operator, self._ask))

    def serve(self) -> None:
        """From now on a thread of its own answers, as the core's does."""
        self.inbox = queue.SimpleQueue()
        threading.Thread(target=self._core, name="core", daemon=True).start()

    def _core(self) -> None:
        assert self.inbox is not None
        while True:
            request, operator, reply = self.inbox.get()
            reply.put(self._answer(request, operator))

    def _ask(self, request: dict[str, Any], operator: str) -> dict[str, Any]:
        if self.inbox is None:
            return self._answer(request, operator)
        reply: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.inbox.put((request, operator, reply))
        return reply.get(timeout=120)

    def _answer(self, request: dict[str, Any], operator: str) -> dict[str, Any]:
        said, event = answer(self.day.state, request, operator)
        if event is not None:
            self.kept_before_fed &= self.texts.text(event.digest) != ""
            self.day.feed(event)
        return said

    def ctl(self, *arguments: str) -> Result:
        """algoctl without a terminal."""
        return CliRunner(env={"COLUMNS": "240"}).invoke(app, ["--state", str(self.folder), *arguments])

    def json(self, *arguments: str) -> dict[str, Any]:
        """What it writes when piped."""
        done = self.ctl(*arguments)
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    def file(self, text: str | bytes) -> str:
        """A policy in a file of the operator's own."""
        path = self.folder / "wished.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """P1 rests under the policy of the repository."""
    stands = Desk(tmp_path)
    stands.day.resting()
    stands.door.start()
    yield stands
    stands.door.stop()


def test_a_policy_is_looked_at_applied_shown_and_taken_back(desk):
    """The way of a change, as a person goes it."""
    wished, first = desk.file(LOWER + CLIENT), digest_of(FILE.encode())
    assert desk.json("policy", "validate", wished)["changed"] == 4
    assert [c["way"] for c in desk.json("policy", "diff", wished)["changes"]] == ["lower"] * 4
    assert desk.ctl("policy", "apply", wished, "--reason", "fat fingers").exit_code == 2  # nobody said yes
    assert desk.json("policy", "apply", wished, "--reason", "fat fingers", "--dry-run")["is_applied"] is False
    assert not (desk.folder / "policies" / f"{digest_of((LOWER + CLIENT).encode())}.toml").exists()
    assert desk.json("policy", "apply", wished, "--reason", "fat fingers", "--yes")["is_applied"] is True
    assert (desk.day.state.setup.policy.child_qty_max, desk.kept_before_fed) == (50, True)
    assert desk.ctl("policy", "show", "--text").stdout == LOWER + CLIENT
    assert desk.ctl("policy", "show", first[:6], "--text").stdout == FILE
    back = desk.json("policy", "rollback", first[:6], "--reason", "too tight", "--yes")
    assert (back["raises"], back["changed"]) == (4, 4)
    assert [(p["digest"], p["reason"]) for p in desk.json("policy", "history")["policies"]][::2] == [
        (first, "the first policy of this journal"), (first, "too tight"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [("policy", "validate", "F"), ("policy", "diff", "F"), ("policy", "history"), ("policy", "show"), ("policy", "explain", "P1"), ("risk", "limits"),
     ("risk", "limits", "--client", "CLIENT1", "--symbol", "AAPL", "--algo", "VWAP"), ("risk", "usage"), ("risk", "usage", "--scope", "symbol:AAPL")],
    ids=lambda a: " ".join(a),
)  # fmt: skip
def test_every_question_has_a_table_when_asked_for(desk, arguments):
    """JSON when piped; nothing on stderr."""
    given = [desk.file(LOWER) if a == "F" else a for a in arguments]
    assert isinstance(desk.json(*given), dict)
    table = desk.ctl("-o", "table", *given)
    assert (table.exit_code, table.stderr, "│" in table.stdout) == (0, "", True)


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("policy", "validate", "F"), 5, "refused: policy: `child_qty_max` is negative; what is in force stays"),
        (("policy", "apply", "F", "--yes", "--reason", "x"), 5, "`child_qty_max` is negative"),
        (("policy", "apply", "SAME", "--yes", "--reason", "x"), 5, "nothing_to_do: "),
        (("policy", "apply", "NEW", "--yes"), 2, "usage: say why with --reason"),
        (("policy", "validate", "missing.toml"), 2, "missing.toml: No such file"),
        (("policy", "validate", "LATIN"), 2, "can't decode"),
        (("policy", "validate", "LONG"), 5, f"a policy has at most {TEXT_BYTES_MAX}"),
        (("policy", "show", "beef"), 3, "not_found: no policy 'beef' was ever in force"),
        (("policy", "rollback", "beef", "--yes", "--reason", "x"), 3, "not_found: "),
        (("policy", "rollback"), 2, "Missing argument"),
        (("policy", "explain", "P9"), 3, "not_found: "),
        (("risk", "limits", "--symbol", "NONE"), 3, "not_found: no symbol 'NONE'"),
        (("risk", "usage", "--scope", "moon:1"), 3, "not_found: "),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, tuple) else "",
)
def test_exit_statuses_say_what_was_wrong(desk, arguments, status, text):
    """On stderr; stdout stays empty, and the policy as it is."""
    files = {
        "F": FILE.replace("child_qty_max = 100_000", "child_qty_max = -1"), "SAME": FILE, "NEW": LOWER, "LATIN": "# Stra\xdfe".encode("latin-1"),
        "LONG": FILE + "# a comment\n" * 9_000,
    }  # fmt: skip
    done = desk.ctl(*(desk.file(files[a]) if a in files else a for a in arguments))
    assert (done.exit_code, done.stdout) == (status, "")
    assert text in done.stderr
    assert desk.day.state.setup.policy.child_qty_max == 100_000


def test_a_text_is_shown_line_by_line_and_does_nothing_to_the_terminal(desk):
    """Escape codes in a comment are question marks."""
    desk.json("policy", "apply", desk.file(LOWER + "# \u202e said\n"), "--yes", "--reason", "test")
    lines = desk.ctl("-o", "table", "policy", "show").stdout.splitlines()
    assert any("child_qty_max = 50 " in line for line in lines)
    assert any("# ? said" in line for line in lines)


def test_the_digest_is_that_of_the_file_to_the_byte(desk):
    """Ends of lines as in other editors are kept; what is written is what was read."""
    text = LOWER.replace("\n", "\r\n").encode()
    assert desk.json("policy", "apply", desk.file(text), "--yes", "--reason", "test")["digest"] == digest_of(text)
    assert desk.ctl("policy", "show", "--text").stdout_bytes == text


def test_a_text_that_is_gone_or_changed_is_said_plainly(desk):
    """show tells it with --text as an error; a rollback does not take what stands there instead."""
    first = digest_of(FILE.encode())
    desk.json("policy", "apply", desk.file(LOWER), "--yes", "--reason", "test")
    kept = desk.folder / "policies" / f"{first}.toml"
    kept.write_text(FILE + " ")
    assert "is not its text any more" in desk.ctl("policy", "rollback", first, "--yes", "--reason", "test").stderr
    kept.unlink()
    assert desk.json("policy", "show", first)["is_kept"] is False
    assert desk.ctl("policy", "show", first, "--text").exit_code == 3
    refused = desk.ctl("policy", "rollback", first, "--yes", "--reason", "test")
    assert (refused.exit_code, "is not kept" in refused.stderr) == (5, True)


def test_the_core_does_not_parse_what_the_requests_own_thread_has_parsed(desk, monkeypatch):
    """It stands still for no text, however long it takes to read."""
    threads: list[str] = []
    parse = policy_desk.parse_policy
    monkeypatch.setattr(policy_desk, "parse_policy", lambda text, source: threads.append(threading.current_thread().name) or parse(text, source))
    desk.serve()
    desk.json("policy", "apply", desk.file(LOWER + "# another\n"), "--yes", "--reason", "test")
    desk.json("policy", "rollback", digest_of(FILE.encode()), "--yes", "--reason", "test")
    assert threads[0] == "control peer"
    assert "core" not in threads


def test_a_policy_that_can_not_be_kept_is_not_applied(desk, monkeypatch):
    """A full disk: nothing is half done, and no unfinished file stays."""

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(policy_texts.os, "fsync", full)
    done = desk.ctl("policy", "apply", desk.file(LOWER), "--yes", "--reason", "test")
    assert (done.exit_code, "No space left on device" in done.stderr) == (1, True)
    assert desk.day.state.setup.policy.child_qty_max == 100_000
    assert [p.name for p in (desk.folder / "policies").iterdir()] == [f"{digest_of(FILE.encode())}.toml"]
