"""`algoserver export` and `algoserver evidence`: what is handed to those who ask afterwards."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

EXIT_FAILED, EXIT_USAGE, EXIT_PARTIAL = 1, 2, 6


def add_to(app: typer.Typer) -> None:
    """Make them commands of `algoserver`."""
    app.command("export")(export_state)


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


def refuse(text: str) -> NoReturn:
    """End, saying what to change."""
    print(f"algoserver: {text}", file=sys.stderr)
    raise typer.Exit(EXIT_USAGE)
