"""The notebook under docs/ is executed cell by cell, and says what it says there."""

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbformat import NotebookNode

from algoserver.learn.judge import COVERAGE
from algoserver.learn.volumes import read_volumes
from algoserver.recorded import VOLUME_DIR
from tools.notebook import NOTEBOOK, executed

# What the cells have left behind, told by one cell more.
WITNESS = """
print(json.dumps({
    "place": place.name, "there": sorted(p.name for p in Path().iterdir()), "scores": scores, "first": first, "second": second,
    "differences": [[*key, *value] for key, value in differences.items()], "compared": compared, "listed": listed, "promoted": promoted,
    "history": [p.name for p in Registry(Path("models")).history(CHAMPION)], "taken": [taken.name, taken.sha256, taken.text],
    "manifest": model.sha256, "before": before, "without": without, "after": after, "refused": refused, "evaluated": evaluated,
    "asked": [str(day), now, came.tolist()], "morning": [h.tolist() for h in (morning.p10, morning.p50, morning.p90)],
    "later": [h.tolist() for h in (later.p10, later.p50, later.p90)], "rows": rows, "curve": curve,
}, default=str))
"""


@pytest.fixture(scope="module")
def committed() -> NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def again() -> NotebookNode:
    """Executed now."""
    return executed(WITNESS)


@pytest.fixture(scope="module")
def told(again: NotebookNode) -> dict[str, Any]:
    return json.loads(again.cells[-1].outputs[0].text)


def test_every_cell_says_again_what_it_says_on_the_page(committed: NotebookNode, again: NotebookNode):
    """Text by text, kind by kind. A model's name is its bytes', and another processor's may be others: names count by their order."""
    on_page, now = said(committed), said(again)[:-1]
    assert [n for n, _, _ in on_page] == list(range(1, len(on_page) + 1)), "executed once, from the first cell to the last"
    assert now == on_page
    assert sum("image/png" in kinds for _, kinds, _ in on_page) == 3


def test_a_reader_elsewhere_learns_nothing_of_this_machine(committed: NotebookNode):
    """No absolute path, no time of a run, no Python of somebody's; all dates are the recording's. And it is small enough to be looked at."""
    text = "\n".join(text for _, _, text in said(committed))
    assert re.findall(r"(?<![\w.:/])/\w+/\S*", text) == []
    assert set(re.findall(r"\b20\d\d\b", text)) == {"2019"}
    assert dict(committed.metadata) == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert {json.dumps(cell.metadata) for cell in committed.cells} == {"{}"}
    assert NOTEBOOK.stat().st_size < 400_000
    prose = "\n".join(cell.source for cell in committed.cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)#]+)\)", prose)
    assert set(links) == {"forecasts.md", "models.md", "data.md"}
    assert [link for link in links if not (NOTEBOOK.parent / link).exists()] == []


def test_all_that_it_writes_is_in_a_place_of_its_own_that_is_gone(told: dict[str, Any]):
    assert told["there"] == ["XYZ.csv", "bars", "cfg", "models", "recorded", "sessions"]
    assert not Path(told["place"]).exists()


def test_what_is_said_of_the_days_is_so():
    """By the files alone: the shape, the Friday, how far a day's volume goes and that it goes on the next day."""
    for one in read_volumes(VOLUME_DIR):
        shares = one.bins / one.bins.sum(axis=1, keepdims=True)
        middle = np.median(shares, axis=0)
        assert "12:00" < one.bin_starts[int(middle.argmin())] < "14:15"
        assert min(middle[0], middle[-1]) > 2 * middle.min()
        rank = int((shares[:, 0] > shares[[d.isoformat() for d in one.dates].index("2019-06-21"), 0]).sum())
        assert (one.symbol, len(one.dates), rank if rank in (0, 61) else None) == (one.symbol, 124, 61 if one.symbol == "GE" else 0)
        day = one.bins.sum(axis=1)
        level = np.log([day[n] / np.median(day[n - 20 : n]) for n in range(20, len(day))])
        assert (0.45 < np.exp(level.min()) < 0.55, 3 < np.exp(level.max()) < 4.6) == (True, True)
        assert 0.45 < np.corrcoef(level[1:], level[:-1])[0, 1] < 0.6


