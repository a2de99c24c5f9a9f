"""Trading halts: which venue trades what, and what waits for it.

Rule 1: a halt is a venue's, of one symbol or of all. For a client a symbol is halted when no lit venue that is up and that he has agreed to
trades it: where one goes on, his orders go on there. A dark venue makes no market by itself: it trades at the lit ones' mid.
Rule 2: it lasts until the venue says that it is over. A session that breaks says nothing; it is asked again when it is back.
"""

from algoserver.core.bounds import bounds
from algoserver.core.reports import alert
from algoserver.core.state import State, touch
from algoserver.domain.commands import Command
from algoserver.domain.events import StatusChanged

EVERYTHING = ""


def status_changed(state: State, event: StatusChanged, out: list[Command]) -> None:
    """Remember it and give every order that it concerns its turn."""
    at = state.halts.setdefault(event.venue, {})
    if event.is_halted == (event.symbol in at):
        return
    code, what = ("halted", "halts") if event.is_halted else ("halt_lifted", "trades again in")
    if event.is_halted:
        at[event.symbol] = event.text or "trading halt"
    else:
        del at[event.symbol]
        for market in state.markets.values():
            if event.symbol in (EVERYTHING, market.symbol):
                market.resumed_ts = event.ts
    subject = f"{event.venue} {event.symbol}" if event.symbol else event.venue
    alert(out, code, subject, f"{event.venue} {what} {event.symbol or 'everything'}{': ' if event.text else ''}{event.text}")
    for parent_id in state.works:
        if event.symbol in (EVERYTHING, state.parents[parent_id].symbol):
            touch(state, parent_id)


def shut(state: State, venue: str, symbol: str) -> str:
    """Why the venue takes no order in this symbol; empty if it does."""
    at = state.halts.get(venue)
    return (at.get(symbol) or at.get(EVERYTHING, "")) if at else ""


def is_halted(state: State, client: str, symbol: str, strategy: int) -> bool:
    """No lit venue that is open to such an order trades it now; of all lit ones where it has none. Those that are down do not count, unless
    all are."""
    if not state.halts or state.setup is None:
        return False
    lit = [v.name for v in state.setup.venues if v.kind == "lit"]
    own = [v.name for v in bounds(state.setup, client, symbol, strategy).open_to if v.kind == "lit"] or lit
    venues = [name for name in own if state.venues_up.get(name)] or own
    return bool(venues) and all(shut(state, name, symbol) for name in venues)
