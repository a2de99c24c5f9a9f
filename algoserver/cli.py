"""`algoserver`: serve, doctor, manifest, sim, tape, backtest, demo, certify, train, replay, export, atdl, policy, password.

Each imports what it needs when it runs: --help is instant.
"""

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from algoserver import cli_data, cli_records, cli_study, cli_tape

if TYPE_CHECKING:
    from algoserver.settings import ClockConfig

ROOT = Path(__file__).resolve().parents[1]
EXIT_USAGE = 2
PASSWORD_VARIABLE = "ALGOSERVER_CERTIFY_PASSWORD"

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="A FIX-native execution algorithm server.")
train_app = typer.Typer(no_args_is_help=True, help="Learn what orders cost; a volume model is learnt by `algoctl model train`.")
app.add_typer(train_app, name="train")
manifest_app = typer.Typer(no_args_is_help=True, help="What was approved to run.")
app.add_typer(manifest_app, name="manifest")
atdl_app = typer.Typer(no_args_is_help=True, help="What an EMS needs to know of the algos.")
app.add_typer(atdl_app, name="atdl")
policy_app = typer.Typer(no_args_is_help=True, help="The risk policy's document; a running server's policy is algoctl's.")
app.add_typer(policy_app, name="policy")
cli_records.add_to(app)
cli_study.add_to(app, train_app)
cli_tape.add_to(app)
cli_data.add_to(app)

Config = Annotated[Path, typer.Option("--config", help="Configuration, TOML.")]
StateDir = Annotated[Path, typer.Option("--state", help="Directory for all that the process writes.")]
Port = Annotated[int, typer.Option("--port", help="Listen here instead of where the configuration says.", min=0, max=65_535, show_default=False)]
Speed = Annotated[float, typer.Option("--speed", help="Market seconds per wall second, instead of the configuration's.", show_default=False)]
MarketEpoch = Annotated[str, typer.Option("--market-epoch", help="Market time at the wall epoch, YYYYMMDD-HH:MM:SS UTC.")]
WallEpoch = Annotated[str, typer.Option("--wall-epoch", help="Wall time of the market epoch, YYYYMMDD-HH:MM:SS UTC.")]


@app.command()
def serve(
    config: Config = ROOT / "cfg" / "server.toml",
    state: StateDir = Path("state/server"),
    port: Port = 0,
    venue_port: Annotated[
        int, typer.Option("--venue-port", help="Port of every venue instead of the configuration's.", min=0, max=65_535, show_default=False)
    ] = 0,
    speed: Speed = 0,
    market_epoch: MarketEpoch = "",
    wall_epoch: WallEpoch = "",
    model: Annotated[str, typer.Option("--model", help="Volume model's directory instead of the configuration's.")] = "",
    safe_mode: Annotated[bool, typer.Option("--safe-mode", help="Replay as far as possible, cancel every child, trade nothing.")] = False,
) -> None:
    """Run the server: clients log on, parents are sliced, children go to the venues."""
    from algoserver.config import load
    from algoserver.door import Door
    from algoserver.fix.endpoint import BadSessions
    from algoserver.journal import JournalCorrupt, JournalLocked
    from algoserver.log import open_log
    from algoserver.porter import Porter
    from algoserver.recovery import Diverged
    from algoserver.server import Server
    from algoserver.settings import BadConfig

    try:
        clock = _clock(config, speed, market_epoch, wall_epoch)
        loaded = load(config, time.time_ns(), clock, model, needs_policy=False)
        state.mkdir(parents=True, exist_ok=True)
        open_log(state / "log" / "server.jsonl")
        if safe_mode:
            from algoserver.safe_mode import take_back

            _end(take_back(loaded, state, venue_port))
        server = Server(loaded, state, port, venue_port)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.stop())
        porter = Porter(server.operators, server.audit, server.ask)
        porter.recovered(server.commanded)
        door = Door(state, porter.ask, loaded.server.control.group)
        door.start()
        server.start()
    except (BadConfig, BadSessions, JournalCorrupt, JournalLocked, Diverged, ValueError, OSError) as error:
        print(f"algoserver: {error}", file=sys.stderr)
        _end(EXIT_USAGE)
    print(f"ready: clients on port {port or loaded.server.clients.port}, state in {state}", flush=True)
    settle_interpreter()
    status = server.run()
    door.stop()
    _end(status)


@app.command()
def doctor(
    config: Config = ROOT / "cfg" / "server.toml",
    state: StateDir = Path("state/server"),
    port: Port = 0,
    model: Annotated[str, typer.Option("--model", help="Volume model's directory instead of the configuration's.")] = "",
    output: Annotated[str, typer.Option("-o", "--output", help="table or json; default: table on a terminal, json when piped.")] = "",
) -> None:
    """Check all that a start would check, and more, without starting; exit status 9 where something fails."""
    from algoserver.config import load
    from algoserver.doctor import examine, show
    from algoserver.settings import BadConfig

    if output not in ("", "table", "json"):
        _refuse(f"--output {output} is neither table nor json")
    try:
        rows = examine(load(config, time.time_ns(), None, model, needs_policy=False), state, port)
    except (BadConfig, ValueError, OSError) as error:
        rows = examine(str(error), state)
    raise typer.Exit(show(rows, output == "json" or (not output and not sys.stdout.isatty())))


