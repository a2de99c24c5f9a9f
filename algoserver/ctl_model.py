"""`algoctl model`: train, look at, compare and promote the models of a directory; swap that of a running server.

Rule: but for swap and history nothing here speaks to a server: a registry is a directory, and who may write it may promote. What runs changes by
swap, which is a person's at the server's door, or by the next start where the configuration names the champion.
"""

import os
import pwd
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from algoserver.terminal import CONFIRMATION_MISSING, EXITS, DryRun, Format, Reason, State, Yes, confirm, desk_of, plain, stop

if TYPE_CHECKING:
    from algoserver.learn.judge import Comparison
    from algoserver.learn.registry import Registry
    from algoserver.learn.store import Manifest

model_app = typer.Typer(no_args_is_help=True, help="Models: train, evaluate, compare, promote, swap.")

Models = Annotated[Path, typer.Option("--registry", envvar="ALGOSERVER_MODELS", help="Directory of models.")]
Name = Annotated[str, typer.Argument(help="champion, challenger, a model's name, or the beginning of its version.")]
Data = Annotated[Path, typer.Option("--data", help="Directory of recorded volumes (SYMBOL_*.csv), or a dataset of `algoserver data ingest`.")]
FOLDER = Path("state/models")
NO_DATA = Path()  # an option that was not given
Figures = dict[str, dict[str, float]]
COLUMNS = ("role", "state", "trained_through", "symbols", "mape_day_ahead", "mape_one_bin", "created_at", "parent")


@model_app.command("ls")
def model_ls(ctx: typer.Context, registry: Models = FOLDER, output: Format = None) -> None:
    """The models of a registry, each checked to the byte; state says what is wrong with one, or with one that is pointed at and gone."""
    from algoserver.learn.registry import ROLES

    with refusing():
        models = _registry(registry)
        pointed = {p.name for role in ROLES if (p := models.pointed(role)) is not None}
        rows = [_row(models, name) for name in sorted({*models.names(), *pointed})]
    desk_of(ctx, None, output).show({"registry": str(registry), "models": rows})


@model_app.command("show")
def model_show(ctx: typer.Context, model: Name = "champion", registry: Models = FOLDER, output: Format = None) -> None:
    """One model: what it is, of which data, with which figures; when it was pointed at. Its card is a page for a browser."""
    from algoserver.learn.registry import ROLES

    with refusing():
        models = _registry(registry)
        manifest, _ = models.load(model)
        pointed = [(role, p) for role in ROLES for p in models.history(role) if p.name == manifest.name]
    m = manifest
    desk_of(ctx, None, output).show({
        "model": m.name, "kind": m.kind, "trained_through": m.trained_through, "symbols": list(m.symbols), "n_bins": m.n_bins,
        "created_at": m.created_at, "parent": m.parent, "model_sha256": m.model_sha256, "data_sha256": m.data_sha256, "code_version": m.code_version,
        "code_sha256": m.code_sha256, "params": m.params, "features": list(m.feature_names), "scored_days": len(m.errors_by_date),
        "card": _card(models, m.name), "models": _by_model(m.metrics), "data": [{"symbol": s, "days": days} for s, days in m.data.items()],
        "files": [{"file": name, "sha256": sha256} for name, sha256 in m.files.items()],
        "pointed": [{"role": role, "since": p.since, "by": p.by, "reason": p.reason, "text": p.text} for role, p in pointed],
    })  # fmt: skip


@model_app.command("train")
def model_train(
    ctx: typer.Context, data: Data, registry: Models = FOLDER,
    through: Annotated[str, typer.Option("--through", help="Last day to learn from, YYYY-MM-DD; default: all.")] = "",
    days: Annotated[int, typer.Option("--days", help="Last days that are scored, out of sample.", min=1)] = 24,
    output: Format = None,
) -> None:  # fmt: skip
    """Learn a volume model from recorded days, measure it, write it with its card; it becomes the challenger."""
    from algoserver.learn.registry import CHALLENGER, CHAMPION
    from algoserver.learn.train import train_volume

    with refusing():
        models = _registry(registry)
        manifest = train_volume(data, registry, through or None, _now(), days, _progress())
        champion = models.pointed(CHAMPION)
        if champion is None or champion.name != manifest.name:
            models.point(CHALLENGER, manifest.name, _now(), _person(), f"trained on {data}")
        row = _row(models, manifest.name)
    figures = {key: _rounded(value) for key, value in sorted(manifest.metrics.items()) if key.endswith("_hybrid")}
    desk_of(ctx, None, output).show({**row, **figures, "card": _card(models, manifest.name)})


