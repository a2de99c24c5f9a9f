"""algoctl model swap and history at a server's door: who may, what two persons decide, what is refused before anybody decides."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from algoserver.credentials import token_hash
from algoserver.domain.commands import ActivateModel
from algoserver.domain.events import ModelActivated
from algoserver.learn.registry import CHAMPION, Configured, Registry, Shelf, configured
from algoserver.learn.store import save_model
from algoserver.operators import OperatorEntry, Operators
from tests.core.day import policy_loaded
from tests.desk import TOKENS, Firm, Street
from tests.learn.test_store import FILES, manifest_of, other_files

PERSONS = [
    OperatorEntry(name=name, roles=[role], token=token_hash(TOKENS[name]))
    for name, role in (("ann", "risk"), ("bob", "risk"), ("tim", "trader"), ("model_owner", "model_owner"))
]


@pytest.fixture
def models(tmp_path: Path) -> Registry:
    """Two models, the first is the champion."""
    folder = tmp_path / "models"
    for files in (FILES, other_files("other")):
        save_model(folder, manifest_of(files), files)
    registry = Registry(folder)
    registry.point(CHAMPION, registry.names()[0], "", "ann", "")
    return registry


@pytest.fixture
def house(tmp_path: Path, models: Registry) -> Iterator[Firm]:
    """A firm with a model owner, and its models."""
    firm = Firm(tmp_path, Operators(PERSONS))
    firm.day.feed(policy_loaded(persons=tuple(p.name for p in PERSONS)))
    firm.shelf = Shelf(Configured("median20"), models.folder)
    firm.door.start()
    yield firm
    firm.door.stop()


def said(done: Any) -> dict[str, Any]:
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_a_model_owner_proposes_and_another_person_approves(house: Firm, models: Registry):
    """By the beginning of its version; then it is loaded, and the history has both names. The audit has every step."""
    name = models.names()[1]
    asked = house.by("model_owner", "model", "swap", name.removeprefix("volume-")[:6], "--reason", "better", "--yes")
    assert (said(asked)["target"], said(asked)["awaits_approval"], "waits for another person" in asked.stderr) == (name, True, True)
    assert house.day.state.model_wanted is None
    (row,) = said(house.by("ann", "approval", "ls"))["approvals"]
    assert (row["verb"], row["target"], row["by"]) == ("model", name, "model_owner")
    twice = house.by("model_owner", "model", "swap", name, "--reason", "again", "--yes")
    assert (twice.exit_code, f"approve {row['id']}" in twice.stderr) == (5, True)
    assert house.by("model_owner", "approval", "approve", row["id"]).exit_code == 4
    assert house.by("ann", "approval", "approve", row["id"]).exit_code == 0
    sha256 = models.manifest(name).model_sha256
    assert [c for c in house.day.commands if isinstance(c, ActivateModel)] == [ActivateModel(name=name, sha256=sha256)]
    loading = house.by("model_owner", "model", "swap", name, "--reason", "now", "--yes")
    assert (loading.exit_code, "is being loaded, as model_owner has asked" in loading.stderr) == (5, True)
    house.day.feed(ModelActivated(name=name, sha256=sha256))
    history = said(house.by("tim", "model", "history"))
    assert (history["in_force"], history["wanted"]) == (name, "")
    last = history["activated"][-1]
    assert (last["model"], last["by"], last["checked_by"], last["reason"], last["is_in_force"]) == (name, "model_owner", "ann", "better", True)
    lines = [(line["verb"], line["person"], line["result"]) for line in said(house.by("ann", "audit", "tail"))["lines"]]
    assert [line for line in lines if line[2] == "done"] == [("model.swap", "model_owner", "done"), ("approval.approve", "ann", "done")]


def test_the_fallback_needs_one_person_and_others_may_not_swap(house: Firm, models: Registry):
    done = said(house.by("model_owner", "model", "swap", "median20", "--reason", "it is wrong", "--yes"))
    assert (done["awaits_approval"], house.day.state.model_wanted.name) == (False, "median20")
    for name in ("tim", "ann"):
        denied = house.by(name, "model", "swap", "median20", "--reason", "x", "--yes")
        assert (denied.exit_code, "needs roles model_owner or admin" in denied.stderr) == (4, True)


def test_one_person_alone_swaps_at_once_and_a_question_changes_nothing(tmp_path: Path, models: Registry):
    """champion means the registry's; without a yes or a reason it is refused, and a dry run only looks."""
    street = Street(tmp_path)
    street.shelf = Shelf(Configured("median20"), models.folder)
    street.door.start()
    assert street.ctl("model", "swap", "champion", "--reason", "x").exit_code == 2
    assert street.ctl("model", "swap", "champion", "--yes").exit_code == 2
    before = street.day.state.seq
    ahead = street.json("model", "swap", "champion", "--reason", "x", "--dry-run")
    assert (ahead["target"], ahead["before"], ahead["parents_open"], street.day.state.seq) == (models.names()[0], "", 1, before)
    assert street.json("model", "swap", "champion", "--reason", "x", "--yes")["awaits_approval"] is False
    assert street.day.state.model_wanted.name == models.names()[0]
    assert street.json("status")["model"] == ""
    street.door.stop()


