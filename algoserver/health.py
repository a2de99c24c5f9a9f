"""Measuring what `checks` judges: the machine, the state directory, and what the journal knows. Reads; writes nothing that stays.

Rule: a measurement that fails is a fact too, never an exception: a doctor must not die of what he finds.
"""

import ctypes
import fcntl
import os
import re
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from algoserver import checks, manifest
from algoserver.checks import Facts
from algoserver.config import Config
from algoserver.core.bounds import FIRM
from algoserver.core.state import State
from algoserver.domain.events import MachineWarned, OperatorCommanded
from algoserver.domain.types import OURS
from algoserver.journal import last_seq
from algoserver.learn.registry import Configured, Shelf
from algoserver.learn.store import ModelDamaged, load_model
from algoserver.settings import BadConfig

WATCH_S = 2.0
"""How often a running server looks at its disk: a journal of 20 MB a second needs ten looks for the default bound."""
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
SEQNUMS = re.compile(r"\d+ *: *\d+\s*")  # of QuickFIX's store: next sender's, next target's


def machine(config: Config, state_dir: Path) -> Facts:
    """What can be known before the journal is opened."""
    shell = config.server.shell
    facts = Facts(state_dir=str(state_dir), disk_free_min=shell.disk_free_mb_min * checks.MB, require_synced=shell.require_synced_clock)
    manifest.measure(config, facts)
    facts.forecast = config.model.name, model_error(config.model)
    facts.write_error = write_error(state_dir)
    facts.disk_free = disk_free(state_dir)
    facts.synced = is_clock_synced()
    facts.stores = broken_stores(state_dir / "fix")
    return facts


def journal(facts: Facts, config: Config, state: State) -> None:
    """What the recovered state adds: how far the clock is behind it, and which policy is in force by whose word."""
    facts.behind_s = _behind_s(config, state.ts)
    applied = state.policies[-1] if state.policies and state.setup else None
    facts.policy_is_kept = applied is not None
    if applied is not None:
        facts.policy = applied.digest, facts.policy[1] if facts.policy else "", _persons(applied.by, applied.checked_by)


def check_start(config: Config, state_dir: Path) -> Facts:
    """Measure before the journal is opened. Raises BadConfig, naming all that forbids a start."""
    facts = machine(config, state_dir)
    facts.policy = None  # which one will be in force is known when the journal is
    if config.policy_error and not last_seq(state_dir / "journal"):
        facts.policy_error = config.policy_error  # a first start has nothing else
    _refuse(facts)
    return facts


def check_recovered(config: Config, state: State) -> None:
    """Judge what the journal has told, before anything is said to anybody. Raises BadConfig."""
    facts = Facts()
    manifest.measure(config, facts)
    facts.hashes = ()  # these were judged before
    journal(facts, config, state)
    _refuse(facts)


