"""Bars become a dataset: every row is kept, or has a fault by file, row and rule; the same sources give the same bytes."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from algoserver.cli import app
from algoserver.domain.types import MINUTE
from algoserver.learn.dataset import describe, ingest, validate, volumes_of
from algoserver.learn.volumes import Volumes, read_volumes, volumes_sha256
from algoserver.recorded import VOLUME_DIR
from tests.core.day import Day
from tests.test_export import journaled

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEAD = "symbol,ts,open,high,low,close,volume\n"
# What is wrong with a row, and the rule that says so; "" where nothing is.
ROWS = [
    ("A,2019-01-02 09:30:00,10,11,9,10,100", ""),
    ("A,2019-01-02 09:31:00,10,11,9,10,x", "unreadable"),
    ("A,2019-01-02 09:31:00+05:00,10,11,9,10,5", "unreadable"),
    ("A,2019-01-02 09:32:00,10,9,11,10,5", "crossed"),
    ("A,2019-01-02 09:33:00,-10,11,9,10,5", "bad_tick"),
    ("A,2019-01-02 09:33:10,10,11,9,10,5", "clock"),
    ("A,2019-01-02 09:30:00,10,11,9,10,100", "duplicate"),
    ("A,2019-01-02 09:34:00,10,11", "unreadable"),
    ("A,2019-01-02 09:35:00,10,11,9,10,5,6", "unreadable"),
    ("A,20190102-09:36:00,10,11,9,10,5", ""),
    ("A,2019-01-02T09:37:00Z,10,16,9,15,5", "spike"),
    ("A,2019-01-02 09:38:00,10,11,9,10.1,0", ""),
    ("A,2019-01-03 09:30:00,30,30,30,30,5", ""),
    ("A,2019-01-03 09:31:00,30,30,30,30,5", ""),
    ("A,2039-01-03 09:31:00,30,30,30,30,5", "clock"),
    (",2019-01-03 09:31:00,30,30,30,30,5", "unreadable"),
    ("A,2019-01-03 09:32:00,30,30,30,30,-5", "bad_tick"),
    ("A,2019-01-03 09:33:00,,,,,nan", "bad_tick"),
    ("A,2019-01-03 09:34:00,30,30,30,31,5", "crossed"),
    ("B,2019-01-02 09:30:00,10,11,9,10,0", ""),
    ("B,2019-01-04 09:30:00,10,11,9,10,0", ""),
]
REMARKS = {
    "gap": ["10: A 2019-01-02 09:36:00: 5 bars are missing before it", "12: A 2019-01-02 09:38:00: 1 bars are missing before it"],
    "day_missing": ["20: B 2019-01-03 00:00:00: it has no bar on 2019-01-03, on which others have"],
    "jump": ["13: A 2019-01-03 09:30:00: it opens at 2.97 times the close before: a split?"],
    "constant": ["13: A 2019-01-03 09:30:00: neither price nor volume moves all day"],
    "no_volume": ["20: B 2019-01-02 09:30:00: nothing traded all day", "21: B 2019-01-04 09:30:00: nothing traded all day"],
}


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.csv"
    path.write_text(HEAD + "".join(f"{row}\n" for row, _ in ROWS))
    return path


def bars(folder: Path) -> list[tuple[Any, ...]]:
    import duckdb

    return duckdb.connect().execute(f"SELECT symbol, ts::VARCHAR, close, volume FROM '{folder}/bars/**/*.parquet' ORDER BY ALL").fetchall()


def test_every_row_with_a_fault_is_found_by_its_rule_and_no_other(bad: Path):
    """And what is only to be known is remarked, where it begins."""
    report = validate([bad], NOW)
    found = {int(text.split("row ")[1].split(":")[0]): s.rule for s in report.seen if s.is_fault for text in s.examples}
    assert found == {n: rule for n, (_, rule) in enumerate(ROWS, start=1) if rule}
    assert {s.rule: [text.partition("row ")[2] for text in s.examples] for s in report.seen if not s.is_fault} == REMARKS
    assert (report.rows, report.left_out, report.bar_s, report.symbols) == (len(ROWS), len(found), 60, 2)


def test_with_a_fault_nothing_is_written_unless_it_is_to_be_left_out(bad: Path, tmp_path: Path):
    out = tmp_path / "set"
    with pytest.raises(ValueError, match=r"14 rows have faults \(unreadable: bad\.csv row 2: volume x is no number\); .* --drop"):
        ingest([bad], out, NOW)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.csv"]
    ingest([bad], out, NOW, leaves_out=True)
    assert bars(out) == [
        ("A", "2019-01-02 09:30:00", 10.0, 100.0), ("A", "2019-01-02 09:36:00", 10.0, 5.0), ("A", "2019-01-02 09:38:00", 10.1, 0.0),
        ("A", "2019-01-03 09:30:00", 30.0, 5.0), ("A", "2019-01-03 09:31:00", 30.0, 5.0),
        ("B", "2019-01-02 09:30:00", 10.0, 0.0), ("B", "2019-01-04 09:30:00", 10.0, 0.0),
    ]  # fmt: skip
    assert {p.parent.relative_to(out / "bars").as_posix() for p in (out / "bars").rglob("*.parquet")} == {
        "symbol=A/month=2019-01", "symbol=B/month=2019-01",
    }  # fmt: skip
    with pytest.raises(ValueError, match="is there already; a dataset is written once"):
        ingest([bad], out, NOW, leaves_out=True)


def test_recorded_volumes_come_back_as_they_were_and_train_alike(tmp_path: Path):
    """Winter and summer time, three symbols, to the bit: whoever trains on the dataset has the same data. A bin that nobody knows stays one."""
    source = tmp_path / "recorded"
    source.mkdir()
    for path in VOLUME_DIR.glob("*.csv"):
        lines = path.read_text().splitlines()
        cells = lines[3].split(",")
        lines[3] = ",".join([*cells[:-1], ""])  # the last day's third bin is not known
        (source / path.name).write_text("\n".join(lines))
    ingest([source], tmp_path / "set", NOW)
    before, after = read_volumes(source), read_volumes(tmp_path / "set")
    assert volumes_sha256(after) == volumes_sha256(before)
    assert [(v.symbol, v.dates, v.bin_starts) for v in after] == [(v.symbol, v.dates, v.bin_starts) for v in before]
    known, rows = describe(tmp_path / "set")
    assert [(r["symbol"], r["days"], r["bars"]) for r in rows] == [("AAPL", 124, 3223), ("ADBE", 124, 3223), ("GE", 124, 3223)]
    assert (known.report.bar_s, known.report.faults) == (900, 0)


def test_the_same_sources_give_the_same_bytes_and_one_changed_byte_is_refused(bad: Path, tmp_path: Path):
    for name in ("one", "two"):
        ingest([bad], tmp_path / name, NOW, leaves_out=True)
    one, two = (tmp_path / name for name in ("one", "two"))
    assert (one / "dataset.json").read_bytes() == (two / "dataset.json").read_bytes()
    path = next((one / "bars").rglob("*.parquet"))
    data = path.read_bytes()
    path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    for use in (describe, volumes_of):
        with pytest.raises(ValueError, match=r"data_0\.parquet is not as it was written"):
            use(one)
    (two / "bars" / "more.parquet").write_bytes(data)
    with pytest.raises(ValueError, match=r"more\.parquet is not as it was written"):
        describe(two)


def test_parquet_and_other_names_of_columns_are_read_and_a_file_may_name_its_symbol(tmp_path: Path):
    """`ticker` and `timestamp`; typed columns; a byte order mark; a file without a symbol in its rows. Quotes that are crossed are a fault."""
    import duckdb

    (tmp_path / "BTC_2019.csv").write_text("\ufefftime,close,volume,bid,ask\n2019-01-02 09:30,1.5,2,1,2\n2019-01-02 09:31,1.5,2,2,1\n")
    duckdb.connect().execute(
        f"COPY (SELECT 'BRK/B' AS ticker, TIMESTAMP '2019-01-02 09:30:00' AS timestamp, 7.5 AS Close, 3 AS Volume) TO '{tmp_path}/x.parquet'"
    )  # fmt: skip
    report = ingest([tmp_path / "BTC_2019.csv", tmp_path / "x.parquet"], tmp_path / "set", NOW, bar_s=60, leaves_out=True)
    assert bars(tmp_path / "set") == [("BRK/B", "2019-01-02 09:30:00", 7.5, 3.0), ("BTC", "2019-01-02 09:30:00", 1.5, 2.0)]
    assert [(s.rule, s.rows) for s in report.seen if s.is_fault] == [("crossed", 1)]


def test_a_journal_that_is_none_is_refused_by_its_file(tmp_path: Path):
    (tmp_path / "server" / "journal").mkdir(parents=True)
    (tmp_path / "server" / "journal" / "0000000000000001.log").write_text('{"a":1}\n{"b":2}\n')
    with pytest.raises(ValueError, match=r"0000000000000001\.log: byte 0, line 1"):
        validate([tmp_path / "server"], NOW)


def test_a_servers_journal_is_a_source_of_bars(tmp_path: Path):
    """Its market's prints, a bar a minute, in shares and money."""
    day = Day()
    for quantity, px in ((100, "200.00"), (50, "200.10"), (10, "199.90")):
        day.trade(quantity, px)
    day.wait(MINUTE)
    day.trade(7, "200.05")
    day.wait(MINUTE)
    day.trade(8, "200.05")
    journaled(day, tmp_path / "server")
    report = ingest([tmp_path / "server"], tmp_path / "set", NOW)
    assert (report.rows, report.bar_s) == (3, 60)
    assert bars(tmp_path / "set") == [
        ("AAPL", "2019-06-28 13:30:00", 199.9, 160.0), ("AAPL", "2019-06-28 13:31:00", 200.05, 7.0), ("AAPL", "2019-06-28 13:32:00", 200.05, 8.0),
    ]  # fmt: skip
    (volumes,) = volumes_of(tmp_path / "set")
    assert (volumes.dates, volumes.bins[0, 0]) == ((date(2019, 6, 28),), 175.0)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("x.csv", b"symbol,close\nA,1\n", "x.csv: has columns symbol, close; ts and volume are missing"),
        ("x.csv", b"", "x.csv: is empty"),
        ("x.csv", b"ts,ts,volume\n1,2,3\n", "one twice"),
        ("x.csv", b"symbol,ts,volume\n", "no symbol has two bars on a day"),
        ("x.csv", b"symbol,ts,volume\nA,2019-01-02 09:30:00,\xff\xfe\n", "x.csv"),
        ("x.csv", b"\xff\xfe\n", "x.csv: not a CSV file in UTF-8"),
        ("x.parquet", b"not parquet", "x.parquet: can't be read"),
        ("x.txt", b"", "x.txt: neither .csv nor .parquet"),
        ("AAPL_x.csv", b"bin,2019-01-02\n09:30,1\n", "AAPL_x.csv: 1 bins; 26 rows"),
    ],
)
def test_what_is_no_bars_is_refused_by_name(tmp_path: Path, name: str, data: bytes, says: str):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=says):
        validate([tmp_path / name], NOW)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda at: [at / "none"], "none: is not there"),
        (lambda at: [at], "has no .csv and no .parquet file, and is no state directory of a server"),
        (lambda at: [VOLUME_DIR, *VOLUME_DIR.glob("GE*.csv")], "two sources are called GE_"),
    ],
    ids=["missing", "empty", "twice"],
)
def test_sources_that_are_none_are_refused(tmp_path: Path, make: Callable[[Path], list[Path]], says: str):
    with pytest.raises(ValueError, match=says):
        validate(make(tmp_path), NOW)


