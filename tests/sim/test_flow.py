"""The crowd: volumes of the recorded day, and a book that looks like one."""

import msgspec
import pytest

from algoserver.domain.types import MINUTE, SECOND, Instrument, Side, px
from algoserver.sim.config import SessionHours, VenueConfig
from algoserver.sim.exchange import Exchange
from algoserver.sim.flow import Flow
from algoserver.sim.volume import UnknownRecording, VolumePath, recorded_bins
from tests.sim.street import AAPL, ADBE, OPEN, T0, TWO, new, scenario

THREE = [VenueConfig(name=name, share=share) for name, share in (("XLIT1", 0.5), ("XLIT2", 0.3), ("XLIT3", 0.2))]


def flow(config, hours=OPEN, seed=7, venues=TWO):
    return Flow(Instrument(config.recorded, px("0.01"), 1, 100, 0, 0), config, hours, venues, seed)


def test_seed_7_follows_the_recorded_day_bin_by_bin():
    """ADBE, a whole day: every one of the 26 bins within 5 % of 2019-06-28, and the venues near their shares."""
    crowd = flow(ADBE)
    crowd.start(T0)
    bins = [0] * 26
    close = T0 + 23_400 * SECOND
    while crowd.next_ts() < close:
        ts = crowd.next_ts()
        traded = sum(f.qty for m in crowd.step() for f in m.fills)
        bins[(ts - T0) * 26 // (close - T0)] += traded
    recorded = recorded_bins("ADBE", "2019-06-28")
    assert [i for i in range(26) if abs(bins[i] / recorded[i] - 1) > 0.05] == []
    assert abs(crowd.traded["XLIT1"] / sum(bins) - 0.6) < 0.04


def test_seed_7_keeps_a_book_of_five_levels_with_a_narrow_spread():
    """AAPL, the busiest two minutes: at nearly every look both venues show five levels a side, 1 to 3 ticks apart, uncrossed."""
    crowd = flow(AAPL)
    crowd.start(T0)
    looks = deep = narrow = 0
    while crowd.next_ts() < T0 + 120 * SECOND:
        crowd.step()
        for book in crowd.books.values():
            bids, asks = book.top(5)
            looks += 1
            deep += len(bids) == len(asks) == 5
            if bids and asks:
                assert bids[0][0] < asks[0][0]
                narrow += asks[0][0] - bids[0][0] <= 3 * px("0.01")
    assert deep > 0.98 * looks
    assert narrow > 0.85 * looks


def test_a_start_in_the_middle_of_the_session_joins_the_volume_path():
    """What traded before we began is not made up for."""
    crowd = flow(ADBE)
    crowd.start(T0 + 3 * 3_600 * SECOND)
    while crowd.next_ts() < T0 + 3 * 3_600 * SECOND + 60 * SECOND:
        crowd.step()
    assert sum(crowd.traded.values()) < 3 * max(recorded_bins("ADBE", "2019-06-28")) / 15


def test_the_path_ends_at_the_days_total_and_stretches_over_any_session():
    path = VolumePath([10, 30], 86_400 * SECOND)
    assert [path.cumulated(h * 3_600 * SECOND) for h in (0, 6, 12, 18, 24)] == [0, 5, 10, 25, 40]
    assert path.rate(0) == 10 / 43_200


def test_an_unknown_day_says_which_there_are():
    with pytest.raises(UnknownRecording, match="2019-01-02 to 2019-06-28"):
        recorded_bins("AAPL", "2019-06-29")


def test_always_open_repeats_the_day():
    """After midnight the crowd is back in the same moment."""
    crowd = flow(ADBE, SessionHours())
    crowd.start(T0 - T0 % (86_400 * SECOND) + 86_399 * SECOND)
    while crowd.next_ts() < T0 - T0 % (86_400 * SECOND) + 86_401 * SECOND:
        crowd.step()
    assert crowd.is_open


@pytest.mark.parametrize("venues", [TWO, THREE], ids=["two venues", "three"])
def test_quotes_that_may_not_lock_are_not_heaped_up_behind(venues):
    """Seed 7, ADBE, the first half hour: no level ever shows more than nine times what is usual at the moment; it was nineteen."""
    crowd = flow(ADBE, venues=venues)
    crowd.start(T0)
    most = 0.0
    while crowd.next_ts() < T0 + 30 * MINUTE:
        crowd.step()
        usual = crowd._busy * ADBE.depth_qty
        most = max([most, *(level.qty / usual for b in crowd.books.values() for side in (b.bids, b.asks) for level in side.levels.values())])
    assert 3 < most < 9


def test_the_crowd_leaves_nothing_behind_where_clients_rest_far_away():
    """Orders 60 ticks and more from the price, on both sides: an hour later no quote of the crowd is more than some ticks beyond its own limit."""
    exchange = Exchange(scenario(), 7)
    exchange.advance(T0 + SECOND)
    bid, tick = exchange.book("XLIT1", "AAPL")[0][0][0], exchange.instruments["AAPL"].tick
    for n in range(40):
        for side in (Side.BUY, Side.SELL):
            away = side.sign * (60 + 10 * n) * tick
            exchange.submit(T0 + SECOND, msgspec.structs.replace(new(f"{side.name}{n}", side, 100, "1"), px=bid - away))
    exchange.advance(T0 + 60 * MINUTE)
    book = exchange.source("AAPL").books["XLIT1"]
    best = {1: book.bids.best_px(), -1: book.asks.best_px()}
    crowd = [o for o in book.live() if o.owner is None]
    assert 20 < len(crowd) < 60
    assert max((best[o.sign] - o.px) * o.sign for o in crowd) < 30 * tick
