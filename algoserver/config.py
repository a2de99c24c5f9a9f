"""The server's configuration: cfg/server.toml and the files it names, to what the core and its shell are told.

What the firm has decided (policy, venues, instruments, algo defaults, hours) becomes one PolicyLoaded event; its digest
is that of the texts, so that a journal says by which configuration it was written.
"""

import hashlib
import os
from math import isnan
from pathlib import Path
from typing import Literal

import msgspec

from algoserver.clock import Clock
from algoserver.domain.events import PolicyLoaded
from algoserver.domain.policy import AlgoDefaults, InstrumentSetup, Permits, RiskPolicy, SessionHours, Venue
from algoserver.domain.types import DAY, PPM_ONE, SECOND, Instrument, ppm, px, qty
from algoserver.learn.registry import Configured, configured
from algoserver.learn.volumes import HISTORY_DAYS, read_volumes
from algoserver.metrics import MetricsConfig
from algoserver.policies import digest_of, load_policy
from algoserver.profiles import DropCopyConfig, ProfileConfig, dialect_files, drop_copies, profiles
from algoserver.recorded import VOLUME_DIR
from algoserver.settings import BadConfig, ClockConfig, Entry, HoursConfig, read, time_of_day
from algoserver.webhook import AlertsConfig

PORT_MAX = 65_535


class ClientsConfig(Entry, frozen=True, kw_only=True):
    """sessions: QuickFIX file, relative to this one. port: instead of the file's; 0 leaves that."""

    sessions: str
    port: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.port <= PORT_MAX:
            raise ValueError(f"`port` is not a port: 1 to {PORT_MAX}, or 0 for that of the sessions file")


class VenueConfig(Entry, frozen=True, kw_only=True):
    """name: the venue's CompID. host, port: where it listens. kind: what it trades at. fee: of the value taken, a fraction as text.

    auctions: whether it opens and closes the day with call auctions, which take orders at the open (59=2) and at the close (59=7).
    on_disconnect: what becomes of our orders there when our session is lost; whatever it is, they count as open until the venue has told.
    drop_copy: QuickFIX file of our session that hears copies of its reports to us, relative to this one; "": there is none.
    """

    name: str
    sessions: str
    host: str = "127.0.0.1"
    port: int = 9890
    kind: Literal["lit", "dark"] = "lit"
    fee: str = "0"
    auctions: bool = False
    on_disconnect: Literal["keep", "take_back", "venue_cancels"] = "keep"
    drop_copy: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.port <= PORT_MAX:
            raise ValueError(f"`port` is not a port, 1 to {PORT_MAX}")


class JournalConfig(Entry, frozen=True, kw_only=True):
    """segment_mb: size of a segment. digest_every, snapshot_every: events between two."""

    segment_mb: int = 64
    digest_every: int = 100_000
    snapshot_every: int = 200_000


ANSWER_MS_MAX = 3_600_000  # who waits longer is told by nobody; and a wait of ages is none that a clock can wait


class ForecastConfig(Entry, frozen=True, kw_only=True):
    """model: "median20", a model directory, "champion" of the registry, or "" for none. registry: directory of models, relative to this file; "":
    that in which the model stands. answer_ms_max: wall milliseconds that a model may take. through: last recorded day to look back on, "" for all.

    impact: who says what trading costs: "published", a model directory, or "" for nobody.
    """

    model: str = "median20"
    registry: str = ""
    answer_ms_max: int = 20_000
    impact: str = "published"
    age_days_max: int = 5
    volumes: str = ""
    through: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.answer_ms_max <= ANSWER_MS_MAX:
            raise ValueError(f"`answer_ms_max` is {self.answer_ms_max}: from 1 to {ANSWER_MS_MAX}, an hour")
        if self.impact not in ("", "published") and os.sep not in self.impact:
            raise ValueError(f"`impact` is {self.impact!r}: use \"published\", the path of a directory, which has a {os.sep}, or \"\"")


