"""`algoctl`: the operator's client. It speaks to the door of a running server and to nothing else.

Tables on a terminal, JSON when piped or with -o json. Data on stdout, everything else on stderr. Exit status: 0 ok,
1 failed, 2 usage or confirmation missing, 3 not found, 4 denied, 5 refused, 6 partial, 7 timeout, 8 server unreachable.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from algoserver import ctl_doctor, ctl_drill, ctl_estimate
from algoserver.ctl_alert import alert_app
from algoserver.ctl_model import model_app
from algoserver.ctl_people import approval_app, audit_app
from algoserver.ctl_policy import policy_app
from algoserver.ctl_risk import risk_app
from algoserver.ctl_sim import sim_app
from algoserver.terminal import (
    EXITS,
    LOOK_AHEAD_S,
    STATE_HELP,
    Desk,
    DryRun,
    Foreign,
    Format,
    Reason,
    Scope,
    State,
    Target,
    ToldReason,
    Values,
    Venue,
    Verbal,
    Yes,
    bulk,
    confirm,
    desk_of,
    reach,
    stop,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Operate a running algoserver.")
order_app = typer.Typer(no_args_is_help=True, help="Parent orders.")
session_app = typer.Typer(no_args_is_help=True, help="FIX sessions.")
venue_app = typer.Typer(no_args_is_help=True, help="Venues.")
app.add_typer(order_app, name="order")
app.add_typer(session_app, name="session")
app.add_typer(venue_app, name="venue")
app.add_typer(ctl_doctor.app)
app.add_typer(ctl_drill.app)
app.add_typer(ctl_estimate.app)
app.add_typer(policy_app, name="policy")
app.add_typer(risk_app, name="risk")
app.add_typer(approval_app, name="approval")
app.add_typer(audit_app, name="audit")
app.add_typer(alert_app, name="alert")
app.add_typer(sim_app, name="sim")
app.add_typer(model_app, name="model")


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
    """The server at a glance. alerts: how many wait for a person; `algoctl alert ls` says which."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "status"}))


@app.command()
def kill(
    ctx: typer.Context, reason: ToldReason = "", scope: Scope = "firm", dry_run: DryRun = False, yes: Yes = False,
    state: State = None, output: Format = None,
) -> None:  # fmt: skip
    """Shut the gate and cancel every child. Asks on a terminal only: a script that kills needs no --yes."""
    desk = desk_of(ctx, state, output)
    request = {"verb": "kill", "target": scope, "reason": reason}
    ahead = desk.ask({**request, "dry_run": True}, LOOK_AHEAD_S, may_time_out=not dry_run)
    print(f"kill reaches {reach(ahead)}", file=sys.stderr)
    if dry_run:
        desk.show(ahead)
        return
    if sys.stdin.isatty() and not yes:
        confirm("Kill the firm?" if scope == "firm" else f"Kill {scope}?")
    said = desk.ask(request)
    desk.show(said)
    if said.get("is_past_core"):
        raise typer.Exit(EXITS["partial"])  # what could be done was; what it reached is not verified
    print("the gate is shut; `algoctl status` says kill_verified when no child is open there", file=sys.stderr)


@app.command()
def release(
    ctx: typer.Context, reason: Reason = "", scope: Scope = "firm", dry_run: DryRun = False, yes: Yes = False,
    state: State = None, output: Format = None,
) -> None:  # fmt: skip
    """Open the gate again: orders that are not over go on. Where persons are named it waits for another's `algoctl approval approve`."""
    bulk(desk_of(ctx, state, output), {"verb": "release", "target": scope, "reason": reason}, dry_run, yes)


@order_app.command("ls")
def order_ls(
    ctx: typer.Context,
    is_open: Annotated[bool, typer.Option("--open", help="Only those that are not over.")] = False,
    state: State = None,
    output: Format = None,
) -> None:
    """The latest parent orders, oldest first."""
    desk = desk_of(ctx, state, output)
    said = desk.ask({"verb": "order.ls", "is_open": is_open})
    desk.show(said)
    if len(said["orders"]) < said["total"]:
        print(f"the latest {len(said['orders'])} of {said['total']}", file=sys.stderr)


