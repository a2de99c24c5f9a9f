"""Answers to RequestForecast: a curve and what it knows, or none and why."""

import queue

import msgspec
import pytest

from algoserver.domain.commands import RequestForecast
from algoserver.domain.events import ForecastReady
from algoserver.domain.types import PPM_ONE
from algoserver.forecast import Forecaster, predict
from algoserver.learn.predict import MedianModel

DATES = tuple(f"201906{day:02}" for day in range(1, 21))
ASKED = RequestForecast(symbol="AAPL", date="20190628", weekday=4, history_dates=DATES, history=((5_000, 1_000, 1_000, 3_000),) * 20)
NEW = RequestForecast(symbol="NEW", date="20190628", weekday=4, history_dates=(), history=())


def answered(model: str, *requests: RequestForecast) -> list[ForecastReady]:
    """What a Forecaster says to each."""
    said: queue.SimpleQueue[ForecastReady] = queue.SimpleQueue()
    forecaster = Forecaster(model, said.put)
    for request in requests:
        forecaster.ask(request)
    found = [said.get(timeout=60) for _ in requests]
    forecaster.stop()
    return found


def test_the_median_needs_no_file_and_its_curve_is_whole():
    """It knows the recorded days through the last one; the server's answer is the backtest's."""
    (ready,) = answered("median20", ASKED)
    assert (ready.symbol, ready.date, ready.model, ready.text) == ("AAPL", "20190628", "median20", "")
    assert (ready.curve, ready.trained_through) == ((PPM_ONE // 2, PPM_ONE // 10, PPM_ONE // 10, PPM_ONE * 3 // 10), DATES[-1])
    assert ready == predict(MedianModel(), ASKED)


@pytest.mark.parametrize(
    ("trained_through", "known_through"), [("20190101", "20190101"), ("20190627", DATES[-1]), ("", DATES[-1])], ids=["older", "newer", "unsaid"]
)
def test_a_forecast_knows_no_more_than_its_training_or_its_history(trained_through, known_through):
    """The older of the two."""
    assert predict(MedianModel(trained_through=trained_through), ASKED).trained_through == known_through


@pytest.mark.parametrize(
    ("model", "request_", "text"),
    [("", ASKED, "no model is configured"), ("/no/such/model", NEW, "no recorded days"), ("median20", NEW, "no recorded days")],
    ids=["none", "lost and new", "new"],
)
def test_without_a_curve_the_answer_says_why(model, request_, text):
    """Each time it is asked, and what comes after is answered too."""
    first, second = answered(model, request_, request_)
    assert first == second
    assert (first.curve, first.text[: len(text)], first.symbol) == ((), text, request_.symbol)


def test_a_model_that_does_not_load_leaves_the_median_in_its_place_and_the_answer_says_so():
    (ready,) = answered("/no/such/model", ASKED)
    (median,) = answered("median20", ASKED)
    assert (ready.model, ready.curve) == ("median20", median.curve)
    assert ready.text.startswith("the model does not load: /no/such/model")


def test_bins_that_are_over_have_what_they_had():
    """Asked again at noon: what traded, then the median; the whole curve is still one."""
    (ready,) = answered("median20", msgspec.structs.replace(ASKED, today=(6_000, 2_000)))
    assert (ready.now_bin, ready.volume, ready.volume_p10, ready.volume_p90) == (2, *[(6_000, 2_000, 1_000, 3_000)] * 3)
    assert ready.curve == (500_000, 166_667, 83_333, 250_000)
