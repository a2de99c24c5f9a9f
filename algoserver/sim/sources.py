"""Who moves the books of each instrument of a scenario: flow that follows a recorded day, a crowd that reacts, or a recorded tape."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from algoserver.sim.config import Scenario
from algoserver.sim.flow import Flow
from algoserver.sim.source import Source
from algoserver.sim.tape import Tape

if TYPE_CHECKING:
    from algoserver.sim.exchange import Exchange


def tapes(exchange: "Exchange") -> list[str]:
    """What the recordings of a market hold, and what of them was mended; a line each."""
    found = [(symbol, exchange.source(symbol)) for symbol in exchange.instruments]
    return [f"tape {symbol}: {source.repairs.text()}" for symbol, source in found if isinstance(source, Tape)]


def sources(config: Scenario, seed: int, given: Mapping[str, Source]) -> dict[str, Source]:
    """By symbol. given: instead of what the scenario says. Raises UnknownRecording, BrokenTape."""
    found: dict[str, Source] = {}
    for entry in config.instruments:
        if entry.symbol in given:
            found[entry.symbol] = given[entry.symbol]
        elif entry.flow is not None:
            found[entry.symbol] = Flow(entry.instrument(), entry.flow, config.session, config.lit_venues, seed)
        elif entry.reacting is not None:
            from algoserver.sim.reacting import Reacting  # where numba is installed, importing it takes a second

            found[entry.symbol] = Reacting(entry.instrument(), entry.reacting, config.session, config.lit_venues, seed)
        elif entry.tape is not None:
            found[entry.symbol] = Tape.recorded(entry.instrument(), entry.tape, config.lit_venues[0].name)
    return found
