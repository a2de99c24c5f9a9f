"""What Prometheus may scrape at this machine: http://127.0.0.1:PORT/metrics.

Rule: nothing is counted for it. A scrape reads the state as it is, on a thread of its own: each number is right, two of them may be of two moments.
"""

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from algoserver.core.state import State
from algoserver.domain.alerts import ALERTS, kind
from algoserver.settings import Entry

if TYPE_CHECKING:
    from prometheus_client import Metric

HOST = "127.0.0.1"


class MetricsConfig(Entry, frozen=True, kw_only=True):
    """port: where Prometheus scrapes, on 127.0.0.1; 0: nowhere."""

    port: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ValueError("`port` is not a port: 1 to 65535, or 0 for none")


class Metrics:
    """The page. shell: numbers that the state does not have, by name: `x_total` is a counter, all others are gauges."""

    def __init__(self, config: MetricsConfig, state: State, shell: Callable[[], dict[str, int]]) -> None:
        self._config = config
        self._state = state
        self._shell = shell
        self._server: Any = None

    def start(self) -> None:
        """Open the page, if there is to be one. Raises OSError where the port is taken."""
        if not self._config.port:
            return
        from prometheus_client import CollectorRegistry, start_http_server

        registry = CollectorRegistry()
        registry.register(self)
        self._server, _ = start_http_server(self._config.port, HOST, registry)

    def stop(self) -> None:
        """Close it."""
        if self._server is not None:
            threading.Thread(target=self._server.shutdown, daemon=True).start()
            self._server.server_close()

    def collect(self) -> "Iterable[Metric]":
        """All numbers, as of now."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        state = self._state
        raised = CounterMetricFamily("algoserver_alerts", "Alerts raised, repeats too.", labels=("code", "owner", "severity"))
        for code, times in list(state.alerts.raised.items()):
            raised.add_metric((code, kind(code).owner.value, kind(code).severity.value), times)
        yield raised
        waiting = GaugeMetricFamily("algoserver_alerts_live", "Alerts that are not done with.", labels=("owner", "severity", "state"))
        for labels, count in _by_owner(state).items():
            waiting.add_metric(labels, count)
        yield waiting
        sessions = GaugeMetricFamily("algoserver_session_up", "1 if the session is up.", labels=("session",))
        for name, is_up in {**dict.fromkeys(list(state.venues_up), False), **dict(list(state.sessions.items()))}.items():
            sessions.add_metric((name,), int(is_up))
        yield sessions
        numbers = {
            "events_total": state.seq, "parents_total": len(state.parents), "children_total": len(state.children), "parents_open": len(state.works),
            "children_open": state.gate.open_children, "stops": len(state.gate.stops), "alerts_crowded_out_total": state.alerts.crowded_out,
            **self._shell(),
        }  # fmt: skip
        for name, number in numbers.items():
            words = f"{name.removesuffix('_total').replace('_', ' ')}."
            family = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            yield family(f"algoserver_{name}", words, value=number)


def _by_owner(state: State) -> dict[tuple[str, str, str], int]:
    counts = {(k.owner.value, k.severity.value, "open"): 0 for k in ALERTS.values()}
    for alert in [a for shelf in list(state.alerts.live.values()) for a in list(shelf.values())]:
        labels = kind(alert.code).owner.value, kind(alert.code).severity.value, alert.standing.value
        counts[labels] = counts.get(labels, 0) + 1
    return counts
