"""Answers to RequestForecast: a curve and what it knows, or none and why; by the median where a model is late, fails or does not load."""

import queue
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from algoserver.domain.commands import ActivateModel, RequestForecast
from algoserver.domain.events import ForecastReady, MachineWarned, ModelActivated, ModelRefused
from algoserver.domain.model_events import CostTable
from algoserver.domain.types import PPM_ONE
from algoserver.forecast import Forecaster, predict
from algoserver.learn.predict import Asked, Forecast, HybridModel, MedianModel
from algoserver.learn.store import save_model
from tests.learn.test_store import FILES, manifest_of

DATES = tuple(f"201906{day:02}" for day in range(1, 21))
HISTORY = ((5_000, 1_000, 1_000, 3_000),) * 20
ASKED = RequestForecast(symbol="AAPL", date="20190628", weekday=4, history_dates=DATES, history=HISTORY, model="median20")
NEW = RequestForecast(symbol="NEW", date="20190628", weekday=4, history_dates=(), history=(), model="median20")
LOST = "/no/such/model"


def by(model: str, request: RequestForecast = ASKED) -> RequestForecast:
    return msgspec.structs.replace(request, model=model)


def answered(*asked: RequestForecast | ActivateModel, count: int = 0, patience_s: float = 60.0) -> list[Any]:
    """What a Forecaster says to these; a model stands where its name says."""
    said: queue.SimpleQueue[Any] = queue.SimpleQueue()
    forecaster = Forecaster(Path, said.put, patience_s)
    for one in asked:
        forecaster.ask(one)
    found = [said.get(timeout=60) for _ in range(count or len(asked))]
    forecaster.stop()
    return found