@manifest_app.command("write")
def manifest_write(
    out: Annotated[Path, typer.Option("--out", help="Write here; [manifest] file names it to enforce it.")],
    config: Config = ROOT / "cfg" / "server.toml",
    model: Annotated[str, typer.Option("--model", help="Volume model's directory instead of the configuration's.")] = "",
) -> None:
    """Record what would run now, by hash: build, configuration, policy, model. Whoever approves it names it in [manifest] file."""
    from algoserver.config import load
    from algoserver.manifest import write
    from algoserver.settings import BadConfig

    try:
        found = write(load(config, time.time_ns(), None, model), out)
    except (BadConfig, ValueError, OSError) as error:
        _refuse(str(error))
    print(f"manifest {out}: " + ", ".join(f"{part} {len(entries)}" for part, entries in found.items()))


@app.command()
def sim(
    config: Config = ROOT / "cfg" / "sim.toml",
    state: StateDir = Path("state/sim"),
    port: Port = 0,
    speed: Speed = 0,
    market_epoch: MarketEpoch = "",
    wall_epoch: WallEpoch = "",
    tape: cli_tape.TapeFile = "",
) -> None:
    """Run the exchange simulator: venues and market data over FIX."""
    from algoserver.fix.endpoint import BadSessions
    from algoserver.settings import BadConfig
    from algoserver.sim.face import run
    from algoserver.sim.ledger import BrokenLedger
    from algoserver.sim.tape_file import BrokenTape
    from algoserver.sim.volume import UnknownRecording

    settle_interpreter()
    try:
        run(config, state, port or None, _clock(config, speed, market_epoch, wall_epoch), tape)
    except (BadConfig, BadSessions, BrokenLedger, BrokenTape, UnknownRecording, ValueError, OSError) as error:
        _refuse(str(error))


@app.command()
def demo(
    json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object, on the last line.")] = False,
    state: Annotated[Path | None, typer.Option("--state", help="Keep all that is written here; default: a temporary directory.")] = None,
) -> None:
    """Trade 200,000 AAPL by VWAP on a recorded day, with simulator, server and client as real processes."""
    from algoserver.demo import run

    raise typer.Exit(run(state, json))


