"""One row, one prediction, in microseconds: LightGBM's C API for single rows, or `Booster.predict` where that is not to be had.

Rule 1: both say the same to the bit: rows with gaps, zeros and extremes are compared before the fast way is taken.
Rule 2: one thread. An object belongs to the thread that uses it: its row and its answer are buffers.

`Booster.predict` spends most of its time before the trees: it checks, copies and wraps what one row does not need.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lightgbm import Booster

# lightgbm/c_api.h
NORMAL, FLOAT64, ALL_TREES = 0, 1, -1
PARAMETERS = b"num_threads=1"
PROBE_ROWS = 64


class RowPredictor:
    """Predicts single rows with a model's text. is_fast: by the C API; else `why` says what stood against it."""

    def __init__(self, model_text: str) -> None:
        import lightgbm

        self._booster: Booster = lightgbm.Booster(model_str=model_text)
        self.features = int(self._booster.num_feature())
        self._row = np.zeros(self.features)
        self._answer = ctypes.c_double()
        self._fast: _Fast | None = None
        self.why = ""
        try:
            self._fast = _Fast(Path(lightgbm.__file__).parent, model_text, self._row, self._answer)
            self._compare()
        except (OSError, AttributeError, _Refused) as error:
            self.close()
            self.why = str(error)

    @property
    def is_fast(self) -> bool:
        return self._fast is not None

    def predict(self, row: Sequence[float] | NDArray[np.float64]) -> float:
        """The model's value for one row of features, in the order of training; NaN: not known."""
        if self._fast is None:
            found: Any = self._booster.predict(np.asarray(row, dtype=np.float64).reshape(1, -1), num_threads=1)
            return float(found[0])
        if len(row) != self.features:
            raise ValueError(f"row of {len(row)} features; the model has {self.features}")
        self._row[:] = row
        self._fast.run()
        return self._answer.value

    def close(self) -> None:
        """Free what the C API holds; from then on `Booster.predict` answers."""
        if self._fast is not None:
            self._fast.close()
            self._fast = None

    def _compare(self) -> None:
        rng = np.random.default_rng(seed=1)
        rows = rng.normal(size=(PROBE_ROWS, self.features)) * 10.0 ** rng.integers(-3, 7, size=(PROBE_ROWS, 1))
        rows[rng.random(rows.shape) < 0.1] = np.nan
        rows[0], rows[1] = 0.0, np.nan
        expected = np.asarray(self._booster.predict(rows, num_threads=1))
        found = np.array([self.predict(row) for row in rows])
        if found.tobytes() != expected.tobytes():
            raise _Refused("the C API of this LightGBM answers otherwise than Booster.predict")


class _Refused(Exception):
    """The fast way is not to be taken."""


class _Fast:
    """The C API's handles for one model, one row buffer and one answer."""

    def __init__(self, package: Path, model_text: str, row: NDArray[np.float64], answer: ctypes.c_double) -> None:
        self._model, self._config = ctypes.c_void_p(), ctypes.c_void_p()
        self._library = library = ctypes.CDLL(str(next((package / "lib").glob("*lightgbm*"), package / "lib" / "lib_lightgbm.so")))
        trees, self._length = ctypes.c_int(), ctypes.c_int64()
        self._call(library.LGBM_BoosterLoadModelFromString, model_text.encode(), ctypes.byref(trees), ctypes.byref(self._model))
        self._call(
            library.LGBM_BoosterPredictForMatSingleRowFastInit, self._model, ctypes.c_int(NORMAL), ctypes.c_int(0), ctypes.c_int(ALL_TREES),
            ctypes.c_int(FLOAT64), ctypes.c_int32(row.size), PARAMETERS, ctypes.byref(self._config),
        )  # fmt: skip
        self._function = library.LGBM_BoosterPredictForMatSingleRowFast
        self._arguments = (self._config, ctypes.c_void_p(row.ctypes.data), ctypes.byref(self._length), ctypes.byref(answer))

    def run(self) -> None:
        """From the row buffer to the answer."""
        if self._function(*self._arguments) != 0:
            raise RuntimeError(f"LightGBM refused a row: {self._error()}")

    def close(self) -> None:
        """Free both handles, the newer first."""
        if self._config:
            self._library.LGBM_FastConfigFree(self._config)
        if self._model:
            self._library.LGBM_BoosterFree(self._model)

    def _call(self, function: Any, *arguments: Any) -> None:
        if function(*arguments) != 0:
            raise _Refused(f"{function.__name__}: {self._error()}")

    def _error(self) -> str:
        self._library.LGBM_GetLastError.restype = ctypes.c_char_p
        text: bytes = self._library.LGBM_GetLastError()
        return text.decode(errors="replace")
