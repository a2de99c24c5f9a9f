"""Answers RequestPlan with the schedule that costs least by the model of costs, on a thread of its own.

A plan that can't be made is answered by none and why: the parent goes on by its closed form.
"""

import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from algoserver.domain.commands import RequestPlan
from algoserver.domain.model_events import PlanReady

if TYPE_CHECKING:
    from algoserver.learn.cost import CostModel


class Planner:
    """Plans with what `model` returns when it is first asked. answer: takes each PlanReady."""

    def __init__(self, model: Callable[[], "CostModel"], answer: Callable[[PlanReady], None]) -> None:
        self._model = model
        self._answer = answer
        self._requests: queue.SimpleQueue[RequestPlan | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="planner", daemon=True)
        self._thread.start()

    def ask(self, request: RequestPlan) -> None:
        """Answer this request, soon and elsewhere."""
        self._requests.put(request)

    def stop(self) -> None:
        """Finish what was asked and end."""
        self._requests.put(None)
        self._thread.join(5)

    def _run(self) -> None:
        while (request := self._requests.get()) is not None:
            found = self._planned(request)
            if found.text:
                structlog.get_logger().info("no optimised plan", parent=found.parent_id, reason=found.text)
            self._answer(found)

    def _planned(self, request: RequestPlan) -> PlanReady:
        try:
            return plan(self._model(), request)
        except Exception as error:
            # A model's own mistake must not cost the parents that come their plans.
            return none(request, "", f"{type(error).__name__}: {error}")


def plan(model: "CostModel", request: RequestPlan) -> PlanReady:
    """The optimal plan, or none and why."""
    import numpy as np

    from algoserver.learn.cost import Terms
    from algoserver.learn.optimise import problem_of, solve

    steps = len(request.moments) - 1
    if request.volume <= 0 or request.qty <= 0 or steps < 1:
        return none(request, model.version, "no volume is expected, or nothing is left to do")
    size, span = request.qty / request.adv, request.volume / request.adv
    sigma = request.volatility_ppm / 1e6
    aversion = request.aversion_e9 * 1e-9 * request.day_value * 1e-8
    try:
        profile = solve(problem_of(model, size, np.full(steps, span / steps), sigma, aversion, request.cap_ppm / 1e6))
        cost = model.cost(Terms(size, span, profile, sigma, 0.0, 0.0))
    except (ValueError, FloatingPointError, np.linalg.LinAlgError) as wrong:
        return none(request, model.version, f"{type(wrong).__name__}: {wrong}")
    done = np.minimum(np.maximum.accumulate(np.floor(np.cumsum(profile) * request.qty + 1e-6)), request.qty)
    totals = (0, *(int(x) for x in done[:-1]), request.qty)
    return PlanReady(
        parent_id=request.parent_id, qty=request.qty, model=model.version, moments=request.moments, totals=totals,
        cost_e8=round(cost.expected * 1e8), p10_e8=round(cost.p10 * 1e8), p90_e8=round(cost.p90 * 1e8),
    )  # fmt: skip


def none(request: RequestPlan, model: str, text: str) -> PlanReady:
    """The answer where no plan could be made."""
    return PlanReady(parent_id=request.parent_id, qty=request.qty, model=model, text=text)
