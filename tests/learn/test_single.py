"""The fast way says what Booster.predict says, to the bit, or is not taken."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from algoserver.learn import single
from algoserver.learn.hybrid import PARAMS
from algoserver.learn.single import RowPredictor

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def model_text() -> str:
    import lightgbm

    rng = np.random.default_rng(seed=2)
    x = rng.normal(size=(500, 6))
    params = {"num_leaves": 7, "num_threads": 1, "verbosity": -1, "min_data_in_leaf": 5}
    return lightgbm.train(params, lightgbm.Dataset(x, label=x[:, 0] * x[:, 1]), num_boost_round=20).model_to_string()


def rows_of(features: int) -> np.ndarray:
    rng = np.random.default_rng(seed=4)
    rows = rng.normal(size=(300, features)) * 10.0 ** rng.integers(-2, 4, size=(300, 1))
    rows[rng.random(rows.shape) < 0.2] = np.nan
    return rows


def test_every_objective_of_the_volume_model_is_predicted_to_the_bit():
    import lightgbm

    rng = np.random.default_rng(seed=5)
    x = rng.normal(size=(2_000, 26))
    x[rng.random(x.shape) < 0.1] = np.nan
    for objective in ({"objective": "l1"}, {"objective": "quantile", "alpha": 0.1}, {"objective": "quantile", "alpha": 0.9}):
        data = lightgbm.Dataset(x, label=np.nan_to_num(x[:, 0] + x[:, 9]))
        text = lightgbm.train({**PARAMS, "min_data_in_leaf": 20, **objective}, data, num_boost_round=20).model_to_string()
        booster, fast = lightgbm.Booster(model_str=text), RowPredictor(text)
        rows = rows_of(26)
        assert (fast.is_fast, fast.why) == (True, "")
        assert [fast.predict(row).hex() for row in rows] == [float(v).hex() for v in booster.predict(rows, num_threads=1)]
        assert len({fast.predict(row) for row in rows}) > 5
        fast.close()


def test_without_the_library_booster_predict_answers_and_it_says_why(model_text: str, monkeypatch: pytest.MonkeyPatch):
    with_it = RowPredictor(model_text)

    def lost(_path: str) -> None:
        raise OSError("no such library")

    monkeypatch.setattr(single.ctypes, "CDLL", lost)
    without = RowPredictor(model_text)

    assert (without.is_fast, without.why) == (False, "no such library")
    assert [without.predict(row) for row in rows_of(6)] == [with_it.predict(row) for row in rows_of(6)]


def test_another_answer_is_not_taken(model_text: str, monkeypatch: pytest.MonkeyPatch):
    """A C API that is off by one bit is found before it is used."""
    run = single._Fast.run

    def off(self: single._Fast) -> None:
        run(self)
        self._arguments[3]._obj.value = np.nextafter(self._arguments[3]._obj.value, np.inf)

    monkeypatch.setattr(single._Fast, "run", off)
    found = RowPredictor(model_text)

    assert (found.is_fast, found.why) == (False, "the C API of this LightGBM answers otherwise than Booster.predict")
    monkeypatch.undo()
    assert found.predict(np.zeros(6)) == RowPredictor(model_text).predict(np.zeros(6))


def test_a_row_of_another_width_is_refused_and_a_closed_predictor_still_answers(model_text: str):
    found = RowPredictor(model_text)
    before = found.predict([0.1] * 6)
    with pytest.raises(ValueError, match="row of 5 features; the model has 6"):
        found.predict([0.1] * 5)
    found.close()

    assert (found.is_fast, found.predict([0.1] * 6)) == (False, before)


def test_the_benchmark_compares_every_answer():
    """Small, and without its bar: how fast it is on a busy machine is for a run by hand."""
    command = [sys.executable, "tools/bench_predict.py", "--trees", "20", "--rows", "50", "--least", "0", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["is_good"]
    assert found["asked"]["unequal"] == found["volume"]["unequal"] == 0


def test_the_benchmark_follows_ticks_to_orders():
    """Small, and without its bar: there are ticks and turns with orders, and all of them took time."""
    command = [sys.executable, "tools/bench_tick.py", "--parents", "300", "--warm", "4000", "--events", "4000", "--most", "1e9", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert min(found["ticks"], found["orders"]) >= 50
    assert 0 < found["cpu_us_p50"] <= found["cpu_us_p99"]
