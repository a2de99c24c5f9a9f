"""Kill -9 of the server, twenty times within one order."""

import pytest

from tests.e2e.crash import survive


@pytest.mark.timeout(1800)
def test_a_vwap_survives_twenty_kills_of_the_server_and_its_books_agree(tmp_path):
    """At random moments, with the market going on; it trades again after the last and obeys a cancel."""
    order = "847=1|957=1|958=MaxPctVol|960=0.25"
    survive(tmp_path / "street", "server", blows=20, seed=1, order=order, is_canceled=True)
