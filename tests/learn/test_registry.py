"""A registry finds models by name and role, and its pointers are whole after any crash."""

import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

import msgspec
import pytest

from algoserver.learn.registry import CHALLENGER, CHAMPION, Registry, Unknown
from algoserver.learn.store import ModelDamaged, save_model
from tests.learn.test_store import FILES, TEXT, manifest_of, other_files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Two models."""
    for files in (FILES, other_files("other")):
        save_model(tmp_path, manifest_of(files), files)
    return Registry(tmp_path)


def test_a_model_is_found_by_role_name_and_beginning_or_the_refusal_says_what_there_is(registry: Registry):
    first, second = registry.names()
    registry.point(CHAMPION, first, "2019-06-29T00:00:00Z", "ann", "the first")
    assert [registry.find(word) for word in (CHAMPION, first, first.removeprefix("volume-")[:5], second)] == [first, first, first, second]
    assert registry.load(CHAMPION)[0].name == registry.manifest(first).name == first
    assert (registry.roles_of(first), registry.roles_of(second)) == ([CHAMPION], [])
    for word, text in ((CHALLENGER, "there is no challenger"), ("zz", f"no model begins with 'zz'; there are {first}, {second}"), ("", "no model")):
        with pytest.raises(Unknown, match=text):
            registry.find(word)
    with pytest.raises(Unknown, match="several models begin with 'volume-'"):
        registry.find("volume-")
    assert Registry(registry.folder / "nowhere").names() == []


def test_a_pointer_keeps_who_pointed_where_and_why(registry: Registry):
    first, second = registry.names()
    for name, by in ((first, "ann"), (second, "bob"), (first, "ann")):
        registry.point(CHAMPION, name, "2019-06-29T00:00:00Z", by, "why", "judged")
    assert [(p.name, p.by) for p in registry.history(CHAMPION)] == [(first, "ann"), (second, "bob"), (first, "ann")]
    assert registry.pointed(CHAMPION) == registry.history(CHAMPION)[-1]
    assert registry.pointed(CHALLENGER) is None
    assert sorted(p.name for p in registry.folder.iterdir()) == sorted([".lock", first, second, "champion-volume.json"])


def test_of_two_who_point_at_once_neither_is_forgotten(registry: Registry):
    names = registry.names()
    people = [Thread(target=lambda name=name: [registry.point(CHAMPION, name, str(n), "ann", "") for n in range(10)]) for name in names]
    for person in people:
        person.start()
    for person in people:
        person.join()
    history = [(p.name, p.since) for p in registry.history(CHAMPION)]
    assert sorted(history) == sorted((name, str(n)) for name in names for n in range(10))


def test_a_damaged_model_is_not_pointed_at_and_not_loaded(registry: Registry):
    first, second = registry.names()
    registry.point(CHAMPION, first, "", "ann", "")
    (registry.folder / second / "p10.txt").write_text(TEXT + " ")
    with pytest.raises(ModelDamaged, match=r"p10\.txt was changed"):
        registry.point(CHAMPION, second, "", "ann", "")
    assert registry.find(CHAMPION) == first


def test_a_model_that_was_made_anew_under_its_name_is_not_the_one_that_was_promoted(registry: Registry):
    """The same bytes with another history: whoever promoted the first has not seen the second."""
    name = registry.names()[0]
    files, manifest = registry.load(name)[1], registry.manifest(name)
    registry.point(CHAMPION, name, "", "ann", "")
    for path in (registry.folder / name).iterdir():
        path.unlink()
    (registry.folder / name).rmdir()
    save_model(registry.folder, msgspec.structs.replace(manifest, metrics={"mape": 1.0}), files)
    with pytest.raises(ModelDamaged, match="is not the model that ann made champion"):
        registry.load(CHAMPION)


def test_a_model_under_anothers_name_is_not_that_other(registry: Registry):
    first, second = registry.names()
    for path in (registry.folder / first).iterdir():
        path.write_bytes((registry.folder / second / path.name).read_bytes())
    with pytest.raises(ModelDamaged, match=f"{first} holds the model {second}"):
        registry.load(first)


def test_a_pointer_that_is_none_is_refused_by_name(registry: Registry):
    (registry.folder / "champion-volume.json").write_text("[{}]")
    with pytest.raises(ModelDamaged, match=r"champion-volume\.json: can't be read"):
        registry.find(CHAMPION)


def test_after_kill_9_in_the_midst_of_promotions_the_pointer_is_one_of_them_and_whole(registry: Registry):
    """A process that does nothing but promote says when it has begun, and is killed: its history is a run of whole promotions."""
    code = (
        "import sys; from pathlib import Path; from algoserver.learn.registry import Registry\n"
        "r = Registry(Path(sys.argv[1])); names = r.names(); n = 0\n"
        "while True:\n"
        "    r.point('champion', names[n % 2], str(n), 'ann', ''); n += 1\n"
        "    print(n, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(registry.folder)], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=dict(os.environ))
    assert process.stdout is not None
    for _ in range(5):
        said = int(process.stdout.readline())
    process.kill()
    process.wait()
    history = registry.history(CHAMPION)
    names = registry.names()
    assert said <= len(history)
    assert [(p.name, p.since) for p in history] == [(names[n % 2], str(n)) for n in range(len(history))]
    assert registry.load(CHAMPION)[0].name == history[-1].name