class AlgoConfig(Entry, frozen=True, kw_only=True):
    """How parents are worked. max_pct_vol, cross_after, opening_share, closing_share: fractions as text. static_curve: share per bin.

    opening_share, closing_share: expected volume of the call auctions, of a day's; 0: there is none. risk_aversion_e9: of IS for Urgency 1 to 5,
    in 1e-9 per unit of money. optimise: whether IS follows the plan that the model of costs (`impact`) finds best. bands: whether VWAP and POV
    go along with what trades in a running bin, between the forecast's P10 and P90.
    """

    slice_s: int
    max_pct_vol: str
    catch_up_factor: int
    cross_after: str
    refresh_ms: int
    risk_aversion_e9: list[int]
    static_curve: list[float]
    opening_share: str = "0"
    closing_share: str = "0"
    optimise: bool = False
    bands: bool = False

    def __post_init__(self) -> None:
        if len(self.risk_aversion_e9) != 5 or min(self.risk_aversion_e9) < 0 or sorted(self.risk_aversion_e9) != self.risk_aversion_e9:
            raise ValueError("`risk_aversion_e9` must be five numbers from 0 upwards, for Urgency 1 to 5")
        for field in ("max_pct_vol", "cross_after", "closing_share"):
            _check_fraction(field, getattr(self, field), may_be_zero=field != "max_pct_vol")
        for field in ("slice_s", "catch_up_factor", "refresh_ms"):
            if getattr(self, field) < 1:
                raise ValueError(f"`{field}` must be a whole number from 1 upwards")


class ShellConfig(Entry, frozen=True, kw_only=True):
    """stall_ms: how long the core may be silent before the watchdog takes over, a fifth later at most. leave_children: what SIGTERM does.

    orders_per_second_max: children to each venue, by the wall's clock and whatever the core says.
    copy_tolerance_ms: market milliseconds that a venue's order session and its drop copy may be apart.
    disk_free_mb_min: least free room where the state is: below it no start, and an alert. disk_stop_mb_min: below it the firm is killed while the
    server can still write what that takes; 0: never. require_synced_clock: whether the kernel must call its clock synchronised.
    """

    stall_ms: int = 5_000
    leave_children: bool = False
    orders_per_second_max: int = 1_000
    disk_free_mb_min: int = 500
    disk_stop_mb_min: int = 100
    require_synced_clock: bool = False
    copy_tolerance_ms: int = 5_000

    def __post_init__(self) -> None:
        if self.orders_per_second_max < 1:
            raise ValueError("`orders_per_second_max` is below 1")
        if self.copy_tolerance_ms < 1:
            raise ValueError("`copy_tolerance_ms` is below 1")
        if self.disk_free_mb_min < 0 or self.disk_stop_mb_min < 0:
            raise ValueError("`disk_free_mb_min` or `disk_stop_mb_min` is negative")
        if self.disk_stop_mb_min > self.disk_free_mb_min > 0:
            raise ValueError("`disk_stop_mb_min` is above `disk_free_mb_min`: the firm would stop before anybody is told that the disk is short")


class ManifestConfig(Entry, frozen=True, kw_only=True):
    """file: what was approved to run, relative to this one; empty: not enforced."""

    file: str = ""


class ControlConfig(Entry, frozen=True, kw_only=True):
    """operators: the persons' file, relative to this one; "": nobody is named. group: Unix group that the operator's socket is for.

    audit_head: file that knows how far the audit reaches, relative to this one; "": audit.head in the state directory.
    """

    operators: str = ""
    group: str = ""
    audit_head: str = ""


class ServerConfig(Entry, frozen=True, kw_only=True):
    """cfg/server.toml."""

    policy: str
    instruments: str
    clients: ClientsConfig
    venues: list[VenueConfig]
    algo: AlgoConfig
    clock: ClockConfig = msgspec.field(default_factory=ClockConfig)
    session: HoursConfig = msgspec.field(default_factory=HoursConfig)
    journal: JournalConfig = msgspec.field(default_factory=JournalConfig)
    forecast: ForecastConfig = msgspec.field(default_factory=ForecastConfig)
    shell: ShellConfig = msgspec.field(default_factory=ShellConfig)
    manifest: ManifestConfig = msgspec.field(default_factory=ManifestConfig)
    control: ControlConfig = msgspec.field(default_factory=ControlConfig)
    alerts: AlertsConfig = msgspec.field(default_factory=AlertsConfig)
    metrics: MetricsConfig = msgspec.field(default_factory=MetricsConfig)
    profiles: list[ProfileConfig] = msgspec.field(default_factory=list)
    drop_copies: list[DropCopyConfig] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        names = [v.name for v in self.venues]
        if not names or len(set(names)) < len(names):
            raise ValueError("`venues` must not be empty, each `name` once")


