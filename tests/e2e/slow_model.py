"""`python -m tests.e2e.slow_model serve ...`: the ordinary server, but its models wait for whoever holds a lock.

Whoever locks `load.gate` in the registry holds up the loading of its models, whoever locks `answer.gate` their answers.
"""

import fcntl
from pathlib import Path

from algoserver.cli import main
from algoserver.learn.predict import Asked, Forecast, HybridModel

REGISTRY: list[Path] = []
_load, _forecast = HybridModel.load, HybridModel.forecast


def wait_at(gate: Path) -> None:
    """Until nobody holds it."""
    with gate.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)


def load(folder: Path) -> HybridModel:
    REGISTRY[:] = [folder.parent]
    wait_at(folder.parent / "load.gate")
    return _load(folder)


def forecast(self: HybridModel, asked: Asked) -> Forecast:
    wait_at(REGISTRY[0] / "answer.gate")
    return _forecast(self, asked)


if __name__ == "__main__":
    HybridModel.load, HybridModel.forecast = load, forecast  # type: ignore[method-assign,assignment]
    main()
