"""Train a volume model: read, walk forward, fit, save. The caller prints.

Rule 1: same data and code, same model: the version is the sha256 of its files, so training again changes nothing.
Rule 2: what is reported was measured out of sample, and the bands are calibrated on the same forecasts; what is saved then learns from every day
through the last.
Rule 3: too few days are refused before anything is written: whatever is configured stays in force.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import msgspec

from algoserver import __version__
from algoserver.learn.bands import Calibration
from algoserver.learn.hybrid import HEADS, PARAMS, THIN, TREES, Hybrid, fit_hybrid
from algoserver.learn.kalman import LevelParams, begun, filtered, pooled
from algoserver.learn.predict import FILTER_FILE, Stored, StoredLevel
from algoserver.learn.rows import ROW_NAMES
from algoserver.learn.scores import Tally, metrics, tally
from algoserver.learn.splits import mended
from algoserver.learn.store import VOLUME_KIND, Manifest, model_version, save_model
from algoserver.learn.volumes import Volumes, read_volumes, volumes_sha256
from algoserver.learn.walk import SCORED_DAYS, Walk, fit_levels, known_days, known_logs

# With the scored days a rolling month and a half, which is what the bands keep.
WARM_DAYS = 8


def train_volume(data_dir: Path, out_dir: Path, through: str | None = None, created_at: str = "", scored_days: int = SCORED_DAYS) -> Manifest:
    """Train on the volumes in `data_dir` and save to `out_dir / manifest.name`. Return the manifest in the store.

    through: last day to learn from, YYYY-MM-DD, inclusive; default: all days.
    created_at: written to the manifest as given. scored_days: on which it is measured and its bands are calibrated; each 8 cost a fit.
    0: neither, in a third of the time, for who needs a curve alone.
    """
    volumes = read_volumes(data_dir)
    if through is not None:
        try:
            last = date.fromisoformat(through)
        except ValueError:
            raise ValueError(f"through {through!r} is not a date; YYYY-MM-DD is needed") from None
        volumes = [one.through(last) for one in volumes]
    walk = None
    tallies: dict[str, Tally] = {}
    found: dict[str, dict[str, float]] = {}
    if scored_days:
        try:
            walk = Walk(volumes, scored_days, has_trees=False, warm_days_max=WARM_DAYS)
            tallies = tally(walk.run())
            found = metrics(tallies)
        except ValueError as error:
            raise ValueError(f"{error}; no model was written, what is configured stays in force") from error
    hybrid, levels = fit_all(volumes, walk.levels if walk else {})
    files = {f"{head}.txt": hybrid.boosters[head].model_to_string() for head in HEADS}
    files[FILTER_FILE] = _stored(walk.calibrations if walk else {}, hybrid, levels)
    version, sha256 = model_version(files)
    manifest = Manifest(
        kind=VOLUME_KIND,
        version=version,
        model_sha256=sha256,
        data_sha256=volumes_sha256(volumes),
        code_version=__version__,
        params={**PARAMS, "trees": TREES, "thin": THIN},
        feature_names=ROW_NAMES,
        n_bins=len(volumes[0].bin_starts),
        symbols=tuple(one.symbol for one in volumes if one.symbol in levels),
        trained_through=max(one.dates[-1] for one in volumes if one.dates).isoformat(),
        metrics={f"{figure}_{model}": value for model, figures in found.items() for figure, value in figures.items()}
        | {"scored_days": float(scored_days)},
        curve_error_by_date=_curve_errors(tallies),
        created_at=created_at,
    )
    return save_model(out_dir, manifest, files)


def fit_all(volumes: Sequence[Volumes], before: dict[str, LevelParams]) -> tuple[Hybrid, dict[str, LevelParams]]:
    """The hybrid and every symbol's filter, of all days. before: parameters to go on from."""
    levels: dict[str, LevelParams] = {}
    days = []
    for one in volumes:
        logs = mended(known_logs(one), len(one.dates))
        params = fit_levels(logs, before.get(one.symbol)) if len(logs) else None
        if params is not None:
            levels[one.symbol] = params
            days += [(known.rows, known.logs) for known in known_days(filtered(begun(params, logs), logs), logs, one.dates)]
    return fit_hybrid(days), levels


def _stored(calibrations: dict[str, Calibration], hybrid: Hybrid, levels: dict[str, LevelParams]) -> str:
    known = {name: calibrations.get(name, Calibration()) for name in ("kalman", "hybrid")}
    stretches = {name: {symbol: of.stretch(symbol) for symbol in ("", *levels)} for name, of in known.items()}
    stored = Stored(
        levels={symbol: StoredLevel.of(params) for symbol, params in levels.items()},
        everybody=StoredLevel.of(pooled(list(levels.values()))),
        lines={name: line.tolist() for name, line in hybrid.lines.items()},
        stretches=stretches,
    )
    return msgspec.json.format(msgspec.json.encode(stored), indent=1).decode() + "\n"


def _curve_errors(tallies: dict[str, Tally]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for name, of in tallies.items():
        for day, errors in of.curve_by_day.items():
            found.setdefault(day.isoformat(), {})[name] = sum(errors) / len(errors)
    return dict(sorted(found.items()))