class InstrumentEntry(Entry, frozen=True, kw_only=True):
    """One instrument. Quantities in whole shares or coins, decimal text where they may be fractions. previous_close: "" if not known."""

    symbol: str
    tick: str
    adv: int
    lot: str = "1"
    round_lot: str = "100"
    qty_decimals: int = 0
    volatility: str = "0.02"
    previous_close: str = ""

    def __post_init__(self) -> None:
        i = self.instrument()
        if i.tick <= 0 or i.lot <= 0 or i.round_lot % i.lot or i.round_lot <= 0 or i.adv <= 0 or i.volatility_ppm <= 0:
            raise ValueError("`tick`, `lot`, `adv`, `volatility` must be positive, `round_lot` a multiple of `lot`")
        if self.previous_close and i.previous_close <= 0:
            raise ValueError("`previous_close` must be a positive price, or be left out")

    def instrument(self) -> Instrument:
        """In the core's units."""
        d = self.qty_decimals
        return Instrument(
            self.symbol, px(self.tick), qty(self.lot, d), qty(self.round_lot, d), d, self.adv * 10**d, ppm(self.volatility),
            px(self.previous_close or "0"),
        )  # fmt: skip


class InstrumentsFile(Entry, frozen=True, kw_only=True):
    """cfg/instruments.toml."""

    instruments: list[InstrumentEntry]


class Config(msgspec.Struct, frozen=True):
    """All that the shell needs: the file, the event for the core, the clock, where relative names begin, which file it was, the policy's text.

    digests: of every file that it was made of. model: what its forecast model is. policy_error: why the policy's file can't be used, "" if it can;
    then the policy lets nothing pass.
    """

    server: ServerConfig
    setup: PolicyLoaded
    clock: Clock
    base: Path
    file: Path
    policy_text: bytes
    digests: dict[Path, str]
    model: Configured
    policy_error: str = ""

    def path(self, name: str) -> Path:
        """A path as the configuration file names it."""
        return (self.base / name).resolve()

    @property
    def registry(self) -> Path | None:
        """The directory of models, if one is named."""
        return self.path(self.server.forecast.registry) if self.server.forecast.registry else None

    @property
    def impact(self) -> str:
        """Who says what trading costs: a directory's path, or a word as it is."""
        name = self.server.forecast.impact
        return str(self.path(name)) if os.sep in name else name


# What stands in for a policy that can't be read, until the journal's is known.
NOTHING_PASSES = RiskPolicy(
    name="none", duplicate_window_ns=0, reference_age_ns_max=0, venue_messages_per_second_max=0, venue_messages_per_day_max=0,
    permits=Permits(is_active=False),
)  # fmt: skip


