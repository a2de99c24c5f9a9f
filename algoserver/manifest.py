"""The approved manifest: which build, configuration, policy and model a server may start with, by sha256.

Rule 1: what decides is in it: our own source, the libraries that order, encode and predict, every file of the configuration, the
model's files and the volumes that it looks back on. What the command line changes (the clock, the model) counts as changed.
Rule 2: it is written by one command and compared at each start; nothing here changes it by itself.
Rule 3: its policy is that of a journal's first start. What persons apply later is approved by the journal's own history
(core/proposals), which outlives a change of the file: a manifest can neither bring back nor forbid what two persons have decided.
"""

import os
import platform
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

from algoserver.checks import Facts, Hash
from algoserver.clock import Clock
from algoserver.config import Config
from algoserver.learn.volumes import DATASET
from algoserver.policies import digest_of
from algoserver.profiles import dialect_files
from algoserver.recorded import VOLUME_DIR
from algoserver.settings import BadConfig
from algoserver.source import PACKAGE, source_hash

DECIDING = ("quickfix", "msgspec", "numpy", "lightgbm")
DICTIONARY = re.compile(r"^(?:Transport|App)?DataDictionary\s*=\s*(.+?)\s*$", re.MULTILINE)
POLICY = "policy"

Parts = dict[str, dict[str, str]]  # build, configuration, policy, model -> name -> hash or version


def parts(config: Config) -> Parts:
    """What would run, by part. Raises BadConfig where a file can't be read."""
    try:
        return {
            "build": {"algoserver": source_hash(PACKAGE), **{name: version(name) for name in DECIDING}, "python": platform.python_version()},
            "configuration": {**{_name(p, config.base): _sha256(p) for p in _files(config)}, "clock": _clock(config.clock)},
            POLICY: {_name(config.path(config.server.policy), config.base): config.setup.policy_digest},
            "model": _model(config),
        }
    except OSError as e:
        raise BadConfig(f"{e.filename}: {e.strerror}") from e


def write(config: Config, out: Path) -> Parts:
    """Write the manifest of what would run now; a person approves it by naming it in [manifest] file. Raises BadConfig, OSError."""
    found = parts(config)
    lines = ["# What a server may start with: sha256 of files, versions of libraries. Written by `algoserver manifest write`."]
    for part, entries in found.items():
        lines += ["", f"[{part}]", *(f"{_quoted(name)} = {_quoted(value)}" for name, value in entries.items())]
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(out.name + ".tmp")
    draft.write_text("\n".join(lines) + "\n")
    os.replace(draft, out)
    return found


def read(path: Path) -> Parts:
    """A manifest. Raises BadConfig."""
    try:
        raw = tomllib.loads(path.read_text())
    except OSError as e:
        raise BadConfig(f"{path}: {e.strerror}") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise BadConfig(f"{path}: {e}") from e
    if set(raw) != {"build", "configuration", POLICY, "model"} or not all(isinstance(v, dict) and v for v in raw.values()):
        raise BadConfig(f"{path}: a manifest has the tables build, configuration, policy and model, none empty")
    return {part: {str(name): str(value) for name, value in entries.items()} for part, entries in raw.items()}


def measure(config: Config, facts: Facts) -> None:
    """Compare what would run with what was approved; of the policy only what was approved, for in force is what the journal says."""
    facts.policy = config.setup.policy_digest, "", ""
    facts.manifest = str(config.path(config.server.manifest.file)) if config.server.manifest.file else ""
    if not facts.manifest:
        return
    try:
        approved, found = read(Path(facts.manifest)), parts(config)
    except BadConfig as e:
        facts.manifest_error = str(e)
        return
    facts.hashes = tuple(
        Hash(part, name, approved[part].get(name, ""), found[part].get(name, ""))
        for part in found
        if part != POLICY
        for name in dict.fromkeys((*approved[part], *found[part]))
    )
    facts.policy = config.setup.policy_digest, next(iter(approved[POLICY].values())), ""


def _files(config: Config) -> list[Path]:
    """Every file that says how the server behaves, but for the policy: session files bring the dictionaries that they name."""
    server = config.server
    sessions = [config.path(server.clients.sessions), *(config.path(name) for v in server.venues for name in (v.sessions, v.drop_copy) if name)]
    dictionaries = [(s.parent / name).resolve() for s in sessions for name in DICTIONARY.findall(s.read_text())]
    own = [config.file.resolve(), config.path(server.instruments), *(p.resolve() for p in dialect_files(config.base, server.profiles))]
    return list(dict.fromkeys((*own, *sessions, *dictionaries)))


def _model(config: Config) -> dict[str, str]:
    volumes = config.server.forecast.volumes
    folder = config.path(volumes) if volumes else VOLUME_DIR
    recorded = {f"volumes/{p.name}": _sha256(p) for p in sorted((*folder.glob("*.csv"), *folder.glob(DATASET)))}  # which has its files' sha256
    return {**_named("model", config.model.name, config.model.folder), **_named("impact", config.impact, _folder(config.impact)), **recorded}


def _folder(name: str) -> Path | None:
    return Path(name) if os.sep in name else None


def _named(kind: str, name: str, model: Path | None) -> dict[str, str]:
    """A model by the word that stands for it, or by its files."""
    if model is None:
        return {kind: name or "none"}
    files = sorted(p for p in model.rglob("*") if p.is_file()) if model.is_dir() else []
    return {f"{kind}/{p.relative_to(model).as_posix()}": _sha256(p) for p in files}


def _clock(clock: Clock) -> str:
    return "real time" if clock == Clock() else f"speed {clock.speed:g}"


def _name(path: Path, base: Path) -> str:
    """A file's name that is the same on every machine: as seen from the configuration's directory."""
    return Path(os.path.relpath(path.resolve(), base.resolve())).as_posix()


def _sha256(path: Path) -> str:
    return digest_of(path.read_bytes())


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
