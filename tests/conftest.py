"""Fixtures of more than one file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.junitxml import xml_key

from algoserver.operators import Operators
from algoserver.source import PACKAGE, source_hash
from tests.desk import PERSONS, Firm, Street


def pytest_sessionstart(session: pytest.Session) -> None:
    """A file of results says of which build they are: `algoserver evidence` takes no other's."""
    xml = session.config.stash.get(xml_key, None)
    if xml is not None:
        xml.add_global_property("build", source_hash(PACKAGE))


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
