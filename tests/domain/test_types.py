"""Units and their text: exact both ways, against Decimal and datetime."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoserver.domain.types import (
    DAY,
    NUMBER_CHARS_MAX,
    SECOND,
    Side,
    clock_text,
    date_text,
    ppm,
    ppm_text,
    px,
    px_text,
    qty,
    qty_text,
    utc,
    utc_text,
)

SEEDED = settings(max_examples=300, deadline=None, derandomize=True)
units = st.integers(-(10**18), 10**18)
# Years 1970 to 2261: what 64 bits of nanoseconds hold.
moments = st.integers(0, 9_214_646_399 * SECOND)


@SEEDED
@given(units)
def test_a_price_is_its_text(value: int):
    """There and back, and the same number that Decimal reads; no zero too many."""
    text = px_text(value)
    assert px(text) == value
    assert Decimal(text) * 10**8 == value
    assert "." not in text or text[-1] not in "0."


@SEEDED
@given(units, st.integers(0, 8))
def test_a_quantity_is_its_text(value: int, decimals: int):
    """In every unit."""
    assert qty(qty_text(value, decimals), decimals) == value
    assert Decimal(qty_text(value, decimals)) * 10**decimals == value


@SEEDED
@given(st.integers(-(10**9), 10**9))
def test_a_share_is_its_text(value: int):
    """A fraction of a million."""
    assert ppm(ppm_text(value)) == value
    assert Decimal(ppm_text(value)) * 10**6 == value


@SEEDED
@given(st.text(st.sampled_from("0123456789.-+ e_١"), max_size=28), st.integers(0, 8))
def test_number_text_is_exact_or_an_error(text: str, decimals: int):
    """Whatever is accepted is what Decimal reads, to the last digit; nothing else raises but ValueError."""
    try:
        value = qty(text, decimals)
    except ValueError:
        return
    assert len(text) <= NUMBER_CHARS_MAX
    try:
        assert Decimal(text) * 10**decimals == value
    except InvalidOperation:
        pytest.fail(f"{text!r} is no number")


@pytest.mark.parametrize("text", ["", "-", ".", "-.", "1e3", "+1", " 1", "1 ", "1_0", "١", "0x1", "1.2.3", "NaN", "inf", "--1", "1" * 25])
def test_what_is_no_number_is_an_error(text: str):
    """FIX numbers are ASCII digits, a point, a minus."""
    with pytest.raises(ValueError, match=r"not a number|exceeds"):
        px(text)


def test_a_digit_beyond_the_unit_is_an_error_and_never_rounded():
    """A ninth decimal of a price; a zero there is none."""
    assert px("1.000000010") == 100_000_001
    for text, decimals in (("1.000000001", 8), ("0.5", 0), ("0.0000011", 6)):
        with pytest.raises(ValueError, match="decimals"):
            qty(text, decimals)


def test_points_may_stand_alone():
    """FIX admits .5 and 5. and leading zeros."""
    assert [px(t) for t in (".5", "5.", "005", "-0.5", "-0")] == [50_000_000, 500_000_000, 500_000_000, -50_000_000, 0]


@SEEDED
@given(moments)
def test_a_moment_is_its_text(ts: int):
    """Milliseconds, cut and never rounded up, as datetime has them."""
    text = utc_text(ts)
    assert utc(text) == ts - ts % 1_000_000
    # datetime has microseconds.
    expected = datetime.fromtimestamp(ts // SECOND, UTC).replace(microsecond=ts % SECOND // 1_000_000 * 1_000)
    assert text == expected.strftime("%Y%m%d-%H:%M:%S.") + f"{expected.microsecond // 1_000:03d}"
    assert date_text(ts) == expected.strftime("%Y-%m-%d")
    assert clock_text(ts) == expected.strftime("%H:%M:%S")


@SEEDED
@given(moments, st.integers(0, 9))
def test_a_fraction_of_a_second_has_up_to_nine_digits(ts: int, digits: int):
    """To the nanosecond."""
    whole = utc_text(ts).partition(".")[0]
    fraction = f"{ts % SECOND:09d}"[:digits]
    assert utc(f"{whole}.{fraction}" if digits else whole) == ts // SECOND * SECOND + int(fraction.ljust(9, "0"))


@SEEDED
@given(st.text(st.sampled_from("0123456789-:. "), max_size=24))
def test_time_text_is_a_moment_or_an_error(text: str):
    """Nothing but ValueError comes of garbage."""
    try:
        utc(text)
    except ValueError:
        return
    datetime.strptime(text[:17], "%Y%m%d-%H:%M:%S")


@pytest.mark.parametrize(
    "text",
    [
        "20190229-00:00:00", "20190431-00:00:00", "20190001-00:00:00", "20191301-00:00:00", "20190100-00:00:00", "19691231-23:59:59",
        "20190101-24:00:00", "20190101-23:60:00", "20161231-23:59:60", "20190101-1:00:00", "20190101", "20190101-00:00:00.",
        "2019011-000:00:00", "20190101-00:00:00.1234567890", "20190101-00:00:00Z", "20190101-00:00", "",
    ],
)  # fmt: skip
def test_what_is_no_moment_is_an_error(text: str):
    """Of the calendar or of the format; a leap second has no place in UTC nanoseconds."""
    with pytest.raises(ValueError, match="not a"):
        utc(text)


def test_leap_years_are_the_gregorian_ones():
    """2000 and 2024 have a 29th of February, 2100 has none."""
    assert utc("20000301-00:00:00") - utc("20000229-00:00:00") == DAY
    assert utc("20240301-00:00:00") - utc("20240229-00:00:00") == DAY
    with pytest.raises(ValueError, match="calendar"):
        utc("21000229-00:00:00")


def test_a_short_sale_is_a_sale():
    """For every sign."""
    assert [side.sign for side in (Side.BUY, Side.SELL, Side.SELL_SHORT)] == [1, -1, -1]
