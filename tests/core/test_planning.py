"""Windows, curves and the sentence at accept."""

from typing import Any

import msgspec
import pytest

from algoserver.core import planning
from algoserver.core.algos.schedule import Window
from algoserver.domain.commands import ReportParent, RequestForecast
from algoserver.domain.events import ForecastReady, ParentRequested
from algoserver.domain.params import AlgoParams
from algoserver.domain.policy import InstrumentSetup, SessionHours
from algoserver.domain.types import DAY, MINUTE, SECOND, Denied, ExecType, OrdType, Side, Strategy, TimeInForce, utc
from tests.core.day import AAPL, ALGO, FLAT_26, HOURS, OPEN_TS, Day, policy_loaded

MIDNIGHT = OPEN_TS // DAY * DAY
CLOSE = MIDNIGHT + HOURS.close_ns
ALWAYS = SessionHours(0, DAY)


def _window(ts: int = OPEN_TS, hours: SessionHours = HOURS, **params: int) -> Window | Denied:
    event = ParentRequested(
        session="C", cl_ord_id="X", symbol="AAPL", side=Side.BUY, order_qty=1, ord_type=OrdType.MARKET, price=0,
        time_in_force=TimeInForce.DAY, strategy=1, params=AlgoParams(**params), ts=ts,
    )  # fmt: skip
    return planning.window(policy_loaded(hours=hours), event)


def _span(**given: Any) -> tuple[int, int]:
    window = _window(**given)
    assert isinstance(window, Window), window
    return window.start_ts, window.end_ts


def _code(**given: Any) -> str:
    window = _window(**given)
    assert isinstance(window, Denied)
    return window.code


def test_no_wish_is_now_until_the_close():
    """The defaults of start and end."""
    assert _span(ts=OPEN_TS + 7) == (OPEN_TS + 7, CLOSE)


def test_a_start_in_the_past_is_now():
    """The one wish that is bent."""
    assert _span(ts=OPEN_TS + MINUTE, start_ts=OPEN_TS) == (OPEN_TS + MINUTE, CLOSE)


def test_before_the_open_it_waits_for_the_open_and_after_the_close_it_ends_with_it():
    """The window lies inside the session."""
    assert _span(ts=OPEN_TS - MINUTE, end_ts=CLOSE + MINUTE) == (OPEN_TS, CLOSE)


def test_an_end_that_can_not_be_is_refused():
    """At equality, too."""
    assert _code(start_ts=OPEN_TS + 9, end_ts=OPEN_TS + 9) == "end_before_start"
    assert _code(end_ts=OPEN_TS) == "end_in_the_past"
    assert _span(end_ts=OPEN_TS + 1) == (OPEN_TS, OPEN_TS + 1)


def test_a_closed_market_is_said_to_be_closed():
    """After the close; at the close; an end before the open; a start on another day."""
    assert _code(ts=CLOSE) == "exchange_closed"
    assert _code(ts=CLOSE + 1) == "exchange_closed"
    assert _code(ts=OPEN_TS - 2 * MINUTE, end_ts=OPEN_TS - MINUTE) == "exchange_closed"
    assert _code(start_ts=OPEN_TS + DAY) == "exchange_closed"


def test_a_market_that_never_closes_takes_any_window():
    """Across midnight, and without an end until the end of the start's day."""
    late = MIDNIGHT + DAY - MINUTE
    assert _span(ts=late, hours=ALWAYS, end_ts=late + 60 * MINUTE) == (late, late + 60 * MINUTE)
    assert _span(ts=late, hours=ALWAYS) == (late, MIDNIGHT + DAY)
    assert _span(ts=late, hours=ALWAYS, start_ts=MIDNIGHT + DAY + MINUTE) == (MIDNIGHT + DAY + MINUTE, MIDNIGHT + 2 * DAY)


