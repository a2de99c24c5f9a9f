"""Fixtures of more than one file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from algoserver.operators import Operators
from tests.desk import PERSONS, Firm, Street


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    """P1, a buy of 1,000 AAPL resting in one child at XLIT1."""
    opened = Street(tmp_path)
    opened.door.start()
    yield opened
    opened.door.stop()


@pytest.fixture
def firm(tmp_path: Path) -> Iterator[Firm]:
    """Ann and Bob of risk, Tim who trades, Vic who looks; the order of `street` rests."""
    opened = Firm(tmp_path, Operators(PERSONS))
    opened.door.start()
    yield opened
    opened.door.stop()
