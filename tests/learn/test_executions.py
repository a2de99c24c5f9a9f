"""What a backtest's journal says that its orders cost is what the market's own record says."""

import json
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from algoserver.domain.types import Strategy
from algoserver.learn.executions import read_executions
from algoserver.settings import BadConfig
from algoserver.study import load, run

ROOT = Path(__file__).resolve().parents[2]
CFG = ROOT / "cfg"


def written(folder: Path, old: str = "", new: str = "") -> Path:
    """The shipped study of drawn orders, shorter: two of GE within the first twelve minutes."""
    text = (CFG / "study-impact.toml").read_text()
    for name in ("server.toml", "sim-reacting.toml", "policy-study.toml"):
        text = text.replace(f'"{name}"', f'"{CFG / name}"')
    for long, short in (
        ("19:58:00", "13:43:00"), ('["AAPL", "GE"]', '["GE"]'), ("[10, 180]", "[1, 2]"), ("rest_minutes = 20", "rest_minutes = 5"), (old, new),
    ):  # fmt: skip
        assert long in text
        text = text.replace(long, short) if long else text
    path = folder / "study.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """One seed, run."""
    folder = tmp_path_factory.mktemp("study")
    outcomes = run(load(written(folder)), range(5, 6), folder / "out", 1, lambda *_: None)
    return folder / "out", outcomes


def test_executions_are_what_the_market_says(study):
    """Quantity, price against arrival within a tick's half (the market knows its mid at once, we by its books), the terms of the order."""
    out, outcomes = study
    found = read_executions(out)

    assert len(found.found) == len(outcomes) >= 2
    assert found.left_out == {}
    for one, outcome in zip(found.found, outcomes, strict=True):
        assert one.terms.size == pytest.approx(int(outcome.order_qty) / 5_900_000)
        assert one.filled == int(outcome.cum_qty) / int(outcome.order_qty)
        assert one.cost * 1e4 == pytest.approx(outcome.arrival_slippage_bp, abs=10)
        assert one.strategy in (Strategy.VWAP, Strategy.TWAP, Strategy.IS)
        assert 0.004 <= one.terms.participation <= 0.3
        assert sum(one.terms.profile) == pytest.approx(1)
        assert [round(volume, 6) for volume, _ in one.after] == sorted(round(volume, 6) for volume, _ in one.after)
    assert len(found.found[0].after) == 1  # five minutes after it; then the next one is at work


def test_a_simulated_market_tells_what_the_price_would_have_done_without_us(study, tmp_path):
    """Its own reference beside the journal; of a server's journal, which has none, nothing is assumed."""
    known = read_executions(study[0]).found
    assert all(one.drift is not None and len(one.drifts) == len(one.after) for one in known)
    # In GE a tick is 9.5 bp: what is left of a cost without its drift is less than two.
    assert all(abs(one.cost - one.drift) < 20e-4 for one in known)
    assert any(abs(one.drift) > 1e-4 for one in known)
    shutil.copytree(study[0], tmp_path / "copy")
    for path in (tmp_path / "copy").rglob("reference.json"):
        path.unlink()
    unknown = read_executions(tmp_path / "copy").found
    assert [(one.cost, one.drift, one.drifts) for one in unknown] == [(one.cost, None, ()) for one in known]


def test_what_a_seed_draws_is_the_seed_s(tmp_path):
    """The same seed draws the same orders, another one others; one after the other."""
    study = load(written(tmp_path))
    first, again, other = study.parents(1), study.parents(1), study.parents(2)

    assert first == again != other
    assert all(a.params["EndTime"] < b.at for a, b in pairwise(first))


def test_too_few_orders_make_no_model_and_say_so(study, tmp_path):
    """The command ends with status 2, the number that is needed, and writes nothing."""
    command = f"-m algoserver train impact --data {study[0]} --out {tmp_path / 'models'}"
    done = subprocess.run([sys.executable, *command.split()], cwd=ROOT, capture_output=True, text=True, timeout=120)

    assert done.returncode == 2
    assert "100 of 10 are needed; no model was written" in done.stderr
    assert not (tmp_path / "models").exists()


def test_a_damaged_journal_teaches_nothing(study, tmp_path):
    """Its file is named."""
    shutil.copytree(study[0], tmp_path / "copy")
    (segment,) = (tmp_path / "copy").rglob("*.log")
    text = segment.read_bytes()
    segment.write_bytes(text[:5000] + b"x" + text[5001:])
    with pytest.raises(ValueError, match=segment.name):
        read_executions(tmp_path / "copy")
    with pytest.raises(ValueError, match="no journal below it"):
        read_executions(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('["VWAP", "TWAP", "IS"]', '["VWOP"]', "strategy"),
        ("[0.005, 0.25]", "[0.25, 0.005]", "participation"),
        ('MaxPctVol = "0.35"', 'MaxPctVol = "35"', "MaxPctVol"),
        ('symbols = ["GE"]', 'symbols = ["MSFT"]', "MSFT is not traded by both"),
        ("[drawn] ", "[[parents]]\n[drawn] ", "parents"),
    ],
)
def test_a_mistake_is_named(tmp_path, old, new, said):
    with pytest.raises(BadConfig, match=said):
        load(written(tmp_path, old, new))


def test_the_shipped_study_loads():
    assert json.dumps([p.cl_ord_id for p in load(CFG / "study-impact.toml").parents(1)]).count("AAPL-") >= 3
