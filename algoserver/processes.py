"""Our own commands as processes: what demo and drills start, wait for and stop.

Rule: a process is in a group of its own, so a Ctrl-C of the terminal reaches us alone, and we stop what we started, by its id.
"""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[1]
STOP_S_MAX = 20
PORTS = range(12_000, 32_000)  # below the kernel's own, 32,768 and up
_numbers = itertools.count(211 * os.getpid())  # each process begins elsewhere
T = TypeVar("T")


class Failed(Exception):
    """A process did not do its part; the text says which and what it said."""


class Program:
    """`python -m module ...`, started by start(). name: what an error calls it."""

    def __init__(self, name: str, module: list[str]) -> None:
        self.name = name
        self._module = module

    def start(self) -> "Program":
        """Start it, or start it again; await_ready() waits for it."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self._module], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True,
            cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"}, start_new_session=True,
        )  # fmt: skip
        return self

    def await_ready(self) -> None:
        """Until it accepts logons. Raises Failed."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("ready"):
            raise Failed(f"the {self.name} did not start; run it alone to see why")

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it in good order, or else by kill -9."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.kill()


def wait_for(condition: Callable[[], T | None], failure: str, seconds: float, pause_s: float = 0.05) -> T:
    """The first answer that is true. Raises Failed when none came in time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"{failure}, in {seconds:g} s")
        time.sleep(pause_s)
    return found


def free_port() -> int:
    """A port that nobody listens on, and that the kernel gives nobody who asks for any: it stays free until who needs it has started."""
    for number in itertools.islice(_numbers, len(PORTS)):
        port = PORTS[number % len(PORTS)]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise Failed(f"none of the ports {PORTS[0]} to {PORTS[-1]} is free")
