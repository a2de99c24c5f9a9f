"""Special days are what the exchanges' calendars printed."""

from datetime import date

import pytest

from algoserver.learn.days import day_kind, easter, expiry, is_half_day


@pytest.mark.parametrize(
    "text", ["2018-07-03", "2018-11-23", "2018-12-24", "2019-07-03", "2019-11-29", "2019-12-24", "2020-11-27", "2020-12-24", "2023-07-03"]
)
def test_the_half_days_of_nyse_are_half_days(text: str):
    assert is_half_day(date.fromisoformat(text))


@pytest.mark.parametrize("text", ["2019-07-02", "2020-07-03", "2021-12-24", "2022-12-23", "2019-11-28", "2019-11-22", "2021-07-02"])
def test_holidays_and_whole_days_are_not(text: str):
    """July 3, 2020 and December 24, 2021 were holidays."""
    assert not is_half_day(date.fromisoformat(text))


@pytest.mark.parametrize(("month", "day"), [((2019, 1), 18), ((2019, 3), 15), ((2019, 4), 18), ((2019, 6), 21), ((2022, 4), 14), ((2024, 3), 15)])
def test_expiry_is_the_third_friday_or_the_thursday_before_a_good_friday(month: tuple[int, int], day: int):
    assert expiry(*month) == date(*month, day)


@pytest.mark.parametrize("text", ["2018-04-01", "2019-04-21", "2022-04-17", "2024-03-31", "2025-04-20"])
def test_easter(text: str):
    assert easter(int(text[:4])) == date.fromisoformat(text)


def test_a_day_s_kind():
    kind = day_kind(date(2019, 3, 15))
    assert (kind.weekday, kind.is_expiry, kind.is_quarter_expiry, kind.is_half_day, kind.is_rebalance) == (4, True, True, False, False)
    assert day_kind(date(2019, 6, 28)).is_rebalance
    assert day_kind(date(2019, 5, 17)).is_expiry
    assert not day_kind(date(2019, 5, 17)).is_quarter_expiry
