"""Kill -9 of the venues, of all at once, and cut wires."""

import pytest

from tests.e2e.crash import survive


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("victim", "seed"), [("simulator", 2), ("both", 3), ("wire", 4)], ids=["simulator", "both", "both-venue-sessions-cut"])
def test_an_order_survives_and_is_filled_whole_and_its_books_agree(tmp_path, victim: str, seed: int):
    """Four blows at random moments."""
    order = "847=2|849=0.2"
    survive(tmp_path / "street", victim, blows=4, seed=seed, order=order, is_canceled=False)
