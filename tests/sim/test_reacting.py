"""The market that reacts: same seed same tape, books that hold, a price that clients move and that forgets them."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from algoserver.domain.types import DAY, MINUTE, SECOND, OrdType, Side, TimeInForce, px
from algoserver.settings import BadConfig
from algoserver.sim.config import HaltConfig, ReactingConfig, Scenario, SessionHours, load
from algoserver.sim.exchange import Exchange
from algoserver.sim.reacting import Reacting
from algoserver.sim.reports import NewOrderSingle, Trade, TradePrint
from algoserver.sim.volume import UnknownRecording, recorded_bins
from algoserver.sim.weather import PER_SECOND, day_level, weather
from tests.sim.street import OPEN, T0, cancel, new, replace, told

ROOT = Path(__file__).resolve().parents[2]
BUY, SELL = Side.BUY, Side.SELL
NOON = T0 + 150 * MINUTE


def scenario(symbol: str = "AAPL", hours: SessionHours = OPEN, **crowd: object) -> Scenario:
    """One instrument of the shipped scenario."""
    shipped = load(ROOT / "cfg" / "sim-reacting.toml")
    [one] = [i for i in shipped.instruments if i.symbol == symbol]
    assert one.reacting is not None
    one = msgspec.structs.replace(one, reacting=msgspec.structs.replace(one.reacting, **crowd))
    return msgspec.structs.replace(shipped, instruments=[one], session=hours)


def started(config: Scenario, ts: int = NOON, seed: int = 1) -> Exchange:
    exchange = Exchange(config, seed)
    exchange.advance(ts)
    return exchange


def traded(answers: list, venue: str = "") -> int:
    return sum(a.qty for a in answers if isinstance(a, TradePrint) and venue in ("", a.venue))


def middle(exchange: Exchange, symbol: str = "AAPL") -> float:
    books = [exchange.book(v, symbol) for v in ("XLIT1", "XLIT2")]
    return (max(b[0][0] for b, _ in books) + min(a[0][0] for _, a in books)) / 2 / px("0.01")


def tape(seed: int) -> list:
    """Two minutes with clients who take, rest, replace and cancel."""
    exchange, out = started(scenario(), seed=seed), []
    for n in range(24):
        ts = NOON + n * 5 * SECOND
        bids, _ = exchange.book("XLIT1", "AAPL")
        best = bids[0][0] if bids else px("190")
        out += exchange.submit(ts, new(f"T{n}", BUY if n % 3 else SELL, 900, tif=TimeInForce.IOC))
        out += exchange.submit(ts + SECOND, msgspec.structs.replace(new(f"R{n}", BUY, 400, "1"), px=best))
        out += exchange.submit(ts + 2 * SECOND, replace(f"S{n}", f"R{n}", 800, "150"))
        out += exchange.submit(ts + 3 * SECOND, cancel(f"C{n}", f"S{n}"))
    return [msgspec.json.encode(a) for a in out]


def test_the_same_seed_gives_the_same_tape_compiled_or_not():
    """Bytes of every answer: twice here, once in a process that compiles nothing; another seed gives another tape."""
    here = tape(1)
    assert here == tape(1) != tape(2)
    command = "import sys; sys.path.insert(0, '.'); from tests.sim.test_reacting import tape; sys.stdout.buffer.write(b'\\n'.join(tape(1)))"
    plain = subprocess.run([sys.executable, "-c", command], cwd=ROOT, env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, check=True)
    assert plain.stdout.split(b"\n") == here


def test_the_market_runs_alone_as_it_does_step_by_step():
    """In one go or event by event: the same prints, the same books."""
    alone, stepped = started(scenario()), started(scenario())
    prints = alone.advance(NOON + MINUTE)
    single = []
    while stepped.next_ts() <= NOON + MINUTE:
        single += stepped.advance(stepped.next_ts())
    assert prints == single
    assert len(prints) > 100
    assert alone.book("XLIT1", "AAPL") == stepped.book("XLIT1", "AAPL")


def test_who_comes_into_the_dark_meets_the_crowd_that_has_come_meanwhile():
    """While no client is there its crowd is looked after later than it came: nobody can tell, fills and prints are those of a market that
    went event by event."""
    dark = NewOrderSingle(venue="XDARK1", client="ALGO", cl_ord_id="D", symbol="AAPL", side=BUY, order_qty=30_000, ord_type=OrdType.PEGGED)
    told = []
    for runs_alone in (True, False):
        exchange = started(scenario())
        out = []
        for until in (NOON + 2 * MINUTE, NOON + 4 * MINUTE):
            while not runs_alone and exchange.next_ts() <= until:
                out += exchange.advance(exchange.next_ts())
            out += exchange.advance(until)
            if until == NOON + 2 * MINUTE:
                out += exchange.submit(until, dark)
        told.append(out)
    assert told[0] == told[1]
    assert len([a for a in told[0] if isinstance(a, Trade) and a.venue == "XDARK1"]) > 1


def test_a_day_with_a_part_without_volume_is_refused(tmp_path):
    path = tmp_path / "volume.csv"
    path.write_text("bin,d\n0,1000\n1,0\n2,1000\n")
    with pytest.raises(UnknownRecording, match="without volume"):
        Exchange(scenario(recorded=str(path)))


def test_it_stops_at_what_somebody_waits_for():
    """At a fill of a resting order, not before, and at nobody's print unless asked; nothing is lost by stopping."""
    exchange = started(scenario())
    bids, asks = exchange.book("XLIT1", "AAPL")
    exchange.submit(NOON, msgspec.structs.replace(new("A", BUY, 400, "1"), px=bids[0][0]))
    exchange.submit(NOON, msgspec.structs.replace(new("B", SELL, 400, "1"), px=asks[0][0]))
    answers = exchange.advance(NOON + 10 * MINUTE, frozenset({Trade}))
    fills = [a for a in answers if isinstance(a, Trade)]
    assert fills
    assert {a.ts for a in fills} == {exchange.now()}
    assert max(a.ts for a in answers) == exchange.now()
    assert not [a for a in answers if a.ts > exchange.now()]
    [one] = {a.ts for a in exchange.advance(NOON + 10 * MINUTE, frozenset({TradePrint}))}
    assert one == exchange.now()


