"""What could never have been meant is refused at the start, by file, key and what would be right."""

import shutil
from pathlib import Path

import pytest

from algoserver.config import load
from algoserver.settings import BadConfig

CFG = Path(__file__).resolve().parents[1] / "cfg"
MISTAKES = [
    ("server.toml", 'max_pct_vol = "0.25"', 'max_pct_vol = "25"', "`max_pct_vol` is '25'; it must be a fraction above 0 to 1"),
    ("server.toml", 'max_pct_vol = "0.25"', 'max_pct_vol = "25 %"', "`max_pct_vol` is '25 %'"),
    ("server.toml", 'max_pct_vol = "0.25"', 'max_pct_vol = "0"', "above 0"),
    ("server.toml", 'cross_after = "0.7"', 'cross_after = "70"', "`cross_after` is '70'"),
    ("server.toml", 'closing_share = "0.08"', 'closing_share = "8"', "`closing_share` is '8'"),
    ("server.toml", "slice_s = 60", "slice_s = 0", "`slice_s` must be a whole number from 1 upwards"),
    ("server.toml", "answer_ms_max = 20_000", "answer_ms_max = 9_000_000_000_000_000", "from 1 to 3600000, an hour"),
    ("server.toml", 'impact = "published"', 'impact = "nonsense"', "`impact` is 'nonsense': use"),
    ("server.toml", "port = 9880", "port = 98800", "`port` is not a port"),
    ("server.toml", "port = 9890", "port = 0", "venues 'XLIT1'"),
    ("policy.toml", 'collar = "0.05"', 'collar = "5"', "`collar` is '5'"),
    ("policy.toml", 'parent_adv_max = "0.25"', 'parent_adv_max = "25"', "`parent_adv_max` is '25'"),
]


@pytest.mark.parametrize(("file", "old", "new", "said"), MISTAKES, ids=lambda v: "")
def test_a_mistake_is_named(tmp_path, file, old, new, said):
    """Above all a per cent where a fraction is due: as a limit it would never hold."""
    shutil.copytree(CFG, tmp_path / "cfg")
    path = tmp_path / "cfg" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(BadConfig) as found:
        load(tmp_path / "cfg" / "server.toml")
    assert file in str(found.value)
    assert said in str(found.value)
