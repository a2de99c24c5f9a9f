"""A model's card: what it is, what it was made of and what it is worth, on one page that needs nothing else. Written beside the model, at training.

Rule: every figure is one of the manifest's or of the model itself. A page that says what a model can't do says it where its figures stand.
"""

import html
from collections.abc import Mapping, Sequence

import numpy as np

from algoserver.learn.plots import bars, lines
from algoserver.learn.store import Manifest
from algoserver.learn.walk import SCORED_DAYS

CARD = "card.html"
MODELS = ("hybrid", "kalman", "median", "mean")
FIGURES = (
    ("mape_day_ahead", "MAPE, day ahead"), ("mape_one_bin", "MAPE, one bin"), ("mape_p50_day_ahead", "MAPE of P50, day ahead"),
    ("mape_p50_one_bin", "MAPE of P50, one bin"), ("coverage_day_ahead", "inside P10-P90, day ahead"),
    ("coverage_one_bin", "inside P10-P90, one bin"),
    ("curve_error", "curve error, day ahead"), ("curve_error_dynamic", "curve error, bin after bin"),
)  # fmt: skip
GAINS = 12  # features that are shown
STYLE = (
    "body{font:15px/1.45 sans-serif;max-width:760px;margin:2em auto;padding:0 1em;color:#222;background:#fff}"
    "table{border-collapse:collapse;margin:.5em 0}td,th{border-bottom:1px solid #ddd;padding:.2em .8em .2em 0;text-align:left;vertical-align:top}"
    "td.n{text-align:right}code{font-size:13px;overflow-wrap:anywhere}h2{margin-top:1.6em}.careful{background:#fff3cd;padding:.6em 1em}"
    "tr.best td{font-weight:bold}svg{max-width:100%;height:auto}"
)
FEW = f"Fewer than {SCORED_DAYS} days were scored: the figures are noisy, the bands hardly calibrated."
NOT_FOR = (
    "Symbols of other markets: hours and habits are those of US shares. Half days and quarter expiries are a handful of days.",
    "The expected volume itself: what is best by MAPE lies below the median. Shares of a day come from P50.",
    "Prices: it knows none. What a forecast earns in basis points is not measured here.",
)


def render(manifest: Manifest, bin_starts: Sequence[str], seasons: Mapping[str, Sequence[float]], gains: Mapping[str, float]) -> str:
    """The page. seasons: symbol -> log season per bin; gains: feature -> its share of all that the trees gained, greatest first."""
    m = manifest
    body = [
        f"<h1>Model {_text(m.name)}</h1><p>{_verdict(m)}</p>",
        "<h2>What it was made of</h2>", _table([("symbols", ", ".join(m.symbols)), *sorted(m.data.items())]),
        "<h2>What it is worth</h2>", *_worth(m),
        "<h2>What it has learnt</h2>", lines("Season: share of a day's volume per bin", " %", bin_starts, _shares(seasons)),
        "<p>Share of a day's volume per bin, in percent, by each symbol's filter.</p>",
        bars("Gain of the trees", " %", {name: 100 * gain for name, gain in list(gains.items())[:GAINS]}),
        "<p>What each feature has brought to the trees of the point forecast, percent of all gain; the regression before them is not in it.</p>",
        "<h2>What it is not for</h2>", "<ul>" + "".join(f"<li>{_text(text)}</li>" for text in NOT_FOR) + "</ul>",
        "<h2>Where it comes from</h2>", _table(_lineage(m)),
    ]  # fmt: skip
    head = f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/><title>{_text(m.name)}</title><style>{STYLE}</style></head><body>'
    return "\n".join([head, *body, "</body></html>", ""])


def _verdict(m: Manifest) -> str:
    learnt = f"Forecasts the volume of a day's {m.n_bins} bins, before it and before every bin. It has learnt through {_text(m.trained_through)}."
    if "mape_one_bin_hybrid" not in m.metrics:
        return learnt
    day, one = (m.metrics[f"mape_{h}_hybrid"] - m.metrics[f"mape_{h}_median"] for h in ("day_ahead", "one_bin"))
    return f"{learnt} Its error was {day:+.1f} points of the median's day ahead and {one:+.1f} one bin ahead, out of sample."


def _worth(m: Manifest) -> list[str]:
    if not m.errors_by_date:
        return ['<p class="careful">Nothing was measured: it was trained without scored days, and its bands are not calibrated.</p>']
    days, known = list(m.errors_by_date), [name for name in MODELS if f"mape_one_bin_{name}" in m.metrics]
    rows = [
        (f'<tr class="best"><td>{name}</td>' if name == "hybrid" else f"<tr><td>{name}</td>")
        + "".join(f'<td class="n">{m.metrics[f"{figure}_{name}"]:.1f}</td>' for figure, _ in FIGURES)
        + "</tr>"
        for name in known
    ]
    head = "<tr><th>percent</th>" + "".join(f"<th>{title}</th>" for _, title in FIGURES) + "</tr>"
    plots = []
    for figure, title in (("mape_one_bin", "MAPE one bin ahead"), ("curve_error", "Curve error day ahead")):
        series = {name: [m.errors_by_date[day].get(f"{figure}_{name}", float("nan")) for day in days] for name in known}
        plots.append(lines(title, " %", [day[5:] for day in days], series) + f"<p>{title} of each day, percent.</p>")
    few = f'<p class="careful">{FEW}</p>' if len(days) < SCORED_DAYS else ""
    said = f"<p>{len(days)} days, {days[0]} to {days[-1]}, each forecast by models fitted on days before it. P10 to P90 are to hold 80.</p>"
    return [said, few, f"<table>{head}{''.join(rows)}</table>", *plots]


def _shares(seasons: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    volumes = {symbol: np.exp(np.array(season)) for symbol, season in seasons.items()}
    return {symbol: (100 * volume / volume.sum()).tolist() for symbol, volume in volumes.items()}


def _lineage(m: Manifest) -> list[tuple[str, str]]:
    return [
        ("kind", m.kind), ("sha256 of the model", m.model_sha256), ("sha256 of its data", m.data_sha256),
        ("code", f"{m.code_version}, sha256 {m.code_sha256}"), ("parent", m.parent or "none: there was no champion"),
        ("made at", m.created_at or "not said"), ("parameters", ", ".join(f"{k} {v}" for k, v in m.params.items())),
    ]  # fmt: skip


def _table(rows: Sequence[tuple[str, str]]) -> str:
    return "<table>" + "".join(f"<tr><td>{_text(name)}</td><td><code>{_text(value)}</code></td></tr>" for name, value in rows) + "</table>"


def _text(text: str) -> str:
    return html.escape(text)
