"""`algoctl estimate`: what an order would cost, before it is sent."""

from typing import Annotated

import typer

from algoserver.terminal import EXITS, Format, State, desk_of, plain, stop

app = typer.Typer()

Params = Annotated[
    list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="A parameter of the algo, as a client would send it. May be repeated.")
]


@app.command()
def estimate(
    ctx: typer.Context,
    symbol: Annotated[str, typer.Option("--symbol", help="Symbol (55).")],
    side: Annotated[str, typer.Option("--side", help="BUY, SELL or SELL_SHORT.")],
    qty: Annotated[str, typer.Option("--qty", help="OrderQty (38).")],
    algo: Annotated[str, typer.Option("--algo", help="One alone: VWAP, TWAP, POV, IS, CLOSE or LIQUIDITY; default: all that would take it.")] = "",
    minutes: Annotated[str, typer.Option("--minutes", help="From its start to its end; default: to the close.")] = "",
    param: Params = None,
    state: State = None,
    output: Format = None,
) -> None:
    """Expected cost against arrival in basis points with P10 and P90, share of the volume, chance to complete; best: the least P90. Sends nothing."""
    pairs = [text.partition("=") for text in param or ()]
    if any(not equals for _, equals, _ in pairs) or len({name for name, _, _ in pairs}) < len(pairs):
        stop("estimate: each --param is NAME=VALUE, each name once", EXITS["usage"])
    twice = [name for name, _, _ in pairs if name in ("Symbol", "Side", "OrderQty", "Strategy", "Minutes")]
    if twice:
        stop(f"estimate: {plain(twice[0])} has an option of its own, it is no --param", EXITS["usage"])
    said = {"Symbol": symbol, "Side": side.upper(), "OrderQty": qty, "Strategy": algo.upper(), "Minutes": minutes}
    desk = desk_of(ctx, state, output)
    values = {**{name: value for name, value in said.items() if value}, **{name: value for name, _, value in pairs}}
    desk.show(desk.ask({"verb": "estimate", "values": values}))
