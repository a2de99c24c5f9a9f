"""A model at rest: a directory of text files (LightGBM's trees, a filter's parameters) and the `manifest.json` that names them by their bytes.

Rule 1: a model is immutable and named by its bytes. The same bytes are the same model; nothing is ever overwritten.
Rule 2: a directory under its final name is complete: it is written beside it, flushed, then renamed.
Rule 3: a model of which one byte has changed is refused, that of its manifest too, and the refusal names the file. It is a seal against accidents:
who may write the directory can make another model with another name. No pickle: reading a model runs no code of it.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

VOLUME_KIND, IMPACT_KIND = "volume", "impact"
MANIFEST = "manifest.json"
# Ending of files that tell of a model and are not of its bytes: its card.
PAPER = ".html"

# Training again writes nothing over a directory that is there, whole or not.
MEND = "restore it, or take the model's directory away and train again"
# 48 bits: names stay readable, and two models of one desk don't meet by chance.
VERSION_CHARS = 12


class ModelDamaged(ValueError):
    """The files of a model are not the ones that were written."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a model comes from and what it was worth when it was made.

    version: first 12 hex digits of model_sha256, which is of the model's files' names and sha256. files: sha256 of each file of the directory, those
    included that only tell of the model (its card). seal: sha256 of this manifest with an empty seal.

    data_sha256: of the volumes learnt from, through the last day; data: symbol -> which days. code_version, code_sha256: of what has learnt.
    parent: name of the champion when it was trained, "" without one. params: its seed among them. metrics: see scores.py, `<figure>_<model>`;
    errors_by_date: the same figures of each scored day. created_at: as the caller gave it; nothing here reads a clock.
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
    errors_by_date: dict[str, dict[str, float]]
    created_at: str
    code_sha256: str = ""
    data: dict[str, str] = {}
    parent: str = ""
    files: dict[str, str] = {}
    seal: str = ""

    @property
    def name(self) -> str:
        """The directory's name in the store."""
        return f"{self.kind}-{self.version}"


def model_version(files: Mapping[str, str]) -> tuple[str, str]:
    """Version and sha256 of a model's files, name to text: of their names and their own sha256, in order of name; its papers are left out."""
    lines = [f"{_sha256(files[name].encode())}  {name}\n" for name in sorted(files) if not name.endswith(PAPER)]
    sha256 = _sha256("".join(lines).encode())
    return sha256[:VERSION_CHARS], sha256


def save_model(store_dir: Path, manifest: Manifest, files: Mapping[str, str]) -> Manifest:
    """Write the model to `store_dir / manifest.name`. Return the manifest in the store.

    If the same bytes are there already, the first manifest stays: when and by whom a model was first made is its history.
    """
    assert (manifest.version, manifest.model_sha256) == model_version(files)
    model_dir = store_dir / manifest.name
    if model_dir.exists():
        return load_model(model_dir)[0]
    named = msgspec.structs.replace(manifest, files={name: _sha256(files[name].encode()) for name in sorted(files)}, seal="")
    sealed = msgspec.structs.replace(named, seal=_sha256(_encoded(named)))
    store_dir.mkdir(parents=True, exist_ok=True)
    draft_dir = Path(tempfile.mkdtemp(prefix=f".{manifest.name}.", dir=store_dir))
    try:
        for name, text in files.items():
            write_flushed(draft_dir / name, text.encode())
        write_flushed(draft_dir / MANIFEST, _encoded(sealed))
        # mkdtemp is for one's own eyes; a model is read by the server's account too.
        draft_dir.chmod(0o755)
        flush_dir(draft_dir)
        draft_dir.rename(model_dir)
    except OSError:
        # Another process may have stored the same bytes meanwhile; anything else is an error.
        if not model_dir.exists():
            raise
    finally:
        shutil.rmtree(draft_dir, ignore_errors=True)
    flush_dir(store_dir)
    return load_model(model_dir)[0]


def load_model(model_dir: Path) -> tuple[Manifest, dict[str, str]]:
    """Read manifest and files. ModelDamaged if one is missing, unreadable, new or not what the manifest says; it names the first that is wrong."""
    manifest = read_manifest(model_dir)
    files: dict[str, str] = {}
    try:
        there = {path.name: path for path in sorted(model_dir.iterdir()) if path.name != MANIFEST}
    except OSError as error:
        raise ModelDamaged(f"{model_dir}: can't be read ({error.strerror})") from error
    for name in sorted({*there, *manifest.files}):
        if name not in there:
            raise ModelDamaged(f"{model_dir}: {name} is missing; {MEND}")
        if name not in manifest.files:
            raise ModelDamaged(f"{model_dir}: {name} is none of its files; take it away")
        try:
            data = there[name].read_bytes()
            files[name] = data.decode()
        except (OSError, UnicodeDecodeError) as error:
            raise ModelDamaged(f"{model_dir}: {name} can't be read ({getattr(error, 'strerror', None) or 'not UTF-8'})") from error
        if _sha256(data) != manifest.files[name]:
            raise ModelDamaged(
                f"{model_dir}: {name} was changed after training: its sha256 is {_sha256(data)[:VERSION_CHARS]}..., its manifest says "
                f"{manifest.files[name][:VERSION_CHARS]}...; {MEND}"
            )
    if model_version(files)[1] != manifest.model_sha256:
        raise ModelDamaged(f"{model_dir}: manifest.json is of another model than these files")
    return manifest, files


def read_manifest(model_dir: Path) -> Manifest:
    """Read the manifest alone. ModelDamaged if it is missing, not a manifest, of another version than it says, or changed."""
    try:
        data = (model_dir / MANIFEST).read_bytes()
        manifest = msgspec.json.decode(data, type=Manifest)
    except OSError as error:
        raise ModelDamaged(f"{model_dir}: manifest.json can't be read ({error.strerror}); {MEND}") from error
    except msgspec.DecodeError as error:
        raise ModelDamaged(f"{model_dir}: manifest.json is not a manifest ({error})") from error
    if manifest.version != manifest.model_sha256[:VERSION_CHARS]:
        raise ModelDamaged(f"{model_dir}: manifest.json has version {manifest.version} of model {manifest.model_sha256[:VERSION_CHARS]}...")
    if data != _encoded(manifest) or manifest.seal != _sha256(_encoded(msgspec.structs.replace(manifest, seal=""))):
        raise ModelDamaged(f"{model_dir}: manifest.json was changed after training: it is not what its seal is of; {MEND}")
    return manifest


def write_flushed(path: Path, data: bytes) -> None:
    """Write a file and have it on the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def flush_dir(path: Path) -> None:
    """Make the names in a directory last: a rename is only durable when its directory is."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _encoded(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