def test_books_hold_through_a_quarter_of_an_hour():
    """Five levels nearly always, a narrow spread, no venue locked or crossed with another, volume as configured and by market share."""
    config = scenario(level_sigma=0.0, slow_sigma=0.0)
    exchange = started(config)
    looks = deep = narrow = volume = first = 0
    for second in range(1, 900):
        answers = exchange.advance(NOON + second * SECOND)
        volume, first = volume + traded(answers), first + traded(answers, "XLIT1")
        books = [exchange.book(v, "AAPL") for v in ("XLIT1", "XLIT2")]
        # After a jump a side may be gone for a moment.
        bid, ask = max((b[0][0] for b, _ in books if b), default=0), min((a[0][0] for _, a in books if a), default=1 << 60)
        assert bid < ask
        looks, narrow, deep = looks + 1, narrow + (ask - bid <= px("0.03")), deep + all(len(side) >= 4 for book in books for side in book)
    assert narrow > 0.95 * looks
    assert deep > 0.8 * looks
    bins = recorded_bins("AAPL", "")
    expected = bins[10]
    assert 0.7 < volume / expected < 1.4
    assert 0.5 < first / volume < 0.7


def test_a_buyer_moves_the_price_and_is_forgotten():
    """Two seeds: a fifth of the volume for ten minutes lifts the mid by many spreads; half an hour later half of it is gone."""
    ends, later = [], []
    for seed in range(1, 3):
        pair = [started(scenario(), seed=seed) for _ in range(2)]
        rate = sum(recorded_bins("AAPL", "")) / 23_400
        for n in range(60):
            pair[0].submit(NOON + n * 10 * SECOND, new(f"B{n}", BUY, round(2 * rate), venue="XLIT1" if n % 2 else "XLIT2", tif=TimeInForce.IOC))
        for exchange in pair:
            exchange.advance(NOON + 10 * MINUTE)
        ends.append(middle(pair[0]) - middle(pair[1]))
        for exchange in pair:
            exchange.advance(NOON + 40 * MINUTE)
        later.append(middle(pair[0]) - middle(pair[1]))
    assert min(ends) > 5
    assert 0 < sum(later) < 0.7 * sum(ends)


def test_a_price_that_nobody_believes_is_not_the_market():
    """A bid at half the price is not sold to, and the crowd does not quote around it, even when it stands alone."""
    exchange = started(scenario())
    before = middle(exchange)
    exchange.submit(NOON, new("A", BUY, 500, "100"))
    exchange.submit(NOON, new("S", SELL, 500_000, "100", tif=TimeInForce.IOC))
    exchange.submit(NOON, new("T", SELL, 500_000, "100", tif=TimeInForce.IOC, venue="XLIT2"))
    exchange.submit(NOON, new("B", BUY, 500, "100"))
    answers = exchange.advance(NOON + MINUTE)
    assert [a for a in answers if isinstance(a, Trade)] == []
    assert abs(middle(exchange) - before) < 300


def test_what_rests_is_filled_by_the_crowd_and_sold_once():
    """A bid at the best price is filled in time, by what the market printed at that price."""
    exchange = started(scenario())
    best = exchange.book("XLIT2", "AAPL")[0][0][0]
    answers = exchange.submit(NOON, msgspec.structs.replace(new("A", BUY, 2_000, "1", venue="XLIT2"), px=best))
    answers += exchange.advance(NOON + 5 * MINUTE)
    fills = [a for a in answers if isinstance(a, Trade)]
    assert sum(f.last_qty for f in fills) == 2_000
    for fill in fills:
        assert fill.last_qty <= sum(a.qty for a in answers if isinstance(a, TradePrint) and (a.ts, a.venue, a.px) == (fill.ts, "XLIT2", fill.last_px))


