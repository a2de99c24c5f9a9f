"""`algoctl`: the operator's client. It speaks to the door of a running server and to nothing else.

Tables on a terminal, JSON when piped or with -o json. Data on stdout, everything else on stderr. Exit status: 0 ok,
1 failed, 2 usage or confirmation missing, 3 not found, 4 denied, 5 refused, 7 timeout, 8 server unreachable.
"""

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand

EXITS = {
    "failed": 1, "usage": 2, "ambiguous": 2, "not_found": 3, "denied": 4, "already_over": 5, "nothing_to_do": 5, "not_built": 5, "refused": 5,
    "timeout": 7, "unreachable": 8,
}  # fmt: skip
CONFIRMATION_MISSING = 2
# A kill does not wait longer than this to learn how much it is going to reach.
LOOK_AHEAD_S = 2.0
# What a table shows of rows that are too wide for a terminal; JSON has all of it.
COLUMNS = {
    "orders": ("order_id", "cl_ord_id", "session", "symbol", "side", "algo", "order_qty", "cum_qty", "avg_px", "ord_status", "state", "because"),
    "children": ("child_id", "venue", "price", "order_qty", "cum_qty", "ord_status", "is_unknown"),
}
PIPED_WIDTH = 200  # of a table that was asked for without a terminal to measure


class Output(StrEnum):
    """How data is written."""

    TABLE = "table"
    JSON = "json"


app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Operate a running algoserver.")
order_app = typer.Typer(no_args_is_help=True, help="Parent orders.")
session_app = typer.Typer(no_args_is_help=True, help="FIX sessions.")
venue_app = typer.Typer(no_args_is_help=True, help="Venues.")
app.add_typer(order_app, name="order")
app.add_typer(session_app, name="session")
app.add_typer(venue_app, name="venue")