def load(path: Path, wall_now_ts: int = 0, clock: ClockConfig | None = None, model: str = "", needs_policy: bool = True) -> Config:
    """Read the configuration. clock replaces the file's, model (a path of the caller's) its forecast model. Raises BadConfig.

    needs_policy: False takes a policy's file that can't be used, and says so in policy_error.
    """
    server = read(path, ServerConfig)
    if model:
        forecast = msgspec.structs.replace(server.forecast, model=str(Path(model).resolve()))
        server = msgspec.structs.replace(server, forecast=forecast)
    base = path.parent
    policy_path, instruments_path = base / server.policy, base / server.instruments
    instruments = read(instruments_path, InstrumentsFile)
    symbols = [i.symbol for i in instruments.instruments]
    if not symbols or len(set(symbols)) < len(symbols):
        raise BadConfig(f"{instruments_path}: `instruments` must not be empty, each `symbol` once")
    policy_error = ""
    try:
        policy, policy_text = load_policy(policy_path)
    except BadConfig as wrong:
        if needs_policy:
            raise
        policy, policy_text, policy_error = NOTHING_PASSES, policy_path.read_bytes() if policy_path.is_file() else b"", str(wrong)
    agreed = profiles(path, server.profiles, [v.name for v in server.venues])
    files = (path, policy_path, instruments_path, *dialect_files(base, server.profiles))
    texts = {p: policy_text if p == policy_path else p.read_bytes() for p in files}
    digest = hashlib.sha256(b"".join(texts.values())).hexdigest()
    curve = _ppm_curve(path, server.algo.static_curve)
    own = configured(server.forecast.model, base, (base / server.forecast.registry).resolve() if server.forecast.registry else None)
    try:
        setup = PolicyLoaded(
            policy=policy,
            venues=tuple(Venue(v.name, v.kind, ppm(v.fee), v.auctions, v.on_disconnect, bool(v.drop_copy)) for v in server.venues),
            instruments=_with_history(server, base, instruments),
            algo=_algo(server, curve),
            hours=SessionHours(time_of_day(server.session.open), time_of_day(server.session.close)),
            clients=(),
            digest=digest,
            policy_digest=digest_of(policy_text),
            profiles=agreed,
            drop_copies=drop_copies(path, server.drop_copies),
            copy_tolerance_ns=server.shell.copy_tolerance_ms * 1_000_000,
            model=own.name,
            model_sha256=own.sha256,
            model_text=own.text,
        )
    except ValueError as e:
        raise BadConfig(f"{path}: {e}") from e
    digests = {p: digest_of(t) for p, t in texts.items()}
    return Config(server, setup, (clock or server.clock).clock(wall_now_ts), base, path, policy_text, digests, own, policy_error)


def _check_fraction(field: str, text: str, may_be_zero: bool = False) -> None:
    """Raises ValueError. A per cent that was meant as a fraction is a limit that never holds: "25" is 2,500 %."""
    try:
        value = ppm(text)
    except ValueError:
        value = -1
    if not (0 if may_be_zero else 1) <= value <= PPM_ONE:
        raise ValueError(f'`{field}` is {text!r}; it must be a fraction {"from" if may_be_zero else "above"} 0 to 1, as text: "0.05" is 5 %')


def _algo(server: ServerConfig, curve: tuple[int, ...]) -> AlgoDefaults:
    a = server.algo
    first, second, third, fourth, fifth = a.risk_aversion_e9
    return AlgoDefaults(
        slice_ns=a.slice_s * SECOND,
        max_pct_vol=ppm(a.max_pct_vol),
        catch_up_factor=a.catch_up_factor,
        cross_after_ppm=ppm(a.cross_after),
        refresh_ns=a.refresh_ms * 1_000_000,
        risk_aversion_e9=(first, second, third, fourth, fifth),
        forecast_age_ns_max=server.forecast.age_days_max * DAY,
        static_curve=curve,
        closing_ppm=ppm(a.closing_share),
        opening_ppm=ppm(a.opening_share),
        is_optimised=a.optimise,
        is_banded=a.bands,
    )


def _ppm_curve(path: Path, shares: list[float]) -> tuple[int, ...]:
    """Shares scaled to sum 1_000_000 exactly; the last bin takes the rounding."""
    total = sum(shares)
    if not shares or min(shares) < 0 or total <= 0:
        raise BadConfig(f"{path}: algo static_curve: give a share of the day's volume for each bin, none negative")
    parts = [round(s / total * PPM_ONE) for s in shares]
    return (*parts[:-1], PPM_ONE - sum(parts[:-1]))


def _with_history(server: ServerConfig, base: Path, instruments: InstrumentsFile) -> tuple[InstrumentSetup, ...]:
    folder = base / server.forecast.volumes if server.forecast.volumes else VOLUME_DIR
    recorded = {v.symbol: v for v in read_volumes(folder)}
    setups = []
    for entry in instruments.instruments:
        volumes = recorded.get(entry.symbol)
        days: list[tuple[str, tuple[int, ...]]] = []
        if volumes is not None:
            for date, bins in zip(volumes.dates, volumes.bins, strict=True):
                if not server.forecast.through or date.isoformat() <= server.forecast.through:
                    days.append((date.isoformat(), tuple(0 if isnan(b) else round(float(b)) for b in bins)))
        kept = days[-HISTORY_DAYS:]
        setups.append(InstrumentSetup(entry.instrument(), tuple(d for d, _ in kept), tuple(b for _, b in kept)))
    return tuple(setups)
