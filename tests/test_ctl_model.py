"""algoctl model without a server: a registry is a directory, and its verbs say what they found, did and refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from algoserver.ctl import app
from algoserver.learn.registry import CHALLENGER, CHAMPION, Registry
from algoserver.learn.store import ModelDamaged, save_model
from algoserver.recorded import VOLUME_DIR
from tests.learn.test_store import FILES, manifest_of

DATA = ("--data", str(VOLUME_DIR))


def ctl(folder: Path, *arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "240"}).invoke(app, ["model", *arguments, "--registry", str(folder)])


def said(folder: Path, *arguments: str) -> dict[str, Any]:
    done = ctl(folder, *arguments)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with one trained model, the champion."""
    folder = tmp_path_factory.mktemp("models") / "new"
    trained = said(folder, "train", *DATA, "--through", "2019-04-30", "--days", "10")
    assert (trained["role"], trained["trained_through"], trained["parent"], trained["state"]) == (CHALLENGER, "2019-04-30", "", "whole")
    assert Path(trained["card"]).read_text().startswith("<!DOCTYPE html>")
    promoted = said(folder, "promote", "--reason", "the first", "--yes")
    assert (promoted["champion"], "better" in promoted["text"]) == (trained["model"], True)
    return folder


def test_a_model_is_listed_with_its_role_and_shown_with_its_lineage(folder: Path):
    (row,) = said(folder, "ls")["models"]
    assert (row["role"], row["state"], row["symbols"]) == ("champion, challenger", "whole", 3)
    shown = said(folder, "show", row["model"].removeprefix("volume-")[:4])
    assert shown["data"][0] == {"symbol": "AAPL", "days": "2019-01-02 to 2019-04-30, 82 days"}
    assert [m["model"] for m in shown["models"]] == ["mean", "median", "kalman", "hybrid"]
    assert shown["models"][3]["mape_one_bin"] == row["mape_one_bin"] < shown["models"][1]["mape_one_bin"]
    assert [(p["role"], p["reason"]) for p in shown["pointed"]] == [("champion", "the first"), ("challenger", f"trained on {VOLUME_DIR}")]
    assert {f["file"] for f in shown["files"]} == {"card.html", "filter.json", "p10.txt", "p50.txt", "p90.txt", "point.txt"}
    table = ctl(folder, "ls", "-o", "table")
    assert ("│" in table.stdout, table.stderr) == (True, "")


def test_a_folder_that_holds_another_model_than_its_name_says_is_listed_as_that(tmp_path: Path):
    """It is refused by every other verb; a list that calls it whole would say the contrary."""
    name = save_model(tmp_path, manifest_of(FILES), FILES).name
    (tmp_path / "volume-other").symlink_to(name)
    assert [row["state"] for row in said(tmp_path, "ls")["models"]] == ["whole", f"holds the model {name}"]


def test_the_champion_is_evaluated_and_compared_on_days_that_it_does_not_know(folder: Path):
    """42 of May and June, with its errors less the median's; progress is on stderr."""
    done = ctl(folder, "evaluate", CHAMPION, *DATA)
    found = json.loads(done.stdout)
    assert (found["days"], found["first"], found["last"]) == (42, "2019-05-01", "2019-06-28")
    assert {m["model"] for m in found["models"]} == {"mean", "median", "hybrid"}
    paired = {(d["less"], d["figure"]): d["points"] for d in found["differences"]}
    assert paired["median", "mape_one_bin"] < -5
    assert "forecast 2019-06-28, day 42 of 42" in done.stderr
    same = said(folder, "compare", CHAMPION, CHALLENGER)
    assert [(d["points"], d["days"]) for d in same["differences"]] == [(0.0, 10)] * 3


