"""Conditional orders in the dark, each rule under its id: see algoserver/sim/indications.py."""

import pytest

from algoserver.domain.types import OrdType, Side, TimeInForce, px
from algoserver.sim.config import VenueConfig
from algoserver.sim.reports import Indication, Invitation, Trade
from tests.sim.street import ONE, Street, new, quiet, replace, wish

BUY, SELL, PEGGED = Side.BUY, Side.SELL, OrdType.PEGGED
MS = 1_000_000


@pytest.fixture
def street():
    """A dark venue that takes indications, a second to firm up, and a lit one that stands at 50 to 50.02."""
    s = Street(quiet(venues=[*ONE, VenueConfig(name="XDARK1", kind="dark", firm_up_ms=1_000)]))
    s.ask(new("b", BUY, 1_000, "50", client="LIT"))
    s.ask(new("a", SELL, 1_000, "50.02", client="LIT"))
    return s


def indicate(s, ioi_id, side, qty, client="ALGO", price="", kind="N", **more):
    """Who is invited to what, or why it was refused."""
    made = Indication(
        venue="XDARK1", client=client, ioi_id=ioi_id, kind=kind, symbol="AAPL", side=side, qty=qty, px=px(price) if price else 0, **more
    )  # fmt: skip
    s.ts += MS
    answers, refused = s.exchange.indicate(s.ts, made)
    s.seen += answers
    return refused or invited(answers)


def invited(answers):
    return [(a.client, a.ioi_id, a.qty) for a in answers if isinstance(a, Invitation)]


def firm(ioi_id, side, qty, client="ALGO", name=""):
    return wish(name or f"F{ioi_id}", side, qty, ord_type=PEGGED, venue="XDARK1", client=client, ioi_id=ioi_id)


def test_cnd_1_an_indication_is_no_order_and_shows_nowhere(street):
    """Replaced by its IOIRefID, canceled once; a dark venue without firm_up_ms takes none."""
    assert indicate(street, "I1", BUY, 500) == []
    assert "already in use" in indicate(street, "I1", BUY, 500)
    assert indicate(street, "I2", BUY, 300, kind="R", ref_id="I1") == []
    assert indicate(street, "C1", BUY, 300, kind="C", ref_id="I2") == []
    assert "no such indication" in indicate(street, "C2", BUY, 300, kind="C", ref_id="I2")
    assert street.ask(wish("S", SELL, 100, ord_type=PEGGED, venue="XDARK1", client="OTHER")) == []
    assert not [a for a in street.seen if isinstance(a, Trade)]


def test_cnd_2_two_indications_are_both_invited_to_what_they_have_in_common(street):
    assert indicate(street, "I1", BUY, 500) == []
    assert indicate(street, "I2", SELL, 300, client="OTHER") == [("ALGO", "I1", 300), ("OTHER", "I2", 300)]


def test_cnd_2_a_firm_order_invites_and_a_client_does_not_meet_himself(street):
    assert indicate(street, "I1", BUY, 500) == []
    assert indicate(street, "I0", SELL, 500) == []
    street.ask(wish("S", SELL, 200, ord_type=PEGGED, venue="XDARK1", client="OTHER"))
    assert invited(street.seen) == [("ALGO", "I1", 200)]


def test_cnd_2_a_limit_holds_until_the_mid_allows_it(street):
    """The mid is 50.01; when the offer goes to 49.99, the buyer at 50 is invited."""
    indicate(street, "I1", BUY, 500, price="50")
    assert indicate(street, "I2", SELL, 300, client="OTHER") == []
    street.ask(new("x", SELL, 1_000, "50", client="LIT"))
    street.ask(new("y", SELL, 1, "49.99", client="LIT"))
    street.ask(new("z", BUY, 1, "49.97", client="LIT"))
    assert {i for _, i, _ in invited(street.seen)} == {"I1", "I2"}


def test_cnd_3_who_firms_up_trades_at_the_mid_and_the_rest_expires_with_the_invitation(street):
    indicate(street, "I1", BUY, 500)
    indicate(street, "I2", SELL, 300, client="OTHER")
    assert street.ask(firm("I1", BUY, 500)) == ["New/NEW (FI1) 500 0/500"]
    assert street.ask(firm("I2", SELL, 300, "OTHER")) == ["Trade/PARTIALLY_FILLED (FI1) 500 300/200"]
    (fill,) = [a for a in street.seen if isinstance(a, Trade) and a.client == "ALGO"]
    assert fill.last_px == px("50.01")
    assert street.go(1) == ["Expired/EXPIRED (FI1) 500 300/0"]
    assert street.seen[-1].text == "the time to firm up is over"


def test_cnd_3_only_who_is_invited_firms_up_and_not_for_more(street):
    assert street.ask(firm("I1", BUY, 500)) == ["Rejected/REJECTED (FI1) 500 0/0"]
    indicate(street, "I1", BUY, 500)
    assert street.ask(firm("I1", BUY, 500, name="A")) == ["Rejected/REJECTED (A) 500 0/0"]
    indicate(street, "I2", SELL, 300, client="OTHER")
    assert street.ask(firm("I1", BUY, 501, name="B")) == ["Rejected/REJECTED (B) 501 0/0"]
    assert street.ask(firm("I1", SELL, 100, name="C")) == ["Rejected/REJECTED (C) 100 0/0"]
    assert street.ask(firm("I1", BUY, 100, name="D")) == ["New/NEW (D) 100 0/100"]
    assert street.ask(replace("E", "D", 50, "50", venue="XDARK1"))[0].startswith("Replaced")


def test_cnd_4_an_invitation_that_is_not_answered_ends_the_indication(street):
    indicate(street, "I1", BUY, 500)
    indicate(street, "I2", SELL, 300, client="OTHER")
    street.go(1)
    assert street.ask(firm("I1", BUY, 500)) == ["Rejected/REJECTED (FI1) 500 0/0"]
    assert indicate(street, "I3", SELL, 300, client="OTHER") == []
    assert street.ask(wish("S", SELL, 100, ord_type=PEGGED, venue="XDARK1", tif=TimeInForce.DAY, client="OTHER")) == []


def test_cnd_1_an_indication_ends_at_its_time(street):
    indicate(street, "I1", BUY, 500, until_ts=street.ts + 500 * MS)
    street.go(1)
    assert indicate(street, "I2", SELL, 300, client="OTHER") == []
