"""Stored models are compared on days that neither has learnt from, by what the server would have got; and what may be champion follows."""

from datetime import date

import msgspec
import numpy as np
import pytest

from algoserver.learn import judge
from algoserver.learn.judge import OWN, Comparison, Difference, compare_on, compare_stored, differences, evaluate, first_verdict, verdict
from algoserver.learn.predict import Asked, HybridModel
from algoserver.learn.store import Manifest
from algoserver.learn.train import train_volume
from algoserver.learn.volumes import Volumes
from algoserver.recorded import VOLUME_DIR
from tests.learn.test_store import manifest_of

THROUGH = "2019-05-23"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> HybridModel:
    """Learnt through 23 May; two days after it is one of less volume, on 3 July the half day is not recorded."""
    folder = tmp_path_factory.mktemp("models")
    return HybridModel.load(folder / train_volume(VOLUME_DIR, folder, THROUGH, scored_days=0).name)


def asked_on(one: Volumes, day: date, bins: int) -> Asked:
    """As the server asks when so many bins are over."""
    at = one.dates.index(day)
    return Asked(one.symbol, day, one.dates[at - 60 : at], one.bins[at - 60 : at], tuple(one.bins[at][:bins].tolist()))


def test_a_whole_day_is_what_the_server_would_have_got_at_each_of_its_bins(model: HybridModel, recorded: list[Volumes]):
    """To the bit, day ahead, in its midst and before its last bin; what traded later has changed none of it."""
    day = date(2019, 6, 21)
    for one in recorded:
        now, target, heads = model.whole_day(asked_on(one, day, 26))
        for bins in (0, 1, 13, 25):
            made = model.forecast(asked_on(one, day, bins))
            for head in ("point", "p10", "p50", "p90"):
                mine = now == bins
                assert np.exp(heads[head][mine]).tolist() == getattr(made, head)[bins:].tolist(), (one.symbol, bins, head)
                assert target[mine].tolist() == list(range(bins, 26))


def test_a_stored_model_is_scored_on_the_days_after_its_last_by_its_own_forecasts(model: HybridModel, recorded: list[Volumes]):
    """Two days, recomputed from forecast() without the code under test."""
    few = [one.through(date(2019, 5, 28)) for one in recorded]
    figures, errors = evaluate({OWN: model}, few, model.trained_through)
    assert list(errors) == ["2019-05-24", "2019-05-28"]
    apes = []
    for one in few:
        for day in one.dates[-2:]:
            point, volume = model.forecast(asked_on(one, day, 0)).point, one.bins[one.dates.index(day)]
            apes.append(np.abs(point - volume) / volume)
    assert figures[OWN]["mape_day_ahead"] == pytest.approx(100 * np.mean(apes))
    assert {"median", "mean", OWN} == set(figures)


def test_days_that_were_learnt_from_and_symbols_that_are_too_young_are_not_scored(model: HybridModel, recorded: list[Volumes]):
    """Nothing after the last day: refused. A symbol of ten days is passed over, the others are scored."""
    with pytest.raises(ValueError, match=f"no day after {THROUGH} with 20 days before it"):
        evaluate({OWN: model}, [one.through(date.fromisoformat(THROUGH)) for one in recorded], THROUGH)
    one = recorded[0].through(date(2019, 5, 28))
    young = Volumes("NEW", one.dates[-10:], one.bin_starts, one.bins[-10:])
    assert evaluate({OWN: model}, [one, young], THROUGH) == evaluate({OWN: model}, [one], THROUGH)


def test_a_model_differs_from_itself_by_nothing(model: HybridModel, recorded: list[Volumes]):
    found = compare_on(model, model, [one.through(date(2019, 5, 28)) for one in recorded])
    assert [(d.points, d.standard_error, d.days) for d in found.differences] == [(0.0, 0.0, 2)] * 3
    assert found.basis == f"days after {THROUGH}, which neither has learnt from"


def scored(one_bin: list[float], days: int = 0, coverage: float = 80.0, through: str = "2019-06-28", **params: int) -> Manifest:
    """A manifest of a model with these errors one bin ahead, on as many days of June."""
    by_date = {f"2019-06-{n:02}": {f"mape_one_bin_{OWN}": ape, "mape_one_bin_median": 40.0} for n, ape in enumerate(one_bin, start=1)}
    metrics = {f"coverage_{h}_{OWN}": coverage for h in ("day_ahead", "one_bin")}
    base = manifest_of({"a": f"{one_bin} {through} {params}"})
    return msgspec.structs.replace(base, errors_by_date=by_date, metrics=metrics, trained_through=through, params={"seed": 7, **params})