def test_what_may_not_be_champion_is_refused_and_the_champion_stays(folder: Path):
    """Itself, without a reason, without a yes, without one before it; exit 5 for what is refused, 2 for what is missing."""
    before = Registry(folder).history(CHAMPION)
    refused = ctl(folder, "promote", CHALLENGER, "--reason", "again", "--yes")
    assert (refused.exit_code, "it is the champion" in refused.stderr) == (5, True)
    assert ctl(folder, "promote", "--yes").exit_code == 2
    back = ctl(folder, "promote", "--back", "--reason", "worse", "--yes")
    assert (back.exit_code, "there was no champion before" in back.stderr) == (5, True)
    assert Registry(folder).history(CHAMPION) == before


def test_too_little_to_learn_from_is_refused_with_what_is_needed_and_nothing_is_written(tmp_path: Path):
    short = ctl(tmp_path / "models", "train", *DATA, "--through", "2019-01-02")
    assert short.exit_code == 5
    assert "1 days; 64 are needed: 20 of history, 20 to learn from, 24 to score; no model was written, what is" in short.stderr
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("AAPL_15min.csv", "bin,2019-01-02\n09:30,x\n", "1 bins; 26 rows below the header are needed"),
        ("AAPL_15min.csv", "", "empty"),
        ("readme.txt", "", "no volumes; files named <symbol>_*.csv are needed"),
    ],
)
def test_data_that_is_none_is_refused_by_name(tmp_path: Path, name: str, text: str, says: str):
    (tmp_path / name).write_text(text)
    done = ctl(tmp_path / "models", "evaluate", "--data", str(tmp_path))
    assert (done.exit_code, says in done.stderr) == (5, True), done.stderr


def test_a_damaged_model_is_listed_as_such_and_is_not_promoted(tmp_path: Path):
    """So is one that this version can't serve."""
    name = save_model(tmp_path, manifest_of(), FILES).name
    missing = ctl(tmp_path, "promote", "zz", "--reason", "x", "--yes")
    assert (missing.exit_code, "no model begins with 'zz'" in missing.stderr) == (3, True)
    strange = ctl(tmp_path, "promote", name, "--reason", "x", "--yes")
    assert (strange.exit_code, "train again" in strange.stderr) == (5, True), strange.stderr
    (tmp_path / name / "p10.txt").write_text("changed")
    (row,) = said(tmp_path, "ls")["models"]
    assert row["state"].startswith("p10.txt was changed after training")
    damaged = ctl(tmp_path, "show", name)
    assert (damaged.exit_code, "p10.txt was changed" in damaged.stderr) == (5, True)


def test_a_champion_that_is_damaged_gone_or_made_again_is_listed_as_champion_with_what_to_do(tmp_path: Path):
    """What the texts say leads out: take the directory away, train again; then the pointer, which knows the other manifest, and promote again."""
    models = Registry(tmp_path)
    name = save_model(tmp_path, manifest_of(), FILES).name
    models.point(CHAMPION, name, "then", "ann", "the first")
    (tmp_path / name / "p10.txt").write_text("changed")
    with pytest.raises(ModelDamaged, match="take the model's directory away and train again"):
        save_model(tmp_path, manifest_of(), FILES)
    (row,) = said(tmp_path, "ls")["models"]
    assert (row["role"], "p10.txt was changed" in row["state"]) == ("champion", True)
    shutil.rmtree(tmp_path / name)
    (row,) = said(tmp_path, "ls")["models"]
    assert (row["role"], "manifest.json can't be read" in row["state"]) == ("champion", True)
    again = msgspec.structs.replace(manifest_of(), created_at="later")
    assert save_model(tmp_path, again, FILES).name == name
    (row,) = said(tmp_path, "ls")["models"]
    assert (row["role"], "is not the model that ann made champion" in row["state"]) == ("champion", True)
    refused = ctl(tmp_path, "show", "champion")
    assert (refused.exit_code, "take champion-volume.json away and make it champion again" in refused.stderr) == (5, True), refused.stderr
    (tmp_path / "champion-volume.json").unlink()
    models.point(CHAMPION, name, "now", "ann", "made again")
    assert [(r["role"], r["state"]) for r in said(tmp_path, "ls")["models"]] == [("champion", "whole")]
