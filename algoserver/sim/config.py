"""What a market consists of, from TOML: frozen, and an unknown key is an error that names file, entry and key.

Rule 1: prices and quantities are text in the file ("0.01"), because TOML's floats are not exact.
Rule 2: an instrument is driven by one of three: seeded flow that follows a recorded day, a crowd that reacts, a recorded tape.
"""

from math import expm1
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from algoserver.domain.types import DAY, SECOND, Instrument, px, qty, utc
from algoserver.settings import BadConfig, ClockConfig, Entry, HoursConfig, read, time_of_day
from algoserver.sim.selftrade import Mode


class SessionHours(HoursConfig, frozen=True, kw_only=True):
    """The trading day."""

    def window(self, ts: int) -> tuple[int, int]:
        """Open and close of the trading day that holds `ts`, or of the next one if `ts` is past the close."""
        midnight = ts - ts % DAY
        opens, closes = midnight + time_of_day(self.open), midnight + time_of_day(self.close)
        return (opens, closes) if ts < closes else (opens + DAY, closes + DAY)


class LatencyConfig(Entry, frozen=True):
    """How long a message takes between a client and a venue, one way, each way: log-normal around `ms`. spread: sigma of the logarithm."""

    ms: float
    spread: float = 0.0

    def __post_init__(self) -> None:
        if self.ms < 0 or self.spread < 0:
            raise ValueError("`ms` and `spread` must not be negative")


class DealerConfig(Entry, frozen=True):
    """How a dealer quotes and looks: see dealer.py. Sizes in the instrument's units, times in market milliseconds."""

    half_spread_ticks: int = 1
    quote_qty: int = 1_000
    valid_ms: int = 2_000
    hold_ms: int = 50
    tolerance_ticks: int = 0

    def __post_init__(self) -> None:
        if self.half_spread_ticks < 0 or self.tolerance_ticks < 0 or self.hold_ms < 0:
            raise ValueError("`half_spread_ticks`, `tolerance_ticks` and `hold_ms` must not be negative")
        if self.quote_qty < 1 or self.valid_ms < 1:
            raise ValueError("`quote_qty` and `valid_ms` must be at least 1")


class VenueConfig(Entry, frozen=True):
    """name: SenderCompID of the venue. share: a lit venue's part of the background volume; all shares sum to 1.

    auctions: whether a lit venue opens and closes the day with a call auction, unless the market is always open, and reopens with one.
    A dark venue has hidden orders of the crowd instead. hidden: their quantity, both sides together, as a share of the recorded
    volume. hidden_trades: mean size of one, in background trades (trade_qty). hidden_s: market seconds that one waits, mean.
    firm_up_ms: how long an invited indication has to firm up, market time, 0 for a dark venue that takes none.
    self_trade: selftrade.py. iceberg_jitter: how much a new tip may differ, fraction of the display (lit.py).
    latency: of its messages, in market time; none: as fast as the machine.
    maker_fee, taker_fee, auction_fee: money per whole unit of quantity, negative for a rebate (fees.py).
    """

    name: str
    share: float = 0.0
    kind: Literal["lit", "dark", "dealer"] = "lit"
    auctions: bool = False
    hidden: float = 0.0
    hidden_trades: float = 4.0
    hidden_s: float = 30.0
    firm_up_ms: int = 0
    self_trade: Mode = "allow"
    iceberg_jitter: float = 0.0
    maker_fee: str = "0"
    taker_fee: str = "0"
    auction_fee: str = "0"
    dealer: DealerConfig | None = None
    latency: LatencyConfig | None = None

    def __post_init__(self) -> None:
        if (self.kind == "lit") != (self.share > 0) or (self.kind != "dark" and (self.hidden or self.firm_up_ms)):
            raise ValueError("a lit venue has a positive `share`, any other no `share`; `hidden` and `firm_up_ms` are a dark one's")
        if self.kind != "lit" and (self.auctions or self.iceberg_jitter):
            raise ValueError("only a lit venue has `auctions` and `iceberg_jitter`")
        if self.hidden < 0 or self.hidden_trades <= 0 or self.hidden_s <= 0 or self.firm_up_ms < 0:
            raise ValueError("`hidden` and `firm_up_ms` must not be negative, `hidden_trades` and `hidden_s` must be positive")
        if not 0 <= self.iceberg_jitter < 1:
            raise ValueError("`iceberg_jitter` is a fraction, 0 to below 1")
        if (self.kind == "dealer") != (self.dealer is not None):
            raise ValueError("a dealer has a table `dealer`, nobody else has")
        if self.kind == "dealer" and self.self_trade != "allow":
            raise ValueError("`self_trade` is not a dealer's: nobody but he trades with his clients")
        for fee in (self.maker_fee, self.taker_fee, self.auction_fee):
            px(fee)


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


