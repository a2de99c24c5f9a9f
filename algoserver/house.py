"""The house-keeping thread: what may take its time, and whether the configuration's files are still those that are in force.

Rule: nothing waits for it, and what it finds comes to the core as an event. A change is told once, until the file is what it was.
"""

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from algoserver.config import Config
from algoserver.domain.events import ConfigDrifted, PolicyLoaded
from algoserver.policies import digest_of

LOOK_S = 2.0  # between two looks at the files: an alert is due within five seconds


class House:
    """Chores, one after another. config: as it was read. in_force: what is in force now. tell: where an event goes."""

    def __init__(self, config: Config, in_force: Callable[[], PolicyLoaded | None], tell: Callable[[ConfigDrifted], None]) -> None:
        self._known, self._told = config.digests, dict(config.digests)
        self._policy, self._in_force = config.base / config.server.policy, in_force
        self._tell = tell
        self._chores: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._log = structlog.get_logger()

    def start(self) -> None:
        """Begin to keep it."""
        threading.Thread(target=self._keep, name="house", daemon=True).start()

    def do(self, chore: Callable[[], Any]) -> None:
        """A chore, when those before it are done."""
        self._chores.put(chore)

    def stop(self) -> None:
        """End after the chores that there are."""
        self._chores.put(None)

    def look(self) -> list[ConfigDrifted]:
        """The files that have changed since the last look and are not what is in force."""
        found, setup = [], self._in_force()
        for path, known in self._known.items():
            digest = _digest(path)
            if digest == self._told[path]:
                continue
            self._told[path] = digest
            # A policy's file may have become what was applied; the others are in force as they were read.
            if digest != (setup.policy_digest if setup and path == self._policy else known):
                found.append(ConfigDrifted(file=path.name, digest=digest))
        return found

    def _keep(self) -> None:
        while True:
            try:
                chore = self._chores.get(timeout=LOOK_S)
                if chore is None:
                    return
                chore()
            except queue.Empty:
                for event in self.look():
                    self._tell(event)
            except OSError as error:
                # The journal itself is whole without it; the next snapshot tries again.
                self._log.error("housekeeping failed", error=str(error))


def _digest(path: Path) -> str:
    try:
        return digest_of(path.read_bytes())
    except OSError:
        return ""