@model_app.command("evaluate")
def model_evaluate(
    ctx: typer.Context, data: Data,
    model: Annotated[str, typer.Argument(help="A model as it is, on the days after its last; default: the recipe, walking forward.")] = "",
    registry: Models = FOLDER,
    days: Annotated[int, typer.Option("--days", help="Last days that are scored where the recipe walks forward.", min=1)] = 24,
    output: Format = None,
) -> None:  # fmt: skip
    """Forecast days that were not learnt from, day ahead and before every bin, and compare with what traded. Percent."""
    from algoserver.learn import judge

    with refusing():
        figures, errors = _evaluated(registry, model, data, days)
    models = [{"model": name, **{f: _rounded(value) for f, value in of.items() if not f.startswith("mae_")}} for name, of in figures.items()]
    paired = [{"less": other, **row} for other in figures if other != judge.OWN for row in _rows(judge.differences(errors, errors, judge.OWN, other))]
    said = {"evaluated": model or "the recipe, walking forward", "days": len(errors), "first": min(errors), "last": max(errors)}
    desk_of(ctx, None, output).show({**said, "models": models, "differences": paired})


@model_app.command("compare")
def model_compare(
    ctx: typer.Context, one: Name = "challenger", other: Name = "champion", registry: Models = FOLDER,
    data: Data = NO_DATA, output: Format = None,
) -> None:  # fmt: skip
    """The first model less the other, day by day, with standard errors; negative: the first is better. With --data on days that neither has
    learnt from, else on the days that both have scored in training."""
    with refusing():
        found, (mine, theirs) = _compared(_registry(registry), one, other, data)
    said = {"one": mine.name, "other": theirs.name, "basis": found.basis}
    coverage = {f"coverage_{h}": _rounded(value) for h, value in zip(("day_ahead", "one_bin"), found.coverage, strict=True)}
    desk_of(ctx, None, output).show({**said, **coverage, "differences": _rows(found.differences)})


@model_app.command("promote")
def model_promote(
    ctx: typer.Context, model: Name = "challenger", registry: Models = FOLDER, data: Data = NO_DATA, reason: Reason = "",
    back: Annotated[bool, typer.Option("--back", help="To the champion before this one; it is not compared.")] = False,
    dry_run: DryRun = False, yes: Yes = False, output: Format = None,
) -> None:  # fmt: skip
    """Make a model the champion, if what is measured allows it. Servers that are configured with the champion take it at their next start."""
    from algoserver.learn.registry import CHAMPION

    if not reason:
        stop("model.promote: say why with --reason; it is kept with the pointer", EXITS["usage"])
    with refusing():
        models = _registry(registry)
        name, text = _before(models) if back else _judged(models, model, data)
    if not (yes or dry_run):
        if not sys.stdin.isatty():
            stop("model.promote: without a terminal to ask on it needs --yes", CONFIRMATION_MISSING)
        confirm(f"promote {name}: {plain(text)}. Go on?")
    if not dry_run:
        with refusing():
            models.point(CHAMPION, name, _now(), _person(), reason, text)
    desk_of(ctx, None, output).show({"champion": name, "by": _person(), "reason": reason, "text": text, "dry_run": dry_run})


@model_app.command("swap")
def model_swap(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="Of the server's registry: name, champion or challenger; or median20, which needs one person.")],
    reason: Reason = "", dry_run: DryRun = False, yes: Yes = False, state: State = None, output: Format = None,
) -> None:  # fmt: skip
    """Let a running server forecast by another model. Plans at work keep theirs until the next forecast; the old one answers until it is loaded."""
    desk = desk_of(ctx, state, output)
    request = {"verb": "model.swap", "target": model, "reason": reason}
    if not (yes or dry_run):
        if not sys.stdin.isatty():
            stop("model.swap: without a terminal to ask on it needs --yes", CONFIRMATION_MISSING)
        ahead = desk.ask({**request, "dry_run": True})
        confirm(f"model.swap {plain(ahead['before'] or 'no model')} for {ahead['target']}, {ahead['parents_open']} open parents. Go on?")
    desk.show(desk.ask({**request, "dry_run": dry_run}))


@model_app.command("history")
def model_history(ctx: typer.Context, state: State = None, output: Format = None) -> None:
    """The models that a running server has forecast by, oldest first, by whom and why; wanted: one that is being loaded."""
    desk = desk_of(ctx, state, output)
    desk.show(desk.ask({"verb": "model.history"}))


def _row(models: "Registry", name: str) -> dict[str, Any]:
    """A model in one line; one that is damaged says so."""
    from algoserver.learn.store import ModelDamaged, load_model

    roles = models.roles_of(name)
    wrong = {"model": name, **dict.fromkeys(COLUMNS, ""), "role": ", ".join(roles)}
    try:
        m = load_model(models.folder / name)[0]
        if m.name != name:
            return {**wrong, "state": f"holds the model {m.name}"}
        for role in roles:
            models.manifest(role)  # a pointer knows its model by the seal
    except ModelDamaged as damage:
        return {**wrong, "state": str(damage).partition(": ")[2]}
    figures = (_rounded(m.metrics.get(f"{key}_hybrid")) for key in COLUMNS[4:6])
    known = (wrong["role"], "whole", m.trained_through, len(m.symbols), *figures, m.created_at, m.parent)
    return {"model": name, **dict(zip(COLUMNS, known, strict=True))}


