"""`algoserver data`: recorded bars of any symbols, checked and kept as Parquet. Needs the extra `research`."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from algoserver.cli_records import refuse
from algoserver.terminal import plain

if TYPE_CHECKING:
    from algoserver.learn.dataset import Report

EXIT_FAULTS = 5
data_app = typer.Typer(no_args_is_help=True, help="Recorded bars: check them, keep them as Parquet, say what is there.")

Sources = Annotated[
    list[Path], typer.Argument(help="CSV or Parquet files, folders of them, recorded volumes, or a server's state directory (its journal).")
]
BarSeconds = Annotated[int, typer.Option("--bar-seconds", help="Length of a bar; default: the commonest distance of two.", min=0, show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")]


def add_to(app: typer.Typer) -> None:
    """Make it a group of `algoserver`."""
    app.add_typer(data_app, name="data")


@data_app.command("validate")
def data_validate(sources: Sources, bar_seconds: BarSeconds = 0, is_json: Json = False) -> None:
    """Read everything, write nothing, and say what is wrong with which row; exit status 5 where rows are unusable."""
    from algoserver.learn.dataset import validate

    with _refusing():
        report = validate(sources, _now(), bar_seconds)
    _show(report, is_json)
    raise typer.Exit(EXIT_FAULTS if report.faults else 0)


@data_app.command("ingest")
def data_ingest(
    sources: Sources,
    out: Annotated[Path, typer.Option("--out", help="Folder to make.")],
    bar_seconds: BarSeconds = 0,
    drop: Annotated[bool, typer.Option("--drop", help="Leave rows with a fault out; the report keeps them.")] = False,
    is_json: Json = False,
) -> None:
    """Make a dataset of them: Parquet by symbol and month, with a report. With a fault nothing is written, unless --drop."""
    from algoserver.learn.dataset import ingest

    with _refusing():
        report = ingest(sources, out, _now(), bar_seconds, drop)
    _show(report, is_json)
    print(f"dataset {out}", file=sys.stderr)


@data_app.command("describe")
def data_describe(dataset: Annotated[Path, typer.Argument(help="Folder that `ingest` made.")], is_json: Json = False) -> None:
    """What a dataset is made of, and each symbol's bars, days and volume; checked to the byte."""
    import msgspec

    from algoserver.learn.dataset import describe

    with _refusing():
        known, rows = describe(dataset)
    if is_json:
        print(json.dumps({"report": msgspec.to_builtins(known.report), "symbols": rows}, indent=2))
        return
    _show(known.report, is_json)
    names = list(rows[0])
    widths = [max(len(name), *(len(str(row[name])) for row in rows)) for name in names]
    for line in (dict(zip(names, names, strict=True)), *rows):
        print("  ".join(str(line[name]).ljust(width) for name, width in zip(names, widths, strict=True)).rstrip())


def _show(report: "Report", is_json: bool) -> None:
    import msgspec

    if is_json:
        print(json.dumps({**msgspec.to_builtins(report), "faults": report.faults}, indent=2))
        return
    print(f"{report.rows} bars of {report.bar_s} s, {report.symbols} symbols, {report.first} to {report.last} UTC; {report.left_out} unusable")
    for seen in report.seen:
        print(f"{'fault' if seen.is_fault else 'remark'}  {seen.rule}  {seen.rows}")
        for example in seen.examples:
            print(f"    {plain(example)}")


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError) as error:
        refuse(plain(error))


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)
