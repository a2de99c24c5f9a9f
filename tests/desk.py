"""A Day behind a real door, and the persons who come to it: what tests of algoctl, of roles and of the audit stand on."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from algoserver import door
from algoserver.audit import Audit
from algoserver.control import answer, perform
from algoserver.credentials import new_token, token_hash
from algoserver.ctl import app
from algoserver.learn.registry import Configured, Shelf
from algoserver.model_desk import on_shelf
from algoserver.operators import ROLES, OperatorEntry, Operators
from algoserver.porter import Porter
from tests.core.day import Day

TOKENS = {name: new_token() for name in ("ann", "bob", "tim", "vic", *ROLES)}
PERSONS = [
    OperatorEntry(name="ann", roles=["risk"], token=token_hash(TOKENS["ann"])),
    OperatorEntry(name="bob", roles=["operator", "risk"], token=token_hash(TOKENS["bob"])),
    OperatorEntry(name="tim", roles=["trader"], token=token_hash(TOKENS["tim"])),
    OperatorEntry(name="vic", roles=["viewer"], token=token_hash(TOKENS["vic"])),
]


class Street:
    """A Day behind a door, as a server would stand there."""

    def __init__(self, state_dir: Path, operators: Operators | None = None) -> None:
        self.state_dir = state_dir
        self.operators = operators or Operators([])
        self.audit = Audit(state_dir)
        self.day = Day()
        self.child = self.day.resting()
        self._slow: tuple[str, bool] | None = None
        self._is_over = threading.Event()
        self.asked: list[dict[str, Any]] = []
        self.shelf = Shelf(Configured("median20"), None)
        self._lock = threading.Lock()
        self.porter = Porter(self.operators, self.audit, self.ask)
        self.door = door.Door(state_dir, self.porter.ask)

    def ask(self, request: dict[str, Any], operator: str, late: Any = None) -> dict[str, Any]:
        """Server.ask in small."""
        if self._slow == (request["verb"], request.get("dry_run", False)):
            self._is_over.wait(60)
        with self._lock:
            self.asked.append(request)
            request = on_shelf(self.shelf, request)
            if "error" in request:
                return request
            asked = answer(self.day.state, request, operator, is_alone=self.operators.is_alone, now=self.day.now)
            return perform(self.day.state, asked, self.audit.head, self.day.feed)

    @contextmanager
    def slow(self, verb: str, is_dry_run: bool = False) -> Iterator[None]:
        """Meanwhile, answer such a request only when it is over: who asks will not wait so long."""
        self._slow = verb, is_dry_run
        yield
        self._slow = None
        self._is_over.set()

    def ctl(self, *arguments: str, **more: Any) -> Result:
        """algoctl without a terminal."""
        # As wide as a desk's screen: a narrow table would cut what the tests look for.
        return CliRunner(env={"COLUMNS": "240"}).invoke(app, ["--state", str(self.state_dir), *arguments], **more)

    def json(self, *arguments: str) -> dict[str, Any]:
        """What it writes when piped."""
        done = self.ctl(*arguments)
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)


class Firm(Street):
    """A street whose persons are named: each comes with his token."""

    def by(self, name: str, *arguments: str) -> Result:
        """algoctl of a person, in JSON."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ALGOCTL_TOKEN", TOKENS.get(name, name))
            return self.ctl(*arguments)

    def waiting(self) -> list[dict[str, Any]]:
        """What waits for a second person."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ALGOCTL_TOKEN", TOKENS["vic"])
            return self.json("approval", "ls")["approvals"]
