"""Models of a running server by the real algoctl: swapped while orders work, through kill -9, damaged, and slower than they may be."""

import fcntl
import json
import queue
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from algoserver.domain.commands import SendChild
from algoserver.door import call
from algoserver.journal import read
from algoserver.learn.registry import Registry
from algoserver.learn.store import load_model, model_version, save_model
from algoserver.learn.train import train_volume
from algoserver.recorded import VOLUME_DIR
from tests.e2e.street import ROOT, ask, replay
from tests.e2e.venue import MESSAGE_S_MAX, Scripted

PATIENCE_S = 4 * MESSAGE_S_MAX  # a model is loaded in a second; with everything else at work in some


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of two models, which forecast alike and have other bytes."""
    folder = tmp_path_factory.mktemp("models")
    first = train_volume(VOLUME_DIR, folder, "2019-03-15", scored_days=0)
    files = load_model(folder / first.name)[1]
    files["filter.json"] += "\n"
    version, sha256 = model_version(files)
    save_model(folder, msgspec.structs.replace(first, version=version, model_sha256=sha256), files)
    return folder


@pytest.fixture
def models(trained: Path, tmp_path: Path) -> Registry:
    """The same, to do with as one likes."""
    return Registry(Path(shutil.copytree(trained, tmp_path / "models")))


@contextmanager
def held(gate: Path) -> Iterator[None]:
    """Nobody passes meanwhile."""
    with gate.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def until(true: Callable[[], Any], what: str) -> Any:
    """Ask again and again; each question waits for its answer."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := true()):
        assert time.monotonic() < deadline, what
    return found


def ctl(scripted: Scripted, *arguments: str) -> tuple[int, str]:
    """algoctl model; its exit status, and what it says where that is not 0."""
    command = [sys.executable, "-m", "algoserver.ctl", "--state", str(scripted.state), "model", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
    return done.returncode, done.stderr


def history(scripted: Scripted) -> dict[str, Any]:
    return ask(scripted.state, {"verb": "model.history"})


def forecast(scripted: Scripted, model: str) -> dict[str, Any]:
    """AAPL's forecast, once it is this model's."""

    def found() -> dict[str, Any] | None:
        rows = ask(scripted.state, {"verb": "status"})["forecasts"]
        return next((f for f in rows if f["symbol"] == "AAPL" and f["model"] == model), None)

    return until(found, f"no forecast by {model} came")


def alerts(scripted: Scripted, code: str) -> list[dict[str, Any]]:
    """Those of a code that are not over."""
    return [a for a in ask(scripted.state, {"verb": "alert.ls", "is_open": True})["alerts"] if a["code"] == code]


def vwap(scripted: Scripted, cl_ord_id: str) -> str:
    """A VWAP that the venue has a child of; the text of its plan."""
    client = scripted.client()
    client.order(cl_ord_id, t847=1, t38=10_000)  # so many that the first slice is a round lot wherever in the day's curve it is
    new = client.next()
    assert new["150"] == "0", new
    scripted.venue.trade(100_000, "200.01")
    try:
        scripted.venue.next("D", new["37"])
    except queue.Empty:
        asked = ({"verb": "order.show", "target": cl_ord_id}, {"verb": "venue.ls"}, {"verb": "alert.ls"})
        pytest.fail(f"{cl_ord_id} has no child: {[call(scripted.state, request) for request in asked]}")
    client.close()
    return new["58"]


def back_again(scripted: Scripted) -> None:
    """The server after kill -9, with a market."""
    scripted.server.start()
    scripted.venue.await_feed()
    scripted.venue.quote("200.00", "200.02", 20_000)


def by_parent(state: Path) -> dict[str, set[str]]:
    """Models of each parent's children, as the journal has sent them."""
    found: dict[str, set[str]] = {}
    for child in (r.payload for r in read(state / "journal") if isinstance(r.payload, SendChild)):
        found.setdefault(child.child_id.rpartition(".")[0], set()).add(child.model.partition(" ")[0])
    return found


def test_kill_9_in_the_midst_of_a_swap_and_then_a_damaged_model(tmp_path: Path, models: Registry):
    """Orders go on by the old one until the new one is loaded, which is after the restart; no order has children of two. Then its files are damaged:
    the next start serves the median, and says so. A damaged one is not swapped in at all. The replay is equal."""
    first, second = models.names()
    version = first.removeprefix("volume-")
    scripted = Scripted(tmp_path / "street", "tests.e2e.slow_model", shell={"registry": json.dumps(str(models.folder))})
    forecast(scripted, "median20")
    assert "curve median20" in vwap(scripted, "P1")
    with held(models.folder / "load.gate"):
        assert ctl(scripted, "swap", version, "--reason", "test", "--yes")[0] == 0
        assert (history(scripted)["in_force"], history(scripted)["wanted"]) == ("median20", first)
        assert "curve median20" in vwap(scripted, "P2")
        scripted.server.kill()
    back_again(scripted)
    until(lambda: history(scripted)["in_force"] == first, "the model was not activated")
    forecast(scripted, version)
    assert [(m["model"], m["reason"]) for m in history(scripted)["activated"]] == [("median20", ""), (first, "test")]
    assert f"curve {version} through 2019-03-15" in vwap(scripted, "P3")

    scripted.server.kill()
    for name in (first, second):
        path = models.folder / name / "p10.txt"
        path.write_text(path.read_text().replace("0", "1", 1))
    back_again(scripted)
    (told,) = until(lambda: alerts(scripted, "model_unusable"), "nobody was told of the damage")
    assert "p10.txt was changed after training" in told["text"]
    assert "p10.txt was changed" in forecast(scripted, "median20")["text"]
    assert "curve median20" in vwap(scripted, "P4")
    status, text = ctl(scripted, "swap", second, "--reason", "test", "--yes")
    assert (status, "p10.txt was changed after training" in text) == (5, True)
    assert history(scripted)["in_force"] == first
    scripted.server.kill()
    scripted.venue.close()
    used = by_parent(scripted.state)
    assert list(used.values()) == [{"median20"}, {"median20"}, {version}, {"median20"}]
    replay(scripted.state, "0")


def test_a_model_that_is_slower_than_it_may_be(tmp_path: Path, models: Registry):
    """The median answers after answer_ms_max, orders go on by it, a person is told; another model ends the alert. The replay is equal."""
    first, second = models.names()
    shell = {"model": json.dumps(str(models.folder / first)), "registry": '""', "answer_ms_max": "3000"}
    with held(models.folder / "answer.gate"):
        scripted = Scripted(tmp_path / "street", "tests.e2e.slow_model", shell=shell)
        assert forecast(scripted, "median20")["text"] == f"model {first} did not answer in 3 s"
        assert alerts(scripted, "model_late")
        assert "curve median20" in vwap(scripted, "P1")
    assert ctl(scripted, "swap", second, "--reason", "test", "--yes")[0] == 0
    forecast(scripted, second.removeprefix("volume-"))
    assert alerts(scripted, "model_late") == []
    assert f"curve {second.removeprefix('volume-')}" in vwap(scripted, "P2")
    scripted.server.kill()
    scripted.venue.close()
    assert list(by_parent(scripted.state).values()) == [{"median20"}, {second.removeprefix("volume-")}]
    replay(scripted.state, "0")
