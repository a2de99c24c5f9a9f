"""`algoctl drill`: break something for real, on a street of its own, and report whether all held. It never touches a running server."""

import sys
import tempfile
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from algoserver.terminal import EXITS, Desk, Format, Output, stop


class Drill(StrEnum):
    """What breaks."""

    KILL = "kill"
    VENUE_DOWN = "venue-down"
    RUNAWAY = "runaway"
    STALE_DATA = "stale-data"
    RESTART = "restart"


app = typer.Typer()


@app.command()
def drill(
    ctx: typer.Context,
    name: Annotated[Drill, typer.Argument(help="What breaks.")],
    keep: Annotated[Path | None, typer.Option("--keep", help="Keep journal, ledger and logs here; default: a temporary directory.")] = None,
    output: Format = None,
) -> None:
    """Break something for real on a simulated street of its own, and report what held; exit status 0 passed, 1 failed."""
    from algoserver.drills.faults import DRILLS
    from algoserver.drills.report import show
    from algoserver.processes import Failed

    given: Desk = ctx.obj
    wanted = output or given.output
    print(f"drill {name}: starting a simulator and a server of its own ...", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="algoserver-drill-") as folder:
        begun = time.monotonic()
        try:
            report = DRILLS[name](keep or Path(folder))
        except Failed as error:
            stop(f"drill {name}: {error}", EXITS["failed"])
        report.wall_s = round(time.monotonic() - begun, 1)
    raise typer.Exit(show(report, wanted is Output.JSON or (wanted is None and not sys.stdout.isatty())))
