"""The alert book: what a person must look at, how often it happened, and what became of it.

Rule 1: every alert of a step passes keep(), which gives it its id. The same code on the same subject is one alert while it is open, and when it
comes back within a minute: it counts up. While it is open it is told once a minute at most, and when it comes back at once, but three times a
minute at most; what came in between is owed, and told when the minute is over.
Rule 2: an acknowledgement says that a person knows. What lasts stays in the book until its end, silent; what has happened is done with.
Rule 3: the book is bounded. Each severity has a shelf of its own, so that a flood of the small ones never hides a great one.
"""

from enum import StrEnum

import msgspec

from algoserver.domain.alerts import Ending, Severity, is_told_only, kind, lasts
from algoserver.domain.commands import Command, EndAlert, RaiseAlert
from algoserver.domain.types import MINUTE

TELL_AGAIN_NS = MINUTE
COMEBACKS_MAX = 3
LIVE_MAX = 500  # of a severity; more than a desk looks through, and a snapshot has room for it
PAST_MAX = 500
ABOUT_ALERTS = frozenset((RaiseAlert, EndAlert))


class Standing(StrEnum):
    """What has become of an alert."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    OVER = "over"


class Alert(msgspec.Struct):
    """One alert. text: the latest. told_at: when it left, the last three times; is_told: whoever listens has heard that it is open.

    ended_ts: when it was over or done with; 0 while it is neither.
    """

    alert_id: str
    code: str
    subject: str
    text: str
    first_ts: int
    last_ts: int
    told_at: list[int] = []
    is_told: bool = False
    times: int = 1
    standing: Standing = Standing.OPEN
    acknowledged_by: str = ""
    reason: str = ""
    ended_ts: int = 0

    @property
    def told_ts(self) -> int:
        """When it left last; 0 if it never did."""
        return self.told_at[-1] if self.told_at else 0


class AlertBook(msgspec.Struct):
    """All alerts. live: severity -> id -> one that is not done with. past: the latest of the others, the oldest first.

    known: subject -> code -> id of its alert, live or past. owed: ids of live ones to be told, the first of them at owed_ts.
    raised: code -> how often, ever. crowded_out: how many left a full shelf before they were done with.
    """

    next_id: int = 1
    live: dict[str, dict[str, Alert]] = {}
    past: dict[str, Alert] = {}
    known: dict[str, dict[str, str]] = {}
    owed: dict[str, None] = {}
    owed_ts: int = 0
    raised: dict[str, int] = {}
    crowded_out: int = 0


def keep(book: AlertBook, run: str, ts: int, out: list[Command]) -> None:
    """Book the alerts that a step raised or ended. In `out` stays what is to be told now."""
    for command in out:
        if type(command) in ABOUT_ALERTS:
            _book(book, run, ts, out)
            break
    if book.owed and ts >= book.owed_ts:
        _pay(book, ts, out)


def _book(book: AlertBook, run: str, ts: int, out: list[Command]) -> None:
    said, out[:] = out[:], []
    for command in said:
        if isinstance(command, RaiseAlert):
            _raise(book, run, ts, command, out)
        elif isinstance(command, EndAlert):
            for alert in _meant(book, command):
                _end(book, ts, alert, out)
        else:
            out.append(command)


def acknowledge(book: AlertBook, alert_id: str, operator: str, reason: str, ts: int, out: list[Command]) -> None:
    """A person knows of it. One that is unknown or not open is refused before this, by control."""
    alert = find(book, alert_id)
    if alert is None or alert.standing is not Standing.OPEN:
        return
    alert.standing, alert.acknowledged_by, alert.reason = Standing.ACKNOWLEDGED, operator, reason
    book.owed.pop(alert_id, None)
    if not lasts(kind(alert.code)):
        alert.ended_ts = ts
        if _live(book, alert_id) is not None:
            out.append(EndAlert(subject=alert.subject, code=alert.code))  # done with: keep() puts it away and tells it


def find(book: AlertBook, alert_id: str) -> Alert | None:
    """An alert by its id, as long as it is remembered."""
    return _live(book, alert_id) or book.past.get(alert_id)


def live(book: AlertBook) -> list[Alert]:
    """What is not done with, the worst first, of each severity the oldest first."""
    return [alert for severity in Severity for alert in book.live.get(severity, {}).values()]


def waiting(book: AlertBook) -> int:
    """How many wait for a person: open, and not only to be known."""
    return sum(a.standing is Standing.OPEN for severity, shelf in book.live.items() if severity != Severity.INFO for a in shelf.values())


def next_ts(book: AlertBook) -> int:
    """When the next alert that is owed must be told; 0 if none is."""
    return book.owed_ts if book.owed else 0


def _raise(book: AlertBook, run: str, ts: int, command: RaiseAlert, out: list[Command]) -> None:
    code, subject, of = command.code, command.subject, kind(command.code)
    book.raised[code] = book.raised.get(code, 0) + 1
    for ended in of.ends:
        for alert in _meant(book, EndAlert(subject=subject, code=ended)):
            _end(book, ts, alert, out)
        if of.is_last_word:
            _forget(book, subject, ended)
    known = find(book, book.known.get(subject, {}).get(code, ""))
    if known is not None and known.alert_id in book.past:
        known = _again(book, known, ts, of.severity)
    if known is None:
        known = Alert(f"{run}.a{book.next_id}", code, subject, command.text, ts, ts)
        book.next_id += 1
        if is_told_only(of):
            known.standing, known.ended_ts = Standing.OVER, ts
            _remember(book, known)
        else:
            _shelve(book, of.severity, known)
    else:
        known.times += 1
        known.last_ts, known.text = ts, command.text
        if known.standing is not Standing.OPEN:
            return
    is_back = not known.is_told and (len(known.told_at) < COMEBACKS_MAX or ts - known.told_at[0] >= TELL_AGAIN_NS)
    if is_back or ts - known.told_ts >= TELL_AGAIN_NS:
        _tell(book, ts, known, out)
    else:
        due_ts = known.told_ts + TELL_AGAIN_NS
        book.owed_ts = min(due_ts, book.owed_ts) if book.owed else due_ts
        book.owed[known.alert_id] = None


def _again(book: AlertBook, alert: Alert, ts: int, severity: Severity) -> Alert | None:
    """One that was over and is back at once is the same alert; None if that was long ago, or a person was done with it."""
    if alert.standing is not Standing.OVER or ts - alert.told_ts >= TELL_AGAIN_NS or is_told_only(kind(alert.code)):
        return None
    del book.past[alert.alert_id]
    alert.standing, alert.ended_ts = Standing.ACKNOWLEDGED if alert.acknowledged_by else Standing.OPEN, 0
    _shelve(book, severity, alert)
    return alert


def _tell(book: AlertBook, ts: int, alert: Alert, out: list[Command]) -> None:
    alert.told_at, alert.is_told = [*alert.told_at, ts][-COMEBACKS_MAX:], True
    book.owed.pop(alert.alert_id, None)
    out.append(RaiseAlert(code=alert.code, subject=alert.subject, text=alert.text, alert_id=alert.alert_id, times=alert.times))


def _pay(book: AlertBook, ts: int, out: list[Command]) -> None:
    """Tell what is owed and due."""
    owed = [alert for alert_id in book.owed if (alert := _live(book, alert_id)) is not None]
    for alert in owed:
        if ts - alert.told_ts >= TELL_AGAIN_NS:
            _tell(book, ts, alert, out)
    book.owed_ts = min((a.told_ts + TELL_AGAIN_NS for a in owed if a.alert_id in book.owed), default=0)


def _meant(book: AlertBook, command: EndAlert) -> list[Alert]:
    """The live alerts that a command ends."""
    codes = book.known.get(command.subject, {})
    if command.code:
        ids = [codes[command.code]] if command.code in codes else []
    else:
        endings = (Ending.PAUSE, Ending.RESUME if command.ending == Ending.RESUME else Ending.ORDER)
        ids = [alert_id for code, alert_id in codes.items() if kind(code).ending in endings]
    return [alert for alert_id in ids if (alert := _live(book, alert_id)) is not None]


def _end(book: AlertBook, ts: int, alert: Alert, out: list[Command]) -> None:
    alert.ended_ts = ts
    if alert.standing is Standing.OPEN or lasts(kind(alert.code)):
        alert.standing = Standing.OVER
    _put_away(book, alert)
    if alert.is_told:  # else whoever listens believes so already
        alert.is_told = False
        out.append(EndAlert(code=alert.code, subject=alert.subject, alert_id=alert.alert_id, times=alert.times))


def _live(book: AlertBook, alert_id: str) -> Alert | None:
    # By id and not by severity: another version of the program may have declared another one.
    return next((shelf[alert_id] for shelf in book.live.values() if alert_id in shelf), None)


def _shelve(book: AlertBook, severity: Severity, alert: Alert) -> None:
    shelf = book.live.setdefault(severity, {})
    if len(shelf) >= LIVE_MAX:
        book.crowded_out += 1
        _put_away(book, next(iter(shelf.values())))
    shelf[alert.alert_id] = alert
    book.known.setdefault(alert.subject, {})[alert.code] = alert.alert_id


def _put_away(book: AlertBook, alert: Alert) -> None:
    """Off its shelf, to the past."""
    for shelf in book.live.values():
        if shelf.pop(alert.alert_id, None) is not None:
            book.owed.pop(alert.alert_id, None)
            _remember(book, alert)


def _remember(book: AlertBook, alert: Alert) -> None:
    if len(book.past) >= PAST_MAX:
        oldest = book.past.pop(next(iter(book.past)))
        if book.known.get(oldest.subject, {}).get(oldest.code) == oldest.alert_id:
            _forget(book, oldest.subject, oldest.code)
    book.past[alert.alert_id] = alert


def _forget(book: AlertBook, subject: str, code: str) -> None:
    """The next of this code on this subject is another alert."""
    codes = book.known.get(subject, {})
    codes.pop(code, None)
    if not codes:
        book.known.pop(subject, None)
