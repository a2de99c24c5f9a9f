"""Answers RequestForecast with the day's volume curve, on a thread of its own.

No model, no history, a model that does not load: the answer is an empty curve and why, and the core takes the static one.
"""

import queue
import threading
from collections.abc import Callable
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
        self._through = ""
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
        found = no_curve(request, self._name, self._problem) if self._model is None else predict(self._model, request, self._through)
        if found.text:
            structlog.get_logger().info("no forecast", symbol=request.symbol, reason=found.text)
        return found

    def _load(self) -> None:
        # Importing numpy and LightGBM takes a second: here, and not while the server starts.
        from algoserver.learn.predict import MedianModel, VolumeModel
        from algoserver.learn.store import read_manifest

        try:
            if self._name == MEDIAN:
                self._model = MedianModel()
            else:
                model = VolumeModel.load(Path(self._name))
                self._through = read_manifest(Path(self._name)).trained_through
                self._model = model
        except (ValueError, OSError) as e:
            self._problem = f"the model does not load: {e}"


def predict(model: "CurveModel", request: RequestForecast, trained_through: str = "") -> ForecastReady:
    """The model's curve, or an empty one and why. trained_through: the last day that the model was trained on, "" for none."""
    from algoserver.learn.predict import to_ppm

    if not request.history:
        return no_curve(request, model.version, "no recorded days")
    try:
        curve = tuple(to_ppm(model.curve(request.symbol, request.history, request.weekday)))
    except ValueError as e:
        return no_curve(request, model.version, str(e))
    # What the model knows ends with the older of its training and the history that it looks back on.
    through = min(filter(None, (trained_through, request.history_dates[-1])))
    return ForecastReady(symbol=request.symbol, date=request.date, model=model.version, curve=curve, trained_through=through)


def no_curve(request: RequestForecast, model: str, text: str) -> ForecastReady:
    """The answer of a model that has none."""
    return ForecastReady(symbol=request.symbol, date=request.date, model=model, curve=(), text=text)
