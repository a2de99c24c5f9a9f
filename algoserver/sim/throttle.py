"""How many messages a client's session may send in any second of market time. Pure: time is an argument."""

from collections import deque

from algoserver.domain.types import SECOND
from algoserver.sim.config import Scenario


class Throttle:
    """Of every session. A message that is refused does not count."""

    def __init__(self, config: Scenario) -> None:
        self._config = config
        self._past: dict[str, deque[int]] = {}

    def admits(self, session: str, venue: str, client: str, ts: int) -> bool:
        """Whether a message that comes now is within the bound; if so it counts."""
        limit = self._config.client(venue, client).messages_per_s if self._config.clients else 0
        if not limit:
            return True
        past = self._past.setdefault(session, deque())
        while past and past[0] <= ts - SECOND:
            past.popleft()
        if len(past) >= limit:
            return False
        past.append(ts)
        return True
