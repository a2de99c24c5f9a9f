"""A running bin's volume as it comes, as far as it lies between what the forecast calls P10 and P90.

Rule 1: what a plan wants of a bin belongs to the bin's volume: more of that, more of it; less, less. What goes beyond P90 or stays below P10 is
not followed before the next forecast believes it, at the bin's end.
Rule 2: whole bins of the forecast's day only. In the bin in which a plan begins or ends, and where a print was missed since the open, the plan
goes by the clock: no forecast of the rest comes then (core/forecasts), and each bin's end would take back what the bin had shifted.
"""

from algoserver.core.algos.schedule import Bands, Schedule, planned
from algoserver.core.market import Market
from algoserver.domain.model_events import ForecastReady
from algoserver.domain.types import DAY, date_text


def bands_of(forecast: ForecastReady, ts: int) -> Bands | None:
    """Those of a forecast of the day of `ts`; None where it is of another, or has none."""
    if forecast.date != date_text(ts) or not (forecast.volume and forecast.volume_p10 and forecast.volume_p90):
        return None
    return Bands(ts // DAY, forecast.volume, forecast.volume_p10, forecast.volume_p90)


def followed(schedule: Schedule, bands: Bands, market: Market, ts: int, at_ts: int) -> int:
    """Cumulative quantity due at `at_ts`, by what has traded in the running bin and what is still expected of it."""
    by_clock, at, end_ts = planned(schedule, at_ts), market.bin_at, market.bin_end_ts
    if market.bin_day != bands.day or at < 0 or at >= len(bands.volume) or not bands.volume[at] or not schedule.moments:
        return by_clock
    begin_ts = end_ts - market.bin_ns
    is_whole = schedule.moments[0] <= begin_ts and end_ts < schedule.moments[-1] and market.counted_ts <= bands.day * DAY + market.open_ns
    if not is_whole or not begin_ts < ts < end_ts or at_ts < begin_ts:
        return by_clock
    traded, usual, inside_ns, passed_ns = market.bins[at], bands.volume[at], min(at_ts, end_ts) - begin_ts, ts - begin_ts
    volume = traded * inside_ns // passed_ns if at_ts <= ts else traded + usual * (inside_ns - passed_ns) // market.bin_ns
    volume = _between(bands, at, volume, inside_ns, market.bin_ns)
    before, after = planned(schedule, begin_ts), planned(schedule, end_ts)
    due = before + (after - before) * volume // usual + (by_clock - after if at_ts > end_ts else 0)
    return min(schedule.totals[-1], due)


def pace(bands: Bands, market: Market, ts: int, volume: int, span_ns: int) -> int:
    """The volume that is expected in the next `span_ns`, where the last minute's pace says `volume`: no more than P90's, no less than P10's."""
    at = (ts % DAY - market.open_ns) // market.bin_ns if market.bin_ns and ts // DAY == bands.day else -1
    return _between(bands, at, volume, span_ns, market.bin_ns) if 0 <= at < len(bands.volume) else volume


def _between(bands: Bands, at: int, volume: int, span_ns: int, bin_ns: int) -> int:
    return max(bands.low[at] * span_ns // bin_ns, min(bands.high[at] * span_ns // bin_ns, volume))
