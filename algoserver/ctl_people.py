"""algoctl's words for what people decide and what is written of it: approval, audit."""

from typing import Annotated

import typer

from algoserver.terminal import DryRun, Format, Reason, State, desk_of

approval_app = typer.Typer(no_args_is_help=True, help="What waits for a second person.")
audit_app = typer.Typer(no_args_is_help=True, help="What every person has asked to be done.")

Id = Annotated[str, typer.Argument(help="Id of the proposal, as `algoctl approval ls` shows it.")]


@approval_app.command("ls")
def approval_ls(ctx: typer.Context, state: State = None, output: Format = None) -> None:
    """What waits for a second person, oldest first; an hour after it was asked it lapses."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "approval.ls"}))


@approval_app.command("approve")
def approval_approve(
    ctx: typer.Context, proposal: Id, reason: Reason = "", dry_run: DryRun = False, state: State = None, output: Format = None,
) -> None:  # fmt: skip
    """Say yes to what another person has asked: it is done at once."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "approval.approve", "target": proposal, "reason": reason, "dry_run": dry_run}))


@approval_app.command("withdraw")
def approval_withdraw(
    ctx: typer.Context, proposal: Id, reason: Reason = "", dry_run: DryRun = False, state: State = None, output: Format = None,
) -> None:  # fmt: skip
    """Say no to it, one's own or another's: it is forgotten."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "approval.withdraw", "target": proposal, "reason": reason, "dry_run": dry_run}))


@audit_app.command("tail")
def audit_tail(
    ctx: typer.Context, count: Annotated[int, typer.Option("-n", help="How many lines.", min=1, max=1_000)] = 20,
    state: State = None, output: Format = None,
) -> None:  # fmt: skip
    """The latest commands that were asked, oldest first: by whom, in which role, with what result."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "audit.tail", "count": count}))


@audit_app.command("verify")
def audit_verify(ctx: typer.Context, state: State = None, output: Format = None) -> None:
    """Check the audit's chain from its first line, and its end against the journal; exit 1 names the line where it breaks."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "audit.verify"}))
