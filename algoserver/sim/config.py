"""What a market consists of, from TOML: frozen, and an unknown key is an error that names file, entry and key.

Rule 1: prices and quantities are text in the file ("0.01"), because TOML's floats are not exact.
Rule 2: an instrument is driven either by seeded flow or by a recorded tape, never by both.
"""

from pathlib import Path
from typing import Literal

import msgspec

from algoserver.domain.types import DAY, SECOND, Instrument, px, qty, utc
from algoserver.settings import ClockConfig, Entry, HoursConfig, read, time_of_day


class SessionHours(HoursConfig, frozen=True, kw_only=True):
    """The trading day."""

    def window(self, ts: int) -> tuple[int, int]:
        """Open and close of the trading day that holds `ts`, or of the next one if `ts` is past the close."""
        midnight = ts - ts % DAY
        opens, closes = midnight + time_of_day(self.open), midnight + time_of_day(self.close)
        return (opens, closes) if ts < closes else (opens + DAY, closes + DAY)


class VenueConfig(Entry, frozen=True):
    """name: SenderCompID of the venue. share: a lit venue's part of the background volume; all shares sum to 1.

    auctions: whether a lit venue opens and closes the day with a call auction, unless the market is always open.
    A dark venue has hidden orders of the crowd instead. hidden: their quantity, both sides together, as a share of the recorded
    volume. hidden_trades: mean size of one, in background trades (trade_qty). hidden_s: market seconds that one waits, mean.
    cancel_on_disconnect: a client's orders end with his session.
    """

    name: str
    share: float = 0.0
    kind: Literal["lit", "dark"] = "lit"
    auctions: bool = False
    hidden: float = 0.0
    hidden_trades: float = 4.0
    hidden_s: float = 30.0
    cancel_on_disconnect: bool = False

    def __post_init__(self) -> None:
        if (self.kind == "lit") != (self.share > 0) or (self.kind == "lit" and self.hidden):
            raise ValueError("a lit venue has a positive `share` and no `hidden`, a dark one no `share`")
        if self.kind == "dark" and self.auctions:
            raise ValueError("a dark venue has no `auctions`")
        if self.hidden < 0 or self.hidden_trades <= 0 or self.hidden_s <= 0:
            raise ValueError("`hidden` must not be negative, `hidden_trades` and `hidden_s` must be positive")


class FlowConfig(Entry, frozen=True):
    """Background flow of one instrument; quantities in shares (the instrument's units).

    opening_share, closing_share: volume of the call auctions as a fraction of the recorded day's, which they add to.
    """

    recorded: str
    day: str
    price: str
    sigma_daily: float
    spread_ticks: int
    depth_qty: int
    trade_qty: int
    book_events_per_s: float
    opening_share: float = 0.0
    closing_share: float = 0.0

    def __post_init__(self) -> None:
        if self.spread_ticks < 1 or self.depth_qty < 1 or self.trade_qty < 1:
            raise ValueError("`spread_ticks`, `depth_qty` and `trade_qty` must be at least 1")
        if self.sigma_daily < 0 or self.book_events_per_s <= 0:
            raise ValueError("`sigma_daily` must not be negative, `book_events_per_s` must be positive")
        if not (0 <= self.opening_share <= 1 and 0 <= self.closing_share <= 1):
            raise ValueError("`opening_share` and `closing_share` are fractions of the day's volume, 0 to 1")


class TapeConfig(Entry, frozen=True):
    """file: a name in algoserver/recorded/tape. repeat: begin again at its end instead of closing the market."""

    file: str
    repeat: bool = False


class InstrumentConfig(Entry, frozen=True):
    """One listing, on every venue of the scenario."""

    symbol: str
    tick: str
    lot: str = "1"
    round_lot: str = "100"
    qty_decimals: int = 0
    flow: FlowConfig | None = None
    tape: TapeConfig | None = None

    def __post_init__(self) -> None:
        if (self.flow is None) == (self.tape is None):
            raise ValueError("needs either `flow` or `tape`")
        if self.instrument().tick <= 0 or self.instrument().lot <= 0 or self.instrument().round_lot % self.instrument().lot:
            raise ValueError("`tick` and `lot` must be positive, `round_lot` a multiple of `lot`")
        if self.flow is not None and px(self.flow.price) % px(self.tick):
            raise ValueError("`price` is not a multiple of `tick`")

    def instrument(self) -> Instrument:
        d = self.qty_decimals
        return Instrument(self.symbol, px(self.tick), qty(self.lot, d), qty(self.round_lot, d), d, adv=0)


class HaltConfig(Entry, frozen=True):
    """A trading halt of one instrument at every venue, every day. begin: HH:MM:SS UTC market time. resting: what happens to
    the clients' orders; kept, they can be canceled, and trade when the halt is over."""

    symbol: str
    begin: str
    seconds: int
    resting: Literal["keep", "cancel"] = "keep"

    def __post_init__(self) -> None:
        if not 0 < self.length_ns() < DAY or self.begin_ns() < 0:
            raise ValueError("`seconds` must be between 1 and 86399")

    def begin_ns(self) -> int:
        """Nanoseconds after midnight."""
        return utc(f"19700101-{self.begin}")

    def length_ns(self) -> int:
        """How long it lasts."""
        return self.seconds * SECOND


class CopyConfig(Entry, frozen=True):
    """A session that hears at each venue what `client` hears there, and may say nothing. session, client: TargetCompIDs."""

    session: str
    client: str


class Scenario(Entry, frozen=True):
    """A whole market. book_interval_ms: market time between two book updates of a subscription."""

    seed: int
    venues: list[VenueConfig]
    instruments: list[InstrumentConfig]
    halts: list[HaltConfig] = msgspec.field(default_factory=list)
    drop_copies: list[CopyConfig] = msgspec.field(default_factory=list)
    book_interval_ms: int = 100
    clock: ClockConfig = msgspec.field(default_factory=ClockConfig)
    session: SessionHours = msgspec.field(default_factory=SessionHours)

    def __post_init__(self) -> None:
        names = [v.name for v in self.venues]
        symbols = [i.symbol for i in self.instruments]
        if not names or len(set(names)) < len(names) or not symbols or len(set(symbols)) < len(symbols):
            raise ValueError("needs `venues` and `instruments`, each name once")
        if abs(sum(v.share for v in self.venues) - 1) > 1e-9:
            raise ValueError("the `share` of all lit `venues` must sum to 1")
        if len(self.lit_venues) < len(names) and any(px(i.tick) % 2 for i in self.instruments):
            raise ValueError("a dark venue trades at half ticks: each `tick` must be an even number of 0.00000001")
        copies = [c.session for c in self.drop_copies]
        if len(set(copies)) < len(copies) or any(c.client in copies for c in self.drop_copies):
            raise ValueError("`drop_copies`: each `session` once, and none of another copy")
        if self.book_interval_ms < 1:
            raise ValueError("`book_interval_ms` must be at least 1")
        flowing = [i.symbol for i in self.instruments if i.flow]
        if any(h.symbol not in flowing for h in self.halts):
            raise ValueError("`symbol` of `halts` must be an instrument with `flow`: a tape trades when it was recorded")
        if any(i.tape for i in self.instruments) and len(self.lit_venues) > 1:
            raise ValueError("a `tape` is one venue's market: lit `venues` must be one")

    @property
    def lit_venues(self) -> list[VenueConfig]:
        """Those with a book, which the background flow trades at."""
        return [v for v in self.venues if v.kind == "lit"]


def load(path: Path) -> Scenario:
    """Read a scenario. Raises BadConfig."""
    return read(path, Scenario)
