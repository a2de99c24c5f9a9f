"""Work that is the same wherever it is done, on the workers of a Dask cluster (extra `cluster`).

Rule 1: a piece of work is named by its number and done by a function of it alone. A worker that dies takes nothing with it: its pieces are
done by others, and may be done twice; what comes of one is handed on once.
Rule 2: a piece whose workers have died three times is given up, with the piece named: it kills them.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, TypeVar

T = TypeVar("T")
CONNECT_S = 30


class ClusterFailed(Exception):
    """The cluster is not there, or can't do its work; the text says which."""


def spread(address: str, work: Callable[[int], T], numbers: list[int]) -> Iterator[tuple[int, T]]:
    """Do `work` of each number on the cluster at `address`; (number, what came of it) as they are done.

    Raises ClusterFailed, and what work raises.
    """
    try:
        dask: Any = import_module("distributed")
    except ImportError:
        raise ClusterFailed("--dask needs the extra `cluster`: pip install 'algoserver[cluster]'") from None
    try:
        client = dask.Client(address, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise ClusterFailed(f"no Dask scheduler at {address}: {error}") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_S)
        except TimeoutError as error:
            raise ClusterFailed(f"the Dask scheduler at {address} has no worker") from error
        waiting = {client.submit(work, number, pure=False): number for number in numbers}
        for future in dask.as_completed(list(waiting)):
            number = waiting.pop(future)
            try:
                done = future.result()
            except dask.KilledWorker as error:
                raise ClusterFailed(f"seed {number} was given up: each worker that took it died") from error
            future.release()  # else the cluster keeps it until the end
            yield number, done
