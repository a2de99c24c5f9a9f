"""Answers RequestForecast with the day's volume, before it or with the bins so far, by the model that the request names; loads those that are wanted.

Hybrid, else the Kalman filter, else the median (also for a model that does not load, fails or is late): the answer names who served it and why nobody
better did. Where none can, and without a model, the answer is an empty curve and why, and the core takes the static one of its configuration.

Rule 1: models work on one thread, one request after another; a second thread watches the clock and answers by the median for one that is late.
Rule 2: a request is answered once. What a model says after its time is dropped.
Rule 3: nothing that a model does ends a thread: what is wrong with it is told (MachineWarned), and told again when it is over.
"""

import queue
import threading
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog

from algoserver.core.models import FALLBACK, SUBJECT
from algoserver.domain.commands import ActivateModel, RequestForecast
from algoserver.domain.events import ForecastReady, MachineWarned, ModelActivated, ModelRefused
from algoserver.domain.model_events import CostTable

if TYPE_CHECKING:
    from algoserver.learn.predict import CurveModel

KEPT_MAX = 2  # models in memory: the one in force, and one that is to come or has just gone

Answer = Callable[[ForecastReady | ModelActivated | ModelRefused | MachineWarned], None]


class Asked:
    """A request and whether it was answered. deadline: by time.monotonic()."""

    def __init__(self, request: RequestForecast, deadline: float) -> None:
        self.request, self.deadline = request, deadline
        self.done = threading.Event()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """True for the first who wants to answer it."""
        with self._lock:
            is_first = not self.done.is_set()
            self.done.set()
            return is_first