def test_the_models_differ_as_the_prose_says(told: dict[str, Any]):
    """The median's error once more without the code under test; about half of a distance goes away, one point is left; training measures the same."""
    scores = told["scores"]
    errors = [
        abs(np.median(one.bins[day - 20 : day], axis=0) - one.bins[day]) / one.bins[day]
        for one in read_volumes(VOLUME_DIR)
        for day in range(104, 114)
    ]
    assert scores["median"]["mape_day_ahead"] == pytest.approx(100 * np.mean(errors))
    for horizon in ("day_ahead", "one_bin"):
        own, median = (scores["kalman"][f"{f}_{horizon}"] - scores["hybrid"][f"{f}_{horizon}"] for f in ("mape", "mape_p50"))
        assert 0.4 < median / own < 0.6
        assert all(COVERAGE[0] <= scores[m][f"coverage_{horizon}"] <= COVERAGE[1] for m in ("kalman", "hybrid"))
        assert told["second"][f"mape_{horizon}"] == round(scores["hybrid"][f"mape_{horizon}"], 2)
    assert scores["kalman"]["mape_p50_one_bin"] - scores["hybrid"]["mape_p50_one_bin"] == pytest.approx(1, abs=0.25)
    assert max(scores[m]["mape_one_bin"] for m in ("kalman", "hybrid")) < scores["median"]["mape_one_bin"] - 10
    assert [(h, m) for h, m, points, error in told["differences"] if points + 1.645 * error < 0] == [
        (h, m) for h in ("day_ahead", "one_bin") for m in ("median", "kalman")
    ]


def test_the_second_model_is_the_champion_and_what_a_server_would_take(told: dict[str, Any]):
    """Refused where nothing can be compared, promoted where it can; the pointer's history is both; the start finds the champion."""
    first, second = told["first"]["model"], told["second"]["model"]
    assert first != second
    assert (told["first"]["trained_through"], told["second"]["trained_through"], told["second"]["parent"]) == ("2019-05-31", "2019-06-14", first)
    assert told["history"] == [first, second] == [row["model"] for row in told["listed"]]
    assert [row["role"] for row in told["listed"]] == ["", "champion, challenger"]
    by_figure = {d["figure"]: d for d in told["compared"]["differences"]}
    assert by_figure["mape_one_bin"]["points"] - 1.645 * by_figure["mape_one_bin"]["standard_error"] <= 0
    assert (told["promoted"]["champion"], by_figure["mape_one_bin"]["days"]) == (second, 10)
    assert told["taken"] == [second, told["manifest"], ""]
    assert (told["before"]["state"], told["before"]["value"]) == ("ok", second)


def test_the_forecast_of_a_day_is_what_came_where_it_is_over_and_a_band_where_it_is_not(told: dict[str, Any]):
    """The curve is P50's and sums to a million; the bands of days that it has not learnt from hold about what they are to hold."""
    day, now, came = told["asked"]
    p10, p50, p90 = (np.array(head) for head in told["later"])
    assert (day, now) == ("2019-06-17", 8)
    assert p50[:now].tolist() == came[:now]
    assert (p10[now:] < p50[now:]).all()
    assert (p50[now:] < p90[now:]).all()
    assert (np.array(told["morning"][1])[:now] != came[:now]).all()
    assert (sum(told["curve"]), len(told["curve"])) == (1_000_000, 26)
    assert np.array(told["curve"]) == pytest.approx(1_000_000 * p50 / p50.sum(), abs=1)
    assert [row["curve"] for row in told["rows"]] == told["curve"][now : now + 6]
    assert [row["came"] for row in told["rows"]] == [came[n] / 1e3 for n in range(now, now + 6)]
    served = next(m for m in told["evaluated"]["models"] if m["model"] == "hybrid")
    others = [m for m in told["evaluated"]["models"] if m["model"] != "hybrid"]
    assert (told["evaluated"]["days"], told["evaluated"]["first"]) == (10, "2019-06-17")
    assert all(COVERAGE[0] <= served[f"coverage_{h}"] <= COVERAGE[1] for h in ("day_ahead", "one_bin"))
    assert all(served[f"mape_{h}"] < m[f"mape_{h}"] for m in others for h in ("day_ahead", "one_bin"))


def test_one_changed_byte_is_refused_by_the_files_name_until_it_is_back(told: dict[str, Any]):
    champion = told["second"]["model"]
    assert told["refused"].startswith(f"models/{champion}: p50.txt was changed after training")
    assert (told["without"]["state"], f"{champion}: p50.txt was changed" in told["without"]["value"]) == ("warn", True)
    assert "the median of the recorded days forecasts" in told["without"]["to_do"]
    assert (told["after"]["state"], told["after"]["value"]) == ("ok", champion)


def said(notebook: NotebookNode) -> list[tuple[int, list[str], str]]:
    """Of each cell of code its number, the kinds of its outputs and their text."""
    seen: dict[str, str] = {}

    def numbered(text: str) -> str:
        """Each name, and each beginning of a sha256, by its order of appearance."""
        return re.sub(r"\b[0-9a-f]{12}\b", lambda found: seen.setdefault(found[0], f"<{len(seen) + 1}>"), text)

    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            kinds = [kind for o in cell.outputs for kind in ([o.name] if o.output_type == "stream" else sorted(o.data))]
            found.append((cell.execution_count, kinds, numbered("".join(o.get("text", "") for o in cell.outputs))))
    return found
