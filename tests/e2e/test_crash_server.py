"""Kill -9 of the server, twenty times within one order."""

from tests.e2e.crash import survive


def test_a_vwap_survives_twenty_kills_of_the_server_and_its_books_agree(tmp_path):
    """At random moments, with the market going on."""
    survive(tmp_path / "street", "server", blows=20, speed=8, seed=1)
