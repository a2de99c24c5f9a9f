"""What a crowd has to be like to look like a recording: parameters of `[instruments.reacting]` from a tape, and from volumes by day.

Each is estimated by itself from what it means in the model (docs/simulator.md), by moments or likelihood; nothing is searched for. `looks`
takes the same figures of a tape and of the crowd that was fitted to it, so that a reader sees what the fit is worth.
"""

import csv
import tempfile
from bisect import bisect_left, insort
from collections.abc import Iterator
from math import expm1, log, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from algoserver.domain.types import DAY, SECOND, Instrument, px, px_text, qty, qty_text
from algoserver.sim.config import RatesConfig, ReactingConfig, SessionHours, VenueConfig
from algoserver.sim.tape_file import BrokenTape, Diff, Event, Print, read
from algoserver.sim.weather import TRADING_SECONDS

if TYPE_CHECKING:
    from algoserver.sim.reacting import Reacting

Array = NDArray[np.float64]
LOOK_NS = 10 * SECOND  # between two looks at the price
LEVELS = 10  # a side that counts
COMPARED = {
    "sigma": "ticks that the mid moves per root of a second", "spread": "spread, ticks", "standing": "units in ten levels a side",
    "takers": "orders that take, per second", "size": "units that one takes", "size_cv2": "squared deviation of that over its squared mean",
    "adds": "units added at and behind the best, per second", "inner": "units added inside the spread, per second",
    "cancels": "units canceled, per second", "reach": "ticks behind the best of what is added", "signal": "lean of takers by the imbalance",
    "fano": "variance of takers in 10 s over their mean",
}  # fmt: skip
YEAR_2000 = 10_957 * DAY  # some day: its weather looks back at others
EVEN_DAY = "2000-01-01"
TRADES_MIN = 100  # a fit to fewer is a guess
WINDOW_S = 10  # of the counts that the excitement is seen in
SECONDS_MAX = 400 * DAY // SECOND  # longer is a time that is wrong: every ten seconds of it are looked at
VOLUME_MAX = 1e18
SHARE_MAX = 0.8  # of the squared deviation of sizes over their squared mean: the model's are geometric, real ones have longer tails


class Looks(msgspec.Struct, frozen=True):
    """What a tape looks like. Quantities in units, prices in ticks; rates per second; adds behind or at the best price, inner ones better than it.

    takers: orders that came to trade, several fills of one moment being one; gap: ticks of the spread beyond the first; standing: of the
    first ten levels of both sides; reach: mean ticks behind the best price of what is added; fano: variance of takers in ten seconds over their mean.
    """

    seconds: float
    px: float
    sigma: float
    spread: float
    gap: float
    standing: float
    takers: float
    taken: float
    size: float
    size_cv2: float
    adds: float
    inner: float
    cancels: float
    reach: float
    signal: float
    fano: float


class Fit(NamedTuple):
    """A parameter: its value in the file (`rates.` for one of the rates), and what it was estimated by."""

    name: str
    value: float
    how: str


class Side:
    """A recorded side: keys ascending, the best is the last; what trades took of a level since it was last told."""

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.qty: dict[int, int] = {}
        self.traded: dict[int, int] = {}

    def set(self, key: int, quantity: int) -> None:
        if quantity and key not in self.qty:
            insort(self.keys, key)
        elif not quantity and key in self.qty:
            del self.keys[bisect_left(self.keys, key)]
        if quantity:
            self.qty[key] = quantity
        else:
            self.qty.pop(key, None)