class RatesConfig(Entry, frozen=True):
    """How the reacting crowd behaves, for every instrument alike; docs/simulator.md has the formulas, and what the defaults were fitted to.

    market, limit, inner: events a side per unit of pace; cancel: per order; inner is per tick of the spread beyond the first.
    snipe: further takers per tick that a quote is behind the reference by more than `band` ticks. pull: queues that leave at once, per tick
    that they are behind it. signal: how far the imbalance of the best queues leans takers; tilt: how far a tick between mid and reference does,
    at most tilt_max. deeper: chance of the best level, of the next if not that, and so on. take_size, quote_size, inner_size: mean of what is
    drawn on top of one unit. sweep_ticks: past the best price that a taker goes. excitement: takers that one taker calls, within
    excitement_seconds.
    """

    market: float = 0.22
    limit: float = 2.0
    cancel: float = 0.022
    inner: float = 0.3
    snipe: float = 0.15
    band: float = 1.0
    pull: float = 0.2
    signal: float = 1.0
    tilt: float = 0.25
    tilt_max: float = 1.5
    deeper: float = 0.4
    take_size: float = 1.2
    quote_size: float = 0.0
    inner_size: float = 2.0
    sweep_ticks: int = 2
    excitement: float = 0.2
    excitement_seconds: float = 2.0

    def __post_init__(self) -> None:
        numbers = {name: getattr(self, name) for name in self.__struct_fields__}
        above_zero = ("market", "limit", "cancel", "excitement_seconds")
        wrong = [name for name, value in numbers.items() if value < 0 or (name in above_zero and not value)]
        if wrong:
            raise ValueError(f"`{wrong[0]}` must be positive" + ("" if wrong[0] in above_zero else " or 0"))
        if not 0 < self.deeper < 1 or self.excitement >= 0.9:
            raise ValueError("`deeper` must be between 0 and 1, `excitement` below 0.9: else each taker calls more than one other")


