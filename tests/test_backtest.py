"""Algos on recorded days: the realised curve stays in the planned band and participation below its cap, in market time."""

from pathlib import Path

import msgspec
import pytest

from algoserver.backtest import Backtest
from algoserver.config import load
from algoserver.core.algos.schedule import Schedule, band, planned
from algoserver.domain.commands import CancelChild
from algoserver.domain.events import PolicyLoaded
from algoserver.domain.policy import SessionHours
from algoserver.domain.types import MINUTE, PPM_ONE, PX_ONE, SECOND, OrdStatus, OrdType, Strategy, ppm, px, utc
from algoserver.journal import Journal
from algoserver.recovery import replay
from algoserver.sim.config import HaltConfig, Scenario
from algoserver.sim.config import load as load_scenario
from algoserver.sim.flow import Flow
from algoserver.sim.volume import VolumePath, recorded_bins
from tests.core.day import Day

CFG = Path(__file__).resolve().parents[1] / "cfg"
DAYS = ["2019-06-05", "2019-06-14", "2019-06-28"]
SESSION = 390 * MINUTE
LOT, TICK = 100, PX_ONE // 100


def setup() -> PolicyLoaded:
    """The default server's decisions on the recorded session; no limit on a parent's size, which is not what is tested."""
    decided = load(CFG / "server.toml").setup
    replace = msgspec.structs.replace
    policy = replace(decided.policy, parent_value_max=10**12 * PX_ONE, parent_adv_ppm_max=PPM_ONE)
    return replace(decided, policy=policy, hours=SessionHours(13 * 60 * MINUTE + 30 * MINUTE, 20 * 60 * MINUTE))


def market(symbol: str, day: str) -> Scenario:
    """The demo's market in one symbol, on another recorded day."""
    scenario = load_scenario(CFG / "demo-sim.toml")
    (one,) = (i for i in scenario.instruments if i.symbol == symbol)
    assert one.flow is not None
    replace = msgspec.structs.replace
    return replace(scenario, instruments=[replace(one, flow=replace(one.flow, day=day))])


def still(scenario: Scenario) -> Scenario:
    """The same market with a reference price that does not move by itself."""
    (one,) = scenario.instruments
    assert one.flow is not None
    replace = msgspec.structs.replace
    return replace(scenario, instruments=[replace(one, flow=replace(one.flow, sigma_daily=0.0))])