def looks(events: list[Event], instrument: Instrument) -> Looks:
    """The figures of a tape. Raises BrokenTape if it is too short."""
    scale = 10 ** (8 - instrument.qty_decimals)
    tick, sides = instrument.tick, {1: Side(), -1: Side()}
    start, last = events[0].ts, events[0].ts
    if (events[-1].ts - start) // SECOND > SECONDS_MAX:
        raise BrokenTape(f"its times span {(events[-1].ts - start) // DAY} days: {SECONDS_MAX * SECOND // DAY} at most can be fitted")
    sums = dict.fromkeys(("spread", "gap", "standing", "adds", "inner", "cancels", "reach"), 0.0)
    mids: list[float] = []
    tilts: list[tuple[float, int]] = []
    takers: list[list[int]] = []  # ts, sign, units
    for event in events:
        if sides[1].keys and sides[-1].keys:
            spread, passed = (-sides[-1].keys[-1] - sides[1].keys[-1]) / tick, event.ts - last
            sums["spread"] += spread * passed
            sums["gap"] += max(spread - 1, 0) * passed
            sums["standing"] += passed * sum(s.qty[k] for s in sides.values() for k in s.keys[-LEVELS:])
            while len(mids) * LOOK_NS <= event.ts - start:
                mids.append((sides[1].keys[-1] - sides[-1].keys[-1]) / 2 / tick)
        last = event.ts
        if isinstance(event, Diff):
            for sign, levels in ((1, event.bids), (-1, event.asks)):
                for price, quantity in levels:
                    _changed(sides, sign, px(price) * sign, qty(quantity, 8) // scale, tick, sums)
            continue
        units = qty(event.qty, 8) // scale
        hit = sides[-event.sign]
        key = -event.sign * px(event.px)
        hit.traded[key] = hit.traded.get(key, 0) + units
        if takers and takers[-1][:2] == [event.ts, event.sign]:
            takers[-1][2] += units
        else:
            takers.append([event.ts, event.sign, units])
            if sides[1].keys and sides[-1].keys:
                bids, asks = (s.qty[s.keys[-1]] for s in (sides[1], sides[-1]))
                tilts.append(((bids - asks) / (bids + asks), event.sign))
    seconds = (last - start) / SECOND
    if len(takers) < TRADES_MIN or seconds < 60 or len(mids) < 3:
        raise BrokenTape(f"{len(takers)} orders that traded in {seconds:.0f} s are too few to fit anything to: {TRADES_MIN} in a minute at least")
    sizes = np.asarray([units for _, _, units in takers], np.float64)
    if not sizes.sum():
        raise BrokenTape(f"no trade is of a whole unit; quantities have {instrument.qty_decimals} decimals (--decimals)")
    counts = np.bincount([(ts - start) // (WINDOW_S * SECOND) for ts, _, _ in takers])[:-1]
    added = sums["adds"] or 1.0
    return Looks(
        seconds=seconds, px=mids[0] * tick, sigma=float(np.std(np.diff(mids)) / sqrt(LOOK_NS / SECOND)), spread=sums["spread"] / (last - start),
        gap=sums["gap"] / (last - start), standing=sums["standing"] / (last - start), takers=len(takers) / seconds,
        taken=float(sizes.sum()) / seconds, size=float(sizes.mean()), size_cv2=float(sizes.var() / sizes.mean() ** 2), adds=sums["adds"] / seconds,
        inner=sums["inner"] / seconds, cancels=sums["cancels"] / seconds, reach=sums["reach"] / added,
        signal=_signal(np.asarray(tilts, np.float64)) if tilts else 0.0, fano=float(counts.var() / counts.mean()) if len(counts) > 1 else 1.0,
    )  # fmt: skip


def _changed(sides: dict[int, Side], sign: int, key: int, quantity: int, tick: int, sums: dict[str, float]) -> None:
    side = sides[sign]
    before, best = side.qty.get(key, 0), side.keys[-1] if side.keys else key
    eaten = min(side.traded.pop(key, 0), before)
    away = (best - key) // tick
    more = quantity - (before - eaten)
    if away < LEVELS and side.keys:
        if more > 0 and away < 0:
            sums["inner"] += more
        elif more > 0:
            sums["adds"] += more
            sums["reach"] += more * away
        else:
            sums["cancels"] -= more
    side.set(key, quantity)


def _signal(tilts: Array) -> float:
    """Likelihood's choice of s in P(buy) = 1 / (1 + exp(-2 s imbalance)), by Newton's steps."""
    x, buys, s = 2 * tilts[:, 0], (tilts[:, 1] > 0).astype(np.float64), 0.0
    for _ in range(25):
        p = 1 / (1 + np.exp(-s * x))
        curve = float((x * x * p * (1 - p)).sum())
        if curve < 1e-9:
            break
        s += float((x * (buys - p)).sum()) / curve
        s = min(max(s, -5.0), 5.0)
    return s


def fit(seen: Looks, instrument: Instrument) -> list[Fit]:
    """Parameters from what a tape looks like."""
    shipped = RatesConfig()
    # Sizes are unit x (1 + floor(Exp(m))): geometric, so squared deviation over squared mean is exp(-1/m).
    share = min(max(seen.size_cv2, 0.02), SHARE_MAX)
    unit = max(seen.size * (1 - share), 1.0)
    pace = seen.takers / (2 * shipped.market)
    excitement = min(max(1 - 1 / sqrt(max(seen.fano, 1.0)), 0.0), 0.8)
    orders = max(seen.standing / unit, 1.0)
    sigma_daily = seen.sigma * instrument.tick / seen.px * sqrt(TRADING_SECONDS)
    inner_mean = 1 + (1 / expm1(1 / shipped.inner_size) if shipped.inner_size else 0)
    return [
        Fit("sigma_daily", sigma_daily, "moves of the mid over 10 s"),
        Fit("unit_qty", round(unit), "mean and deviation of what an order takes"),
        Fit("rates.take_size", -1 / log(share), "deviation of what an order takes over its mean"),
        Fit("rates.limit", seen.adds / unit / (2 * pace), "quantity added at and behind the best price"),
        Fit("rates.inner", seen.inner / unit / inner_mean / (2 * pace) / max(seen.gap, 0.05), "quantity added inside the spread, per tick of it"),
        Fit("rates.cancel", seen.cancels / unit / pace / orders, "quantity canceled, over what stands in ten levels"),
        Fit("rates.deeper", min(max(1 / (1 + seen.reach), 0.05), 0.95), "how far behind the best price quantity is added"),
        Fit("rates.signal", seen.signal, "imbalance of the best queues when an order takes, by likelihood"),
        Fit("rates.excitement", excitement, "variance of takers in 10 s over their mean"),
    ]


def fit_volume(path: Path) -> list[Fit]:
    """Parameters from volumes: a column a day, a row a part of it (the first column names it). Raises BrokenTape."""
    try:
        with path.open(newline="") as file:
            rows = list(csv.reader(file))
        if len({len(row) for row in rows}) > 1:
            raise ValueError("its rows have different numbers of cells")
        table = np.asarray([[float(cell) for cell in row[1:]] for row in rows[1:]], np.float64)
        if table.ndim != 2 or table.shape[0] < 4 or table.shape[1] < 10 or not (table >= 0).all() or not (table.sum(axis=0) > 0).all():
            raise ValueError("needs ten days of four parts, and volume on each day")
        if not table.max() < VOLUME_MAX:
            raise ValueError(f"a volume is above {VOLUME_MAX:g}, which nothing trades")
    except (ValueError, IndexError, csv.Error) as error:
        raise BrokenTape(f"{path}: {error}") from None
    days = np.log(table.sum(axis=0))
    # Days that are all alike remember nothing.
    memory = float(np.corrcoef(days[1:], days[:-1])[0, 1]) if min(days[1:].std(), days[:-1].std()) > 1e-9 else 0.0
    parts = np.log(np.maximum(table, table[table > 0].min()) / table.sum(axis=0))
    rest = parts - parts.mean(axis=1, keepdims=True)
    # What is not remembered to the next part is chance of single trades: the two covariances leave it out.
    one, two = (float((rest[lag:] * rest[:-lag]).mean()) for lag in (1, 2))
    rho = min(max(two / one, 0.05), 0.98) if one > 0 else 0.05
    minutes = TRADING_SECONDS / 60 / table.shape[0]
    return [
        Fit("level_sigma", float(days.std()), "deviation of the log of a day's volume"),
        Fit("level_memory", min(max(memory, 0.0), 0.98), "its correlation with the next day's"),
        Fit("slow_sigma", sqrt(max(one, 0.0) / rho), "what is left of the logs within the day, and goes on to the next part"),
        Fit("slow_minutes", -minutes / log(rho), "how that falls from part to part"),
    ]


def fitted(found: list[Fit], seen: Looks, instrument: Instrument, recorded: Path) -> ReactingConfig:
    """A crowd with these parameters on a day without news and lulls, for a tape knows of no other day. recorded: the volume it follows."""
    price = px_text(max(1, round(seen.px / instrument.tick)) * instrument.tick)
    own = {f.name: round(f.value) if f.name == "unit_qty" else f.value for f in found if not f.name.startswith("rates.")}
    rates = {f.name.removeprefix("rates."): f.value for f in found if f.name.startswith("rates.")}
    calm = {"day": EVEN_DAY, "slow_sigma": 0.0, "jumps_per_day": 0.0}
    return msgspec.convert({"recorded": str(recorded), "price": price, "rates": rates, **calm, **own}, ReactingConfig)


def played(config: ReactingConfig, instrument: Instrument, seconds: int, seed: int = 1) -> list[Event]:
    """A tape of that crowd at one venue, from an hour after the open on: trades, and what stands after each event."""
    from algoserver.sim.reacting import Reacting

    hours = SessionHours(open="13:30", close="20:00")
    market = Reacting(instrument, config, hours, [VenueConfig(name="X", share=1.0)], seed)
    market.start(hours.window(YEAR_2000)[0])
    market.run(market.next_ts())
    begin = market.next_ts() + 3_600 * SECOND
    while market.next_ts() < begin:
        market.run(begin)
    return list(_recorded(market, instrument, begin + seconds * SECOND))


def _recorded(market: "Reacting", instrument: Instrument, until: int) -> Iterator[Event]:
    d, book = instrument.qty_decimals, market.books["X"]
    before: list[dict[int, int]] = [{}, {}]
    while (ts := market.next_ts()) < until:
        for at, matches in market.run(ts):
            for match in matches:
                yield from (Print(at, match.sign, px_text(f.px), qty_text(f.qty, d)) for f in match.fills)
        after = [dict(side) for side in book.top(4 * LEVELS)]
        levels = [
            [[px_text(p), qty_text(now.get(p, 0), d)] for p in sorted(now.keys() | old.keys()) if now.get(p, 0) != old.get(p, 0)]
            for now, old in zip(after, before, strict=True)
        ]
        before = after
        if levels[0] or levels[1]:
            yield Diff(ts, levels[0], levels[1])


def flat_volume(seen: Looks, path: Path) -> Path:
    """A recorded day whose volume comes evenly, as fast as the tape's."""
    each = max(1, round(seen.taken * TRADING_SECONDS / 26))
    path.write_text(f"bin,{EVEN_DAY}\n" + "".join(f"{n},{each}\n" for n in range(26)))
    return path




def report(tape: Path | None, volume: Path | None, tick: str, decimals: int, seconds: int, is_json: bool) -> str:
    """The command: what was fitted, as a scenario has it, and how the fitted crowd looks beside the tape."""
    instrument = Instrument("TAPE", px(tick), 1, 1, decimals, adv=0)
    found: list[Fit] = fit_volume(volume) if volume is not None else []
    pairs: dict[str, tuple[float, float | None]] = {}
    seen = None
    if tape is not None:
        seen = looks(read(tape, instrument)[0], instrument)
        of_tape = fit(seen, instrument)
        found = of_tape + found
        theirs = None
        if seconds:
            with tempfile.TemporaryDirectory() as folder:
                crowd = fitted(of_tape, seen, instrument, flat_volume(seen, Path(folder) / "flat.csv"))
                theirs = looks(played(crowd, instrument, max(seconds, 60)), instrument)
        pairs = {name: (getattr(seen, name), getattr(theirs, name) if theirs else None) for name in COMPARED}
    shipped = msgspec.to_builtins(ReactingConfig(recorded="", price="1", sigma_daily=0.0, unit_qty=1))
    if is_json:
        return msgspec.json.encode({"fit": {f.name: f.value for f in found}, "looks": pairs}).decode()
    lines = ["[instruments.reacting]"]
    for table in ("", "rates."):
        lines += ["[instruments.reacting.rates]"] if table and any(f.name.startswith(table) for f in found) else []
        for f in found:
            if f.name.startswith("rates.") == bool(table):
                name = f.name.removeprefix("rates.")
                was = (shipped["rates"] if table else shipped)[name] if name not in ("sigma_daily", "unit_qty") else None
                lines.append(f"{f'{name} = {f.value:.4g}':28} # {f.how}{'' if was is None else f'; shipped {was:g}'}")
    if pairs:
        lines += ["", f"{'':44} {'tape':>10} {'crowd':>10}"]
    for name, (ours, crowds) in pairs.items():
        lines.append(f"{COMPARED[name]:44} {ours:10.4g} {'' if crowds is None else f'{crowds:10.4g}'}")
    return "\n".join(lines)
