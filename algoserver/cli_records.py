"""`algoserver export` and `algoserver evidence`: what is handed to those who ask afterwards."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

ROOT = Path(__file__).resolve().parents[1]
EXIT_FAILED, EXIT_USAGE, EXIT_PARTIAL = 1, 2, 6


def add_to(app: typer.Typer) -> None:
    """Make them commands of `algoserver`."""
    app.command("export")(export_state)
    app.command("evidence")(evidence)


def export_state(
    state: Annotated[Path, typer.Option("--state", help="State directory of a server, running or not; nothing is written there.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to make, outside of it.")],
    begin: Annotated[str, typer.Option("--from", help="From this day YYYYMMDD or time YYYYMMDD-HH:MM:SS on, UTC; default: all.")] = "",
    end: Annotated[str, typer.Option("--to", help="Up to this day or time, itself not; default: all.")] = "",
    until_damage: Annotated[bool, typer.Option("--until-damage", help="Of what is damaged write what is before it; exit status 6.")] = False,
) -> None:
    """Write what surveillance asks for as tidy JSON lines and CSV: docs/export.md has every column."""
    from algoserver.export.files import FOR_EVER, Damaged, NotExported, export, moment, range_text

    try:
        since, until = moment(begin) if begin else 0, moment(end) if end else FOR_EVER
        said = export(state, out, since, until, until_damage)
    except Damaged as error:
        print(f"algoserver: {error}", file=sys.stderr)
        raise typer.Exit(EXIT_FAILED) from error
    except (NotExported, ValueError, OSError) as error:
        refuse(str(error))
    tables = ", ".join(f"{name} {table['rows']}" for name, table in said["tables"].items())
    print(f"export {out}, events {said['events_from']} to {said['events_to']} {range_text(since, until)}: {tables}")
    if said["damage"]:
        print(f"algoserver: it ends before damage: {said['damage']}", file=sys.stderr)
        raise typer.Exit(EXIT_PARTIAL)


def evidence(
    out: Annotated[Path, typer.Option("--out", help="Write the document here, Markdown.")],
    config: Annotated[Path, typer.Option("--config", help="Configuration, TOML.")] = ROOT / "cfg" / "server.toml",
    state: Annotated[Path | None, typer.Option("--state", help="State directory whose audit and journal are looked at.")] = None,
    tests: Annotated[list[Path] | None, typer.Option("--tests", help="What `pytest --junitxml` wrote; may be repeated.")] = None,
    drills: Annotated[Path | None, typer.Option("--drills", help="Folder of what `algoctl drill NAME -o json` printed, a file each.")] = None,
    is_replayed: Annotated[bool, typer.Option("--replay", help="Replay the journal too; that takes as long as a start without snapshots.")] = False,
) -> None:
    """Gather controls, tests, drills, audit and manifest into one document; exit status 1 if something failed, 6 if something was not run."""
    import time

    from algoserver.config import load
    from algoserver.evidence import gather
    from algoserver.settings import BadConfig

    try:
        found = gather(load(config, time.time_ns(), None, "", needs_policy=False), state, tests or [], drills, is_replayed)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(found.text)
    except (BadConfig, ValueError, OSError) as error:
        refuse(str(error))
    print(f"evidence {out}: {len(found.failed)} failed, {len(found.not_run)} not run")
    raise typer.Exit(EXIT_FAILED if found.failed else EXIT_PARTIAL if found.not_run else 0)


def refuse(text: str) -> NoReturn:
    """End, saying what to change."""
    print(f"algoserver: {text}", file=sys.stderr)
    raise typer.Exit(EXIT_USAGE)
