"""Train a volume model: read, walk forward, fit, save. The caller prints.

Rule 1: same data, code and kind of processor, same model: the version is the sha256 of its files, so training again changes nothing. On another
processor the last bits may be others, and the name with them.
Rule 2: what is reported was measured out of sample, and the bands are calibrated on the same forecasts; what is saved then learns from every day
through the last.
Rule 3: too few days are refused before anything is written: whatever is configured stays in force.
Rule 4: a model is written with its card. The registry's champion is its parent; nothing is promoted here.
"""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import msgspec

from algoserver import __version__
from algoserver.learn.bands import Calibration
from algoserver.learn.card import CARD, render
from algoserver.learn.hybrid import HEADS, PARAMS, THIN, TREES, Hybrid, fit_hybrid
from algoserver.learn.kalman import LevelParams, begun, filtered, pooled
from algoserver.learn.predict import FILTER_FILE, Stored, StoredLevel
from algoserver.learn.registry import CHAMPION, Registry
from algoserver.learn.rows import ROW_NAMES
from algoserver.learn.scores import Tally, by_date, metrics, tally
from algoserver.learn.splits import mended
from algoserver.learn.store import VOLUME_KIND, Manifest, model_version, save_model
from algoserver.learn.volumes import Volumes, read_volumes, volumes_sha256
from algoserver.learn.walk import SCORED_DAYS, Walk, fit_levels, known_days, known_logs
from algoserver.source import LEARN, source_hash


def train_volume(
    data_dir: Path, out_dir: Path, through: str | None = None, created_at: str = "", scored_days: int = SCORED_DAYS,
    told: Callable[[str], None] = lambda _text: None,
) -> Manifest:  # fmt: skip
    """Train on the volumes in `data_dir` and save to `out_dir / manifest.name`. Return the manifest in the store.

    through: last day to learn from, YYYY-MM-DD, inclusive; default: all days. told: hears how far it is.
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
            walk = Walk(volumes, scored_days, has_trees=False, told=told)
            tallies = tally(walk.run())
            found = metrics(tallies)
        except ValueError as error:
            raise ValueError(f"{error}; no model was written, what is configured stays in force") from error
    told("fit on all days")
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
        errors_by_date=by_date(tallies),
        created_at=created_at,
        code_sha256=source_hash(LEARN),
        data={one.symbol: _days(one) for one in volumes},
        parent=champion.name if (champion := Registry(out_dir).pointed(CHAMPION)) else "",
    )
    seasons = {symbol: level.phi.tolist() for symbol, level in sorted(levels.items())}
    return save_model(out_dir, manifest, {**files, CARD: render(manifest, volumes[0].bin_starts, seasons, gains(hybrid))})


def gains(hybrid: Hybrid) -> dict[str, float]:
    """What each feature has brought to the trees of `point`: its share of all gain, the greatest first."""
    found = hybrid.boosters["point"].feature_importance("gain")
    total = float(found.sum()) or 1.0
    by_name = {name: float(gain) / total for name, gain in zip(ROW_NAMES, found, strict=True)}
    return dict(sorted(by_name.items(), key=lambda item: (-item[1], item[0])))


def _days(one: Volumes) -> str:
    return f"{one.dates[0]} to {one.dates[-1]}, {len(one.dates)} days" if one.dates else "no days"


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