def test_bars_that_do_not_make_bins_carry_no_volumes(tmp_path: Path):
    """Hours are too long for quarters of one; bars of the night are no session."""
    kinds = (("long", 3600, "bars of 3600 s; bins of 900 s need bars that divide them"), ("night", 60, "no bar is inside the session"))
    for name, step, text in kinds:
        (tmp_path / f"{name}.csv").write_text("symbol,ts,volume\nA,2019-01-02 00:00:00,1\nA,2019-01-02 01:00:00,1\n")
        ingest([tmp_path / f"{name}.csv"], tmp_path / name, NOW, bar_s=step)
        with pytest.raises(ValueError, match=text):
            volumes_of(tmp_path / name)


def test_without_duckdb_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ValueError, match="install algoserver with the extra `research`"):
        validate([VOLUME_DIR], NOW)


def test_the_commands_say_what_they_found_and_how_it_ended(bad: Path, tmp_path: Path):
    """Exit 5 where rows are unusable, 2 where nothing could be done; JSON for machines, lines for people."""
    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["data", *arguments])

    judged = run("validate", str(bad))
    assert (judged.exit_code, "fault  spike  1" in judged.stdout, "21 bars of 60 s, 2 symbols" in judged.stdout) == (5, True, True)
    refused = run("ingest", str(bad), "--out", str(tmp_path / "set"))
    assert (refused.exit_code, "mend them, or leave them out with --drop" in refused.stderr) == (2, True)
    made = run("ingest", str(bad), "--out", str(tmp_path / "set"), "--drop", "--json")
    assert (made.exit_code, json.loads(made.stdout)["left_out"]) == (0, 14)
    shown = run("describe", str(tmp_path / "set"))
    assert (shown.exit_code, "A       5" in shown.stdout) == (0, True)
    assert json.loads(run("describe", str(tmp_path / "set"), "--json").stdout)["symbols"][1]["share_without_volume"] == 1.0
    assert run("validate", *(str(p) for p in VOLUME_DIR.glob("GE*.csv"))).exit_code == 0
    assert run("describe", str(tmp_path)).exit_code == 2
    assert isinstance(read_volumes(VOLUME_DIR)[0], Volumes)


