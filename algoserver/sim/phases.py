"""What every instrument's market does now: closed, continuous, halted, or paused before a reopening auction."""

from algoserver.domain.types import TimeInForce
from algoserver.sim.source import Source


class Phases:
    """halted: symbols in which nothing trades now. pausing: those of them whose orders for the reopening are taken. Kept by the market."""

    def __init__(self, sources: dict[str, Source]):
        self._sources = sources
        self.halted: list[str] = []
        self.pausing: list[str] = []

    def is_open(self, symbol: str) -> bool:
        """Whether it is trading hours."""
        return self._sources[symbol].is_open

    def is_halted(self, symbol: str) -> bool:
        """Whether nothing trades now."""
        return symbol in self.halted

    def name(self, symbol: str) -> str:
        """For people."""
        if symbol in self.pausing:
            return "paused"
        if symbol in self.halted:
            return "halted"
        return "continuous" if self.is_open(symbol) else "closed"

    def refusal(self, symbol: str, tif: TimeInForce, can_wait: bool) -> tuple[int, str] | None:
        """OrdRejReason (103) and text while nothing is taken. can_wait: whether the order may wait for the reopening auction here."""
        if tif is not TimeInForce.AT_OPEN and not self.is_open(symbol):
            return 2, f"the market in {symbol} is closed"
        if symbol in self.pausing:
            return None if can_wait else (2, f"trading in {symbol} is paused: only limit orders that can rest wait for the reopening auction")
        if symbol in self.halted:
            return 2, f"trading in {symbol} is halted"
        return None
