"""`algoserver doctor`: every check that a start would make, and more, without starting or writing anything."""

import json
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from algoserver import checks, health
from algoserver.answers import doctor
from algoserver.checks import Check, Facts
from algoserver.config import Config
from algoserver.core import models
from algoserver.fix.endpoint import BadSessions, session_names
from algoserver.journal import NO_OUTPUTS, JournalCorrupt, last_seq
from algoserver.recovery import Diverged, recover, unfit

EXIT_UNHEALTHY = 9
COLORS = {checks.OK: "green", checks.WARN: "yellow", checks.FAIL: "red"}


def examine(config: Config | str, state_dir: Path, port: int = 0) -> list[Check]:
    """The table of a server that does not run. config: or why it can't be read."""
    if isinstance(config, str):
        return checks.table(Facts(configuration=config, write_error=health.write_error(state_dir), state_dir=str(state_dir)))
    facts = health.machine(config, state_dir)
    facts.configuration = ""
    facts.policy_error = config.policy_error
    facts.in_use = health.is_in_use(state_dir / "journal")
    facts.port = port or config.server.clients.port or None
    if facts.port and not facts.in_use:
        facts.port_error = health.port_error(facts.port)
    clients: list[str] = []
    try:
        clients = [name.rpartition("->")[2] for name in session_names(config.path(config.server.clients.sessions))]
    except (BadSessions, OSError) as error:
        facts.configuration = str(error)
    _journal(facts, config, state_dir / "journal", clients)
    return checks.table(facts)


def _journal(facts: Facts, config: Config, directory: Path, clients: list[str]) -> None:
    """Replay it as a start does; the running server's, too, for reading needs no lock."""
    if not directory.is_dir():
        facts.journal = "none yet: the first start makes it"
        return
    try:
        recovered = recover(directory, NO_OUTPUTS, last_seq(directory))
    except (JournalCorrupt, Diverged, OSError) as error:
        facts.journal_error = str(error)
        return
    state = recovered.state
    facts.journal = f"{state.seq} events, {recovered.events} of them replayed, {recovered.digests} digests agree"
    health.journal(facts, config, state)
    told = doctor(state)
    if not models.is_taken(state, config.setup):
        health.forecast(facts, config, *told["model"])
    facts.unknown, facts.foreign = told["unknown"], told["foreign"]
    facts.unfit = unfit(state, config.setup, clients)


def show(rows: list[Check], is_json: bool) -> int:
    """Print the table, or JSON; returns the exit status: 0, or 9 where something fails."""
    if is_json:
        print(json.dumps({"is_healthy": checks.is_healthy(rows), "checks": msgspec.to_builtins(rows)}, indent=2))
    else:
        table = Table()
        for name in Check.__struct_fields__:
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(*(Text(text, style=COLORS[row.state] if name == "state" else "") for name, text in msgspec.structs.asdict(row).items()))
        Console().print(table)
    return 0 if checks.is_healthy(rows) else EXIT_UNHEALTHY