def test_the_day_opens_and_closes_and_the_next_follows():
    """Auctions at both ends, orders expire, nothing trades overnight, the next day begins near where this one ended."""
    exchange = Exchange(scenario(hours=SessionHours(open="13:30", close="13:32"), unit_qty=40_000), 1)
    exchange.advance(T0 - SECOND)
    opening = exchange.submit(T0 - SECOND, new("O", BUY, 500, tif=TimeInForce.AT_OPEN)) + exchange.advance(T0)
    assert "Trade/FILLED (O) 500 500/0" in told(opening)
    exchange.submit(T0 + SECOND, new("D", BUY, 500, "100"))
    last = middle(exchange) if exchange.advance(T0 + 2 * MINUTE - 1) is not None else 0.0
    assert told(exchange.advance(T0 + 3 * MINUTE)) == ["Expired/EXPIRED (D) 500 0/0"]
    assert exchange.book("XLIT1", "AAPL") == ((), ())
    assert exchange.advance(T0 + DAY - 1) == []
    exchange.advance(T0 + DAY + SECOND)
    assert abs(middle(exchange) - last) < 400


def test_a_halt_empties_the_books_and_ends():
    """The crowd leaves, what clients rest can be canceled, and the crowd is back."""
    config = msgspec.structs.replace(scenario(), halts=[HaltConfig(symbol="AAPL", begin="16:01:00", seconds=30)])
    exchange = started(config)
    exchange.submit(NOON, new("A", BUY, 500, "100"))
    exchange.advance(NOON + MINUTE)
    assert exchange.book("XLIT1", "AAPL") == (((px("100"), 500),), ())
    assert traded(exchange.advance(NOON + 89 * SECOND)) == 0
    assert told(exchange.submit(NOON + 89 * SECOND, cancel("C", "A"))) == ["Canceled/CANCELED (C,A) 500 0/0"]
    assert traded(exchange.advance(NOON + 2 * MINUTE)) > 0


def test_the_weather_is_drawn_by_day_and_shared_where_it_is_the_markets():
    """Instruments move together as configured; days have levels that remember; nothing depends on when the market was started."""
    import numpy as np

    crowd = ReactingConfig(recorded="AAPL", price="197.90", sigma_daily=0.015, unit_qty=400, correlation=0.8, jumps_per_day=0)
    bins = recorded_bins("AAPL", "")
    one, other = (weather(crowd, bins, 1, name, 18_000, 23_400, 1.0) for name in ("AAPL", "GE"))
    moves = [np.diff(day.reference[::PER_SECOND]) for day in (one, other)]
    assert 0.6 < np.corrcoef(*moves)[0, 1] < 0.68
    assert one.reference.tolist() == weather(crowd, bins, 1, "AAPL", 18_000, 23_400, 1.0).reference.tolist()
    levels = np.log([day_level(crowd, 1, "AAPL", d) for d in range(18_000, 18_400)])
    assert 0.45 < np.corrcoef(levels[1:], levels[:-1])[0, 1] < 0.75
    assert abs(levels.std() - 0.3) < 0.06


def test_a_start_in_the_middle_of_the_day_has_its_weather():
    """The reference at noon is the same, whether the market ran since the open or not."""
    found = []
    for ts in (T0, NOON):
        config = scenario(jumps_per_day=0.0)
        [one] = config.instruments
        market = Reacting(one.instrument(), one.reacting, config.session, config.lit_venues, 1)
        market.start(ts)
        while market.next_ts() <= NOON + SECOND:
            market.run(NOON + SECOND)
        found.append(market.reference_px())
    assert found[0] == found[1]


WRONG = [
    ("unit_qty = 400", "unit_qty = 0", "instruments 'AAPL'.*unit_qty"),
    ("unit_qty = 400", "unit_qty = 400\nimpact_power = 1.5", "instruments 'AAPL'.*impact_power"),
    ("unit_qty = 400", "unit_qty = 400\ncolour = 1", "instruments 'AAPL'.*colour"),
    ("unit_qty = 400", "unit_qty = 400\nrates = {market = 0.0}", "instruments 'AAPL'.*`market` must be positive"),
    ("unit_qty = 400", "unit_qty = 400\nrates = {excitement = 1.0}", "instruments 'AAPL'.*excitement"),
    ('price = "197.90"', 'price = "197.905"', "instruments 'AAPL'.*price"),
    ('recorded = "AAPL"', 'recorded = "AAPL"\nlevel_memory = 1.0', "instruments 'AAPL'.*level_memory"),
]


@pytest.mark.parametrize(("old", "wrong", "said"), WRONG)
def test_a_mistake_is_named(tmp_path, old, wrong, said):
    """File, entry and key."""
    text = (ROOT / "cfg" / "sim-reacting.toml").read_text()
    assert old in text
    path = tmp_path / "wrong.toml"
    path.write_text(text.replace(old, wrong))
    with pytest.raises(BadConfig, match=f"wrong.toml: .*{said}"):
        load(path)
