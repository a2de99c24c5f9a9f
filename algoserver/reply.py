"""One answer of the core to one asker, who may have given up before it came.

Rule: an answer is taken exactly once: by who asked, or, when he has been told that none came, by `late`.
"""

import queue
from collections.abc import Callable
from typing import Any

Answer = dict[str, Any]
Late = Callable[[Answer], None]


class Reply:
    """late: takes an answer that nobody waits for any more; it is called on the thread of who puts the answer."""

    def __init__(self, late: Late) -> None:
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._late = late
        self._is_given_up = False

    def put(self, said: Answer) -> None:
        """Here is the answer."""
        self._answers.put(said)
        if self._is_given_up and (left := self._taken()) is not None:
            self._late(left)

    def get(self, timeout_s: float) -> Answer | None:
        """The answer, or None if it does not come in time."""
        try:
            return self._answers.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def give_up(self) -> Answer | None:
        """Wait no more; the answer if it came just now."""
        self._is_given_up = True
        return self._taken()

    def _taken(self) -> Answer | None:
        try:
            return self._answers.get_nowait()
        except queue.Empty:
            return None
