"""`algoctl sim`: phases, halts, faults and scenarios of a running simulator."""

from pathlib import Path
from typing import Annotated, Any

import typer

from algoserver.terminal import EXITS, Desk, Format, Output, stop

sim_app = typer.Typer(no_args_is_help=True, help="A running simulator: phases, halts, faults and scenarios of them.")

SimState = Annotated[Path, typer.Option("--state", envvar="ALGOSERVER_SIM_STATE", help="State directory of the simulator.")]
Symbol = Annotated[str, typer.Argument(metavar="SYMBOL", help="An instrument, or all.")]
Keys = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE...]", help="What the kind takes, as `algoctl sim scenario` shows it.")]
DEFAULT_STATE = Path("state/sim")


def _ask(state: Path, output: Output | None, **request: Any) -> None:
    desk = Desk(state, output)
    desk.show(desk.ask(request))


@sim_app.command("status")
def status(state: SimState = DEFAULT_STATE, output: Format = None) -> None:
    """Phases, and what goes wrong now and is going to."""
    _ask(state, output, verb="sim.status")


@sim_app.command("scenario")
def scenario(
    name: Annotated[str, typer.Argument(help="Show this one; default: list all, and every kind of fault with its keys.")] = "",
    state: SimState = DEFAULT_STATE,
    output: Format = None,
) -> None:
    """Scenarios that can be run, or what one of them does."""
    _ask(state, output, verb="sim.scenario", target=_place(name))


@sim_app.command("run")
def run(
    name: Annotated[str, typer.Argument(help="A scenario's name, or the path of a .toml file.")],
    state: SimState = DEFAULT_STATE,
    output: Format = None,
) -> None:
    """Begin a scenario: its faults happen from now on, by the seconds that it says."""
    _ask(state, output, verb="sim.run", target=_place(name))


@sim_app.command("inject")
def inject(
    kind: Annotated[str, typer.Argument(help="The fault's kind.")], keys: Keys = None, state: SimState = DEFAULT_STATE, output: Format = None
) -> None:
    """Let one fault happen now."""
    values = dict(key.split("=", 1) for key in keys or [] if "=" in key)
    if len(values) != len(keys or []):
        stop("keys are KEY=VALUE, each once", EXITS["usage"])
    _ask(state, output, verb="sim.inject", target=kind, values=values)


@sim_app.command("halt")
def halt(
    symbol: Symbol,
    seconds: Annotated[int, typer.Option("--seconds", help="Market seconds; default: until it is resumed.", min=0)] = 0,
    resting: Annotated[str, typer.Option("--resting", help="What becomes of clients' orders: keep or cancel.")] = "keep",
    state: SimState = DEFAULT_STATE,
    output: Format = None,
) -> None:
    """Stop trading."""
    _ask(state, output, verb="sim.halt", target=symbol, seconds=seconds, resting=resting)


@sim_app.command("resume")
def resume(symbol: Symbol, state: SimState = DEFAULT_STATE, output: Format = None) -> None:
    """End a halt or a pause: venues with auctions reopen by auction."""
    _ask(state, output, verb="sim.resume", target=symbol)


@sim_app.command("phase")
def phase(
    symbol: Annotated[str, typer.Argument(metavar="[SYMBOL]", help="An instrument, or all.")] = "",
    to: Annotated[str, typer.Argument(metavar="[PHASE]", help="continuous, halted or paused.")] = "",
    seconds: Annotated[int, typer.Option("--seconds", help="How long, market seconds.", min=0)] = 0,
    state: SimState = DEFAULT_STATE,
    output: Format = None,
) -> None:
    """Show every instrument's phase, or bring one into another. A pause ends by a reopening auction."""
    _ask(state, output, verb="sim.phase", target=symbol, phase=to, seconds=seconds)


def _place(name: str) -> str:
    """A path means the same to the simulator, wherever it runs."""
    return str(Path(name).resolve()) if name.endswith(".toml") else name
