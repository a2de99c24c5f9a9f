"""What leaves the process besides FIX: alerts to a webhook, numbers to Prometheus. Neither is ever waited for."""

from collections.abc import Callable

from algoserver.config import ServerConfig
from algoserver.core.state import State
from algoserver.domain.commands import EndAlert, RaiseAlert
from algoserver.metrics import Metrics
from algoserver.webhook import Webhook

STOP_S_MAX = 1.0


class Outside:
    """The two of a server. inbox_length: how much waits for the core."""

    def __init__(self, config: ServerConfig, state: State, inbox_length: Callable[[], int]) -> None:
        self._webhook = webhook = Webhook(config.alerts)
        self._metrics = Metrics(
            config.metrics,
            state,
            lambda: {
                "inbox_length": inbox_length(), "webhook_waiting": webhook.waiting, "webhook_sent_total": webhook.sent,
                "webhook_dropped_total": webhook.dropped,
            },
        )  # fmt: skip

    def start(self) -> None:
        """Open them. Raises OSError where the port of the metrics is taken."""
        self._metrics.start()
        self._webhook.start()

    def tell(self, command: RaiseAlert | EndAlert) -> None:
        """An alert, or the end of one; never waits."""
        self._webhook.tell(command)

    def stop(self) -> None:
        """Close them; what a receiver does not take in a second is lost."""
        self._metrics.stop()
        self._webhook.stop(STOP_S_MAX)