def running(config: Config, state_dir: Path, ask: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """The answer to `algoctl doctor`. ask: a request to the core; its answer may be an error."""
    facts = machine(config, state_dir)
    begun = time.monotonic()
    told = ask({"verb": "doctor"})
    facts.core_s = -1.0 if "error" in told else time.monotonic() - begun
    if "error" not in told:
        facts.is_started = True
        forecast(facts, config, *told["model"])
        facts.behind_s = _behind_s(config, told["ts"])
        facts.unknown, facts.foreign = told["unknown"], told["foreign"]
        facts.venues_down, facts.doubted, facts.stops = (tuple(told[key]) for key in ("venues_down", "doubted", "stops"))
        facts.policy = told["policy"], facts.policy[1] if facts.policy else "", _persons(*told["applied_by"])
    rows = checks.table(facts)
    return {"is_healthy": checks.is_healthy(rows), "checks": msgspec.to_builtins(rows)}


def model_error(model: Configured) -> str:
    """Why a configured model can't be used, "" if it can, as far as its bytes say."""
    try:
        if model.folder is not None:
            load_model(model.folder)
    except ModelDamaged as damage:
        return str(damage)
    return model.text


def forecast(facts: Facts, config: Config, name: str, sha256: str) -> None:
    """What the core says is in force, which need not be what the configuration names: a model that was swapped in stays over restarts."""
    if (name, sha256) == (config.model.name, config.model.sha256):
        return
    facts.forecast_configured = facts.forecast
    why = ""
    try:
        found = Shelf(config.model, config.registry).checked(name).model_sha256 if sha256 else ""
        if found != sha256:
            why = f"{name} is not the one in force any more: its sha256 is {found}, not {sha256}"
    except (ValueError, OSError) as error:
        why = str(error)
    facts.forecast = name, why


class DiskWatch:
    """Says once when the disk of a running server becomes short, and once when that is over. Below stop_min it kills the firm, once for each time
    that the disk was short: what takes children back must be written too, and a journal that can't be ends the server at once."""

    def __init__(self, state_dir: Path, free_min: int, stop_min: int = 0) -> None:
        self._state_dir, self._free_min, self._stop_min = state_dir, free_min, stop_min
        self._is_short = self._has_killed = False

    def look(self) -> list[MachineWarned | OperatorCommanded]:
        """What the core should hear, in this order."""
        free = disk_free(self._state_dir)
        if free is None:
            return []
        found: list[MachineWarned | OperatorCommanded] = []
        if (free < self._free_min) != self._is_short:
            found.append(self._turned(free))
        self._has_killed = self._has_killed and self._is_short
        if free < self._stop_min and not self._has_killed:
            self._has_killed = True
            reason = f"disk: {free // checks.MB} MB are free, below disk_stop_mb_min {self._stop_min // checks.MB}"
            found.append(OperatorCommanded(operator=OURS, verb="kill", target=FIRM, reason=reason))
        return found

    def _turned(self, free: int) -> MachineWarned:
        self._is_short = not self._is_short
        code, what = ("disk_short", "below") if self._is_short else ("disk_enough", "above")
        text = f"{free // checks.MB} MB are free, {what} disk_free_mb_min {self._free_min // checks.MB}"
        if self._is_short:
            text = f"{text}: free room, a journal that can't be written stops the server"
        return MachineWarned(code=code, subject=str(self._state_dir), text=text)


def watch_disk(config: Config, state_dir: Path, tell: Callable[[MachineWarned | OperatorCommanded], None]) -> None:
    """Look at the disk as long as the process lives, on a thread of its own: a disk that hangs must hang nobody else."""
    shell = config.server.shell
    watch = DiskWatch(state_dir, shell.disk_free_mb_min * checks.MB, shell.disk_stop_mb_min * checks.MB)

    def look_on() -> None:
        while True:
            time.sleep(WATCH_S)
            for event in watch.look():
                tell(event)

    threading.Thread(target=look_on, name="disk", daemon=True).start()


def disk_free(folder: Path) -> int | None:
    """Bytes that we may still write on the disk of a folder, or of the nearest one above it that exists."""
    try:
        found = os.statvfs(_existing(folder))
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def write_error(folder: Path) -> str:
    """Why nothing can be written there; "" if something can."""
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        return f"{error.strerror or error}"
    return ""


def is_clock_synced() -> bool | None:
    """Whether the kernel holds its clock for synchronised; None where it does not say."""
    try:
        # struct timex is 208 bytes on 64-bit Linux; modes 0, its first word, reads and needs no right.
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else bool(state != TIME_ERROR)


def broken_stores(folder: Path) -> tuple[str, ...]:
    """What of the FIX engine's files can't be read or has lost its numbers."""
    if not folder.is_dir():
        return ()
    broken = []
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".seqnums", ".body", ".header", ".session")):
        try:
            with path.open("rb") as file:
                text = file.read(128)
        except OSError as error:
            broken.append(f"{path.name}: {error.strerror}")
            continue
        body = path.with_suffix(".body")
        # Empty with an empty body: the server was killed while it made them.
        is_new = not text and (not body.exists() or (body.is_file() and body.stat().st_size == 0))
        if path.suffix == ".seqnums" and not is_new and SEQNUMS.fullmatch(text.decode(errors="replace")) is None:
            broken.append(f"{path.name}: no sequence numbers in it")
    return tuple(broken)


def is_in_use(journal_dir: Path) -> bool:
    """Whether a server holds the journal now."""
    try:
        fd = os.open(journal_dir, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def port_error(port: int) -> str:
    """Why nobody could listen there; "" if one could."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
            probe.listen(1)
        except OSError as error:
            return error.strerror or str(error)
    return ""


def _behind_s(config: Config, ts: int) -> float:
    return max(0.0, config.clock.wall_delay(ts - config.clock.now()))


def _refuse(facts: Facts) -> None:
    why = checks.refusal(facts)
    if why:
        raise BadConfig(f"the start is refused: {why}; `algoserver doctor` shows every check")


def _persons(by: str, checked_by: str) -> str:
    """Who has applied a policy; "" where nobody has, and a start took it from the file."""
    return "" if by in ("", "start") else f"{by} and {checked_by}" if checked_by else by


def _existing(folder: Path) -> Path:
    folder = folder.resolve()
    return next(p for p in (folder, *folder.parents) if p.exists())
