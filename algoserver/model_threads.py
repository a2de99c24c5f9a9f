"""Who answers what the core and operators ask of models: volume, costs, plans. Each on a thread that is not the core's."""

from collections.abc import Callable
from typing import Any

from algoserver.config import Config
from algoserver.domain.events import ForecastReady, MachineWarned, ModelActivated, ModelRefused, PlanReady
from algoserver.forecast import Forecaster
from algoserver.learn.registry import Shelf
from algoserver.model_desk import on_shelf
from algoserver.planner import Planner
from algoserver.pretrade import Pricer


class Models:
    """Those that the configuration names. answer: takes each event that an answer is."""

    def __init__(self, config: Config, answer: Callable[[ForecastReady | ModelActivated | ModelRefused | MachineWarned | PlanReady], None]) -> None:
        self._shelf, patience_s = Shelf(config.model, config.registry), config.server.forecast.answer_ms_max / 1_000
        self._pricer = Pricer(config.impact, config.setup)
        self._forecaster = Forecaster(self._shelf.folder, answer, patience_s, self._pricer.table)
        self._planner = Planner(self._pricer.model, answer)
        self.forecast, self.plan = self._forecaster.ask, self._planner.ask

    def estimate(self, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Answer a question about an order that might be sent. ask: puts it to the core."""
        return self._pricer.ask(ask)

    def on_shelf(self, request: dict[str, Any]) -> dict[str, Any]:
        """A request for another model, with what that is; any other as it is."""
        return on_shelf(self._shelf, request)

    def stop(self) -> None:
        """Finish what was asked and end."""
        self._forecaster.stop()
        self._planner.stop()
