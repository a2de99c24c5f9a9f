"""What the firm has decided: limits, venues, instruments, defaults. Frozen; the payload of PolicyLoaded."""

import msgspec

from algoserver.domain.limits import Limits
from algoserver.domain.types import MINUTE, Instrument, Side


class Permits(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a layer lets happen at all. Empty allow-lists: everything that the layers above allow.

    algos: names of strategies. venue_kinds: lit, dark. ord_types: LIMIT, MARKET. restricted: symbols that must not be traded.
    short_sale: "allowed", "locate" (only with 114=N: the client has located the stock) or "refused"; "": as above.
    on_disconnect: what becomes of a client's orders when his session goes: "keep", "pause" or "cancel"; "": as above.
    """

    algos: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    venues: tuple[str, ...] = ()
    venue_kinds: tuple[str, ...] = ()
    ord_types: tuple[str, ...] = ()
    restricted: tuple[str, ...] = ()
    short_sale: str = ""
    on_disconnect: str = ""
    is_active: bool = True


class Layer(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A part of the firm with limits of its own. kind: one of domain/limits.LAYERS but the firm; clients: of a desk."""

    kind: str
    name: str
    limits: Limits = Limits()
    permits: Permits = Permits()
    clients: tuple[str, ...] = ()

    @property
    def scope(self) -> str:
        """As kills, reports and operators name it."""
        return f"{self.kind}:{self.name}"


class RiskPolicy(Limits, frozen=True, kw_only=True):
    """The firm's limits and its layers'. What it has of Limits is the firm's own.

    confirm_window_ns: how long a soft block waits to be confirmed. self_match: "firm" (a child never meets another of ours) or "off".
    repeats_window_ns, traded_window_ns: what repeats_max and traded_ppm_max look at. order_to_trade_min: orders and cancels before it is judged.
    traded_free_ppm: share of the average daily volume that traded_ppm_max always leaves free, or a quiet market would stop everything.
    """

    name: str
    duplicate_window_ns: int
    reference_age_ns_max: int
    venue_messages_per_second_max: int
    venue_messages_per_day_max: int
    confirm_window_ns: int = MINUTE
    repeats_window_ns: int = MINUTE
    traded_window_ns: int = 5 * MINUTE
    traded_free_ppm: int = 200
    order_to_trade_min: int = 1_000
    self_match: str = "firm"
    permits: Permits = Permits()
    layers: tuple[Layer, ...] = ()

    def desk_of(self, client: str) -> Layer | None:
        """The desk that a client belongs to."""
        return next((x for x in self.layers if x.kind == "desk" and client in x.clients), None)

    def layer(self, scope: str) -> Layer | None:
        """The layer that a scope names."""
        return next((x for x in self.layers if x.scope == scope), None)


class OverrideTerms(msgspec.Struct, frozen=True):
    """Which order of a client may pass a limit: up to order_qty units, within lasts_ns of the approval."""

    client: str
    symbol: str
    side: Side
    order_qty: int
    lasts_ns: int


# They rest on, and are asked for; so they are, and then taken back; the venue cancels them, which is agreed with it.
KEEP, TAKE_BACK, VENUE_CANCELS = "keep", "take_back", "venue_cancels"


class Venue(msgspec.Struct, frozen=True):
    """A place that takes our children. kind: "lit" has a book, "dark" trades at the mid of the lit ones and shows nothing.

    fee_ppm: cost of taking, of the value; negative is a rebate. has_auctions: it opens and closes with call auctions.
    on_disconnect: what becomes of our orders there when our session is lost: KEEP, TAKE_BACK or VENUE_CANCELS. has_copy: its drop copy is heard.
    """

    name: str
    kind: str = "lit"
    fee_ppm: int = 0
    has_auctions: bool = False
    on_disconnect: str = "keep"
    has_copy: bool = False


class AlgoDefaults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How parents are worked where they don't say it themselves."""

    slice_ns: int
    max_pct_vol: int
    catch_up_factor: int  # a slice may bring at most this many times its own quantity
    cross_after_ppm: int  # of a slice's time; then what is behind the plan crosses the spread
    refresh_ns: int  # a resting child is looked at this often
    forecast_age_ns_max: int
    risk_aversion_e9: tuple[int, int, int, int, int]  # of IS by Urgency 1 to 5, 1e-9 per unit of money
    static_curve: tuple[int, ...]  # share of the day's volume per bin, ppm, sum 1_000_000
    closing_ppm: int = 0  # expected volume of the closing auction, share of a day's, ppm; 0: there is none
    opening_ppm: int = 0  # the same of the opening auction
    is_optimised: bool = False  # IS asks for the plan that the model of costs finds best
    is_banded: bool = False  # VWAP and POV go along with what trades, between the forecast's P10 and P90


class SessionHours(msgspec.Struct, frozen=True):
    """The trading day: open and close as ns after midnight UTC; equal bins between them carry the volume curves."""

    open_ns: int
    close_ns: int


class InstrumentSetup(msgspec.Struct, frozen=True):
    """An instrument and its recorded days. history: volume per bin, oldest day first, each with its date YYYY-MM-DD."""

    instrument: Instrument
    history_dates: tuple[str, ...] = ()
    history: tuple[tuple[int, ...], ...] = ()


class DropCopy(msgspec.Struct, frozen=True):
    """A session that hears what others hear and may say nothing. Empty clients: of all. has_children: their children's reports too."""

    session: str
    clients: tuple[str, ...] = ()
    has_children: bool = False

    def wants(self, client: str, is_child: bool = False) -> bool:
        """Whether a report to this client is repeated here."""
        return (not self.clients or client in self.clients) and (self.has_children or not is_child)


class CustomTag(msgspec.Struct, frozen=True):
    """A tag of a client's own: what it means in our words. parameter "": we have no word for it, any value but a neutral one is refused.

    name: as the client's side calls it. is_percent: 15 is our 0.15. values: its value -> ours, where they are names; "" leaves it out.
    neutral: values that ask for nothing.
    """

    tag: str
    name: str
    parameter: str = ""
    is_percent: bool = False
    values: dict[str, str] = {}
    neutral: tuple[str, ...] = ()


class ClientProfile(msgspec.Struct, frozen=True):
    """What is agreed with one client. strategy, defaults (name, text): where a D names none. Empty algos, venues: all.

    fills_ns: fills of this long go up as one report; 0: each by itself. tags: of its dialect; ignored: those that say nothing of an order.
    """

    client: str
    strategy: int = 0
    defaults: tuple[tuple[str, str], ...] = ()
    algos: tuple[int, ...] = ()
    venues: tuple[str, ...] = ()
    fills_ns: int = 0
    tags: tuple[CustomTag, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def has_dialect(self) -> bool:
        """Whether it sends tags of its own."""
        return bool(self.tags or self.ignored)
