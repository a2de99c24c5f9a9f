"""`algoctl risk`: which limits hold, how much of them is used, what they stop and what passes them."""

from typing import Annotated

import typer

from algoserver.terminal import DryRun, Format, Reason, State, Yes, bulk, desk_of

risk_app = typer.Typer(no_args_is_help=True, help="Limits, what is used of them, what they stop and what passes them.")

ScopeArgument = Annotated[str, typer.Argument(metavar="SCOPE", help="What a limit has stopped, as `algoctl status` shows it in stops.")]
ScopeOfUsage = Annotated[str, typer.Option("--scope", help="One alone: firm, desk:NAME, client:NAME, symbol:NAME, algo:NAME[@SYMBOL], venue:NAME.")]


@risk_app.command("limits")
def risk_limits(
    ctx: typer.Context,
    client: Annotated[str, typer.Option("--client", help="For orders of this client.")] = "",
    symbol: Annotated[str, typer.Option("--symbol", help="For orders in this symbol.")] = "",
    algo: Annotated[str, typer.Option("--algo", help="For orders by this algo.")] = "",
    state: State = None,
    output: Format = None,
) -> None:
    """Each limit that holds, the layer that sets it, and what is used of those that are counted."""
    desk = desk_of(ctx, state, output)
    asked = {kind: name for kind, name in (("client", client), ("symbol", symbol), ("algo", algo)) if name}
    desk.show(desk.ask({"verb": "risk.limits", "values": asked}))


@risk_app.command("usage")
def risk_usage(ctx: typer.Context, scope: ScopeOfUsage = "", state: State = None, output: Format = None) -> None:
    """What each scope has open and has traded today, against its own layer's limits; working: what its orders may still trade."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "risk.usage", "target": scope}))


@risk_app.command("reconcile")
def risk_reconcile(ctx: typer.Context, state: State = None, output: Format = None) -> None:
    """Exposure at each venue by our books and by its drop copy, and each trade that only one of them has."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "risk.reconcile"}))


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
