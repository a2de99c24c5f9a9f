"""The same rows give the same model, byte for byte."""

import pytest

from algoserver.learn.fit import PARAMS, fit_volume, rows_by_day
from algoserver.learn.volumes import Volumes


def test_fitting_twice_gives_the_same_text(recorded: list[Volumes]):
    rows = list(rows_by_day(recorded).values())

    assert fit_volume(rows).model_to_string() == fit_volume(rows).model_to_string()


def test_training_is_single_threaded_seeded_and_deterministic():
    assert (PARAMS["num_threads"], PARAMS["deterministic"], PARAMS["seed"]) == (1, True, 7)


def test_nothing_to_learn_from_is_an_error():
    with pytest.raises(ValueError, match="no day to learn from: a symbol needs more than 20 days"):
        fit_volume([])
