"""`algoserver tape`: recorded markets as files that the simulator plays, and what a crowd has to be like to look like one."""

from pathlib import Path
from typing import Annotated

import typer

from algoserver.cli_records import refuse

tape_app = typer.Typer(no_args_is_help=True, help="Recorded markets for the simulator.")
Tick = Annotated[str, typer.Option("--tick", help="Price step.")]
TapeFile = Annotated[str, typer.Option("--tape", help="The recording to play, instead of the scenario's (docs/simulator.md).")]
Decimals = Annotated[int, typer.Option("--decimals", help="Digits after the point of a quantity.", min=0, max=8)]


def add_to(app: typer.Typer) -> None:
    """Make it a command of `algoserver`."""
    app.add_typer(tape_app, name="tape")


@tape_app.command()
def convert(
    files: Annotated[list[Path], typer.Argument(help="What was recorded; LOBSTER: messages, then order book.")],
    kind: Annotated[str, typer.Option("--from", help="lobster, binance (trades or aggTrades) or bars (of a minute).")],
    out: Annotated[Path, typer.Option("--out", help="The tape; .gz is compressed.")],
    tick: Tick = "0.01",
    decimals: Decimals = 0,
    spread: Annotated[int, typer.Option("--spread", help="Ticks between the sides of a book that is made up.", min=1)] = 1,
    depth: Annotated[str, typer.Option("--depth", help="Quantity at each of its levels; default: five mean trades.")] = "",
) -> None:
    """Make a tape of somebody's recording; what is mended of it is counted and told."""
    from algoserver.domain.types import Instrument, px, qty
    from algoserver.sim.tape_convert import KINDS, Made
    from algoserver.sim.tape_convert import convert as converted
    from algoserver.sim.tape_file import BrokenTape, write

    try:
        if kind not in KINDS:
            raise ValueError(f"--from {kind} is not one of {', '.join(KINDS)}")
        instrument, made = Instrument("TAPE", px(tick), 1, 1, decimals, adv=0), Made(spread, qty(depth, decimals) if depth else 0)
        if instrument.tick <= 0:
            raise ValueError("--tick must be positive")
        if depth and made.depth <= 0:
            raise ValueError("--depth must be positive")
        if out.exists() and any(file.exists() and file.samefile(out) for file in files):
            raise ValueError(f"--out {out} is what was recorded: name another file")
        events, repairs = converted(kind, files, instrument, made)
        write(out, events)
    except (BrokenTape, ValueError, OSError) as error:
        refuse(str(error))
    print(f"{out}: {repairs.text()}")


@tape_app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A tape.")],
    tick: Tick = "0.01",
    decimals: Decimals = 0,
) -> None:
    """Read a tape as the simulator would, and tell what it holds and what is mended."""
    from algoserver.domain.types import SECOND, Instrument, px
    from algoserver.sim.tape import measured
    from algoserver.sim.tape_file import BrokenTape, read

    try:
        instrument = Instrument("TAPE", px(tick), 1, 1, decimals, adv=0)
        events, repairs = read(file, instrument)
    except (BrokenTape, ValueError, OSError, EOFError) as error:
        refuse(str(error))
    sigma, rate = measured(events, instrument)
    seconds = (events[-1].ts - events[0].ts) / SECOND
    print(f"{file}: {repairs.text()}")
    print(f"{seconds:.0f} s; {rate / 10**decimals:.6g} traded per second; the price moves {sigma:.3g} ticks per root of a second")


@tape_app.command()
def fit(
    file: Annotated[Path | None, typer.Argument(help="A tape.")] = None,
    volume: Annotated[Path | None, typer.Option("--volume", help="CSV of volumes, a column a day, a row a part of it.")] = None,
    tick: Tick = "0.01",
    decimals: Decimals = 0,
    seconds: Annotated[int, typer.Option("--seconds", help="Market seconds of the fitted crowd to compare with; 0: none.", min=0)] = 300,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fit the crowd that reacts to a tape, to volumes by day, or both; print its parameters as a scenario has them, and what they are worth."""
    from algoserver.sim.calibrate import report
    from algoserver.sim.tape_file import BrokenTape

    try:
        if file is None and volume is None:
            raise ValueError("give a tape, or --volume, or both")
        print(report(file, volume, tick, decimals, seconds, json))
    except (BrokenTape, ValueError, OSError, EOFError) as error:
        refuse(str(error))