class Run:
    """One parent, worked from `at` minutes after the open for `minutes`; its size is `share` of the recorded volume in that time.

    away_minutes: a buy limit is 15 ticks below a market that stands still, until it falls by 30 ticks after so many minutes.
    """

    def __init__(
        self, symbol: str, day: str, at: int, minutes: int, share: str, cap: str, strategy: int = Strategy.VWAP, seed: int | None = None,
        after: int = 0, away_minutes: int = 0, journal: Journal | None = None, **params: object,
    ) -> None:  # fmt: skip
        open_ts = utc(f"{day.replace('-', '')}-13:30:00")
        path = VolumePath(recorded_bins(symbol, day), SESSION)
        volume = path.cumulated((at + minutes) * MINUTE) - path.cumulated(at * MINUTE)
        self.qty = int(volume) * ppm(share) // PPM_ONE // LOT * LOT
        self.start, self.end = open_ts + at * MINUTE, open_ts + (at + minutes) * MINUTE
        self.cap = ppm(cap)
        scenario = still(market(symbol, day)) if away_minutes else market(symbol, day)
        self.bt = Backtest(setup(), scenario, self.start - 30 * SECOND, seed, journal=journal)
        self.bt.run(self.start - 10 * SECOND)
        bids, _ = self.bt.exchange.book("XLIT1", symbol)
        price = bids[0][0] - 15 * TICK if away_minutes else 0
        times = {"start_ts": self.start, "end_ts": self.end, "max_pct_vol": self.cap}
        self.bt.parent("P1", symbol, self.qty, strategy, price=price, **times, **params)
        self.bt.run(self.start - SECOND)
        work = self.bt.state.works[self.bt.order("P1").parent_id]
        self.schedule: Schedule = work.schedule
        self.slice_ns = work.slice_ns
        if away_minutes:
            self.bt.run(self.start + away_minutes * MINUTE)
            crowd = self.bt.exchange._sources[symbol]  # from inside: a scenario's prices only diffuse, none falls at a given minute
            assert isinstance(crowd, Flow)
            crowd._ref -= 30
        self.bt.run(self.end + max(after, 5) * MINUTE)
        self.done, self.prints = self.bt.done("P1"), self.bt.prints[symbol]

    @property
    def cum_qty(self) -> int:
        return self.bt.order("P1").order.cum_qty

    @property
    def status(self) -> OrdStatus:
        return self.bt.order("P1").order.status

    def above_cap(self) -> list[object]:
        """Every trailing five minutes in which our share was above the cap."""
        return [s for s in self.bt.participation("P1") if s.is_above(self.cap)]

    def outside(self) -> list[int]:
        """Slice boundaries at which what is done is outside the planned band."""
        found = []
        for ts in range(self.start + self.slice_ns, self.end + 1, self.slice_ns):
            least, most = band(self.schedule, self.slice_ns, ts)
            if not least <= self.done.at(ts) <= most:
                found.append(ts)
        return found

    def is_capped(self, boundary: int) -> bool:
        """Whether in the slice before `boundary` one lot more would have been above the cap of some window, a minute or longer."""
        for ts in range(boundary - self.slice_ns, boundary + 1, SECOND):
            for length in (60, 90, 120, 150, 180, 210, 240, 270, 300):
                since = max(self.start, ts - length * SECOND)
                ours, volume = self.done.at(ts) - self.done.at(since), self.prints.at(ts) - self.prints.at(since)
                if (ours + LOT) * PPM_ONE > self.cap * volume:
                    return True
        return False

    def share(self, since: int = 0, until: int = 0) -> float:
        since, until = since or self.start, until or self.end
        return (self.done.at(until) - self.done.at(since)) / (self.prints.at(until) - self.prints.at(since))


def assert_in_band(run: Run) -> None:
    outside = run.outside()
    assert [ts for ts in outside if not run.is_capped(ts)] == []
    # Where the cap leaves room on average, it binds in lulls only.
    assert len(outside) * 10 <= (run.end - run.start) // run.slice_ns


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize(
    ("symbol", "at", "minutes", "share", "cap"),
    [("AAPL", 60, 30, "0.08", "0.12"), ("ADBE", 120, 60, "0.08", "0.15"), ("GE", 120, 45, "0.1", "0.2")],
)
def test_vwap_follows_its_curve_below_its_cap(symbol: str, at: int, minutes: int, share: str, cap: str, day: str) -> None:
    """At every slice boundary within one slice of the plan, never above MaxPctVol over five minutes, and done at the end."""
    run = Run(symbol, day, at, minutes, share, cap)

    assert run.above_cap() == []
    assert_in_band(run)
    assert (run.cum_qty, run.status) == (run.qty, OrdStatus.FILLED)
    assert "curve median20" in run.bt.reports[0].text


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("symbol", ["AAPL", "ADBE", "GE"])
def test_the_cap_binds_harder_than_the_plan(symbol: str, day: str) -> None:
    """An order that needs 30 % of the volume under a cap of 10 % trades near 10 %, never above, and is canceled with a rest."""
    run = Run(symbol, day, at=100, minutes=20, share="0.3", cap="0.1", seed=1)

    assert run.above_cap() == []
    assert run.status is OrdStatus.CANCELED
    assert 0.07 < run.share() <= 0.1


