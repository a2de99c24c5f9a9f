"""What the firm has decided: limits, venues, instruments, defaults. Frozen; the payload of PolicyLoaded."""

import msgspec

from algoserver.domain.types import Instrument


class RiskPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The firm's limits. Quantities are whole shares or coins, values price units of money (1e-8), shares ppm; 0 is a limit of 0."""

    name: str
    # Parents.
    parent_qty_max: int
    parent_value_max: int
    parent_adv_ppm_max: int
    duplicate_window_ns: int
    parents_per_second_max: int
    # Children.
    child_qty_max: int
    child_value_max: int
    children_open_max: int
    venue_messages_per_second_max: int
    venue_messages_per_day_max: int
    # Both: distance from the reference price, and how old that may be.
    collar_ppm: int
    collar_ticks: int
    reference_age_ns_max: int


class Venue(msgspec.Struct, frozen=True):
    """A place that takes our children. kind: "lit" has a book, "dark" trades at the mid of the lit ones and shows nothing.

    fee_ppm: cost of taking, of the value; negative is a rebate. has_auctions: it opens and closes with call auctions.
    """

    name: str
    kind: str = "lit"
    fee_ppm: int = 0
    has_auctions: bool = False


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
