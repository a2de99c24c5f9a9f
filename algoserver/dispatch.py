"""Commands onto the wire: each to its session's outbox, and the set of children that left, kept without the core.

The set is the watchdog's: when the core stands still, it knows by itself what to cancel.
"""

import threading
import time
from collections.abc import Callable, Mapping

import structlog

from algoserver.core.rates import Rate, has_room, rate, spend, token_ns
from algoserver.domain import commands as c
from algoserver.domain import events as e
from algoserver.domain.alerts import Severity, kind
from algoserver.domain.policy import DropCopy
from algoserver.domain.types import Instrument
from algoserver.fix import codec, mass_codec, venue_codec
from algoserver.fix.endpoint import Endpoint
from algoserver.fix.outbox import Letter, Outbox
from algoserver.fix.versions import V44, Version, version_of

# A hundred letters take a few milliseconds. A peer that takes none in this time does not read, and nobody waits for it again.
SETTLE_S_MAX = 0.02
OnUnsent = Callable[[str, Letter, str], None]
# How long taking everything back may wait for one venue's socket; the others do not wait for it.
VENUE_S_MAX = 1.0
# What changes the set of open children; most events do not.
ABOUT_OPEN = frozenset((e.ChildFilled, e.ChildCanceled, e.ChildRejected, e.ChildStatusReported))


