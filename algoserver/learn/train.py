"""Train a volume model: read, evaluate, fit, save. The caller prints.

Rule 1: same data and code, same model: the version is the sha256 of the text, so training again changes nothing.
Rule 2: what is reported was measured out of sample; what is saved then learns from every day through the last.
"""

from datetime import date
from pathlib import Path

from algoserver import __version__
from algoserver.learn.evaluate import evaluate
from algoserver.learn.features import FEATURE_NAMES
from algoserver.learn.fit import PARAMS, TREES, fit_volume, rows_by_day
from algoserver.learn.store import VOLUME_KIND, Manifest, model_version, save_model
from algoserver.learn.volumes import read_volumes, volumes_sha256


def train_volume(data_dir: Path, out_dir: Path, through: str | None = None, created_at: str = "") -> Manifest:
    """Train on the volumes in `data_dir` and save to `out_dir / manifest.name`. Return the manifest in the store.

    through: last day to learn from, YYYY-MM-DD, inclusive; default: all days.
    created_at: written to the manifest as given.
    """
    volumes = read_volumes(data_dir)
    if through is not None:
        try:
            last = date.fromisoformat(through)
        except ValueError:
            raise ValueError(f"through {through!r} is not a date; YYYY-MM-DD is needed") from None
        volumes = [one.through(last) for one in volumes]
    metrics, curve_error_by_date = evaluate(volumes)
    text = fit_volume(list(rows_by_day(volumes).values())).model_to_string()
    version, sha256 = model_version(text)
    manifest = Manifest(
        kind=VOLUME_KIND,
        version=version,
        model_sha256=sha256,
        data_sha256=volumes_sha256(volumes),
        code_version=__version__,
        params={**PARAMS, "trees": TREES},
        feature_names=FEATURE_NAMES,
        n_bins=len(volumes[0].bin_starts),
        symbols=tuple(one.symbol for one in volumes),
        trained_through=max(one.dates[-1] for one in volumes if one.dates).isoformat(),
        metrics=metrics,
        curve_error_by_date=curve_error_by_date,
        created_at=created_at,
    )
    return save_model(out_dir, manifest, text)
