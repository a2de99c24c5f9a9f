"""Kill -9 of the venues, of all at once, and cut wires."""

import pytest

from tests.e2e.crash import survive


@pytest.mark.parametrize(("victim", "seed"), [("simulator", 2), ("both", 3), ("wire", 4)], ids=["simulator", "both", "both-venue-sessions-cut"])
def test_a_vwap_survives_and_its_books_agree(tmp_path, victim: str, seed: int):
    """Four blows at random moments."""
    survive(tmp_path / "street", victim, blows=4, speed=24, seed=seed)