NOISE = [(-1.0) ** n for n in range(16)]  # standard deviation 1.03, standard error 0.26
OLD = scored([27.0] * 16, through="2019-06-27")


@pytest.mark.parametrize(
    ("one", "may", "text"),
    [
        (scored([26.0 + x for x in NOISE], trees=9), True, "mape_one_bin -1.00 ± 0.26 points over 16 days"),
        (scored([26.7 + x for x in NOISE], trees=9), False, "not proven better, which another recipe must be"),
        (scored([27.3 + x for x in NOISE]), True, "the same recipe on newer days, not proven worse"),
        (scored([28.0 + x for x in NOISE]), False, "proven worse"),
        (scored([26.0] * 9), False, "days that both have scored in training: 9; 10 are needed to compare"),
        (scored([]), False, "days that both have scored in training: 0; 10 are needed to compare"),
        (scored([26.0] * 16, coverage=60.0), False, "P10 to P90 hold 60.0 %, which is outside 70 to 90"),
        (scored([26.0] * 16, through="2019-06-20"), False, "it is older"),
        (OLD, False, "it is the champion"),
    ],
    ids=["better", "hardly better", "retrained", "retrained and worse", "few days", "not scored", "bands", "older", "itself"],
)  # fmt: skip
def test_another_recipe_must_be_proven_better_and_the_same_not_proven_worse(one: Manifest, may: bool, text: str):
    said = verdict(one, OLD, compare_stored(one, OLD))
    assert (said.may, text in said.text) == (may, True), said.text


def test_the_first_champion_must_beat_the_median():
    assert first_verdict(scored([27.0 + x for x in NOISE])).may
    assert not first_verdict(scored([39.9 + x for x in NOISE])).may
    assert "0; 10 are needed" in first_verdict(scored([])).text


def test_only_days_that_both_have_are_compared():
    mine = {"d1": {"mape_one_bin_a": 1.0}, "d2": {"mape_one_bin_a": 3.0}, "d3": {"curve_error_a": 9.0}}
    theirs = {"d2": {"mape_one_bin_b": 1.0}, "d3": {"mape_one_bin_b": 1.0}}
    (found,) = differences(mine, theirs, "a", "b")
    assert (found.figure, found.points, found.days) == ("mape_one_bin", 2.0, 1)
    assert np.isnan(found.standard_error)
    for is_other_recipe in (True, False):
        said = judge._judged(Comparison("x", (Difference("mape_one_bin", -5.0, float("nan"), 10),), (80.0, 80.0)), is_other_recipe)
        assert (said.may, said.text) == (False, "x: mape_one_bin of one of them is no number"), "what can't be compared is not promoted"


def strange(one: Volumes, shape: str) -> Volumes:
    """The recorded days with something strange in the days that are scored, or just before them."""
    bins, dates = one.bins.copy(), list(one.dates)
    at = dates.index(date(2019, 5, 24))
    if shape == "missing bins":
        bins[at, 5:9] = np.nan
    elif shape == "no volume":
        bins[at] = 0
    elif shape == "half day":
        dates[at + 2] = date(2019, 7, 3)  # the rule of the calendar says that it ends at one
        bins[at + 2, 14:] = np.nan
    elif shape == "split":
        bins[at:] *= 4
    elif shape == "constant":
        bins[:] = 1_000
    n_days = at + 3
    return Volumes(one.symbol, tuple(dates[:n_days]), one.bin_starts, bins[:n_days])


@pytest.mark.parametrize("shape", ["missing bins", "no volume", "half day", "split", "constant"])
def test_strange_days_are_scored_in_numbers(model: HybridModel, recorded: list[Volumes], shape: str):
    """What traded is scored; what is unknown, or did not trade, is not. A symbol that the model has never seen is scored like any other."""
    odd = [strange(one, shape) for one in recorded]
    odd.append(Volumes("NEVER", odd[0].dates, odd[0].bin_starts, odd[0].bins * 1.5))
    figures, errors = evaluate({OWN: model}, odd, THROUGH)
    assert all(np.isfinite(value) for of in figures.values() for value in of.values())
    assert len(errors) == (2 if shape == "no volume" else 3)
    if shape == "constant":
        assert figures["median"]["mape_one_bin"] == 0
