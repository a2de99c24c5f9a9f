"""Scenarios: the shipped ones load, and an error names file, entry and key."""

from pathlib import Path

import pytest

from algoserver.domain.types import DAY, utc
from algoserver.settings import BadConfig
from algoserver.sim.config import SessionHours, load
from algoserver.sim.exchange import Exchange

CFG = Path(__file__).resolve().parents[2] / "cfg"


@pytest.mark.parametrize("name", ["sim.toml", "demo-sim.toml", "sim-reacting.toml", "sim-tape.toml"])
def test_shipped_scenarios_make_a_market(name):
    exchange = Exchange(load(CFG / name))
    exchange.advance(utc("20190628-14:00:00"))
    bids, asks = exchange.book("XLIT1", next(iter(exchange.instruments)))
    assert len(bids) == len(asks) == 5


WRONG = [
    ("book_interval_ms = 100", "book_intervall_ms = 100", "book_intervall_ms"),
    ('symbol = "GE"\ntick = "0.01"', 'symbol = "GE"\ntick = "0.01"\ncolour = 1', "instruments 'GE'.*colour"),
    ("share = 0.4", "share = 0.5", "share"),
    ('price = "10.50"', 'price = "10.505"', "instruments 'GE'.*price"),
    ('close = "24:00"', 'close = "25:00"', "25:00"),
    ("depth_qty = 3000", 'depth_qty = "3000"', "instruments 'GE'.*flow.depth_qty"),
    ('name = "XLIT2"', 'name = "XLIT1"', "each name once"),
    ("book_interval_ms = 100", 'halts = [{symbol = "NONE", begin = "14:00:00", seconds = 9}]', "symbol.*halts"),
    ("book_interval_ms = 100", 'halts = [{symbol = "GE", begin = "14:00", seconds = 9}]', "halts 'GE'"),
]


@pytest.mark.parametrize(("old", "new", "said"), WRONG)
def test_a_mistake_is_named(tmp_path, old, new, said):
    text = (CFG / "sim.toml").read_text()
    assert old in text
    path = tmp_path / "wrong.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(BadConfig, match=f"wrong.toml: .*{said}"):
        load(path)


def test_the_trading_day_of_a_moment():
    ts = utc("20190628-13:30:00")
    hours = SessionHours(open="13:30", close="20:00")
    assert hours.window(ts) == hours.window(ts - 1) == (ts, utc("20190628-20:00:00"))
    assert hours.window(utc("20190628-20:00:00"))[0] == ts + DAY