@pytest.mark.parametrize("symbol", ["AAPL", "ADBE"])
def test_twap_keeps_its_line(symbol: str) -> None:
    """Equal quantity in equal time, within a slice, below the cap."""
    run = Run(symbol, "2019-06-14", at=120, minutes=30, share="0.08", cap="0.2", strategy=Strategy.TWAP)

    assert run.schedule.totals == (0, run.qty)
    assert run.above_cap() == []
    assert_in_band(run)
    assert run.cum_qty == run.qty


@pytest.mark.parametrize(("symbol", "tolerance"), [("AAPL", 0.01), ("GE", 0.02)])
def test_pov_holds_its_share(symbol: str, tolerance: float) -> None:
    """A tenth of the volume, over the whole and over every five minutes that are over."""
    run = Run(symbol, "2019-06-28", at=100, minutes=30, share="0.5", cap="0.15", strategy=Strategy.POV, target_pct_vol=100_000)

    assert run.above_cap() == []
    assert run.share() == pytest.approx(0.1, abs=tolerance / 2)
    for ts in range(run.start + 5 * MINUTE, run.end + 1, MINUTE):
        assert run.share(ts - 5 * MINUTE, ts) == pytest.approx(0.1, abs=tolerance)


def at_the_close(symbol: str, day: str, at: int, share_of_auction: float, strategy: int, **params: object) -> Backtest:
    """An order from `at` minutes after the open to the close, as large as a share of the expected closing auction."""
    open_ts = utc(f"{day.replace('-', '')}-13:30:00")
    bt = Backtest(setup(), market(symbol, day), open_ts + (at - 1) * MINUTE)
    (instrument,) = bt.setup.instruments
    expected = instrument.instrument.adv * bt.setup.algo.closing_ppm // PPM_ONE
    bt.parent("P1", symbol, int(expected * share_of_auction) // LOT * LOT, strategy, ts=open_ts + at * MINUTE, **params)
    bt.run(open_ts + SESSION + 2 * MINUTE)
    return bt


@pytest.mark.parametrize("symbol", ["ADBE", "GE"])
def test_close_trades_at_the_close_what_the_auction_bears_and_the_rest_just_before(symbol: str) -> None:
    """A quarter of the expected auction is the cap: that much at the auction's price, the rest in the last part of the day."""
    bt = at_the_close(symbol, "2019-06-14", at=330, share_of_auction=0.35, strategy=Strategy.CLOSE, urgency=1)
    order, close_ts = bt.order("P1"), bt.order("P1").end_ts
    in_auction = [f for f in bt.fills if f.ts == close_ts]

    assert (order.order.status, order.order.cum_qty) == (OrdStatus.FILLED, order.order.order_qty)
    assert len({f.last_px for f in in_auction}) == 1
    assert sum(f.last_qty for f in in_auction) == pytest.approx(order.order.order_qty * 0.25 / 0.35, abs=LOT)
    assert bt.done("P1").moments[0] > order.start_ts + 10 * MINUTE
    assert bt.alerts == []


def test_vwap_takes_part_in_the_auction_where_it_is_asked_to() -> None:
    """Its fills there are the auction's part of what was still to come, and what is done before the close is the rest."""
    bt = at_the_close("ADBE", "2019-06-14", at=360, share_of_auction=0.2, strategy=Strategy.VWAP, close_auction=True)
    order = bt.order("P1")
    kept = bt.done("P1").at(order.end_ts) - bt.done("P1").at(order.end_ts - 1)

    assert order.order.status is OrdStatus.FILLED
    assert 0.25 < kept / order.order.order_qty < 0.55  # 8 % in the auction, 11 to 16 % in the last half hour by the curve


@pytest.mark.parametrize(("strategy", "params"), [(Strategy.IS, {}), (Strategy.POV, {"target_pct_vol": 20_000})])
def test_an_order_before_the_open_trades_in_the_opening_and_goes_on_with_the_rest(strategy: int, params: dict[str, int]) -> None:
    """Before any quote, by the previous close alone; what it kept trades at one price, and the plan goes on from there."""
    open_ts = utc("20190628-13:30:00")
    bt = Backtest(setup(), market("AAPL", "2019-06-28"), open_ts - 3 * MINUTE)
    bt.parent("P1", "AAPL", 500_000, strategy, ts=open_ts - 2 * MINUTE, open_auction=True, **params)
    bt.run(open_ts - SECOND)
    (work,) = bt.state.works.values()
    kept = work.opening_qty
    bt.run(open_ts + 3 * MINUTE)
    in_auction = [f for f in bt.fills if f.ts == open_ts]

    assert sum(f.last_qty for f in in_auction) == kept > 0
    assert len({f.last_px for f in in_auction}) == 1
    assert bt.order("P1").order.cum_qty > kept
    assert bt.state.works[bt.order("P1").parent_id].opening_qty == 0
    assert bt.alerts == []


def test_liquidity_has_the_dark_alone_first_and_finishes_in_the_light() -> None:
    """Half an hour by Urgency 3: until a minute before half time only XDARK1 fills, by MinExecQty at least; then lit does the rest."""
    run = Run("ADBE", "2019-06-14", at=100, minutes=30, share="0.08", cap="0.3", strategy=Strategy.LIQUIDITY, min_exec_qty=250)

    hidden = [f for f in run.bt.fills if f.venue == "XDARK1"]
    shown = [f for f in run.bt.fills if f.venue != "XDARK1"]
    assert (run.cum_qty, run.status, run.above_cap()) == (run.qty, OrdStatus.FILLED, [])
    assert sum(f.last_qty for f in hidden) > run.qty // 5
    assert min(f.ts for f in shown) >= run.start + 14 * MINUTE
    tails = [run.bt.state.children[f.child_id].order for f in hidden if f.last_qty < 250]
    assert all(o.cum_qty == o.order_qty for o in tails), "a small execution that was not a child's last"
    assert run.bt.alerts == []


def test_a_vwap_with_a_dark_share_finishes_below_its_cap() -> None:
    """A third of what remains rests at XDARK1, and everything is done in time; the venue hears of it now and then, not each second."""
    run = Run("AAPL", "2019-06-28", at=100, minutes=20, share="0.06", cap="0.2", dark_pct=330_000, min_exec_qty=1_000)

    assert (run.cum_qty, run.status, run.above_cap()) == (run.qty, OrdStatus.FILLED, [])
    children = [c for c in run.bt.state.children.values() if c.is_dark]
    assert sum(c.order.cum_qty for c in children) > run.qty // 5
    assert len(children) < 20 * 60 / 15
    assert run.bt.alerts == []


def test_completion_hard_finishes_what_cancel_gives_up() -> None:
    """What the cap kept back until the end is traded after it with HARD, still below the cap, and canceled without."""
    wish = {"symbol": "AAPL", "day": "2019-06-28", "at": 100, "minutes": 10, "share": "0.12", "cap": "0.1"}
    given_up, finished = Run(**wish), Run(**wish, after=10, completion="HARD")

    assert (given_up.status, given_up.done.at(given_up.end) < given_up.qty) == (OrdStatus.CANCELED, True)
    assert (finished.status, finished.cum_qty) == (OrdStatus.FILLED, finished.qty)
    assert finished.done.at(finished.end) < finished.qty
    assert given_up.above_cap() == finished.above_cap() == []


def test_a_limit_away_from_the_market_is_kept_and_catch_up_decides() -> None:
    """Nothing trades beyond the limit. What was lost while the market was away is made up with CatchUp=Y, forgiven with N."""
    wish = {"symbol": "AAPL", "day": "2019-06-28", "at": 100, "minutes": 30, "share": "0.06", "cap": "0.2"}
    made_up, forgiven = Run(**wish, away_minutes=8, catch_up=True), Run(**wish, away_minutes=8, catch_up=False)

    for run in (made_up, forgiven):
        assert max(f.last_px for f in run.bt.fills) <= run.bt.order("P1").price
        assert run.above_cap() == []
        assert run.done.moments[0] > run.start + 8 * MINUTE
    # What rests at the limit meanwhile is not lost: by catch_up_factor at most three slices, and the one that is under way.
    lost = planned(forgiven.schedule, forgiven.start + 8 * MINUTE - 4 * forgiven.slice_ns)
    assert lost > LOT
    assert forgiven.cum_qty <= forgiven.qty - lost + LOT
    assert made_up.cum_qty == made_up.qty


def test_the_same_seed_writes_the_same_journal(tmp_path: Path) -> None:
    """Two runs are equal byte for byte, another seed is not, and a replay makes every decision again."""
    journals = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        with Journal(tmp_path / name) as journal:
            Run("ADBE", "2019-06-14", at=120, minutes=5, share="0.08", cap="0.2", seed=seed, journal=journal)
        journals.append([(p.name, p.read_bytes()) for p in sorted((tmp_path / name).glob("*.log"))])

    assert journals[0] == journals[1] != journals[2]
    assert replay(tmp_path / "a").outputs > 0


def test_the_core_sees_no_day_that_is_not_over() -> None:
    """Recorded volume of the day itself and of later days is not in the history that the forecast looks back on."""
    bt = Backtest(setup(), market("AAPL", "2019-06-14"), utc("20190614-14:00:00"))

    (history,) = bt.setup.instruments
    assert history.history_dates[-1] == "2019-06-13"
    assert len(history.history) == len(history.history_dates)


def test_a_resting_child_is_taken_back_when_the_cap_shrinks() -> None:
    """Volume that is five minutes old gives no room any more: what it let out may not trade on it later."""
    day = Day()
    day.quote()
    day.parent("P1", 10_000, Strategy.TWAP, minutes=60, max_pct_vol=100_000, ord_type=OrdType.LIMIT, price=px("199"))
    for _ in range(70):
        day.trade(1_000)
        day.wait(SECOND)
    rested = set(day.order().open_children)
    assert rested

    day.quote()
    day.wait(6 * MINUTE)

    assert rested <= {c.child_id for c in day.commands if isinstance(c, CancelChild)}


def test_a_plan_pauses_with_a_halted_market_and_finishes_in_its_window():
    """VWAP over two hours, halted for twenty minutes in the middle: not a share meanwhile, no rush after it, all done."""
    scenario = market("AAPL", "2019-06-28")
    halt = HaltConfig(symbol="AAPL", begin="15:30:00", seconds=1200)
    scenario = msgspec.structs.replace(scenario, halts=[halt])
    begin, end = utc("20190628-14:30:00"), utc("20190628-16:30:00")
    bt = Backtest(setup(), scenario, begin - 30 * SECOND)
    bt.run(begin)
    bt.parent("P1", "AAPL", 100_000, Strategy.VWAP, end_ts=end, max_pct_vol=ppm("0.2"))
    bt.run(end + MINUTE)
    halt_ts, over_ts = utc("20190628-15:30:00"), utc("20190628-15:50:00")
    done = bt.done("P1")
    assert 0 < done.at(halt_ts) == done.at(over_ts) < done.at(over_ts + 5 * MINUTE)
    # What is left is spread over the rest of the window: five minutes of forty bring an eighth, by the curve and a slice ahead.
    assert done.at(over_ts + 5 * MINUTE) - done.at(over_ts) < (100_000 - done.at(over_ts)) // 4
    assert bt.order("P1").order.status is OrdStatus.FILLED
    venues = len(bt.setup.venues)
    assert [a.code for a in bt.alerts] == ["halted"] * venues + ["halt_lifted"] * venues
    assert not any(s.is_above(ppm("0.2")) for s in bt.participation("P1"))
