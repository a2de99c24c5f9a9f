"""`algoserver backtest`: orders over many seeds of a market."""

from pathlib import Path
from typing import Annotated

import typer

from algoserver.cli_records import refuse

ROOT = Path(__file__).resolve().parents[1]


def add_to(app: typer.Typer) -> None:
    """Make it a command of `algoserver`."""
    app.command("backtest")(backtest)


def backtest(
    config: Annotated[Path, typer.Option("--config", help="The study, TOML.")] = ROOT / "cfg" / "backtest.toml",
    seeds: Annotated[str, typer.Option("--seeds", help="A:B, from A up to B - 1; each is a market of its own.")] = "1:11",
    jobs: Annotated[int, typer.Option("--jobs", help="Processes; 0: one for each processor.", min=0)] = 0,
    out: Annotated[Path, typer.Option("--out", help="Directory for journals and results; what is there is not run again.")] = Path("state/backtest"),
    tape: Annotated[str, typer.Option("--tape", help="The recording that its market plays, instead of the scenario's.")] = "",
    dask: Annotated[str, typer.Option("--dask", help="Address of a Dask scheduler whose workers do it, tcp://HOST:PORT (extra `cluster`).")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print the results as one JSON object, on the last line.")] = False,
) -> None:
    """Run a study's orders over many seeds: the core that trades, against a market in the same process."""
    from algoserver.study import REFUSALS, play

    try:
        play(config, seeds, jobs, out, json, tape, dask)
    except REFUSALS as error:
        refuse(str(error))
