"""`algoserver backtest`: orders over many seeds of a market; `algoserver train impact`: what executions cost, its own or a server's."""

import time
from pathlib import Path
from typing import Annotated

import typer

from algoserver.cli_records import refuse

ROOT = Path(__file__).resolve().parents[1]


def add_to(app: typer.Typer, train_app: typer.Typer) -> None:
    """Make them commands of `algoserver`."""
    app.command("backtest")(backtest)
    train_app.command("impact")(train_impact)


def backtest(
    config: Annotated[Path, typer.Option("--config", help="The study, TOML.")] = ROOT / "cfg" / "backtest.toml",
    seeds: Annotated[str, typer.Option("--seeds", help="A:B, from A up to B - 1; each is a market of its own.")] = "1:11",
    jobs: Annotated[int, typer.Option("--jobs", help="Processes; 0: one for each processor.", min=0)] = 0,
    out: Annotated[Path, typer.Option("--out", help="Directory for journals and results; what is there is not run again.")] = Path("state/backtest"),
    tape: Annotated[str, typer.Option("--tape", help="The recording that its market plays, instead of the scenario's.")] = "",
    dask: Annotated[str, typer.Option("--dask", help="Address of a Dask scheduler whose workers do it, tcp://HOST:PORT (extra `cluster`).")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print the results as one JSON object, on the last line.")] = False,
) -> None:
    """Run a study's orders over many seeds: the core that trades, against a market in the same process."""
    from algoserver.study import REFUSALS, play

    try:
        play(config, seeds, jobs, out, json, tape, dask)
    except REFUSALS as error:
        refuse(str(error))


def train_impact(
    data: Annotated[Path, typer.Option("--data", help="Journals are looked for below it: a server's --state, or the --out of a backtest.")],
    out: Annotated[Path, typer.Option("--out", help="Directory of models; the new one gets its own folder.")],
) -> None:
    """Learn from executions what an order costs: permanent, temporary and decaying impact, a monotone correction, an interval."""
    from algoserver.learn.cost import PARTS
    from algoserver.learn.cost_fit import load_impact
    from algoserver.learn.cost_fit import train_impact as train

    try:
        manifest, left_out = train(data, out, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        model = load_impact(out / manifest.name)
    except (ValueError, OSError) as error:
        refuse(str(error))
    of = manifest.metrics
    print(f"model {out / manifest.name}")
    print(f"learnt from {of['orders']:.0f} orders of {of['days']:.0f} days in {', '.join(manifest.symbols)}")
    if left_out:
        print("left out: " + ", ".join(f"{count} {why}" for why, count in left_out.items()))
    deviations = model.draws.std(axis=0, ddof=1)
    parts = (f"{part} {value:.3f} +- {1.96 * d:.3f}" for part, value, d in zip(PARTS, model.coefficients, deviations, strict=True))
    print("; ".join(parts) + " (95 %, days resampled)")
    print("of days that the fit had not seen (docs/forecasts.md says how to read it):")
    print(f"realised on expected cost: slope {of['slope']:.2f}, 95 % {of['slope_low']:.2f} to {of['slope_high']:.2f}")
    print(f"inside P10-P90: {of['coverage']:.1f} % of the orders, to be 80")
    errors = (f"{name} {of[f'error_{name}']:.4f}" for name in ("nothing", "published", "backbone", "corrected"))
    print(f"error, in squared deviations of the price: {', '.join(errors)}")
    print(f"the correction by trees {'stays' if of['has_correction'] else 'is left out: it does not help on days that it has not seen'}")