@order_app.command("show")
def order_show(ctx: typer.Context, order: Target, state: State = None, output: Format = None) -> None:
    """All about one order, its children too."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "order.show", "target": order}))


@order_app.command("plan")
def order_plan(ctx: typer.Context, order: Target, state: State = None, output: Format = None) -> None:
    """Planned quantity by the end of each slice, the band that it should stay in (low, high), and what was done by then."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "order.plan", "target": order}))


@order_app.command("pause")
def order_pause(ctx: typer.Context, order: Target, reason: Reason = "", dry_run: DryRun = False, state: State = None, output: Format = None) -> None:
    """Take the order's children back and send no more until it is resumed."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "order.pause", "target": order, "reason": reason, "dry_run": dry_run}))


@order_app.command("resume")
def order_resume(ctx: typer.Context, order: Target, reason: Reason = "", dry_run: DryRun = False, state: State = None, output: Format = None) -> None:
    """Let a paused order go on."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "order.resume", "target": order, "reason": reason, "dry_run": dry_run}))


@order_app.command("cancel")
def order_cancel(
    ctx: typer.Context, order: Target, reason: ToldReason = "", verbal: Verbal = False, dry_run: DryRun = False, yes: Yes = False,
    state: State = None, output: Format = None,
) -> None:  # fmt: skip
    """End the order: its children are canceled, the client is told."""
    bulk(desk_of(ctx, state, output), {"verb": "order.cancel", "target": order, "reason": reason, "is_verbal": verbal}, dry_run, yes)


class Amend(TyperCommand):
    """Its help ends with the parameters' own declarations, which are loaded only for it: help is instant everywhere else."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """See above."""
        from algoserver.domain.params import PARAMS, bounds

        lines = [f"{p.name} ({p.kind}{', ' + bounds(p) if bounds(p) else ''}): {p.meaning}" for p in PARAMS if p.is_mutable]
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
        stop("order.amend: each change is NAME=VALUE, each name once", EXITS["usage"])
    given = {name: value for name, _, value in pairs}
    request = {"verb": "order.amend", "target": order, "values": given, "reason": reason, "is_verbal": verbal}
    bulk(desk_of(ctx, state, output), request, dry_run, yes)


@session_app.command("ls")
def session_ls(ctx: typer.Context, state: State = None, output: Format = None) -> None:
    """Sessions of clients, venues and market data (.md); msg_seq_heard is the last MsgSeqNum that is in the journal."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "session.ls"}))


@venue_app.command("ls")
def venue_ls(ctx: typer.Context, state: State = None, output: Format = None) -> None:
    """Venues: up or down, our open children, and for each symbol bid / ask and how old they are."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "venue.ls"}))


@venue_app.command("foreign")
def venue_foreign(ctx: typer.Context, state: State = None, output: Format = None) -> None:
    """Orders at venues that we did not send; each stops our trading in its symbol there until a person adopts or cancels it."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "venue.foreign"}))


@venue_app.command("adopt")
def venue_adopt(
    ctx: typer.Context, venue: Venue, order: Foreign, reason: Reason = "", dry_run: DryRun = False, state: State = None, output: Format = None,
) -> None:  # fmt: skip
    """Say that a foreign order is known and may live: we trade its symbol there again. It belongs to no client's order."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "venue.adopt", "venue": venue, "target": order, "reason": reason, "dry_run": dry_run}))


@venue_app.command("cancel")
def venue_cancel(
    ctx: typer.Context, venue: Venue, order: Foreign, reason: Reason = "", dry_run: DryRun = False, yes: Yes = False,
    state: State = None, output: Format = None,
) -> None:  # fmt: skip
    """Cancel a foreign order: we trade its symbol there again when the venue confirms it."""
    bulk(desk_of(ctx, state, output), {"verb": "venue.cancel", "venue": venue, "target": order, "reason": reason}, dry_run, yes)


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
