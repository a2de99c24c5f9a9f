"""The house-keeping thread: chores in their order, and files that are not what is in force any more."""

import queue
import shutil
from pathlib import Path

import pytest

from algoserver import house
from algoserver.config import Config, load
from algoserver.domain.events import ConfigDrifted, PolicyLoaded
from algoserver.house import House
from algoserver.policies import digest_of

CFG = Path(__file__).resolve().parents[1] / "cfg"


class Kept:
    """A house on a configuration of its own."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(CFG, folder / "cfg")
        self.config: Config = load(folder / "cfg" / "server.toml")
        self.setup: PolicyLoaded = self.config.setup
        self.told: queue.SimpleQueue[ConfigDrifted] = queue.SimpleQueue()
        self.house = House(self.config, lambda: self.setup, self.told.put)

    def write(self, name: str, text: str) -> str:
        """Change a file; its digest."""
        (self.config.base / name).write_text(text)
        return digest_of(text.encode())


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """As after a start."""
    return Kept(tmp_path)


@pytest.mark.parametrize("name", ["policy.toml", "server.toml", "instruments.toml"])
def test_a_file_that_changes_is_told_once_a_change(kept: Kept, name: str):
    """Not while it is as it was read; again when it changes again; not when it is put back, and then anew."""
    before = (kept.config.base / name).read_text()
    assert kept.house.look() == []
    first = kept.write(name, before + "# a word\n")
    assert kept.house.look() == [ConfigDrifted(file=name, digest=first)]
    assert kept.house.look() == []
    second = kept.write(name, before + "# two words\n")
    assert kept.house.look() == [ConfigDrifted(file=name, digest=second)]
    kept.write(name, before)
    assert kept.house.look() == []
    (kept.config.base / name).unlink()
    assert kept.house.look() == [ConfigDrifted(file=name, digest="")]
    assert kept.house.look() == []


def test_a_policys_file_that_was_applied_is_what_is_in_force(kept: Kept):
    """Told while it was only on disk, and not after; back at the old text it is told, for that is in force no more."""
    before = (kept.config.base / "policy.toml").read_text()
    after = kept.write("policy.toml", before + "# applied\n")
    kept.setup = kept.setup.__class__(**{**{f: getattr(kept.setup, f) for f in kept.setup.__struct_fields__}, "policy_digest": after})
    assert kept.house.look() == []
    old = kept.write("policy.toml", before)
    assert kept.house.look() == [ConfigDrifted(file="policy.toml", digest=old)]


def test_the_thread_looks_by_itself_and_does_its_chores(kept: Kept, monkeypatch):
    """One that fails by the disk does not end it."""
    monkeypatch.setattr(house, "LOOK_S", 0.01)
    done: queue.SimpleQueue[str] = queue.SimpleQueue()

    def broken() -> None:
        done.put("broken")
        raise OSError(28, "No space left on device")

    for chore in (lambda: done.put("first"), broken, lambda: done.put("last")):
        kept.house.do(chore)
    kept.house.start()
    assert [done.get(timeout=60) for _ in range(3)] == ["first", "broken", "last"]
    digest = kept.write("policy.toml", "name = 1")
    # Between two writes of one change it may have been seen empty; the last word is the file's.
    while (event := kept.told.get(timeout=60)).digest != digest:
        pass
    assert event.file == "policy.toml"
    kept.house.stop()
