"""What leaves the process besides FIX: alerts to a webhook, numbers to Prometheus. Neither is ever waited for."""

from collections.abc import Callable

from algoserver.config import ServerConfig
from algoserver.core.alerts import Standing, live
from algoserver.core.state import State
from algoserver.domain.alerts import is_told_only, kind
from algoserver.domain.commands import EndAlert, RaiseAlert
from algoserver.domain.types import MINUTE
from algoserver.metrics import Metrics
from algoserver.webhook import Webhook

STOP_S_MAX = 1.0


class Outside:
    """The two of a server. inbox_length: how much waits for the core."""

    def __init__(self, config: ServerConfig, state: State, inbox_length: Callable[[], int]) -> None:
        self._state = state
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

    def repeat(self) -> None:
        """At a start, before anything new: what is open and nobody has acknowledged, and what was over in the last minute. Nobody knows whether
        the last process, which may have been killed, had told it."""
        book = self._state.alerts
        for alert in live(book):
            if alert.is_told and alert.standing is Standing.OPEN:
                said = RaiseAlert(code=alert.code, subject=alert.subject, text=alert.text, alert_id=alert.alert_id, times=alert.times)
                self._webhook.tell(said, is_repeated=True)
        for alert in book.past.values():
            if alert.ended_ts >= self._state.ts - MINUTE and not is_told_only(kind(alert.code)):
                over = EndAlert(code=alert.code, subject=alert.subject, alert_id=alert.alert_id, times=alert.times)
                self._webhook.tell(over, is_repeated=True)

    def tell(self, command: RaiseAlert | EndAlert) -> None:
        """An alert, or the end of one; never waits."""
        self._webhook.tell(command)

    def stop(self) -> None:
        """Close them; what a receiver does not take in a second is lost."""
        self._metrics.stop()
        self._webhook.stop(STOP_S_MAX)