def test_a_market_that_never_closes_takes_no_window_beyond_half_a_year():
    """A year 9999 is a mistyped date: the order would stand in the books, and in its client's, for good. At the bound itself it may."""
    most, far = OPEN_TS + 180 * DAY, utc("99991231-00:00:00")
    assert _span(hours=ALWAYS, start_ts=most - MINUTE, end_ts=most) == (most - MINUTE, most)
    assert _span(hours=ALWAYS, start_ts=most)[0] == most
    assert [_code(hours=ALWAYS, **{name: ts}) for name in ("start_ts", "end_ts") for ts in (most + 1, far)] == ["too_far_ahead"] * 4
    denied = _window(hours=ALWAYS, start_ts=far)
    assert denied.text == "StartTime (168) 99991231-00:00:00.000 is more than 180 days ahead; it is 20190628-13:30:00.000 UTC market time"
    assert _span(end_ts=far) == (OPEN_TS, CLOSE)


def test_a_market_that_never_closes_takes_an_order_in_its_last_moment():
    """A nanosecond before midnight the default end is a second away, not now."""
    ts = MIDNIGHT + DAY - 1
    assert _span(ts=ts, hours=ALWAYS) == (ts, ts + SECOND)


def _text(day: Day) -> str:
    day.quote()
    (report, *_) = [c for c in day.parent("P1", 1_000, Strategy.VWAP, minutes=380) if isinstance(c, ReportParent)]
    return report.text


FRONT = (900_000, 100_000)


@pytest.mark.parametrize(
    ("forecast", "said"),
    [
        (None, "static curve (no forecast yet)"),
        ({"curve": (), "text": "no recorded days"}, "static curve (no recorded days)"),
        ({"curve": FRONT, "trained_through": "2019-06-01"}, "static curve (model m1 ends 2019-06-01, too old)"),
        ({"curve": FRONT, "trained_through": "2019-06-27"}, "curve m1 through 2019-06-27"),
    ],
)
def test_the_plan_says_by_whose_curve(forecast: dict[str, Any] | None, said: str):
    """The forecast if it is there and young enough, else the static curve and why."""
    day = Day()
    if forecast:
        day.feed(ForecastReady(symbol="AAPL", date="2019-06-28", model="m1", **forecast))
    assert f", {said}, then CANCEL." in _text(day)
    plan = day.state.works[day.order().parent_id].schedule
    assert (len(plan.moments) <= 3) == (said == "curve m1 through 2019-06-27")


def test_a_forecast_as_old_as_allowed_is_used():
    """At equality; a nanosecond older is too old."""
    ts = utc("20190628-00:00:00") + 13 * 3_600 * SECOND + 30 * MINUTE
    for age_max, is_used in ((ts - utc("20190620-00:00:00") + 10**9, True), (ts - utc("20190620-00:00:00") - 1, False)):
        day = Day(policy_loaded(algo=msgspec.structs.replace(ALGO, forecast_age_ns_max=age_max)))
        day.feed(ForecastReady(symbol="AAPL", date="2019-06-28", model="m1", curve=FLAT_26, trained_through="2019-06-20"))
        assert ("curve m1 through" in _text(day)) == is_used


def test_a_forecast_is_asked_for_until_it_is_here():
    """At the policy and with the first order of a day; once it is here, no more. It carries its features."""
    setup = policy_loaded(instruments=(InstrumentSetup(AAPL, ("2019-06-26", "2019-06-27"), ((1, 2), (3, 4))),))
    day = Day(setup)
    asked = RequestForecast(
        symbol="AAPL", date="2019-06-28", weekday=4, history_dates=("2019-06-26", "2019-06-27"), history=((1, 2), (3, 4))
    )
    assert day.commands == [asked]
    day.feed(ForecastReady(symbol="AAPL", date="2019-06-28", model="m1", curve=FLAT_26, trained_through="2019-06-27"))
    day.quote()
    day.parent("P1")
    assert [c for c in day.commands if isinstance(c, RequestForecast)] == [asked]


def test_the_plan_of_each_algo_is_one_sentence():
    """What, how much, when, at which pace, under which cap, and what then."""
    day = Day()
    day.quote()
    day.parent("A", 500, Strategy.POV, target_pct_vol=125_000, max_pct_vol=200_000)
    day.parent("B", 500, Strategy.TWAP, time_in_force=TimeInForce.IOC)
    assert [r.text for r in day.reports() if r.exec_type is ExecType.NEW] == [
        "POV: BUY 500 AAPL 13:30:00 to 13:40:00 UTC, at 12.5 % of volume, at most 20 % of volume, then CANCEL.",
        "TWAP: BUY 500 AAPL at once (IOC), what is shown within the limit.",
    ]
