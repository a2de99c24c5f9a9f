"""A stored model is complete, immutable, and refused when its bytes changed."""

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from algoserver.learn import store
from algoserver.learn.store import Manifest, ModelDamaged, load_model, model_version, read_manifest, save_model

TEXT = "tree\nnum_class=1\n"
FILES = {"p10.txt": TEXT, "filter.json": "{}"}


def other_files(text: str) -> dict[str, str]:
    return FILES | {"p10.txt": text}


def manifest_of(files: dict[str, str] = FILES, created_at: str = "") -> Manifest:
    version, sha256 = model_version(files)
    return Manifest(
        kind="volume",
        version=version,
        model_sha256=sha256,
        data_sha256="0" * 64,
        code_version="0",
        params={"seed": 7, "deterministic": True, "objective": "l1", "learning_rate": 0.03},
        feature_names=("bin", "weekday"),
        n_bins=26,
        symbols=("AAPL",),
        trained_through="2019-06-28",
        metrics={"mape_model": 37.5},
        errors_by_date={"2019-06-28": {"curve_error_model": 28.5}},
        created_at=created_at,
    )


def test_what_is_saved_is_what_is_loaded(tmp_path: Path):
    manifest = save_model(tmp_path / "new" / "store", manifest_of(), FILES)
    model_dir = tmp_path / "new" / "store" / manifest.name

    assert msgspec.structs.replace(manifest, files={}, seal="") == manifest_of()
    assert manifest.name == f"volume-{manifest.model_sha256[:12]}"
    assert load_model(model_dir) == (manifest, FILES)
    assert sorted(path.name for path in model_dir.iterdir()) == ["filter.json", "manifest.json", "p10.txt"]
    assert [path.name for path in model_dir.parent.iterdir()] == [manifest.name]


def test_the_first_manifest_of_the_same_bytes_stays(tmp_path: Path):
    first = save_model(tmp_path, manifest_of(created_at="monday"), FILES)
    again = save_model(tmp_path, manifest_of(created_at="tuesday"), FILES)

    assert again == first
    assert read_manifest(tmp_path / first.name).created_at == "monday"


def test_other_bytes_are_another_model(tmp_path: Path):
    """Another text, another name, another file beside them."""
    made = (FILES, other_files(TEXT + "\n"), {"p90.txt": TEXT, "filter.json": "{}"}, FILES | {"p90.txt": TEXT})
    names = {save_model(tmp_path, manifest_of(files), files).name for files in made}

    assert {path.name for path in tmp_path.iterdir()} == names
    assert len(names) == 4


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "write_flushed", full)

    with pytest.raises(OSError, match="No space left"):
        save_model(tmp_path, manifest_of(), FILES)
    assert list(tmp_path.iterdir()) == []


def test_of_two_writers_of_the_same_bytes_the_first_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The second finds no model, writes its draft, and loses the rename."""
    flush = store.flush_dir

    def other_wins(path: Path) -> None:
        flush(path)
        monkeypatch.setattr(store, "flush_dir", flush)
        save_model(tmp_path, manifest_of(created_at="first"), FILES)

    monkeypatch.setattr(store, "flush_dir", other_wins)

    assert save_model(tmp_path, manifest_of(created_at="second"), FILES).created_at == "first"
    assert [path.name for path in tmp_path.iterdir()] == [manifest_of().name]


def test_a_manifest_of_other_bytes_is_our_own_error(tmp_path: Path):
    with pytest.raises(AssertionError):
        save_model(tmp_path, manifest_of(other_files("other")), FILES)


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    return tmp_path / save_model(tmp_path, manifest_of(), FILES).name


def test_a_changed_model_is_refused(model_dir: Path):
    (model_dir / "p10.txt").write_text(TEXT.replace("1", "2"))

    with pytest.raises(ModelDamaged, match=r"p10\.txt was changed after training: its sha256 is .*\.\.\.; restore it, or take .* and train again"):
        load_model(model_dir)


def test_one_changed_byte_is_refused_wherever_it_is(tmp_path: Path):
    """Of each file, its card and its manifest included, each byte in turn is another one: the refusal names the file."""
    with_card = FILES | {"card.html": "<p>a card</p>"}
    model_dir = tmp_path / save_model(tmp_path, manifest_of(with_card), with_card).name
    assert model_dir.name == manifest_of().name, "a card is not of a model's bytes"
    for path in sorted(model_dir.iterdir()):
        data = path.read_bytes()
        for place in range(len(data)):
            path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            with pytest.raises(ModelDamaged, match=path.name.replace(".", r"\.")):
                load_model(model_dir)
        path.write_bytes(data)
    assert load_model(model_dir)[1] == with_card


def test_a_file_more_or_less_is_refused(model_dir: Path):
    (model_dir / "p90.txt").write_text(TEXT)
    with pytest.raises(ModelDamaged, match=r"p90\.txt is none of its files"):
        load_model(model_dir)
    (model_dir / "p90.txt").unlink()
    load_model(model_dir)
    (model_dir / "filter.json").unlink()
    with pytest.raises(ModelDamaged, match=r"filter\.json is missing"):
        load_model(model_dir)


def test_what_is_no_text_is_refused(model_dir: Path):
    (model_dir / "p10.txt").write_bytes(b"\xff\xfe")

    with pytest.raises(ModelDamaged, match=r"p10\.txt can't be read \(not UTF-8\)"):
        load_model(model_dir)


def test_a_missing_manifest_is_refused(model_dir: Path):
    (model_dir / "manifest.json").unlink()

    with pytest.raises(ModelDamaged, match=r"manifest\.json can't be read \(No such file"):
        load_model(model_dir)


@pytest.mark.parametrize("garbage", [b"", b"{}", b"\xff\xfe", b"[1]", b'{"kind": 1}'])
def test_a_manifest_that_is_none_is_refused(model_dir: Path, garbage: bytes):
    (model_dir / "manifest.json").write_bytes(garbage)

    with pytest.raises(ModelDamaged, match=r"manifest\.json is not a manifest"):
        load_model(model_dir)


def test_an_unknown_key_of_a_manifest_is_an_error(model_dir: Path):
    manifest = json.loads((model_dir / "manifest.json").read_text())
    (model_dir / "manifest.json").write_text(json.dumps(manifest | {"approved": True}))

    with pytest.raises(ModelDamaged, match="unknown field `approved`"):
        load_model(model_dir)


def test_a_version_is_of_its_own_bytes(model_dir: Path):
    """A manifest with both hash and bytes exchanged keeps neither its version nor its directory's name."""
    other = model_dir.parent / save_model(model_dir.parent, manifest_of(other_files("other")), other_files("other")).name
    shutil.copy(other / "p10.txt", model_dir / "p10.txt")
    forged = msgspec.structs.replace(manifest_of(), model_sha256=model_version(other_files("other"))[1])
    (model_dir / "manifest.json").write_bytes(msgspec.json.encode(forged))

    with pytest.raises(ModelDamaged, match=r"manifest\.json has version"):
        load_model(model_dir)
