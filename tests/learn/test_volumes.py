"""A file of volumes is read as it is, or refused with the cell that is wrong."""

import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from algoserver.learn.volumes import Volumes, read_file, read_prices, read_volumes, volumes_sha256
from algoserver.recorded import TAPE, VOLUME_DIR

GOOD = """\
bin,2019-03-01,2019-03-04
09:30,100,200
09:45,10,20.5
10:00,0,7
10:15,5,6
"""


def written(tmp_path: Path, text: str, name: str = "ABC_test.csv") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_the_recorded_volumes_are_three_symbols_of_124_days_of_26_bins(recorded: list[Volumes]):
    assert [one.symbol for one in recorded] == ["AAPL", "ADBE", "GE"]
    for one in recorded:
        assert one.bins.shape == (124, 26)
        assert one.bins.dtype == np.float64
        assert (one.dates[0], one.dates[-1]) == (date(2019, 1, 2), date(2019, 6, 28))
        assert (one.bin_starts[0], one.bin_starts[-1]) == ("09:30", "15:45")
    assert recorded[0].bins[0, 0] == 10142172  # AAPL, first bin of the first day
    assert TAPE.is_file()


def test_days_are_rows_and_bins_are_columns(tmp_path: Path):
    read = read_file(written(tmp_path, GOOD), n_bins=4)

    assert read.symbol == "ABC"
    assert read.dates == (date(2019, 3, 1), date(2019, 3, 4))
    assert read.bins.tolist() == [[100, 10, 0, 5], [200, 20.5, 7, 6]]


WRONG = {
    "short row": ("10,20.5", "10", "row 09:45, column 2019-03-04: missing; a volume >= 0 is needed, or an empty cell where nobody knows"),
    "long row": ("10,20.5", "10,20,30", "row 09:45: 3 cells; 2 are needed, one a day of the header"),
    "negative": ("10,20.5", "-10,20.5", "row 09:45, column 2019-03-01: '-10'; a volume >= 0 is needed"),
    "nan": ("10,20.5", "10,nan", "row 09:45, column 2019-03-04: 'nan'; a volume >= 0 is needed"),
    "infinite": ("10,20.5", "10,inf", "row 09:45, column 2019-03-04: 'inf'; a volume >= 0 is needed"),
    "text": ("10,20.5", "10,NA", "row 09:45, column 2019-03-04: 'NA'; a volume >= 0 is needed"),
    "duplicate date": ("2019-03-04", "2019-03-01", "header, column 3: 2019-03-01 is a duplicate; each day is needed once"),
    "descending date": ("2019-03-04", "2019-02-04", "header, column 3: 2019-02-04 follows 2019-03-01; ascending days are needed"),
    "no date": ("2019-03-04", "4 March", "header, column 3: '4 March' is not a date; YYYY-MM-DD is needed"),
    "no header": ("bin,", "time,", "header begins 'time,2019-03-01,2019-03-04'; `bin,<date>,<date>,...` is needed"),
    "bin count": ("10:15,5,6\n", "", "3 bins; 4 rows below the header are needed"),
    "duplicate bin": ("10:15", "10:00", "row 5, column bin: 10:00 follows 10:00; ascending bins are needed, each once"),
    "no bin": ("10:15", "late", "row 5, column bin: 'late' is not a time; HH:MM is needed"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_cell_is_named_with_what_would_be_right(tmp_path: Path, case: str):
    right, wrong, message = WRONG[case]
    assert GOOD.count(right) == 1

    with pytest.raises(ValueError) as refusal:  # noqa: PT011, the whole text is compared
        read_file(written(tmp_path, GOOD.replace(right, wrong)), n_bins=4)

    assert str(refusal.value) == f"ABC_test.csv: {message}"


@pytest.mark.parametrize("garbage", [b"", b"\n\n", b"\xff\xfe\x00garbage", b"\x00\x01\x02", b'bin,"2019-03-01\n09:30', b"bin\n09:30"])
def test_garbage_is_a_value_error_that_names_the_file(tmp_path: Path, garbage: bytes):
    path = tmp_path / "ABC.csv"
    path.write_bytes(garbage)

    with pytest.raises(ValueError, match=r"^ABC\.csv: "):
        read_file(path)


def test_a_directory_needs_at_least_one_file(tmp_path: Path):
    with pytest.raises(ValueError, match=r"no volumes; files named <symbol>_\*\.csv are needed"):
        read_volumes(tmp_path)


def test_an_empty_cell_is_a_bin_that_nobody_knows(tmp_path: Path):
    read = read_file(written(tmp_path, GOOD.replace("10,20.5", ",20.5")), n_bins=4)

    assert np.isnan(read.bins[0, 1])
    assert np.isfinite(read.bins).sum() == 7


def test_a_symbol_s_days_may_be_in_several_files_each_once(tmp_path: Path):
    written(tmp_path, GOOD)
    written(tmp_path, GOOD.replace("2019-03-01", "2019-02-01").replace("2019-03-04", "2019-03-02"), "ABC_more.csv")
    (read,) = read_volumes(tmp_path, n_bins=4)
    assert [day.isoformat() for day in read.dates] == ["2019-02-01", "2019-03-01", "2019-03-02", "2019-03-04"]
    assert read.bins[:, 0].tolist() == [100, 100, 200, 200]

    written(tmp_path, GOOD, "ABC_again.csv")
    with pytest.raises(ValueError, match="ABC of 2019-03-01 was read from another file already"):
        read_volumes(tmp_path, n_bins=4)


def test_files_of_prices_are_no_volumes(tmp_path: Path):
    written(tmp_path, GOOD)
    written(tmp_path, GOOD.replace("20.5", "30.25"), "ABC_15min_price.csv")

    assert read_volumes(tmp_path, n_bins=4)[0].bins[1, 1] == 20.5
    assert read_prices(tmp_path, n_bins=4)[0].bins[1, 1] == 30.25


def test_all_symbols_have_the_same_bins(tmp_path: Path):
    written(tmp_path, GOOD)
    written(tmp_path, GOOD.replace("10:15", "10:16"), "XYZ.csv")

    with pytest.raises(ValueError, match="bins differ from those of ABC"):
        read_volumes(tmp_path, n_bins=4)


def test_the_digest_is_of_the_days_used(recorded: list[Volumes], tmp_path: Path):
    """Later days and the name of the file don't change it; one changed volume does."""
    cut = [one.through(date(2019, 4, 30)) for one in recorded]
    digest = volumes_sha256(cut)
    assert cut[0].dates[-1] == date(2019, 4, 30)
    assert digest != volumes_sha256(recorded)

    for path in VOLUME_DIR.glob("*.csv"):
        rows = [line.split(",") for line in path.read_text().splitlines()]
        (tmp_path / f"{path.name.partition('_')[0]}.csv").write_text("\n".join(",".join(row[:83]) for row in rows))
    assert volumes_sha256(read_volumes(tmp_path)) == digest

    ge = tmp_path / "GE.csv"
    shutil.copy(ge, tmp_path / "GE.txt")
    ge.write_text((tmp_path / "GE.txt").read_text().replace("\n09:30,", "\n09:30,1", 1))
    assert volumes_sha256(read_volumes(tmp_path)) != digest
