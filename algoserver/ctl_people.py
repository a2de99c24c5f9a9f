"""algoctl's words for what people decide and what is written of it: risk override and re-enable, approval, audit."""

from typing import Annotated

import typer

from algoserver.terminal import DryRun, Format, Reason, State, Yes, bulk, desk_of

risk_app = typer.Typer(no_args_is_help=True, help="What the limits stop, and what passes them.")
approval_app = typer.Typer(no_args_is_help=True, help="What waits for a second person.")
audit_app = typer.Typer(no_args_is_help=True, help="What every person has asked to be done.")

Id = Annotated[str, typer.Argument(help="Id of the proposal, as `algoctl approval ls` shows it.")]
ScopeArgument = Annotated[str, typer.Argument(metavar="SCOPE", help="What a limit has stopped, as `algoctl status` shows it in stops.")]


@risk_app.command("override")
def override(
    ctx: typer.Context,
    client: Annotated[str, typer.Option("--client", help="Its SenderCompID.")],
    symbol: Annotated[str, typer.Option("--symbol", help="Symbol (55).")],
    side: Annotated[str, typer.Option("--side", help="BUY, SELL or SELL_SHORT.")],
    qty: Annotated[str, typer.Option("--qty", help="Most that the order may have, in lots.")],
    minutes: Annotated[str, typer.Option("--minutes", help="1 to 60, from the approval on.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the journal.")],
    dry_run: DryRun = False, state: State = None, output: Format = None,
) -> None:  # fmt: skip
    """Let one order of a client pass the limits on its size, value, participation and price, once."""
    desk = desk_of(ctx, state, output)
    values = {"client": client, "symbol": symbol, "side": side.upper(), "qty": qty, "minutes": minutes}
    desk.show(desk.ask({"verb": "risk.override", "values": values, "reason": reason, "dry_run": dry_run}))


@risk_app.command("re-enable")
def re_enable(
    ctx: typer.Context, scope: ScopeArgument, reason: Reason = "", dry_run: DryRun = False, yes: Yes = False,
    state: State = None, output: Format = None,
) -> None:  # fmt: skip
    """Let a scope trade again that a limit has stopped; what counted towards that limit begins anew."""
    bulk(desk_of(ctx, state, output), {"verb": "risk.re-enable", "target": scope, "reason": reason}, dry_run, yes)


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