class Forecaster:
    """Predicts with the models that requests name. folder_of: where one stands, ValueError if nowhere. answer: takes what comes of it.

    answer_s_max: how long a model may take. costs: what trading in a symbol costs, None where nobody says it; both threads ask.
    """

    def __init__(
        self, folder_of: Callable[[str], Path], answer: Answer, answer_s_max: float = 20.0,
        costs: Callable[[str], CostTable | None] = lambda symbol: None,
    ) -> None:  # fmt: skip
        self._folder_of, self._answer, self._answer_s_max, self._costs = folder_of, answer, answer_s_max, costs
        self._models: dict[str, CurveModel] = {}
        self._lock = threading.Lock()  # for what both threads say of models: in trouble or not, in the order in which it is so
        self._is_in_trouble = False
        self._log = structlog.get_logger()
        self._work: queue.SimpleQueue[Asked | ActivateModel | None] = queue.SimpleQueue()
        self._watched: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="forecast", daemon=True)
        self._thread.start()
        threading.Thread(target=self._watch, name="forecast clock", daemon=True).start()

    def ask(self, command: RequestForecast | ActivateModel) -> None:
        """Answer this, soon and elsewhere."""
        if isinstance(command, ActivateModel):
            self._work.put(command)
            return
        asked = Asked(command, time.monotonic() + self._answer_s_max)
        self._work.put(asked)
        self._watched.put(asked)

    def stop(self) -> None:
        """Finish what was asked and end."""
        self._work.put(None)
        self._thread.join(5)
        self._watched.put(None)

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            if isinstance(item, ActivateModel):
                self._answer(self._activated(item))
            elif not item.done.is_set():  # else its time was over before its turn came
                found, trouble = self._predicted(item.request)
                if item.take():
                    self._tell(found, trouble)

    def _watch(self) -> None:
        # All have the same patience: the first that was asked is the first that is late.
        while (asked := self._watched.get()) is not None:
            if not asked.done.wait(max(0.0, asked.deadline - time.monotonic())) and asked.take():
                text = f"model {asked.request.model} did not answer in {self._answer_s_max:g} s"
                with self._lock:
                    self._is_in_trouble = True
                    self._answer(MachineWarned(code="model_late", subject=SUBJECT, text=f"{text} for {asked.request.symbol}"))
                self._say(_by_median(text, asked.request))

    def _tell(self, found: ForecastReady, trouble: str) -> None:
        with self._lock:
            if trouble:
                self._answer(MachineWarned(code="model_unusable", subject=SUBJECT, text=trouble))
            elif self._is_in_trouble:
                self._answer(MachineWarned(code="model_answers", subject=SUBJECT, text=f"{found.model} for {found.symbol}"))
            self._is_in_trouble = bool(trouble)
        self._say(found)

    def _say(self, found: ForecastReady) -> None:
        if found.text:
            self._log.info("forecast by a fallback" if found.curve else "no forecast", symbol=found.symbol, reason=found.text)
        try:
            costs = self._costs(found.symbol)
        except Exception as error:
            # A forecast without costs is a forecast; without this thread there would be none.
            self._log.warning("no costs", symbol=found.symbol, reason=f"{type(error).__name__}: {error}")
            costs = None
        self._answer(msgspec.structs.replace(found, costs=costs) if costs is not None else found)

    def _predicted(self, request: RequestForecast) -> tuple[ForecastReady, str]:
        """The forecast, and what is wrong with the model if it is another one's."""
        if not request.model:
            return no_curve(request, "", "no model is configured"), ""
        try:
            return predict(self._model(request.model, request.model_sha256), request), ""
        except (ValueError, OSError) as error:
            text = f"the model does not load: {error}"
        except Exception as error:
            # A model's own mistake must not cost the day its forecasts.
            text = f"model {request.model} failed: {type(error).__name__}: {error}"
        return _by_median(text, request), text

    def _activated(self, wanted: ActivateModel) -> ModelActivated | ModelRefused:
        try:
            self._models.pop(wanted.name, None)  # it is read anew: its files may have changed since it was read last
            self._model(wanted.name, wanted.sha256)
        except Exception as error:
            return ModelRefused(name=wanted.name, sha256=wanted.sha256, text=str(error) if isinstance(error, ValueError) else repr(error))
        return ModelActivated(name=wanted.name, sha256=wanted.sha256)

    def _model(self, name: str, sha256: str) -> "CurveModel":
        """A model by its name, read once; of these bytes, if it is said of which. Raises ValueError, OSError."""
        # Importing numpy and LightGBM takes a second: here, and not while the server starts.
        from algoserver.learn.predict import HybridModel, MedianModel

        if name not in self._models:
            model: CurveModel = MedianModel()
            if name != FALLBACK:
                model = loaded = HybridModel.load(self._folder_of(name))
                if sha256 and loaded.sha256 != sha256:  # a folder may have been filled anew
                    raise ValueError(f"{name} is not the model that was decided on: its sha256 is {loaded.sha256}, not {sha256}")
            self._models[name] = model
            while len(self._models) > KEPT_MAX:
                del self._models[next(iter(self._models))]
        return self._models[name]


def predict(model: "CurveModel", request: RequestForecast) -> ForecastReady:
    """The model's forecast, or an empty one and why."""
    from algoserver.learn.predict import Asked as Question
    from algoserver.learn.predict import to_ppm

    try:
        dates = tuple(date.fromisoformat(day) for day in request.history_dates)
        found = model.forecast(Question(request.symbol, date.fromisoformat(request.date), dates, request.history, request.today))
        curve = tuple(to_ppm(found.curve))
    except ValueError as e:
        return no_curve(request, model.version, str(e))
    # What the model knows ends with the older of its training and the history that it looks back on.
    through = min(filter(None, (model.trained_through, *request.history_dates[-1:])))
    volume, low, high = (tuple(round(float(v)) for v in row) for row in (found.p50, found.p10, found.p90))
    return ForecastReady(
        symbol=request.symbol, date=request.date, model=found.model, curve=curve, trained_through=through, text=found.why, asked=request.model,
        now_bin=len(request.today), volume=volume, volume_p10=low, volume_p90=high,
    )  # fmt: skip


def no_curve(request: RequestForecast, model: str, text: str) -> ForecastReady:
    """The answer of a model that has none."""
    return ForecastReady(symbol=request.symbol, date=request.date, model=model, curve=(), text=text, asked=request.model)


def _by_median(why: str, request: RequestForecast) -> ForecastReady:
    from algoserver.learn.predict import MedianModel

    return predict(MedianModel(why=why), request)
