"""A directory of models (store.py), and which of them is meant: the pointers `champion` and `challenger`, one file for each kind of model.

Rule 1: a pointer is replaced as a whole (os.replace, flushed): whoever reads it has the old one or the new one, after any crash.
Rule 2: a pointer keeps who pointed where, when and why, the last is what it points at. It knows its model by the manifest's seal, so the model
behind a name can't be another one unseen.
Rule 3: what is asked for is found by one model or refused: a role, a name, or the beginning of a version.
"""

import fcntl
import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from algoserver.learn.store import VOLUME_KIND, Manifest, ModelDamaged, flush_dir, load_model, read_manifest, write_flushed

CHAMPION, CHALLENGER = "champion", "challenger"
LOCK = ".lock"
ROLES = (CHAMPION, CHALLENGER)


class Pointed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Once a pointer was set. name: of the model, seal: of its manifest. text: how the model was judged then."""

    name: str
    seal: str
    since: str
    by: str
    reason: str
    text: str = ""


class Unknown(ValueError):
    """No model, or more than one, is what was asked for."""


class Configured(NamedTuple):
    """What a configuration means by its model. folder: where it stands, None for one that needs no file. text: why it can't be read, "" if it can."""

    name: str
    sha256: str = ""
    folder: Path | None = None
    text: str = ""


def configured(model: str, base: Path, folder: Path | None) -> Configured:
    """model: champion of the registry at `folder`, a directory as seen from `base`, or the name of one that needs no file."""
    if model != CHAMPION and os.sep not in model:
        return Configured(model)
    at: Path | None = None
    try:
        if model == CHAMPION:
            if folder is None:
                raise Unknown("the model is to be the champion, and no registry is configured")
            at = folder / Registry(folder).find(CHAMPION)
            manifest = Registry(folder).manifest(CHAMPION)
        else:
            at = (base / model).resolve()
            manifest = read_manifest(at)
    except ValueError as wrong:
        return Configured(at.name if at else model, "", at, str(wrong))
    return Configured(manifest.name, manifest.model_sha256, at)


class Shelf:
    """Where a server finds a model by its name: that of its configuration, and those of its registry, which is the directory where that one stands
    unless another is named."""

    def __init__(self, own: Configured, folder: Path | None) -> None:
        self._own = own
        self._folder = folder or (own.folder.parent if own.folder else None)

    def folder(self, name: str) -> Path:
        """Where a model stands. Raises Unknown."""
        if name == self._own.name and self._own.folder is not None:
            return self._own.folder
        if self._folder is None:
            raise Unknown("no registry is configured: [forecast] registry names a directory of models")
        return self._folder / Registry(self._folder).find(name)

    def checked(self, wanted: str) -> Manifest:
        """The manifest of what is asked for, its model checked to the byte. Raises Unknown, ModelDamaged."""
        if self._folder is None or wanted == self._own.name:
            return load_model(self.folder(wanted))[0]
        return Registry(self._folder).load(wanted)[0]


class Registry:
    """The models of one directory, which need not be there yet. kind: of the models that the pointers are for."""

    def __init__(self, folder: Path, kind: str = VOLUME_KIND) -> None:
        self.folder = folder
        self.kind = kind

    def names(self) -> list[str]:
        """Every model of the kind, sorted by name."""
        if not self.folder.is_dir():
            return []
        return sorted(p.name for p in self.folder.iterdir() if p.is_dir() and p.name.startswith(f"{self.kind}-"))

    def find(self, wanted: str) -> str:
        """The name of what is asked for: a role, a name, or the beginning of a version. Raises Unknown, ModelDamaged."""
        if wanted in ROLES:
            pointed = self.pointed(wanted)
            if pointed is None:
                raise Unknown(f"{self.folder}: there is no {wanted}; `algoctl model promote` makes one" if wanted == CHAMPION else
                              f"{self.folder}: there is no {wanted}; `algoctl model train` makes one")  # fmt: skip
            return pointed.name
        begin = wanted if wanted.startswith(f"{self.kind}-") else f"{self.kind}-{wanted}"
        found = [name for name in self.names() if name.startswith(begin)] if wanted else []
        if begin in found:
            return begin
        if len(found) != 1:
            there = ", ".join(found or self.names()) or "none"
            raise Unknown(f"{self.folder}: {'several models begin' if found else 'no model begins'} with {wanted[:64]!r}; there are {there}")
        return found[0]

    def load(self, wanted: str) -> tuple[Manifest, dict[str, str]]:
        """Manifest and files of what is asked for, checked to the byte. Raises Unknown, ModelDamaged."""
        manifest, files = load_model(self.folder / self.find(wanted))
        self._check(wanted, manifest)
        return manifest, files

    def manifest(self, wanted: str) -> Manifest:
        """The manifest alone. Raises Unknown, ModelDamaged."""
        manifest = read_manifest(self.folder / self.find(wanted))
        self._check(wanted, manifest)
        return manifest

    def history(self, role: str) -> list[Pointed]:
        """Where a pointer has pointed, oldest first; [] if it never was set. Raises ModelDamaged."""
        path = self._path(role)
        try:
            return msgspec.json.decode(path.read_bytes(), type=list[Pointed])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError) as error:
            raise ModelDamaged(f"{path}: can't be read ({error}); restore it, or take it away and promote a model") from error

    def pointed(self, role: str) -> Pointed | None:
        """Where a pointer points now."""
        history = self.history(role)
        return history[-1] if history else None

    def point(self, role: str, wanted: str, since: str, by: str, reason: str, text: str = "") -> Pointed:
        """Set a pointer, durably. The model is checked first. since: as the caller gives it. Raises Unknown, ModelDamaged, OSError."""
        assert role in ROLES
        manifest, _ = self.load(wanted)
        now = Pointed(name=manifest.name, seal=manifest.seal, since=since, by=by, reason=reason, text=text)
        path = self._path(role)
        draft = path.with_name(f".{path.name}.draft")
        # One at a time: of two who point at once neither forgets the other's.
        with (self.folder / LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            write_flushed(draft, msgspec.json.format(msgspec.json.encode([*self.history(role), now]), indent=2) + b"\n")
            os.replace(draft, path)
            flush_dir(self.folder)
        return now

    def roles_of(self, name: str) -> list[str]:
        """Which pointers point at a model."""
        return [role for role in ROLES if (pointed := self.pointed(role)) is not None and pointed.name == name]

    def _check(self, wanted: str, manifest: Manifest) -> None:
        name = self.find(wanted)
        if manifest.name != name:
            raise ModelDamaged(f"{self.folder}: {name} holds the model {manifest.name}; give it its own name again")
        pointed = self.pointed(wanted) if wanted in ROLES else None
        if pointed is not None and pointed.seal != manifest.seal:
            text = f"{manifest.name} is not the model that {pointed.by} made {wanted}: its manifest is another one"
            raise ModelDamaged(f"{self.folder}: {text}; restore that, or take {self._path(wanted).name} away and make it {wanted} again")

    def _path(self, role: str) -> Path:
        return self.folder / f"{role}-{self.kind}.json"