BAR = "A,2019-01-02 09:3{}:00,10,11,9,10,{}\n"
REFUSED = {
    "a header of 100 MB": ("symbol,ts," + "v" * 200_000 + "\n", "is no header"),
    "nothing": ("", "is empty"),
    "two columns for one": ("time,timestamp,volume\n1,2,3\n", "columns time and timestamp are both ts"),
    "one column twice": ("ts,volume,Volume\n1,2,3\n", "one twice"),
    "a quote that is not closed": (HEAD + BAR.format(0, 5) + BAR.format(1, 6) + '"' + BAR.format(2, 7) + BAR.format(3, 8), "quote at row 3"),
    "one beside a stray one": (HEAD + BAR.format(0, 5) + 'A"' + BAR.format(1, 6) + '"' + BAR.format(2, 7) + BAR.format(3, 8), "not closed"),
    "rows that are none": (HEAD + "../x,2019-01-02 09:30:00,1,1,1,1,5\nA,then,1,1,1,1,5\n", "2 rows can't be read, the first is f.csv row 1"),
}


@pytest.mark.parametrize("of", REFUSED)
def test_a_file_that_would_be_read_in_part_or_not_at_all_is_refused_with_why(tmp_path: Path, of: str):
    text, said = REFUSED[of]
    (tmp_path / "f.csv").write_text(text)
    done = CliRunner().invoke(app, ["data", "validate", str(tmp_path / "f.csv")])
    assert isinstance(done.exception, SystemExit), done.exception
    assert (done.exit_code, said in done.output.replace("\n", " ")) == (2, True), done.output


def test_a_name_that_is_a_pattern_reads_no_other_file(tmp_path: Path):
    """x*.csv beside xy.csv: DuckDB would read both as one."""
    for name in ("x*.csv", "xy.csv"):
        (tmp_path / name).write_text(HEAD + BAR.format(0, 5) + BAR.format(1, 6))
    with pytest.raises(ValueError, match="rename it"):
        validate([tmp_path / "x*.csv"], NOW)


def test_quotes_that_are_closed_are_no_fault_and_what_a_file_says_does_nothing_to_the_terminal(tmp_path: Path):
    """A line break within quotes is one row; an escape sequence is printed as a question mark; beyond 1e15 is no volume."""
    path = tmp_path / "f.csv"
    path.write_text(HEAD + '"A",' + BAR.format(0, 5)[2:] + '"A\nB",' + BAR.format(1, 6)[2:] + "\x1b[31m" + BAR.format(2, 7) + BAR.format(3, "1e300"))
    done = CliRunner().invoke(app, ["data", "validate", str(path)])
    assert done.exit_code == 5
    assert ("symbol A?B is none" in done.output, "symbol ?[31mA is none" in done.output) == (True, True)
    assert "above 1e15" in done.output
    assert "4 bars" in done.output
