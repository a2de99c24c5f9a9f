"""`algoctl alert`: the exception queue of the desk."""

import sys
from typing import Annotated

import typer

from algoserver.terminal import DryRun, Format, Reason, State, desk_of

alert_app = typer.Typer(no_args_is_help=True, help="Alerts: what a person must look at.")
AlertId = Annotated[str, typer.Argument(metavar="ID", help="As `algoctl alert ls` shows it; what stands before the dot may be left out.")]


@alert_app.command("ls")
def alert_ls(
    ctx: typer.Context,
    owner: Annotated[str, typer.Option("--owner", help="Only those of trader, risk, operator or fix_desk.")] = "",
    is_all: Annotated[bool, typer.Option("--all", help="The latest that are done with, too.")] = False,
    state: State = None,
    output: Format = None,
) -> None:
    """What is not done with, the worst first. docs/alerts.md says what each code means and what to do."""
    desk = desk_of(ctx, state, output)
    said = desk.ask({"verb": "alert.ls", "target": owner, "is_open": not is_all})
    desk.show(said)
    if len(said["alerts"]) < said["total"]:
        print(f"the first {len(said['alerts'])} of {said['total']}", file=sys.stderr)


@alert_app.command("ack")
def alert_ack(ctx: typer.Context, alert: AlertId, reason: Reason = "", dry_run: DryRun = False, state: State = None, output: Format = None) -> None:
    """Say that you know of it and what is done; --reason must be given. It is silent from then on."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "alert.ack", "target": alert, "reason": reason, "dry_run": dry_run}))
