"""`algoctl doctor`: every check, as the running server makes it."""

import typer

from algoserver.terminal import EXITS, Format, State, desk_of

app = typer.Typer()


@app.command()
def doctor(ctx: typer.Context, state: State = None, output: Format = None) -> None:
    """Every check of the running server: value, bound and what to do; exit status 9 where one fails."""
    desk = desk_of(ctx, state, output)
    said = desk.ask({"verb": "doctor"})
    desk.show(said)
    if not said["is_healthy"]:
        raise typer.Exit(EXITS["unhealthy"])
