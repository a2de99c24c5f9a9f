"""How `algoctl` asks and writes: the options that every command has, tables, JSON, questions, exit statuses."""

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

EXITS = {
    "failed": 1, "usage": 2, "ambiguous": 2, "not_found": 3, "denied": 4, "already_over": 5, "nothing_to_do": 5, "not_built": 5, "refused": 5,
    "partial": 6, "timeout": 7, "unreachable": 8, "unhealthy": 9,
}  # fmt: skip
CONFIRMATION_MISSING = 2
TOKEN = "ALGOCTL_TOKEN"
# A kill does not wait longer than this to learn how much it is going to reach.
LOOK_AHEAD_S = 1.0
# What a table shows of rows that are too wide for a terminal; JSON has all of it.
COLUMNS = {
    "orders": ("order_id", "cl_ord_id", "session", "symbol", "side", "algo", "order_qty", "cum_qty", "avg_px", "ord_status", "state", "because"),
    "lines": ("n", "time", "person", "how", "role", "verb", "target", "reason", "result", "text"),
    "policies": ("version", "name", "since", "by", "checked_by", "reason", "is_in_force"),
    "limits": ("limit", "value", "unit", "layer", "of", "used", "share"),
    "children": ("child_id", "venue", "price", "order_qty", "cum_qty", "ord_status", "is_unknown"),
    "activated": ("model", "since", "by", "checked_by", "reason", "is_in_force"),
    "models": (
        "model", "role", "state", "trained_through", "symbols", "mape_day_ahead", "mape_one_bin", "coverage_day_ahead", "coverage_one_bin",
        "curve_error", "created_at", "parent",
    ),
    "algos": ("algo", "urgency", "cost_bp", "p10_bp", "p90_bp", "volume_pct", "complete_pct", "start", "end"),
    "alerts": ("alert_id", "severity", "owner", "state", "code", "subject", "times", "last", "text"),
}
PIPED_WIDTH = 200  # of a table that was asked for without a terminal to measure


class Output(StrEnum):
    """How data is written."""

    TABLE = "table"
    JSON = "json"


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
Scope = Annotated[str, typer.Option("--scope", help="firm, desk:NAME, client:NAME, symbol:NAME, algo:NAME, algo:NAME@SYMBOL or venue:NAME.")]


class Desk:
    """Where the server is and how its answers are written."""

    def __init__(self, state: Path, output: Output | None) -> None:
        self.state = state
        self.output = output

    def ask(self, request: dict[str, Any], timeout_s: float = 0, may_time_out: bool = False) -> dict[str, Any]:
        """The server's answer; an error ends the program with its exit status. may_time_out: then the answer is empty."""
        from algoserver.door import CALL_TIMEOUT_S, Unreachable, call

        token = os.environ.get(TOKEN)  # never an option: options are in every process list
        if token:
            request = {**request, "token": token}
        try:
            answer = call(self.state, request, timeout_s or CALL_TIMEOUT_S)
        except Unreachable as error:
            stop(f"{error}; name the server's directory with --state", EXITS["unreachable"])
        refusal = answer.get("error")
        if refusal and refusal["code"] == "timeout" and may_time_out:
            return {}
        if refusal:
            _warn(answer)
            stop(f"{refusal['code']}: {plain(refusal['text'])}", EXITS.get(refusal["code"], 1))
        _warn(answer)
        return answer

    def show(self, answer: dict[str, Any]) -> None:
        """Data, on stdout."""
        if self.output is Output.JSON or (self.output is None and not sys.stdout.isatty()):
            print(json.dumps(answer, indent=2))
        else:
            _tables(answer)


def _warn(answer: dict[str, Any]) -> None:
    if "warning" in answer:
        print(f"algoctl: {plain(answer['warning'])}", file=sys.stderr)
    if answer.get("awaits_approval") and not answer.get("dry_run"):
        print("it waits for another person: `algoctl approval ls`", file=sys.stderr)


def desk_of(ctx: typer.Context, state: Path | None, output: Output | None) -> Desk:
    """What stands behind the subcommand holds before what stands in front of it."""
    given: Desk = ctx.obj
    return Desk(state or given.state, output or given.output)


def bulk(desk: Desk, request: dict[str, Any], dry_run: bool, yes: bool) -> None:
    """Do what needs a yes: the server judges it first, and the person sees how far it reaches."""
    if not (yes or dry_run):
        if not sys.stdin.isatty():
            stop(f"{request['verb']}: without a terminal to ask on it needs --yes", CONFIRMATION_MISSING)
        ahead = desk.ask({**request, "dry_run": True})
        change = "".join(f"{name}={value}, " for name, value in ahead.get("values", {}).items())
        confirm(f"{request['verb']} {ahead['target']}: {plain(change)}{reach(ahead)}. Go on?")
    desk.show(desk.ask({**request, "dry_run": dry_run}))


def confirm(question: str) -> None:
    """Ask, and end the program on a no."""
    # Not typer.confirm(): it writes to stdout, where the data goes.
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        stop("nothing was done", CONFIRMATION_MISSING)


def reach(ahead: dict[str, Any]) -> str:
    """How far a request reaches, in words."""
    if not ahead:
        return "nobody knows how much: the server is slow to answer"
    if "cum_qty" in ahead:
        children = f", {ahead['children_open']} open children" if "children_open" in ahead else ""
        return plain(f"{ahead['side']} {ahead['order_qty']} {ahead['symbol']}, {ahead['cum_qty']} of it done{children}")
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
            lines = value.splitlines() if key == "text" and value else [value]  # a policy's text is one of many lines
            facts.add_row(key, Text("\n".join(map(_cell, lines))))
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
        return "\n".join(plain(_quote(entry)) for entry in value)
    if _is_rows(value):
        return "\n".join(" ".join(_cell(v) for v in entry.values()) for entry in value)
    if isinstance(value, list):
        return ", ".join(plain(v) for v in value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else plain(value)


def plain(value: Any) -> str:
    """Text that does nothing to a terminal: a ClOrdID is what a client chose."""
    return "".join(c if c.isprintable() else "?" for c in str(value))


def stop(text: str, status: int) -> NoReturn:
    """End the program: text on stderr, and the exit status."""
    print(f"algoctl: {text}", file=sys.stderr)
    raise typer.Exit(status)