def test_the_median_needs_no_file_and_its_curve_is_whole():
    """It knows the recorded days through the last one; the server's answer is the backtest's."""
    (ready,) = answered(ASKED)
    assert (ready.symbol, ready.date, ready.model, ready.text, ready.asked) == ("AAPL", "20190628", "median20", "", "median20")
    assert (ready.curve, ready.trained_through) == ((PPM_ONE // 2, PPM_ONE // 10, PPM_ONE // 10, PPM_ONE * 3 // 10), DATES[-1])
    assert ready == predict(MedianModel(), ASKED)


@pytest.mark.parametrize(
    ("trained_through", "known_through"), [("20190101", "20190101"), ("20190627", DATES[-1]), ("", DATES[-1])], ids=["older", "newer", "unsaid"]
)
def test_a_forecast_knows_no_more_than_its_training_or_its_history(trained_through, known_through):
    """The older of the two."""
    assert predict(MedianModel(trained_through=trained_through), ASKED).trained_through == known_through


@pytest.mark.parametrize(
    ("request_", "text"), [(by(""), "no model is configured"), (NEW, "no recorded days")], ids=["none", "new"]
)  # fmt: skip
def test_without_a_curve_the_answer_says_why(request_, text):
    """Each time it is asked, and what comes after is answered too."""
    first, second = answered(request_, request_)
    assert first == second
    assert (first.curve, first.text[: len(text)], first.symbol, first.asked) == ((), text, request_.symbol, request_.model)


def test_a_model_that_does_not_load_leaves_the_median_in_its_place_and_the_answer_says_so():
    """A person is told, each time; a symbol without days has no curve then."""
    told, ready, again, new = answered(by(LOST), by(LOST, NEW), count=4)
    (median,) = answered(ASKED)
    assert (ready.model, ready.curve, ready.asked) == ("median20", median.curve, LOST)
    assert ready.text.startswith(f"the model does not load: {LOST}")
    assert (told.code, told.text) == ("model_unusable", ready.text)
    assert (again.code, new.curve, new.text) == ("model_unusable", (), "no recorded days")


def test_when_another_model_answers_the_trouble_is_over():
    said = answered(by(LOST), ASKED, ASKED, count=5)
    assert [type(s).__name__ for s in said] == ["MachineWarned", "ForecastReady", "MachineWarned", "ForecastReady", "ForecastReady"]
    assert (said[2].code, said[4].model) == ("model_answers", "median20")


def test_bins_that_are_over_have_what_they_had():
    """Asked again at noon: what traded, then the median; the whole curve is still one."""
    (ready,) = answered(msgspec.structs.replace(ASKED, today=(6_000, 2_000)))
    assert (ready.now_bin, ready.volume, ready.volume_p10, ready.volume_p90) == (2, *[(6_000, 2_000, 1_000, 3_000)] * 3)
    assert ready.curve == (500_000, 166_667, 83_333, 250_000)


class Slow:
    """A model that stands still until it is let go, or fails."""

    version = sha256 = trained_through = "slow"

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.gate = gate

    def forecast(self, asked: Asked) -> Forecast:
        if self.gate is None:
            raise ZeroDivisionError("a mistake of its own")
        assert self.gate.wait(60)
        return MedianModel(version="slow").forecast(asked)


def test_a_model_that_is_late_is_answered_for_by_the_median_and_not_heard_afterwards(monkeypatch: pytest.MonkeyPatch):
    """Each request once, in the order of asking; when it answers in time again that is told."""
    gate = threading.Event()
    monkeypatch.setattr(HybridModel, "load", lambda folder: Slow(gate))
    said: queue.SimpleQueue[Any] = queue.SimpleQueue()
    forecaster = Forecaster(Path, said.put, 0.05)
    for symbol in ("A", "B"):
        forecaster.ask(msgspec.structs.replace(by("slow"), symbol=symbol))
    for symbol in ("A", "B"):
        late, ready = said.get(timeout=60), said.get(timeout=60)
        assert (late.code, late.text) == ("model_late", f"model slow did not answer in 0.05 s for {symbol}")
        assert (ready.symbol, ready.model, ready.asked, ready.text) == (symbol, "median20", "slow", "model slow did not answer in 0.05 s")
        assert sum(ready.curve) == PPM_ONE
    gate.set()
    forecaster.ask(ActivateModel(name="slow", sha256="slow"))
    assert said.get(timeout=60) == ModelActivated(name="slow", sha256="slow"), "the late answers were dropped"
    while (last := ask_until(forecaster, said)).model != "slow":
        assert last.text, "a slow machine: the median once more"
    forecaster.stop()


def ask_until(forecaster: Forecaster, said: "queue.SimpleQueue[Any]") -> ForecastReady:
    """The next forecast, with the warnings before it passed over; the one that ends the trouble comes before the first in time."""
    forecaster.ask(by("slow"))
    warned = []
    while isinstance(found := said.get(timeout=60), MachineWarned):
        warned.append(found.code)
    assert warned == (["model_answers"] if found.model == "slow" else ["model_late"])
    return found


def test_a_models_own_mistake_costs_the_day_nothing(monkeypatch: pytest.MonkeyPatch):
    """The median answers, a person is told, and the thread lives."""
    monkeypatch.setattr(HybridModel, "load", lambda folder: Slow())
    told, ready, _, _ = answered(by("slow"), by("slow"), count=4)
    assert (told.code, told.text) == ("model_unusable", "model slow failed: ZeroDivisionError: a mistake of its own")
    assert (ready.model, ready.text) == ("median20", told.text)


def test_a_forecast_whose_costs_fail_comes_without_them():
    """The next one has them: both threads of the forecaster outlive what a model of costs does."""
    said: queue.SimpleQueue[Any] = queue.SimpleQueue()
    table = CostTable("m", (1,), (1,), (0,), (1,), (1,), 0, 0, 0)
    costs = iter([lambda: 1 // 0, lambda: table])
    forecaster = Forecaster(Path, said.put, 60.0, lambda symbol: next(costs)())
    forecaster.ask(ASKED)
    forecaster.ask(ASKED)
    first, second = said.get(timeout=60), said.get(timeout=60)
    forecaster.stop()
    assert (first.costs, second) == (None, msgspec.structs.replace(first, costs=table))


def test_a_wanted_model_is_activated_or_refused_with_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One that needs no file is there at once; a damaged one, one of other features, one of another sha256 is not."""
    good = save_model(tmp_path, manifest_of(), FILES)
    at = str(tmp_path / good.name)
    activated, lost, strange = answered(
        ActivateModel(name="median20"), ActivateModel(name=LOST, sha256="x"), ActivateModel(name=at, sha256=good.model_sha256)
    )  # fmt: skip
    assert activated == ModelActivated(name="median20", sha256="")
    assert isinstance(lost, ModelRefused)
    assert (lost.name, "manifest.json can't be read" in lost.text) == (LOST, True)
    assert "train again" in strange.text
    monkeypatch.setattr(HybridModel, "load", lambda folder: Slow())
    wanted = msgspec.structs.replace(by("slow"), model_sha256="other")
    other, told, ready = answered(ActivateModel(name="slow", sha256="other"), wanted, count=3)
    assert other.text == "slow is not the model that was decided on: its sha256 is slow, not other"
    assert (ready.model, told.text) == ("median20", f"the model does not load: {other.text}")
