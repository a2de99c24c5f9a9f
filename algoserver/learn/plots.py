"""Lines and bars as SVG, in text that is the same for the same numbers: what a model's card shows. No library, no script, no other file."""

import html
import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 30, 34
ROW = 20  # pixels of one bar
# Okabe and Ito's colours, which the colour-blind tell apart; the first is the one that matters.
COLOURS = ("#0072b2", "#d55e00", "#999999", "#009e73", "#cc79a7", "#e69f00")
TICKS = 5


def lines(title: str, unit: str, at: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """One line a series over the places named `at`; the axis begins at 0. A value that is no number leaves a gap."""
    top = _round_up(max((v for row in series.values() for v in row if math.isfinite(v)), default=1.0))
    parts = [_head(title, HEIGHT)]
    for n in range(TICKS + 1):
        y = _y(top * n / TICKS, top)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{top * n / TICKS:g}{unit}</text>')
    step = max(1, math.ceil(len(at) / 8))
    parts += [f'<text x="{_x(n, len(at)):.1f}" y="{HEIGHT - 12}" text-anchor="middle">{_text(at[n])}</text>' for n in range(0, len(at), step)]
    x = LEFT
    for colour, (name, row) in zip(COLOURS * len(series), series.items(), strict=False):
        for run in _runs(row):
            points = " ".join(f"{_x(n, len(at)):.1f},{_y(row[n], top):.1f}" for n in run)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"><title>{_text(name)}</title></polyline>')
            if len(run) == 1:
                parts.append(f'<circle cx="{_x(run[0], len(at)):.1f}" cy="{_y(row[run[0]], top):.1f}" r="3" fill="{colour}"/>')
        parts.append(f'<rect x="{x}" y="{TOP - 14}" width="14" height="4" fill="{colour}"/><text x="{x + 18}" y="{TOP - 8}">{_text(name)}</text>')
        x += 34 + 8 * len(name)
    return "".join([*parts, "</svg>"])


def bars(title: str, unit: str, values: Mapping[str, float]) -> str:
    """One bar a value, from the top down, with its number."""
    most = max((v for v in values.values() if math.isfinite(v)), default=0.0) or 1.0
    parts = [_head(title, TOP + ROW * len(values))]
    for n, (name, value) in enumerate(values.items()):
        y = TOP - 10 + ROW * n
        length = max(0.0, value) / most * (WIDTH - 260) if math.isfinite(value) else 0.0
        parts.append(f'<text x="160" y="{y + 13}" text-anchor="end">{_text(name)}</text>')
        parts.append(f'<rect x="168" y="{y + 2}" width="{length:.1f}" height="{ROW - 6}" fill="{COLOURS[0]}"/>')
        parts.append(f'<text x="{174 + length:.1f}" y="{y + 13}">{value:.1f}{unit}</text>')
    return "".join([*parts, "</svg>"])


def _head(title: str, height: int) -> str:
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="sans-serif" font-size="11"><title>{_text(title)}</title>'


def _x(n: int, count: int) -> float:
    return LEFT + (n + 0.5) * (WIDTH - LEFT - RIGHT) / max(1, count)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top


def _runs(row: Sequence[float]) -> list[list[int]]:
    """Places of numbers that follow each other."""
    runs: list[list[int]] = [[]]
    for n, value in enumerate(row):
        if math.isfinite(value):
            runs[-1].append(n)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten: an axis that reads well."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if value <= step * power * (1 + 1e-9))


def _text(text: str) -> str:
    return html.escape(text)
