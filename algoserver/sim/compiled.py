"""Whether the kernel is compiled: by numba (extra `fast`) where it is installed, else it runs as the Python that it is.

Rule 1: one source. A kernel's function is plain Python over flat arrays, and means the same compiled and not: no integer
beyond 64 bits, no power but by exp and log (the compiler has its own for whole exponents), numbers drawn outside.
Rule 2: no kernel divides by zero: compiled, nothing looks for it (a fifth of its time), and not compiled it would raise.
Rule 3: no kernel makes an array. So nothing counts references to arrays (numba's `_nrt`, which its manual does not name): each call
inside the kernel counted those that it was given, which took half of its time. A kernel that makes one does not compile.
Rule 4: compiled code is kept in the user's cache, by a hash of the kernel's source: numba itself does not see that a
function in another file has changed.
NUMBA_DISABLE_JIT=1 is numba's own way to switch it off.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
KERNEL = ("array_book.py", "compiled.py", "flow_kernel.py", "weather.py")


def _cache() -> Path:
    here = Path(__file__).parent
    source = b"".join((here / name).read_bytes() for name in KERNEL if (here / name).exists())
    base = Path(os.environ.get("XDG_CACHE_HOME", "") or Path.home() / ".cache")
    return base / "algoserver" / f"kernel-{hashlib.sha256(source).hexdigest()[:16]}"


try:
    version("numba")  # without importing it, which takes a second
    IS_COMPILED = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
except PackageNotFoundError:
    IS_COMPILED = False

if IS_COMPILED:
    import numba

    try:
        folder = _cache()
        folder.mkdir(parents=True, exist_ok=True)
        numba.config.CACHE_DIR = str(folder)
        _njit = numba.njit(cache=True, error_model="numpy", _nrt=False, forceinline=True)
    except OSError:  # no home to write to: it is compiled anew in each process
        _njit = numba.njit(error_model="numpy", _nrt=False, forceinline=True)

    def compiled(function: F) -> F:
        """The function, compiled when it is first called."""
        made: F = _njit(function)
        return made
else:

    def compiled(function: F) -> F:
        """The function as it is."""
        return function


def ints(length: int, value: int = 0) -> Any:
    """Flat array of 64-bit integers: without a compiler a list, which Python reads faster."""
    return np.full(length, value, np.int64) if IS_COMPILED else [value] * length


def floats(values: Sequence[float] | Any) -> Any:
    """Flat array of 64-bit floats."""
    array = np.asarray(values, np.float64)
    return array if IS_COMPILED else array.tolist()
