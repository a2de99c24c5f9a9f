"""Is one stored model better than another, on days that neither has learnt from; and may it take the other's place.

Rule 1: two models are compared day by day: a day is one observation, for its bins and symbols share its level.
Rule 2: a stored model is asked what the server would ask it, bin after bin, with the days that the server would send.
Rule 3: another recipe must be proven better. The same recipe on newer days must not be proven worse: it can't be better, it is only younger.
Rule 4: what can't be compared is not promoted, but for the first: that one must beat the median.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from algoserver.learn.predict import Asked, HybridModel
from algoserver.learn.rows import BASE_DAYS
from algoserver.learn.scores import by_date, mean_and_error, metrics, tally
from algoserver.learn.store import Manifest
from algoserver.learn.volumes import HISTORY_DAYS, Volumes
from algoserver.learn.walk import Scored

DAYS_LEAST = 10  # fewer days have a standard error that says nothing
ONE_SIDED = 1.645  # standard errors: 5 % of a normal distribution lie beyond
COVERAGE = (70.0, 90.0)  # percent inside P10 to P90, which are to hold 80
FIGURES = ("mape_day_ahead", "mape_one_bin", "curve_error")
DECIDES = "mape_one_bin"  # what a plan at work follows
OWN = "hybrid"  # how a manifest calls what it serves

ByDate = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Difference:
    """One figure's mean difference, points of percent, with its standard error over the days; negative: the first is better."""

    figure: str
    points: float
    standard_error: float
    days: int


@dataclass(frozen=True)
class Comparison:
    """The first less the other. basis: on what. coverage: of the first, percent, day ahead and one bin ahead."""

    basis: str
    differences: tuple[Difference, ...]
    coverage: tuple[float, float]


@dataclass(frozen=True)
class Verdict:
    """Whether a model may be champion, and why, or why not."""

    may: bool
    text: str


def forecast_days(
    models: Mapping[str, HybridModel], volumes: Sequence[Volumes], after: str, told: Callable[[str], None] = lambda _text: None
) -> Iterator[Scored]:
    """Every model's forecasts of the days after `after` (YYYY-MM-DD), in order of the days. ValueError: there is none with a month before it."""
    days = sorted({day for one in volumes for day in one.dates if day > date.fromisoformat(after)})
    found = False
    for number, day in enumerate(days, start=1):
        told(f"forecast {day}, day {number} of {len(days)}")
        for one in volumes:
            at = one.dates.index(day) if day in one.dates else 0
            if at < BASE_DAYS or not (one.bins[max(0, at - HISTORY_DAYS) : at] > 0).any(axis=1).sum() >= BASE_DAYS:
                continue
            first = max(0, at - HISTORY_DAYS)
            history = np.nan_to_num(one.bins[first:at])
            asked = Asked(one.symbol, day, one.dates[first:at], history, tuple(np.nan_to_num(one.bins[at]).tolist()))
            made = {name: model.whole_day(asked) for name, model in models.items()}
            now, target, _ = next(iter(made.values()))
            found = True
            before, heads = one.bins[at - BASE_DAYS : at], {name: rows[2] for name, rows in made.items()}
            yield Scored(one.symbol, day, one.bins[at], before, now, target, heads)
    if not found:
        raise ValueError(f"no day after {after} with {BASE_DAYS} days before it; there is nothing to score")


def evaluate(
    models: Mapping[str, HybridModel], volumes: Sequence[Volumes], after: str, told: Callable[[str], None] = lambda _text: None
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Figures of stored models and of mean and median on the days after `after`, and the same by day. ValueError: there are none."""
    tallies = tally(forecast_days(models, volumes, after, told))
    return metrics(tallies), by_date(tallies)


def compare_stored(one: Manifest, other: Manifest) -> Comparison:
    """By what was measured when they were trained: days that both have scored, each forecast by models fitted on days before it."""
    found = differences(one.errors_by_date, other.errors_by_date, OWN, OWN)
    coverage = (one.metrics.get(f"coverage_day_ahead_{OWN}", float("nan")), one.metrics.get(f"coverage_one_bin_{OWN}", float("nan")))
    return Comparison("days that both have scored in training", found, coverage)


def compare_on(
    one: HybridModel, other: HybridModel, volumes: Sequence[Volumes], told: Callable[[str], None] = lambda _text: None
) -> Comparison:  # fmt: skip
    """By their forecasts of the days that neither has learnt from. ValueError: there are none."""
    after = max(one.trained_through, other.trained_through)
    figures, errors = evaluate({"one": one, "other": other}, volumes, after, told)
    coverage = (figures["one"]["coverage_day_ahead"], figures["one"]["coverage_one_bin"])
    return Comparison(f"days after {after}, which neither has learnt from", differences(errors, errors, "one", "other"), coverage)


def differences(mine: ByDate, theirs: ByDate, name: str, other: str) -> tuple[Difference, ...]:
    """Of each figure, over the days that both have."""
    found = []
    for figure in FIGURES:
        days = [day for day in sorted(mine) if f"{figure}_{name}" in mine[day] and f"{figure}_{other}" in theirs.get(day, {})]
        if days:
            points, error = mean_and_error([mine[day][f"{figure}_{name}"] - theirs[day][f"{figure}_{other}"] for day in days])
            found.append(Difference(figure, points, error, len(days)))
    return tuple(found)


def recipe(manifest: Manifest) -> tuple[object, ...]:
    """What was done to the data: two models of one recipe differ by their days alone."""
    return manifest.code_version, manifest.feature_names, tuple(sorted(manifest.params.items())), manifest.n_bins


def first_verdict(one: Manifest) -> Verdict:
    """Whether a model may be the first champion: better than the median one bin ahead, by its own scored days."""
    of = differences(one.errors_by_date, one.errors_by_date, OWN, "median")
    found = Comparison("its own scored days, to the median", of, compare_stored(one, one).coverage)
    return _judged(found, is_other_recipe=True)


def verdict(one: Manifest, champion: Manifest, found: Comparison) -> Verdict:
    """Whether `one` may take the champion's place."""
    if one.name == champion.name:
        return Verdict(False, "it is the champion")
    if one.trained_through < champion.trained_through:
        return Verdict(False, f"it has learnt through {one.trained_through}, the champion through {champion.trained_through}: it is older")
    return _judged(found, recipe(one) != recipe(champion))


def _judged(found: Comparison, is_other_recipe: bool) -> Verdict:
    decides = next((d for d in found.differences if d.figure == DECIDES), None)
    if decides is None or decides.days < DAYS_LEAST:
        return Verdict(False, f"{found.basis}: {decides.days if decides else 0}; {DAYS_LEAST} are needed to compare")
    outside = [c for c in found.coverage if not COVERAGE[0] <= c <= COVERAGE[1]]
    if outside:
        return Verdict(False, f"P10 to P90 hold {outside[0]:.1f} %, which is outside {COVERAGE[0]:.0f} to {COVERAGE[1]:.0f}")
    reach = ONE_SIDED * decides.standard_error
    if not math.isfinite(decides.points + reach):
        return Verdict(False, f"{found.basis}: {DECIDES} of one of them is no number")
    said = f"{DECIDES} {decides.points:+.2f} ± {decides.standard_error:.2f} points over {decides.days} days ({found.basis})"
    if is_other_recipe:
        is_better = decides.points + reach < 0
        return Verdict(is_better, f"{said}: {'better' if is_better else 'not proven better, which another recipe must be'}")
    is_worse = decides.points - reach > 0
    return Verdict(not is_worse, f"{said}: {'proven worse' if is_worse else 'the same recipe on newer days, not proven worse'}")
