"""A model at rest: a directory of text files (LightGBM's trees, a filter's parameters) and the `manifest.json` that names them by their bytes.

Rule 1: a model is immutable and named by its bytes. The same bytes are the same model; nothing is ever overwritten.
Rule 2: a directory under its final name is complete: it is written beside it, flushed, then renamed.
Rule 3: a model whose bytes differ from its manifest is refused. No pickle: reading a model runs no code of it.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

VOLUME_KIND = "volume"
MANIFEST = "manifest.json"

# 48 bits: names stay readable, and two models of one desk don't meet by chance.
VERSION_CHARS = 12


class ModelDamaged(ValueError):
    """The files of a model are not the ones that were written."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a model comes from and what it was worth when it was made.

    version: first 12 hex digits of model_sha256, which is of all files' names and sha256. data_sha256: of the volumes learnt from, through the
    last day. metrics: see scores.py, `<figure>_<model>`. created_at: as the caller gave it; nothing here reads a clock.
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


def model_version(files: Mapping[str, str]) -> tuple[str, str]:
    """Version and sha256 of a model's files, name to text: of their names and their own sha256, in order of name."""
    lines = [f"{hashlib.sha256(files[name].encode()).hexdigest()}  {name}\n" for name in sorted(files)]
    sha256 = hashlib.sha256("".join(lines).encode()).hexdigest()
    return sha256[:VERSION_CHARS], sha256


def save_model(store_dir: Path, manifest: Manifest, files: Mapping[str, str]) -> Manifest:
    """Write the model to `store_dir / manifest.name`. Return the manifest in the store.

    If the same bytes are there already, the first manifest stays: when and by whom a model was first made is its history.
    """
    assert (manifest.version, manifest.model_sha256) == model_version(files)
    model_dir = store_dir / manifest.name
    if model_dir.exists():
        return load_model(model_dir)[0]
    store_dir.mkdir(parents=True, exist_ok=True)
    draft_dir = Path(tempfile.mkdtemp(prefix=f".{manifest.name}.", dir=store_dir))
    try:
        for name, text in files.items():
            _write(draft_dir / name, text.encode())
        _write(draft_dir / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
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


def load_model(model_dir: Path) -> tuple[Manifest, dict[str, str]]:
    """Read manifest and the model's files. ModelDamaged if one is missing, unreadable, new or not what the manifest says."""
    manifest = read_manifest(model_dir)
    files: dict[str, str] = {}
    try:
        for path in sorted(model_dir.iterdir()):
            if path.name != MANIFEST:
                files[path.name] = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelDamaged(f"{model_dir}: {path.name} can't be read ({getattr(error, 'strerror', None) or 'not UTF-8'})") from error
    sha256 = model_version(files)[1]
    if sha256 != manifest.model_sha256:
        raise ModelDamaged(
            f"{model_dir}: its files ({', '.join(files) or 'none'}) have sha256 {sha256[:VERSION_CHARS]}..., its manifest says "
            f"{manifest.model_sha256[:VERSION_CHARS]}...; they were changed after training: restore them or train again"
        )
    return manifest, files


def read_manifest(model_dir: Path) -> Manifest:
    """Read the manifest alone. ModelDamaged if it is missing, not a manifest, or its version is not of its sha256."""
    try:
        manifest = msgspec.json.decode((model_dir / MANIFEST).read_bytes(), type=Manifest)
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