class ReactingConfig(Entry, frozen=True):
    """A crowd that reacts to clients. Fractions unless the name says otherwise.

    recorded: whose recorded volume is the shape of the day. day: its volume too, every day; "": the mean of all days, and each day has a level
    of its own: the log of it has deviation level_sigma and keeps level_memory of itself from day to day. unit_qty: the smallest order of the
    crowd. sigma_daily: of the reference, per 6.5 hours. correlation: of its moves with the market's, which all instruments share. slow_sigma,
    slow_minutes: deviation and memory of the log of activity within a day. jumps_per_day: news, jump_sigma: a jump over sigma_daily; burst:
    what a jump of one deviation adds to activity and volatility, which are back after some burst_seconds. herding: how far the crowd's own
    large orders lean takers. impact: of one second's volume of clients, in sigmas of one second; impact_power: how it grows with size;
    impact_resting: what a client's resting order counts for when it is filled, where one that takes counts 1. jitter_ms: mean delay of an
    order of the crowd to its venue.
    """

    recorded: str
    price: str
    sigma_daily: float
    unit_qty: int
    day: str = ""
    opening_share: float = 0.0
    closing_share: float = 0.0
    level_sigma: float = 0.3
    level_memory: float = 0.6
    slow_sigma: float = 0.25
    slow_minutes: float = 15.0
    jumps_per_day: float = 4.0
    jump_sigma: float = 0.1
    burst: float = 2.0
    burst_seconds: float = 90.0
    correlation: float = 0.5
    herding: float = 1.0
    impact: float = 3.0
    impact_power: float = 0.55
    impact_resting: float = 0.5
    jitter_ms: float = 2.0
    rates: RatesConfig = msgspec.field(default_factory=RatesConfig)

    def __post_init__(self) -> None:
        if self.unit_qty < 1:
            raise ValueError("`unit_qty` must be at least 1")
        if not (0 <= self.opening_share <= 1 and 0 <= self.closing_share <= 1):
            raise ValueError("`opening_share` and `closing_share` are fractions of the day's volume, 0 to 1")
        not_negative = "sigma_daily level_sigma slow_sigma jumps_per_day jump_sigma burst herding impact impact_resting jitter_ms"
        for name in not_negative.split():
            if getattr(self, name) < 0:
                raise ValueError(f"`{name}` must not be negative")
        if self.slow_minutes <= 0 or self.burst_seconds <= 0 or not 0 < self.impact_power <= 1:
            raise ValueError("`slow_minutes` and `burst_seconds` must be positive, `impact_power` above 0 and at most 1")
        if not 0 <= self.level_memory < 1 or not 0 <= self.correlation <= 1:
            raise ValueError("`level_memory` must be at least 0 and below 1, `correlation` 0 to 1")

    @property
    def trade_qty(self) -> int:
        """Mean quantity of a taker's order."""
        return round(self.unit_qty * (1 + (1 / expm1(1 / self.rates.take_size) if self.rates.take_size else 0)))


class TapeConfig(Entry, frozen=True):
    """file: a path to a file of `tape_file.py`'s format, or a name in algoserver/recorded/tape. repeat: begin again at its end instead of closing.

    impact, impact_power, impact_resting: how far what clients trade moves what follows, as of the crowd that reacts, in the recording's own
    volatility and volume; 0: not at all.
    """

    file: str
    repeat: bool = False
    impact: float = 0.0
    impact_power: float = 0.55
    impact_resting: float = 0.5

    def __post_init__(self) -> None:
        if self.impact < 0 or self.impact_resting < 0 or not 0 < self.impact_power <= 1:
            raise ValueError("`impact` and `impact_resting` must not be negative, `impact_power` above 0 and at most 1")


class LuldConfig(Entry, frozen=True):
    """Limit up, limit down (luld.py). band: fraction of the reference, each way. The others: market seconds."""

    band: float
    window_s: int = 300
    limit_s: int = 15
    pause_s: int = 300

    def __post_init__(self) -> None:
        if not 0 < self.band < 1 or self.window_s < 1 or self.limit_s < 0 or self.pause_s < 1:
            raise ValueError("`band` is a fraction between 0 and 1, `window_s` and `pause_s` are at least 1, `limit_s` is not negative")


class InstrumentConfig(Entry, frozen=True):
    """One listing, on every venue of the scenario."""

    symbol: str
    tick: str
    lot: str = "1"
    round_lot: str = "100"
    qty_decimals: int = 0
    flow: FlowConfig | None = None
    reacting: ReactingConfig | None = None
    tape: TapeConfig | None = None
    luld: LuldConfig | None = None

    def __post_init__(self) -> None:
        if [self.flow, self.reacting, self.tape].count(None) != 2:
            raise ValueError("needs one of `flow`, `reacting` and `tape`")
        if self.luld is not None and self.flow is None:
            raise ValueError("`luld` needs `flow`: the reacting crowd knows no price bands, and a tape trades when it was recorded")
        if self.instrument().tick <= 0 or self.instrument().lot <= 0 or self.instrument().round_lot % self.instrument().lot:
            raise ValueError("`tick` and `lot` must be positive, `round_lot` a multiple of `lot`")
        crowd = self.crowd
        if crowd is not None and (px(crowd.price) % px(self.tick) or px(crowd.price) <= 0):
            raise ValueError("`price` is not a positive multiple of `tick`")

    @property
    def crowd(self) -> FlowConfig | ReactingConfig | None:
        """Who trades here by themselves."""
        return self.flow or self.reacting

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


