"""The exception queue as an operator sees it: what is listed, and what may be acknowledged. Pure; runs on the core's thread."""

from algoserver.answers import ROWS_MAX, Answer
from algoserver.core.alerts import Alert, Standing, find, live
from algoserver.core.state import State
from algoserver.domain.alerts import Owner, kind
from algoserver.domain.types import utc_text
from algoserver.door import error


def listed(state: State, owner: str, is_open: bool) -> Answer:
    """Alerts of an owner ("": of all), the worst first; after those that are not done with the latest of the others, unless only is_open."""
    if owner and owner not in tuple(Owner):
        return error("usage", f"owner {owner[:32]!r} is none: use {', '.join(Owner)}")
    book = state.alerts
    found = [a for a in (*live(book), *(() if is_open else reversed(book.past.values()))) if owner in ("", kind(a.code).owner)]
    return {"total": len(found), "crowded_out": book.crowded_out, "alerts": [row(a) for a in found[:ROWS_MAX]]}


def acknowledgeable(state: State, alert_id: str, reason: str) -> Answer:
    """The alert that a person wants to acknowledge, named in full or without its run; or why he can't."""
    alert = find(state.alerts, alert_id) or find(state.alerts, f"{state.run}.{alert_id}")
    if alert is None:
        return error("not_found", f"no alert {alert_id[:64]!r} is remembered; `algoctl alert ls` lists them")
    if alert.standing is Standing.OVER:
        return error("already_over", f"alert {alert.alert_id} is over")
    if alert.standing is Standing.ACKNOWLEDGED:
        return error("nothing_to_do", f"alert {alert.alert_id} is acknowledged already, by {alert.acknowledged_by}")
    if not reason:
        return error("usage", "say why with --reason: what is done about it")
    said = row(alert)
    return {name: said[name] for name in ("alert_id", "severity", "owner", "code", "subject", "text", "times")}


def row(alert: Alert) -> Answer:
    """One alert as text, with what is declared of its code."""
    of = kind(alert.code)
    return {
        "alert_id": alert.alert_id,
        "severity": of.severity.value,
        "owner": of.owner.value,
        "state": alert.standing.value,
        "code": alert.code,
        "subject": alert.subject,
        "text": alert.text,
        "times": alert.times,
        "first": utc_text(alert.first_ts),
        "last": utc_text(alert.last_ts),
        "ended": utc_text(alert.ended_ts) if alert.ended_ts else "",
        "acknowledged_by": alert.acknowledged_by,
        "acknowledged_because": alert.reason,
        "meaning": of.meaning,
        "to_do": of.to_do,
    }