STATE_HELP = "State directory of the server."
OUTPUT_HELP = "table or json; default: table on a terminal, json when piped."
State = Annotated[Path | None, typer.Option("--state", help=STATE_HELP)]
Format = Annotated[Output | None, typer.Option("-o", "--output", help=OUTPUT_HELP)]
Target = Annotated[str, typer.Argument(help="OrderID or ClOrdID.")]
Venue = Annotated[str, typer.Argument(help="Name of the venue.")]
Foreign = Annotated[str, typer.Argument(help="ClOrdID at the venue, as `algoctl venue foreign` shows it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the journal.")]
ToldReason = Annotated[str, typer.Option("--reason", help="Why; kept in the journal, and read by clients in Text (58).")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Let the server judge it and do nothing.")]
Verbal = Annotated[bool, typer.Option("--verbal", help="The client asked for it, by telephone: 378=2.")]
Values = Annotated[list[str], typer.Argument(metavar="NAME=VALUE...", help="What changes; the rest stays.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Scope = Annotated[str, typer.Option("--scope", help="firm; other scopes are not built yet.")]


@app.callback()
def options(
    ctx: typer.Context,
    state: Annotated[Path, typer.Option("--state", envvar="ALGOSERVER_STATE", help=STATE_HELP)] = Path("state/server"),
    output: Format = None,
) -> None:
    """Operate a running algoserver."""
    ctx.obj = Desk(state, output)


@app.command()
def status(ctx: typer.Context, state: State = None, output: Format = None) -> None:
    """The server at a glance. alerts: how many since it started; log/server.jsonl in its state directory says which."""
    desk = _desk(ctx, state, output)
    desk.show(desk.ask({"verb": "status"}))


@app.command()
def kill(
    ctx: typer.Context, reason: ToldReason = "", scope: Scope = "firm", dry_run: DryRun = False, yes: Yes = False,
    state: State = None, output: Format = None,
) -> None:  # fmt: skip
    """Shut the gate and cancel every child. Asks on a terminal only: a script that kills needs no --yes."""
    desk = _desk(ctx, state, output)
    request = {"verb": "kill", "target": scope, "reason": reason}
    ahead = desk.ask({**request, "dry_run": True}, LOOK_AHEAD_S, may_time_out=not dry_run)
    print(f"kill reaches {_reach(ahead)}", file=sys.stderr)
    if dry_run:
        desk.show(ahead)
        return
    if sys.stdin.isatty() and not yes:
        _confirm("Kill the firm?")
    desk.show(desk.ask(request))
    print("the gate is shut; `algoctl status` says kill_verified when no child is open", file=sys.stderr)


@app.command()
def release(
    ctx: typer.Context, reason: Reason = "", scope: Scope = "firm", dry_run: DryRun = False, yes: Yes = False,
    state: State = None, output: Format = None,
) -> None:  # fmt: skip
    """Open the gate again: orders that are not over go on."""
    _bulk(_desk(ctx, state, output), {"verb": "release", "target": scope, "reason": reason}, dry_run, yes)


@order_app.command("ls")
def order_ls(
    ctx: typer.Context,
    is_open: Annotated[bool, typer.Option("--open", help="Only those that are not over.")] = False,
    state: State = None,
    output: Format = None,
) -> None:
    """The latest parent orders, oldest first."""
    desk = _desk(ctx, state, output)
    said = desk.ask({"verb": "order.ls", "is_open": is_open})
    desk.show(said)
    if len(said["orders"]) < said["total"]:
        print(f"the latest {len(said['orders'])} of {said['total']}", file=sys.stderr)


@order_app.command("show")
def order_show(ctx: typer.Context, order: Target, state: State = None, output: Format = None) -> None:
    """All about one order, its children too."""
    desk = _desk(ctx, state, output)
    desk.show(desk.ask({"verb": "order.show", "target": order}))


@order_app.command("plan")
def order_plan(ctx: typer.Context, order: Target, state: State = None, output: Format = None) -> None:
    """Planned quantity by the end of each slice, the band that it should stay in (low, high), and what was done by then."""
    desk = _desk(ctx, state, output)
    desk.show(desk.ask({"verb": "order.plan", "target": order}))


@order_app.command("pause")
def order_pause(ctx: typer.Context, order: Target, reason: Reason = "", dry_run: DryRun = False, state: State = None, output: Format = None) -> None:
    """Take the order's children back and send no more until it is resumed."""
    desk = _desk(ctx, state, output)
    desk.show(desk.ask({"verb": "order.pause", "target": order, "reason": reason, "dry_run": dry_run}))


@order_app.command("resume")
def order_resume(ctx: typer.Context, order: Target, reason: Reason = "", dry_run: DryRun = False, state: State = None, output: Format = None) -> None:
    """Let a paused order go on."""
    desk = _desk(ctx, state, output)
    desk.show(desk.ask({"verb": "order.resume", "target": order, "reason": reason, "dry_run": dry_run}))


@order_app.command("cancel")
def order_cancel(
    ctx: typer.Context, order: Target, reason: ToldReason = "", verbal: Verbal = False, dry_run: DryRun = False, yes: Yes = False,
    state: State = None, output: Format = None,
) -> None:  # fmt: skip
    """End the order: its children are canceled, the client is told."""
    _bulk(_desk(ctx, state, output), {"verb": "order.cancel", "target": order, "reason": reason, "is_verbal": verbal}, dry_run, yes)


class Amend(TyperCommand):
    """Its help ends with the parameters' own declarations, which are loaded only for it: help is instant everywhere else."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """See above."""
        from algoserver.domain.params import PARAMS, bounds

        lines = [f"{p.name} ({p.kind}{', ' + bounds(p) if bounds(p) else ''}): {p.meaning}" for p in PARAMS if p.is_built and p.is_mutable]
        self.epilog = "\n\n".join(("NAME is one of:", "OrderQty (qty), Price (price), OrdType (MARKET, LIMIT)", *lines))
        super().format_help(ctx, formatter)


@order_app.command("amend", cls=Amend)
def order_amend(
    ctx: typer.Context, order: Target, values: Values, reason: Reason = "", verbal: Verbal = False, dry_run: DryRun = False, yes: Yes = False,
    state: State = None, output: Format = None,
) -> None:  # fmt: skip
    """Change the order as its client could by a G; he hears Restated (150=D) under the ClOrdID that he knows."""
    pairs = [v.partition("=") for v in values]
    if any(not equals for _, equals, _ in pairs) or len({name for name, _, _ in pairs}) < len(pairs):
        _stop("order.amend: each change is NAME=VALUE, each name once", EXITS["usage"])
    given = {name: value for name, _, value in pairs}
    request = {"verb": "order.amend", "target": order, "values": given, "reason": reason, "is_verbal": verbal}
    _bulk(_desk(ctx, state, output), request, dry_run, yes)


@session_app.command("ls")
def session_ls(ctx: typer.Context, state: State = None, output: Format = None) -> None:
    """Sessions of clients, venues and market data (.md); msg_seq_heard is the last MsgSeqNum that is in the journal."""
    desk = _desk(ctx, state, output)
    desk.show(desk.ask({"verb": "session.ls"}))


@venue_app.command("ls")
def venue_ls(ctx: typer.Context, state: State = None, output: Format = None) -> None:
    """Venues: up or down, our open children, and for each symbol bid / ask and how old they are."""
    desk = _desk(ctx, state, output)
    desk.show(desk.ask({"verb": "venue.ls"}))


@venue_app.command("foreign")
def venue_foreign(ctx: typer.Context, state: State = None, output: Format = None) -> None:
    """Orders at venues that we did not send; each stops our trading in its symbol there until a person adopts or cancels it."""
    desk = _desk(ctx, state, output)
    desk.show(desk.ask({"verb": "venue.foreign"}))


@venue_app.command("adopt")
def venue_adopt(
    ctx: typer.Context, venue: Venue, order: Foreign, reason: Reason = "", dry_run: DryRun = False, state: State = None, output: Format = None,
) -> None:  # fmt: skip
    """Say that a foreign order is known and may live: we trade its symbol there again. It belongs to no client's order."""
    desk = _desk(ctx, state, output)
    desk.show(desk.ask({"verb": "venue.adopt", "venue": venue, "target": order, "reason": reason, "dry_run": dry_run}))


@venue_app.command("cancel")
def venue_cancel(
    ctx: typer.Context, venue: Venue, order: Foreign, reason: Reason = "", dry_run: DryRun = False, yes: Yes = False,
    state: State = None, output: Format = None,
) -> None:  # fmt: skip
    """Cancel a foreign order: we trade its symbol there again when the venue confirms it."""
    _bulk(_desk(ctx, state, output), {"verb": "venue.cancel", "venue": venue, "target": order, "reason": reason}, dry_run, yes)


def main() -> None:
    """Entry point."""
    app()


class Desk:
    """Where the server is and how its answers are written."""

    def __init__(self, state: Path, output: Output | None) -> None:
        self.state = state
        self.output = output

    def ask(self, request: dict[str, Any], timeout_s: float = 0, may_time_out: bool = False) -> dict[str, Any]:
        """The server's answer; an error ends the program with its exit status. may_time_out: then the answer is empty."""
        from algoserver.door import CALL_TIMEOUT_S, Unreachable, call

        try:
            answer = call(self.state, request, timeout_s or CALL_TIMEOUT_S)
        except Unreachable as error:
            _stop(f"{error}; name the server's directory with --state", EXITS["unreachable"])
        refusal = answer.get("error")
        if refusal and refusal["code"] == "timeout" and may_time_out:
            return {}
        if refusal:
            _stop(f"{refusal['code']}: {_plain(refusal['text'])}", EXITS.get(refusal["code"], 1))
        return answer

    def show(self, answer: dict[str, Any]) -> None:
        """Data, on stdout."""
        if self.output is Output.JSON or (self.output is None and not sys.stdout.isatty()):
            print(json.dumps(answer, indent=2))
        else:
            _tables(answer)


def _desk(ctx: typer.Context, state: Path | None, output: Output | None) -> Desk:
    """What stands behind the subcommand holds before what stands in front of it."""
    given: Desk = ctx.obj
    return Desk(state or given.state, output or given.output)


def _bulk(desk: Desk, request: dict[str, Any], dry_run: bool, yes: bool) -> None:
    """Do what needs a yes: the server judges it first, and the person sees how far it reaches."""
    if not (yes or dry_run):
        if not sys.stdin.isatty():
            _stop(f"{request['verb']}: without a terminal to ask on it needs --yes", CONFIRMATION_MISSING)
        ahead = desk.ask({**request, "dry_run": True})
        change = "".join(f"{name}={value}, " for name, value in ahead.get("values", {}).items())
        _confirm(f"{request['verb']} {ahead['target']}: {_plain(change)}{_reach(ahead)}. Go on?")
    desk.show(desk.ask({**request, "dry_run": dry_run}))


def _confirm(question: str) -> None:
    # Not typer.confirm(): it writes to stdout, where the data goes.
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        _stop("nothing was done", CONFIRMATION_MISSING)


def _reach(ahead: dict[str, Any]) -> str:
    if not ahead:
        return "nobody knows how much: the server is slow to answer"
    if "cum_qty" in ahead:
        children = f", {ahead['children_open']} open children" if "children_open" in ahead else ""
        return _plain(f"{ahead['side']} {ahead['order_qty']} {ahead['symbol']}, {ahead['cum_qty']} of it done{children}")
    return f"{ahead['parents_open']} open parents and {ahead['children_open']} open children"


def _tables(answer: dict[str, Any]) -> None:
    """Single values as one table, every list of rows as its own."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    is_measured = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(width=None if is_measured else PIPED_WIDTH)  # NO_COLOR is rich's own affair
    rows = {key: value for key, value in answer.items() if _is_rows(value)}
    facts = Table(show_header=False)
    for key, value in answer.items():
        if key not in rows:
            facts.add_row(key, Text(_cell(value)))
    if facts.row_count:
        console.print(facts)
    for key, entries in rows.items():
        names = [name for name in COLUMNS.get(key, entries[0]) if name in entries[0]]
        table = Table(title=key, title_justify="left")
        for name in names:
            table.add_column(name, justify="right" if name.endswith(("_qty", "px", "price", "planned", "low", "high", "done")) else "left")
        for entry in entries:
            table.add_row(*(Text(_cell(entry[name])) for name in names))
        console.print(table)


def _quote(q: dict[str, Any]) -> str:
    """One symbol's best prices at a venue; a dark one shows none."""
    if not (float(q["bid_px"]) or float(q["ask_px"])):
        return f"{q['symbol']}  no quote"
    return f"{q['symbol']}  {q['bid_qty']} @ {q['bid_px']} / {q['ask_px']} @ {q['ask_qty']}, {q['age_ms']} ms old"


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _cell(value: Any) -> str:
    if value in (None, "", []):
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{k} {_cell(v)}" for k, v in value.items() if v != "")
    if _is_rows(value) and "bid_px" in value[0]:
        return "\n".join(_plain(_quote(entry)) for entry in value)
    if _is_rows(value):
        return "\n".join(" ".join(_cell(v) for v in entry.values()) for entry in value)
    if isinstance(value, list):
        return ", ".join(_plain(v) for v in value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else _plain(value)


def _plain(value: Any) -> str:
    """Text that does nothing to a terminal: a ClOrdID is what a client chose."""
    return "".join(c if c.isprintable() else "?" for c in str(value))


def _stop(text: str, status: int) -> NoReturn:
    print(f"algoctl: {text}", file=sys.stderr)
    raise typer.Exit(status)


if __name__ == "__main__":
    main()
