"""`algoctl policy`: look at a policy before it holds, apply it, go back, and see which limits hold for an order.

Rule: the file's text goes to the server, which reads it by what it knows; nothing of the server's is read here.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from algoserver.terminal import CONFIRMATION_MISSING, EXITS, Desk, DryRun, Format, Reason, State, Target, Yes, confirm, desk_of, plain, stop

policy_app = typer.Typer(no_args_is_help=True, help="The risk policy: limits of the firm and of its parts.")

File = Annotated[Path, typer.Argument(help="The policy, TOML, as cfg/policy.toml.")]
Digest = Annotated[str, typer.Argument(help="Of a policy that was in force, or its beginning, as `algoctl policy history` shows it.")]
CHANGES_SHOWN = 20  # before a question; `algoctl policy diff` shows them all


@policy_app.command("validate")
def validate(ctx: typer.Context, file: File, state: State = None, output: Format = None) -> None:
    """Whether it could be applied; if not, the place and the reason, and exit status 5."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "policy.validate", "text": _text(file)}))


@policy_app.command("diff")
def diff(ctx: typer.Context, file: File, state: State = None, output: Format = None) -> None:
    """What it would change of what is in force. raise: something may pass that was refused; lower: nothing may."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "policy.diff", "text": _text(file)}))


@policy_app.command("apply")
def apply(
    ctx: typer.Context, file: File, reason: Reason = "", dry_run: DryRun = False, yes: Yes = False, state: State = None, output: Format = None,
) -> None:  # fmt: skip
    """Put it in force at once, for every order and child from now on, restarts included."""
    _propose(desk_of(ctx, state, output), {"verb": "policy.apply", "text": _text(file), "reason": reason}, dry_run, yes)


@policy_app.command("history")
def history(ctx: typer.Context, state: State = None, output: Format = None) -> None:
    """The policies that were in force, oldest first, by whom and why."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "policy.history"}))


@policy_app.command("show")
def show(
    ctx: typer.Context,
    digest: Digest = "",
    is_text: Annotated[bool, typer.Option("--text", help="Write its text and nothing else, to the byte.")] = False,
    state: State = None,
    output: Format = None,
) -> None:
    """A policy that was in force; without DIGEST the one that is."""
    desk = desk_of(ctx, state, output)
    said = desk.ask({"verb": "policy.show", "target": digest})
    if not is_text:
        desk.show(said)
    elif said["is_kept"]:
        sys.stdout.buffer.write(said["text"].encode())
    else:
        stop(f"not_found: the text of policy {said['version']} is not kept", EXITS["not_found"])


@policy_app.command("rollback")
def rollback(
    ctx: typer.Context, digest: Digest, reason: Reason = "", dry_run: DryRun = False, yes: Yes = False, state: State = None, output: Format = None,
) -> None:  # fmt: skip
    """Apply a policy that was in force before once more."""
    _propose(desk_of(ctx, state, output), {"verb": "policy.rollback", "target": digest, "reason": reason}, dry_run, yes)


@policy_app.command("explain")
def explain(ctx: typer.Context, order: Target, state: State = None, output: Format = None) -> None:
    """Every limit that an order stands under: whose it is, and what is used of it. Orders that are over, too: by the policy of now."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "policy.explain", "target": order}))


def _propose(desk: Desk, request: dict[str, Any], dry_run: bool, yes: bool) -> None:
    if not (yes or dry_run):
        if not sys.stdin.isatty():
            stop(f"{request['verb']}: without a terminal to ask on it needs --yes", CONFIRMATION_MISSING)
        ahead = desk.ask({**request, "dry_run": True})
        for change in ahead["changes"][:CHANGES_SHOWN]:
            print(_sentence(change), file=sys.stderr)
        if ahead["changed"] > CHANGES_SHOWN:
            print(f"and {ahead['changed'] - CHANGES_SHOWN} more", file=sys.stderr)
        confirm(f"{request['verb']} {ahead['version']}: {ahead['changed']} changes, {ahead['raises']} of them raises. Go on?")
    said = desk.ask({**request, "dry_run": dry_run})
    desk.show(said)
    if said["proposal"]:
        print(f"another person must approve {said['proposal']}; until then nothing changes", file=sys.stderr)


def _sentence(change: dict[str, str]) -> str:
    way = f" ({change['way']})" if change["way"] else ""
    return plain(f"{change['place']} {change['key']}: {change['old'] or 'nothing'} -> {change['new'] or 'nothing'}{way}")


def _text(file: Path) -> str:
    """To the byte: its digest is that of the file. No text mode, which would change the ends of lines."""
    try:
        return file.read_bytes().decode()
    except OSError as wrong:
        stop(f"{file}: {wrong.strerror}", EXITS["usage"])
    except UnicodeDecodeError as wrong:
        stop(f"{file}: {wrong}", EXITS["usage"])
