"""Answers RequestForecast with the day's volume, before it or with the bins so far, on a thread of its own.

Hybrid, else the Kalman filter, else the median (also for a model that does not load): the answer names who served it and why nobody better did.
Where none can, and without a model, the answer is an empty curve and why, and the core takes the static one of its configuration.
"""

import queue
import threading
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from algoserver.domain.commands import RequestForecast
from algoserver.domain.events import ForecastReady

if TYPE_CHECKING:
    from algoserver.learn.predict import CurveModel

MEDIAN = "median20"


class Forecaster:
    """Predicts with `model`: "median20", a model directory, or "" for none. answer: takes each ForecastReady."""

    def __init__(self, model: str, answer: Callable[[ForecastReady], None]) -> None:
        self._name = model
        self._answer = answer
        self._model: CurveModel | None = None
        self._problem = "" if model else "no model is configured"
        self._requests: queue.SimpleQueue[RequestForecast | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="forecast", daemon=True)
        self._thread.start()

    def ask(self, request: RequestForecast) -> None:
        """Answer this request, soon and elsewhere."""
        self._requests.put(request)

    def stop(self) -> None:
        """Finish what was asked and end."""
        self._requests.put(None)
        self._thread.join(5)

    def _run(self) -> None:
        while (request := self._requests.get()) is not None:
            self._answer(self._predict(request))

    def _predict(self, request: RequestForecast) -> ForecastReady:
        if not self._problem and self._model is None:
            self._load()
        found = no_curve(request, self._name, self._problem) if self._model is None else predict(self._model, request)
        if found.text:
            structlog.get_logger().info("forecast by a fallback" if found.curve else "no forecast", symbol=request.symbol, reason=found.text)
        return found

    def _load(self) -> None:
        # Importing numpy and LightGBM takes a second: here, and not while the server starts.
        from algoserver.learn.predict import HybridModel, MedianModel

        try:
            if self._name == MEDIAN:
                self._model = MedianModel()
            else:
                self._model = HybridModel.load(Path(self._name))
        except (ValueError, OSError) as e:
            self._model = MedianModel(why=f"the model does not load: {e}")


def predict(model: "CurveModel", request: RequestForecast) -> ForecastReady:
    """The model's forecast, or an empty one and why."""
    from algoserver.learn.predict import Asked, to_ppm

    try:
        dates = tuple(date.fromisoformat(day) for day in request.history_dates)
        found = model.forecast(Asked(request.symbol, date.fromisoformat(request.date), dates, request.history, request.today))
        curve = tuple(to_ppm(found.curve))
    except ValueError as e:
        return no_curve(request, model.version, str(e))
    # What the model knows ends with the older of its training and the history that it looks back on.
    through = min(filter(None, (model.trained_through, *request.history_dates[-1:])))
    volume, low, high = (tuple(round(float(v)) for v in row) for row in (found.p50, found.p10, found.p90))
    return ForecastReady(
        symbol=request.symbol, date=request.date, model=found.model, curve=curve, trained_through=through, text=found.why,
        now_bin=len(request.today), volume=volume, volume_p10=low, volume_p90=high,
    )  # fmt: skip


def no_curve(request: RequestForecast, model: str, text: str) -> ForecastReady:
    """The answer of a model that has none."""
    return ForecastReady(symbol=request.symbol, date=request.date, model=model, curve=(), text=text)