def _by_model(metrics: dict[str, float]) -> list[dict[str, Any]]:
    """A manifest's figures, a row for each model that was scored; MAE is in units, and no person compares it."""
    from algoserver.learn.scores import MODELS

    rows = []
    for name in MODELS:
        of = {key.removesuffix(f"_{name}"): _rounded(value) for key, value in metrics.items() if key.endswith(f"_{name}")}
        rows += [{"model": name, **{key: value for key, value in of.items() if not key.startswith("mae_")}}] if of else []
    return rows


def _card(models: "Registry", name: str) -> str:
    path = models.folder / name / "card.html"
    return str(path) if path.exists() else ""


def _evaluated(registry: Path, model: str, data: Path, days: int) -> "tuple[Figures, Figures]":
    """Figures by model, and errors by day."""
    from algoserver.learn import judge
    from algoserver.learn.predict import HybridModel
    from algoserver.learn.scores import by_date, metrics, tally
    from algoserver.learn.volumes import read_volumes
    from algoserver.learn.walk import Walk

    volumes = read_volumes(data)
    if model:
        models = _registry(registry)
        stored = HybridModel.load(models.folder / models.manifest(model).name)
        return judge.evaluate({judge.OWN: stored}, volumes, stored.trained_through, _progress())
    tallies = tally(Walk(volumes, days, has_trees=False, told=_progress()).run())
    return metrics(tallies), by_date(tallies)


def _judged(models: "Registry", model: str, data: Path) -> tuple[str, str]:
    """The model's name and why it may be champion; ValueError if it may not."""
    from algoserver.learn.judge import first_verdict, verdict
    from algoserver.learn.predict import HybridModel
    from algoserver.learn.registry import CHAMPION

    if models.pointed(CHAMPION) is None:
        manifest = models.manifest(model)
        said = first_verdict(manifest)
    else:
        found, (manifest, champion) = _compared(models, model, CHAMPION, data)
        said = verdict(manifest, champion, found)
    HybridModel.load(models.folder / manifest.name)  # one that this version can't serve is not promoted
    if not said.may:
        raise ValueError(f"{manifest.name} is not promoted: {said.text}")
    return manifest.name, said.text


def _before(models: "Registry") -> tuple[str, str]:
    from algoserver.learn.registry import CHAMPION

    history = models.history(CHAMPION)
    now = history[-1].name if history else ""
    earlier = next((p.name for p in reversed(history) if p.name != now), "")
    if not earlier:
        raise ValueError(f"{models.folder}: there was no champion before {now or 'the first'}")
    return earlier, f"back from {now}"


def _compared(models: "Registry", one: str, other: str, data: Path) -> "tuple[Comparison, tuple[Manifest, Manifest]]":
    from algoserver.learn.judge import compare_on, compare_stored
    from algoserver.learn.predict import HybridModel
    from algoserver.learn.volumes import read_volumes

    mine, theirs = models.manifest(one), models.manifest(other)
    if data == NO_DATA:
        return compare_stored(mine, theirs), (mine, theirs)
    stored = [HybridModel.load(models.folder / m.name) for m in (mine, theirs)]
    return compare_on(stored[0], stored[1], read_volumes(data), _progress()), (mine, theirs)


def _rows(differences: Any) -> list[dict[str, Any]]:
    return [{"figure": d.figure, "points": _rounded(d.points), "standard_error": _rounded(d.standard_error), "days": d.days} for d in differences]


def _rounded(value: float | None) -> float | None:
    """Two decimals; None for what is not known, which JSON has a word for."""
    return round(value, 2) if value is not None and value == value else None


def _registry(folder: Path) -> "Registry":
    from algoserver.learn.registry import Registry

    return Registry(folder)


@contextmanager
def refusing() -> Iterator[None]:
    """What is wrong inside ends the program, with its exit status."""
    from algoserver.learn.registry import Unknown

    try:
        yield
    except Unknown as unknown:
        stop(f"not_found: {plain(unknown)}", EXITS["not_found"])
    except ValueError as wrong:
        stop(f"refused: {plain(wrong)}", EXITS["refused"])
    except OSError as failure:
        stop(f"failed: {failure.filename}: {failure.strerror}", EXITS["failed"])


def _progress() -> Callable[[str], None]:
    """Says on stderr how far it is."""
    began = time.monotonic()
    return lambda text: print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _person() -> str:
    return pwd.getpwuid(os.getuid()).pw_name
