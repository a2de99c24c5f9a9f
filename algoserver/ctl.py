"""`algoctl`: the operator's client. It speaks to the door of a running server and to nothing else.

Tables on a terminal, JSON when piped or with -o json. Data on stdout, everything else on stderr. Exit status: 0 ok,
1 failed, 2 usage or confirmation missing, 3 not found, 4 denied, 5 refused, 7 timeout, 8 server unreachable.
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from algoserver.control import Unreachable, call

EXITS = {"failed": 1, "usage": 2, "not_found": 3, "denied": 4, "refused": 5, "timeout": 7}
UNREACHABLE = 8
CONFIRMATION_MISSING = 2

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Operate a running algoserver.")
order_app = typer.Typer(no_args_is_help=True, help="Parent orders.")
session_app = typer.Typer(no_args_is_help=True, help="FIX sessions.")
venue_app = typer.Typer(no_args_is_help=True, help="Venues.")
app.add_typer(order_app, name="order")
app.add_typer(session_app, name="session")
app.add_typer(venue_app, name="venue")

Target = Annotated[str, typer.Argument(help="OrderID or ClOrdID.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the journal.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Let the server judge it and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Scope = Annotated[str, typer.Option("--scope", help="Only the whole firm so far.")]


@app.callback()
def options(
    ctx: typer.Context,
    state: Annotated[Path, typer.Option("--state", envvar="ALGOSERVER_STATE", help="State directory of the server.")] = Path("state/server"),
    output: Annotated[str, typer.Option("-o", "--output", help="table or json; default: table on a terminal.")] = "",
) -> None:
    """Operate a running algoserver."""
    if output not in ("", "table", "json"):
        _stop(f"-o {output}: use table or json", 2)
    is_json = output == "json" or (not output and not sys.stdout.isatty())
    ctx.obj = (state, is_json)


@app.command()
def status(
    ctx: typer.Context,
    state: Annotated[Path | None, typer.Option("--state", help="State directory of the server.")] = None,
) -> None:
    """The server at a glance."""
    if state is not None:
        ctx.obj = (state, ctx.obj[1])
    _show(ctx, _ask(ctx, {"verb": "status"}))


@app.command()
def kill(ctx: typer.Context, reason: Reason = "", scope: Scope = "firm", dry_run: DryRun = False, yes: Yes = False) -> None:
    """Shut the gate, cancel every child, say when none is open. Without a terminal it does not ask."""
    ahead = _ask(ctx, {"verb": "kill", "target": scope, "dry_run": True})
    print(f"kill reaches {ahead['open_parents']} working parents and {ahead['open_children']} open children", file=sys.stderr)
    if dry_run:
        return _show(ctx, ahead)
    if sys.stdin.isatty() and not yes and not typer.confirm("Kill the firm?", err=True):
        _stop("nothing was done", CONFIRMATION_MISSING)
    return _show(ctx, _ask(ctx, {"verb": "kill", "target": scope, "reason": reason}))


@app.command()
def release(ctx: typer.Context, reason: Reason = "", scope: Scope = "firm", dry_run: DryRun = False, yes: Yes = False) -> None:
    """Open the gate again: working parents go on."""
    _confirm(f"release the {scope}", yes or dry_run)
    _show(ctx, _ask(ctx, {"verb": "release", "target": scope, "reason": reason, "dry_run": dry_run}))


@order_app.command("ls")
def order_ls(ctx: typer.Context, everything: Annotated[bool, typer.Option("--all", help="Ended orders too.")] = False) -> None:
    """Parent orders."""
    rows = _ask(ctx, {"verb": "order.ls"})["orders"]
    _show(ctx, {"orders": [r for r in rows if everything or r["state"] != "over"]} if sys.stdout.isatty() else {"orders": rows})


@order_app.command("show")
def order_show(ctx: typer.Context, order: Target) -> None:
    """One order and its open children."""
    _show(ctx, _ask(ctx, {"verb": "order.show", "target": order}))


@order_app.command("plan")
def order_plan(ctx: typer.Context, order: Target) -> None:
    """Planned quantity by slice, with its band."""
    _show(ctx, _ask(ctx, {"verb": "order.plan", "target": order}))


@order_app.command("pause")
def order_pause(ctx: typer.Context, order: Target, reason: Reason = "", dry_run: DryRun = False) -> None:
    """Take the order's children back and send no more until it is resumed."""
    _show(ctx, _ask(ctx, {"verb": "order.pause", "target": order, "reason": reason, "dry_run": dry_run}))


@order_app.command("resume")
def order_resume(ctx: typer.Context, order: Target, reason: Reason = "", dry_run: DryRun = False) -> None:
    """Let a paused order go on."""
    _show(ctx, _ask(ctx, {"verb": "order.resume", "target": order, "reason": reason, "dry_run": dry_run}))


@order_app.command("cancel")
def order_cancel(ctx: typer.Context, order: Target, reason: Reason = "", dry_run: DryRun = False, yes: Yes = False) -> None:
    """End the order: its children are canceled, the client is told."""
    _confirm(f"cancel {order}", yes or dry_run)
    _show(ctx, _ask(ctx, {"verb": "order.cancel", "target": order, "reason": reason, "dry_run": dry_run}))


@session_app.command("ls")
def session_ls(ctx: typer.Context) -> None:
    """Sessions of clients, venues and market data (.md)."""
    _show(ctx, _ask(ctx, {"verb": "session.ls"}))


@venue_app.command("ls")
def venue_ls(ctx: typer.Context) -> None:
    """Venues: up or down, our open children, best prices."""
    _show(ctx, _ask(ctx, {"verb": "venue.ls"}))


def main() -> None:
    """Entry point."""
    app()


def _ask(ctx: typer.Context, request: dict[str, Any]) -> dict[str, Any]:
    state: Path = ctx.obj[0]
    try:
        answer = call(state, request)
    except Unreachable as error:
        _stop(f"{error}; is it running, and is --state right?", UNREACHABLE)
    if "error" in answer:
        _stop(answer["error"]["text"], EXITS.get(answer["error"]["code"], 1))
    return answer


def _confirm(what: str, is_confirmed: bool) -> None:
    if is_confirmed:
        return
    if not sys.stdin.isatty():
        _stop(f"{what}: without a terminal it needs --yes", CONFIRMATION_MISSING)
    if not typer.confirm(f"{what}?", err=True):
        _stop("nothing was done", CONFIRMATION_MISSING)


def _show(ctx: typer.Context, answer: dict[str, Any]) -> None:
    if ctx.obj[1]:
        print(json.dumps(answer))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(no_color="NO_COLOR" in os.environ)
    plain = {k: v for k, v in answer.items() if not _is_rows(v)}
    if plain:
        table = Table(show_header=False)
        for key, value in plain.items():
            table.add_row(key, _cell(value))
        console.print(table)
    for key, rows in answer.items():
        if _is_rows(rows):
            if not rows:
                console.print(f"no {key}")
                continue
            table = Table(*rows[0].keys(), title=key)
            for row in rows:
                table.add_row(*(_cell(v) for v in row.values()))
            console.print(table)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, dict) for v in value)


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(str(v) for v in value)
    return str(value)


def _stop(text: str, status: int) -> Any:
    print(f"algoctl: {text}", file=sys.stderr)
    raise typer.Exit(status)


if __name__ == "__main__":
    main()