class ClientConfig(Entry, frozen=True):
    """What a venue does about a client's session. name: its TargetCompID. venue: "" for every one.

    cancel_on_disconnect: when the session goes down, its live orders are canceled. messages_per_s: application messages in any
    second of market time, 0 for no bound; cancels always pass.
    """

    name: str
    venue: str = ""
    cancel_on_disconnect: bool = False
    messages_per_s: int = 0

    def __post_init__(self) -> None:
        if self.messages_per_s < 0:
            raise ValueError("`messages_per_s` must not be negative")


class Scenario(Entry, frozen=True):
    """A whole market. book_interval_ms: market time between two book updates of a subscription.

    imbalance_s: market seconds before an auction from which on what it would come to is published, every five seconds; 0: never.
    on_restart: what becomes of clients' live orders when the simulator starts again; kept, they stand in the books as they did.
    """

    seed: int
    venues: list[VenueConfig]
    instruments: list[InstrumentConfig]
    halts: list[HaltConfig] = msgspec.field(default_factory=list)
    clients: list[ClientConfig] = msgspec.field(default_factory=list)
    drop_copies: list[CopyConfig] = msgspec.field(default_factory=list)
    book_interval_ms: int = 100
    imbalance_s: int = 0
    on_restart: Literal["keep", "cancel"] = "keep"
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
            raise ValueError("a dark venue and a dealer look at half ticks: each `tick` must be an even number of 0.00000001")
        if self.book_interval_ms < 1 or self.imbalance_s < 0:
            raise ValueError("`book_interval_ms` must be at least 1, `imbalance_s` must not be negative")
        if any(c.venue and c.venue not in names for c in self.clients):
            raise ValueError("`venue` of `clients` must be one of `venues`")
        copies = [c.session for c in self.drop_copies]
        if len(set(copies)) < len(copies) or any(c.client in copies for c in self.drop_copies):
            raise ValueError("`drop_copies`: each `session` once, and none of another copy")
        flowing = [i.symbol for i in self.instruments if i.crowd]
        if any(h.symbol not in flowing for h in self.halts):
            raise ValueError("`symbol` of `halts` must be an instrument with a crowd: a tape trades when it was recorded")
        if any(i.tape for i in self.instruments) and len(self.lit_venues) > 1:
            raise ValueError("a `tape` is one venue's market: lit `venues` must be one")

    @property
    def lit_venues(self) -> list[VenueConfig]:
        """Those with a book, which the background flow trades at."""
        return [v for v in self.venues if v.kind == "lit"]

    def client(self, venue: str, name: str) -> ClientConfig:
        """What is said about a client at a venue; the entry that names the venue before the one for all."""
        entries = {c.venue: c for c in self.clients if c.name == name}
        return entries.get(venue) or entries.get("") or ClientConfig(name=name)


def load(path: Path, tape: str = "") -> Scenario:
    """Read a scenario. tape: the file of its recording, instead of the one it names. Raises BadConfig."""
    scenario = read(path, Scenario)
    if not tape:
        return scenario
    if sum(i.tape is not None for i in scenario.instruments) != 1:
        raise BadConfig(f"{path}: --tape needs one of `instruments` with a `tape`, and no more")
    entries = [replace(i, tape=replace(i.tape, file=tape)) if i.tape else i for i in scenario.instruments]
    return replace(scenario, instruments=entries)