class Dispatcher:
    """Sends commands. add_*() before the first dispatch. forecast: takes what is for models, plan: RequestPlan; tell: alerts, after the log.

    Orders have a rate of their own, by the wall's clock: now() counts ns. It is the last one, for a core whose clock or limits are wrong; cancels
    never ask it.
    """

    def __init__(
        self, instruments: Mapping[str, Instrument], forecast: Callable[[c.RequestForecast | c.ActivateModel], None],
        orders_per_second_max: int = 1_000, now: Callable[[], int] = time.monotonic_ns,
        tell: Callable[[c.RaiseAlert | c.EndAlert], None] = lambda command: None,
        plan: Callable[[c.RequestPlan], None] = lambda command: None,
    ) -> None:  # fmt: skip
        self._instruments = instruments
        self._forecast, self._plan = forecast, plan
        self._orders_per_second_max, self._now = orders_per_second_max, now
        self._rates: dict[str, Rate] = {}
        self._on_unsent: dict[str, OnUnsent] = {}
        self._outboxes: dict[str, Outbox] = {}
        self._versions: dict[str, Version] = {}
        self._copies: dict[str, DropCopy] = {}
        self._venue_ends: dict[str, tuple[Endpoint, str]] = {}
        self._open: dict[str, tuple[str, int, str]] = {}  # child -> venue, quantity that may still trade, cancel body
        self._tell = tell
        self._log = structlog.get_logger()

    def add_client(self, name: str, endpoint: Endpoint, session: str) -> None:
        """A client's session."""
        self._outboxes[name] = Outbox(endpoint, session)
        self._versions[name] = version_of(session)

    def add_copy(self, name: str, endpoint: Endpoint, session: str, copy: DropCopy) -> None:
        """A drop copy's session. Nobody waits for it."""
        self.add_client(name, endpoint, session)
        self._copies[name] = copy

    def add_venue(self, name: str, endpoint: Endpoint, session: str, on_unsent: OnUnsent) -> None:
        """A venue's order session; on_unsent hears of what could not leave, and why if it is not that the session was down."""
        self._outboxes[name] = Outbox(endpoint, session, lambda letter: on_unsent(name, letter, ""))
        self._on_unsent[name] = on_unsent
        self._venue_ends[name] = endpoint, session

    def dispatch(self, seq: int, ts: int, command: c.Command, to: str = "") -> None:
        """Write one command of the event `seq`; it leaves with the next post(). to: of a report's sessions this one alone."""
        if isinstance(command, c.ReportParent):
            self._report(seq, command, to)
        elif isinstance(command, c.ReportChild):
            for name, copy in self._copies.items():
                if to in ("", name) and copy.wants(command.report.session, is_child=True):
                    self._put(name, Letter(seq, codec.encode_child_report(command, self._versions[name])))
        elif isinstance(command, c.SendChild):
            self._send_child(seq, ts, command)
        elif isinstance(command, c.CancelChild):
            body = venue_codec.encode_child_cancel(command, ts)
            self._put(command.venue, Letter(seq, body, "F", command.child_id))
        elif isinstance(command, c.AskChildStatus):
            self._put(command.venue, Letter(seq, venue_codec.encode_child_status(command), "H", command.child_id))
        elif isinstance(command, c.RejectCancel):
            self._put(command.session, Letter(seq, codec.encode_cancel_reject(command, self._versions.get(command.session, V44))))
        elif isinstance(command, c.ReportMassCancel):
            version = self._versions.get(command.session, V44)
            self._put(command.session, Letter(seq, mass_codec.encode_mass_cancel(command, version), is_grouped=True))
        elif isinstance(command, c.RejectMessage):
            self._put(command.session, Letter(seq, codec.encode_message_reject(command, self._versions.get(command.session, V44))))
        elif isinstance(command, c.RequestForecast | c.ActivateModel):
            self._forecast(command)
        elif isinstance(command, c.RequestPlan):
            self._plan(command)
        elif isinstance(command, c.RaiseAlert):
            self._alert(command)
            self._tell(command)
        elif isinstance(command, c.EndAlert):
            self._log.info("alert over", id=command.alert_id, code=command.code, subject=command.subject, times=command.times)
            self._tell(command)
        else:
            raise AssertionError(f"no way out for {type(command).__name__}")

    def post(self) -> None:
        """Let everything go that was dispatched, and wait a moment for it; drop copies after everybody else, and not for them."""
        awaited = [outbox for name, outbox in self._outboxes.items() if name not in self._copies]
        for outbox in awaited:
            outbox.post()
        for outbox in awaited:
            outbox.settle(SETTLE_S_MAX)
        for name in self._copies:
            self._outboxes[name].post()

    def heard(self, event: e.Event) -> None:
        """Keep the set of open children true to what venues say."""
        if type(event) not in ABOUT_OPEN:
            return
        if isinstance(event, e.ChildFilled):
            known = self._open.get(event.child_id)
            if known is not None and known[1] > event.last_qty:
                self._open[event.child_id] = (known[0], known[1] - event.last_qty, known[2])
            else:
                self._open.pop(event.child_id, None)
        elif isinstance(event, e.ChildCanceled | e.ChildRejected) or (isinstance(event, e.ChildStatusReported) and not event.is_known):
            self._open.pop(event.child_id, None)

    def remember(self, child: c.SendChild, ts: int, decimals: int) -> None:
        """A child that leaves, or that an earlier process sent; its instrument may be gone since. decimals: of its quantity."""
        cancel = c.CancelChild(
            child_id=child.child_id, cancel_id=f"{child.child_id}.w", venue=child.venue, symbol=child.symbol, side=child.side,
            order_qty=child.order_qty, qty_decimals=decimals,
        )  # fmt: skip
        self._open[child.child_id] = (child.venue, child.order_qty, venue_codec.encode_child_cancel(cancel, ts))

    def handed_seq(self, latest_seq: int) -> int:
        """Everything that events up to this seq caused is with the FIX engines."""
        return min((o.handed_seq(latest_seq) for o in self._outboxes.values()), default=latest_seq)

    def shut(self) -> None:
        """Let no child leave any more, whatever the core has said; cancels and reports go on."""
        for name in self._venue_ends:
            self._outboxes[name].shut(SETTLE_S_MAX)

    def reopen(self) -> None:
        """Let children leave again: the core's own gate stands."""
        for name in self._venue_ends:
            self._outboxes[name].reopen()

    def cancel_all(self) -> int:
        """Cancel every open child past the core and its outboxes; returns how many. For the watchdog alone.

        Each venue on a thread of its own: one that does not read keeps no other's children alive.
        """
        bodies: dict[str, list[str]] = {}
        for venue, _, body in list(self._open.values()):
            bodies.setdefault(venue, []).append(body)
        sent: list[str] = []
        threads = [threading.Thread(target=self._cancel_at, args=(*self._venue_ends[venue], own, sent), daemon=True) for venue, own in bodies.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(VENUE_S_MAX)
        return len(sent)

    def _cancel_at(self, endpoint: Endpoint, session: str, bodies: list[str], sent: list[str]) -> None:
        for body in bodies:
            if endpoint.is_logged_on(session) and endpoint.send(session, body):
                sent.append(session)

    @property
    def venues_off(self) -> list[str]:
        """Venues that no message reaches now."""
        return [name for name, (endpoint, session) in self._venue_ends.items() if not endpoint.is_logged_on(session)]

    def stop(self, timeout_s: float) -> list[str]:
        """Send what waits; names of the sessions whose peer did not take it in time."""
        return [name for name, outbox in self._outboxes.items() if not outbox.stop(timeout_s)]

    def _send_child(self, seq: int, ts: int, child: c.SendChild) -> None:
        body = venue_codec.encode_child(child, self._decimals(child.symbol), ts)
        letter = Letter(seq, body, "D", child.child_id, is_grouped=bool(child.client))
        now, most = self._now(), self._orders_per_second_max
        at_venue, token = rate(self._rates, child.venue), token_ns(most)
        if child.venue in self._on_unsent and not has_room(at_venue, token, now):
            self._on_unsent[child.venue](child.venue, letter, f"more than {most} orders in a second of wall time to {child.venue}")
            return
        spend(at_venue, token, now)
        self.remember(child, ts, self._decimals(child.symbol))
        self._put(child.venue, letter)

    def _alert(self, command: c.RaiseAlert) -> None:
        of = kind(command.code)
        say = {Severity.CRITICAL: self._log.error, Severity.WARNING: self._log.warning, Severity.INFO: self._log.info}[of.severity]
        say(
            "alert", id=command.alert_id, severity=of.severity.value, owner=of.owner.value, code=command.code, subject=command.subject,
            text=command.text, times=command.times,
        )  # fmt: skip

    def _report(self, seq: int, report: c.ReportParent, to: str) -> None:
        version = self._versions.get(report.session, V44)
        body = codec.encode_report(report, version)
        if to in ("", report.session):
            self._put(report.session, Letter(seq, body))
        for name, copy in self._copies.items():
            if to in ("", name) and copy.wants(report.session):
                own = self._versions[name]
                same = body if own is version else codec.encode_report(report, own)
                self._put(name, Letter(seq, codec.encode_copy(same, report.session)))

    def _put(self, name: str, letter: Letter) -> None:
        outbox = self._outboxes.get(name)
        if outbox is None:
            self._log.error("no such session", session=name, message=letter.body.replace("\x01", "|"))
        else:
            outbox.put(letter)

    def _decimals(self, symbol: str) -> int:
        return self._instruments[symbol].qty_decimals