def test_what_can_not_be_swapped_in_is_refused_before_anybody_decides(house: Firm, models: Registry):
    """Unknown, damaged, no registry: no proposal, no event. What the asker says of a model counts for nothing."""
    seq = house.day.state.seq
    unknown = house.by("model_owner", "model", "swap", "zz", "--reason", "x", "--yes")
    assert (unknown.exit_code, "no model begins with 'zz'" in unknown.stderr) == (3, True)
    name = models.names()[1]
    (models.folder / name / "p10.txt").write_text("changed")
    damaged = house.by("model_owner", "model", "swap", name, "--reason", "x", "--yes")
    assert (damaged.exit_code, "p10.txt was changed after training" in damaged.stderr) == (5, True)
    forged = house.ask({"verb": "model.swap", "target": name, "reason": "x", "values": {"sha256": "0" * 64}}, "model_owner")
    assert forged["error"]["code"] == "refused"
    house.shelf = Shelf(Configured("median20"), None)
    nowhere = house.by("model_owner", "model", "swap", models.names()[0], "--reason", "x", "--yes")
    assert (nowhere.exit_code, "[forecast] registry names a directory of models" in nowhere.stderr) == (3, True)
    assert house.day.state.seq == seq
    assert said(house.by("ann", "approval", "ls"))["approvals"] == []


def test_a_configuration_names_its_model_by_directory_or_as_the_champion(tmp_path: Path, models: Registry):
    """By bytes, not by place; one that can't be read says why."""
    first, second = (models.manifest(name) for name in models.names())
    at = models.folder / second.name
    assert configured("median20", tmp_path, None) == Configured("median20")
    assert configured("", tmp_path, None) == Configured("")
    assert configured(f"models/{second.name}", tmp_path, None) == Configured(second.name, second.model_sha256, at)
    assert configured(CHAMPION, tmp_path, models.folder) == Configured(first.name, first.model_sha256, models.folder / first.name)
    assert "no registry is configured" in configured(CHAMPION, tmp_path, None).text
    assert "there is no champion" in configured(CHAMPION, tmp_path, tmp_path / "none").text
    assert "manifest.json can't be read" in configured("models/none", tmp_path, None).text
    elsewhere = Shelf(configured(f"models/{second.name}", tmp_path, None), tmp_path / "others")
    assert elsewhere.checked(second.name) == second, "one can go back to it"
    beside = Shelf(configured(f"models/{second.name}", tmp_path, None), None)
    assert (beside.folder(second.name), beside.folder(first.name)) == (at, models.folder / first.name)
