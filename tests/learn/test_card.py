"""A model's card shows the manifest's figures, needs nothing else, and says what it can't."""

import xml.etree.ElementTree as ET

import msgspec
import pytest

from algoserver.learn.card import FEW, FIGURES, render
from algoserver.learn.plots import bars, lines
from tests.learn.test_store import manifest_of

SVG = "{http://www.w3.org/2000/svg}"


def text_of(page: str) -> str:
    """All that a reader reads; the page is well-formed."""
    return " ".join("".join(ET.fromstring(page.partition("\n")[2]).itertext()).split())


def test_a_model_scored_on_few_days_says_so_beside_its_figures():
    figures = {f"{figure}_hybrid": 12.3 for figure, _ in FIGURES}
    m = msgspec.structs.replace(manifest_of(), metrics=figures | {f"{figure}_median": 45.6 for figure, _ in FIGURES})
    text = text_of(render(m, ("09:30",), {"AAPL": [1.0]}, {"bin": 1.0}))
    assert FEW in text
    assert text.count("12.3") == text.count("45.6") == len(FIGURES)
    assert "-33.3 points of the median's day ahead" in text


def test_a_model_that_was_not_measured_says_so():
    """No figure, no plot of errors."""
    page = render(msgspec.structs.replace(manifest_of(), metrics={"scored_days": 0.0}, errors_by_date={}), ("09:30",), {"AAPL": [1.0]}, {"bin": 1.0})
    assert "Nothing was measured" in text_of(page)
    assert page.count("<svg") == 2


def test_what_a_manifest_says_is_no_markup():
    page = render(msgspec.structs.replace(manifest_of(), symbols=("<b>&",), errors_by_date={}), ("09:30",), {"<b>&": [1.0]}, {"<i>": 1.0})
    assert "<b>&" in text_of(page)


def test_a_line_passes_its_numbers_and_leaves_a_gap_where_there_is_none():
    """The axis begins at 0 and ends at or above the greatest; one number alone is a dot."""
    root = ET.fromstring(lines("t", "%", ("a", "b", "c", "d"), {"x": [1.0, 3.0, float("nan"), 2.0], "y": [4.0] * 4}))
    drawn = [[tuple(map(float, p.split(","))) for p in line.get("points", "").split()] for line in root.iter(f"{SVG}polyline")]
    assert [len(run) for run in drawn] == [2, 1, 4]
    assert len(list(root.iter(f"{SVG}circle"))) == 1
    heights = {y for _, y in drawn[2]}
    assert len(heights) == 1, "equal numbers are equally high"
    # 0 is at 226 and 5, the next round number above 4, at 30.
    assert [y for _, y in drawn[0]] == pytest.approx([226 - 196 / 5, 226 - 3 * 196 / 5], abs=0.1)
    assert heights.pop() == pytest.approx(226 - 4 * 196 / 5, abs=0.1)


def test_bars_are_as_long_as_their_numbers():
    lengths = [float(r.get("width", "")) for r in ET.fromstring(bars("t", "%", {"a": 4.0, "b": 1.0, "c": 0.0})).iter(f"{SVG}rect")]
    assert lengths == pytest.approx([460, 115, 0])
    assert list(ET.fromstring(bars("t", "%", {})).iter(f"{SVG}rect")) == []
