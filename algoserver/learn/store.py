"""A model at rest: a directory of two text files, `model.txt` (LightGBM) and `manifest.json`.

Rule 1: a model is immutable and named by its bytes. The same bytes are the same model; nothing is ever overwritten.
Rule 2: a directory under its final name is complete: it is written beside it, flushed, then renamed.
Rule 3: a model whose bytes differ from its manifest is refused. No pickle: reading a model runs no code of it.
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import msgspec

VOLUME_KIND = "volume"

# 48 bits: names stay readable, and two models of one desk don't meet by chance.
VERSION_CHARS = 12


class ModelDamaged(ValueError):
    """The files of a model are not the ones that were written."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a model comes from and what it was worth when it was made.

    version: first 12 hex digits of model_sha256. data_sha256: of the volumes learnt from, through the last day.
    metrics: see evaluate.py. created_at: as the caller gave it; nothing here reads a clock.
    """

    kind: str
    version: str
    model_sha256: str
    data_sha256: str
    code_version: str
    params: dict[str, str | int | float | bool]
    feature_names: tuple[str, ...]
    n_bins: int
    symbols: tuple[str, ...]
    trained_through: str
    metrics: dict[str, float]
    curve_error_by_date: dict[str, dict[str, float]]
    created_at: str

    @property
    def name(self) -> str:
        """The directory's name in the store."""
        return f"{self.kind}-{self.version}"


def model_version(text: str) -> tuple[str, str]:
    """Version and sha256 of a model's text."""
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return sha256[:VERSION_CHARS], sha256


def save_model(store_dir: Path, manifest: Manifest, text: str) -> Manifest:
    """Write the model to `store_dir / manifest.name`. Return the manifest in the store.

    If the same bytes are there already, the first manifest stays: when and by whom a model was first made is its history.
    """
    assert (manifest.version, manifest.model_sha256) == model_version(text)
    model_dir = store_dir / manifest.name
    if model_dir.exists():
        return load_model(model_dir)[0]
    store_dir.mkdir(parents=True, exist_ok=True)
    draft_dir = Path(tempfile.mkdtemp(prefix=f".{manifest.name}.", dir=store_dir))
    try:
        _write(draft_dir / "model.txt", text.encode())
        _write(draft_dir / "manifest.json", msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        # mkdtemp is for one's own eyes; a model is read by the server's account too.
        draft_dir.chmod(0o755)
        _flush_dir(draft_dir)
        draft_dir.rename(model_dir)
    except OSError:
        # Another process may have stored the same bytes meanwhile; anything else is an error.
        if not model_dir.exists():
            raise
    finally:
        shutil.rmtree(draft_dir, ignore_errors=True)
    _flush_dir(store_dir)
    return load_model(model_dir)[0]


def load_model(model_dir: Path) -> tuple[Manifest, str]:
    """Read manifest and model text. ModelDamaged if a file is missing, unreadable or not what the manifest says."""
    manifest = read_manifest(model_dir)
    try:
        data = (model_dir / "model.txt").read_bytes()
    except OSError as error:
        raise ModelDamaged(f"{model_dir}: model.txt can't be read ({error.strerror})") from error
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != manifest.model_sha256:
        raise ModelDamaged(
            f"{model_dir}: model.txt has sha256 {sha256[:VERSION_CHARS]}..., its manifest says {manifest.model_sha256[:VERSION_CHARS]}...; "
            "the file was changed after training: restore it or train again"
        )
    return manifest, data.decode()


def read_manifest(model_dir: Path) -> Manifest:
    """Read the manifest alone. ModelDamaged if it is missing, not a manifest, or its version is not of its sha256."""
    try:
        manifest = msgspec.json.decode((model_dir / "manifest.json").read_bytes(), type=Manifest)
    except OSError as error:
        raise ModelDamaged(f"{model_dir}: manifest.json can't be read ({error.strerror})") from error
    except msgspec.DecodeError as error:
        raise ModelDamaged(f"{model_dir}: manifest.json is not a manifest ({error})") from error
    if manifest.version != manifest.model_sha256[:VERSION_CHARS]:
        raise ModelDamaged(f"{model_dir}: manifest.json has version {manifest.version} of model {manifest.model_sha256[:VERSION_CHARS]}...")
    return manifest


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_dir(path: Path) -> None:
    """Make the names in a directory last: a rename is only durable when its directory is."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