@app.command()
def certify(
    host: Annotated[str, typer.Option("--host", help="Where the server listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Its port for clients.")] = 9880,
    sender: Annotated[str, typer.Option("--sender", help="Our CompID, a session of the server; its numbers begin anew (141=Y).")] = "CLIENT1",
    target: Annotated[str, typer.Option("--target", help="The server's CompID.")] = "ALGO",
    fix: Annotated[str, typer.Option("--fix", help="Version of FIX that the session speaks: 4.2, 4.4 or 5.0SP2.")] = "4.4",
    symbol: Annotated[str, typer.Option("--symbol", help="A symbol with a market, in shares.")] = "AAPL",
    only: Annotated[list[str] | None, typer.Option("--only", help="Id of a scenario, as a run prints it; B. is all of B. May be repeated.")] = None,
    patience: Annotated[float, typer.Option("--patience", help="Seconds that an answer may take.", min=0.1)] = 10,
    username: Annotated[str, typer.Option("--username", help="Username of our Logon, where the server wants one.")] = "",
    password_file: Annotated[
        Path | None, typer.Option("--password-file", help=f"File with its password in the first line; else {PASSWORD_VARIABLE} has it.")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write the report here as JSON.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the report here as one HTML page.")] = None,
) -> None:
    """Play a client through FIX's scenarios against a running server, and report.

    The server runs in real time on an open market. The script trades at most some thousand shares, and cancels all orders of its session.
    """
    from algoserver.certify import report as reports
    from algoserver.certify.dialect import DIALECTS
    from algoserver.certify.run import NoSession, Plan
    from algoserver.certify.run import certify as run

    if password_file is not None and not username:
        _refuse("--password-file needs --username")
    if fix not in DIALECTS:
        _refuse(f"--fix {fix} is no version that a client speaks here; use {', '.join(DIALECTS)}")
    try:
        for wanted in filter(None, (json, html)):
            # Before the run: a run's answers are not lost to a folder that is not there.
            wanted.parent.mkdir(parents=True, exist_ok=True)
            wanted.touch()
        secret = _password(password_file) if username else ""
        plan = Plan(host, port, sender, target, fix, symbol, tuple(only or ()), patience, username, secret)
        report = run(plan, lambda r: print(reports.line(r), flush=True))
        for path, text in ((json, reports.to_json), (html, reports.to_html)):
            if path is not None:
                path.write_text(text(report))
    except (NoSession, ValueError, OSError) as error:
        _refuse(str(error))
    print(reports.summary(report))
    raise typer.Exit(0 if report.is_passed else 1)


def _password(file: Path | None) -> str:
    """From the file or the environment, never from an argument: what a process is started with, everybody on its machine can read."""
    found = file.read_text().partition("\n")[0].rstrip("\r") if file is not None else os.environ.get(PASSWORD_VARIABLE, "")
    if not found:
        needed = f"--username needs a password: {PASSWORD_VARIABLE} or --password-file"
        _refuse(f"the first line of {file} has no password" if file is not None else needed)
    return found


@app.command()
def replay(state: Annotated[Path, typer.Argument(help="State directory of a server, stopped or killed.")]) -> None:
    """Replay a server's journal and compare every decision and digest with what was written."""
    from algoserver.journal import JournalCorrupt
    from algoserver.recovery import Diverged
    from algoserver.recovery import replay as run

    if not (state / "journal").is_dir():
        _refuse(f"{state}: no journal here; give the --state directory of a server")
    try:
        result = run(state / "journal")
    except (Diverged, JournalCorrupt) as error:
        print(f"algoserver: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    print(f"events {result.events}, outputs {result.outputs}, digests {result.digests}: compared, all equal")
    print(f"digest {result.digest}")


@app.command()
def password() -> None:
    """Ask for a client's password, twice, and print the hash that `password` of its profile in cfg/server.toml takes."""
    from algoserver.credentials import hashed, problem

    given = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    wrong = problem(given)
    if wrong:
        _refuse(wrong)
    print(hashed(given))


@app.command()
def token() -> None:
    """Make a token for one operator: he puts it into ALGOCTL_TOKEN, and `token` of his entry in cfg/operators.toml takes the hash."""
    from algoserver.credentials import new_token, token_hash

    made = new_token()
    print(f"ALGOCTL_TOKEN={made}")
    print(f'token = "{token_hash(made)}"')


@app.command()
def roles(doc: Annotated[Path | None, typer.Option("--doc", help="Write it into this document instead of to the screen.")] = None) -> None:
    """Print which role may do what."""
    from algoserver.operators import table
    from algoserver.rules import NoPlace, placed

    try:
        if doc is None:
            print(table(), end="")
        else:
            doc.write_text(placed(doc.read_text(), "roles", table()))
    except (OSError, NoPlace) as error:
        _refuse(f"{doc}: {error}")


@atdl_app.command("export")
def atdl_export(out: Annotated[Path | None, typer.Option("--out", help="Write here instead of to the screen.")] = None) -> None:
    """Write the algos and their parameters as FIXatdl 1.1."""
    from algoserver.atdl import export

    if out is None:
        print(export(), end="")
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(export())
    except OSError as error:
        _refuse(str(error))
    print(f"FIXatdl {out}")


@atdl_app.command("rules")
def atdl_rules(doc: Annotated[Path, typer.Option("--doc", help="The document.")] = ROOT / "docs" / "rules-of-engagement.md") -> None:
    """Write the tables of parameters in the rules of engagement anew."""
    from algoserver.rules import NoPlace, render

    try:
        doc.write_text(render(doc.read_text()))
    except (OSError, NoPlace) as error:
        _refuse(f"{doc}: {error}")


@policy_app.command("rules")
def policy_rules(doc: Annotated[Path, typer.Option("--doc", help="The document.")] = ROOT / "docs" / "policy.md") -> None:
    """Write the tables of limits in docs/policy.md anew."""
    from algoserver.policy_doc import TABLES
    from algoserver.rules import NoPlace, render

    try:
        doc.write_text(render(doc.read_text(), TABLES))
    except (OSError, NoPlace) as error:
        _refuse(f"{doc}: {error}")


@app.command("controls")
def controls_page(doc: Annotated[Path, typer.Option("--doc", help="The document.")] = ROOT / "docs" / "controls.md") -> None:
    """Write the page of the controls anew."""
    from algoserver.controls import page

    try:
        doc.write_text(page())
    except OSError as error:
        _refuse(f"{doc}: {error.strerror}")


def main() -> None:
    """Entry point."""
    app()


def _clock(config: Path, speed: float, market_epoch: str, wall_epoch: str) -> "ClockConfig | None":
    """The file's [clock] with what the command line says instead; None if it says nothing."""
    import tomllib

    import msgspec

    from algoserver.settings import BadConfig, ClockConfig

    given = {"speed": speed, "market_epoch": market_epoch, "wall_epoch": wall_epoch}
    chosen = {k: v for k, v in given.items() if v}
    if not chosen:
        return None
    try:
        raw = tomllib.loads(config.read_text()).get("clock", {})
        return msgspec.convert({**raw, **chosen}, ClockConfig)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadConfig(f"{config}: clock: {error}") from error


def settle_interpreter() -> None:
    """Fit the interpreter to a state that only grows and has no cycles.

    Walking it again and again for garbage finds nothing and was half of a step's time at 20,000 parents.
    """
    import gc

    gc.freeze()
    gc.set_threshold(50_000, 1_000, 1_000)


def _end(status: int) -> NoReturn:
    """End a server's process. A thread of QuickFIX may still run: of an engine that began before another could not, or that waits for a Logout.

    The interpreter's own end would free the sessions that it looks for, and the process crash.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _refuse(text: str) -> NoReturn:
    print(f"algoserver: {text}", file=sys.stderr)
    raise typer.Exit(EXIT_USAGE)
