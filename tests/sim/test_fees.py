"""Fees, each rule under its id: see algoserver/sim/fees.py."""

from algoserver.domain.types import Side, TimeInForce, px
from algoserver.sim.codec import split
from algoserver.sim.codec_reports import report
from algoserver.sim.config import InstrumentConfig, Scenario, TapeConfig, VenueConfig
from algoserver.sim.faults import Fault
from algoserver.sim.fees import ADDED, NEITHER, REMOVED, Fees
from algoserver.sim.reports import Trade, TradeCancel, TradeCorrect
from algoserver.sim.stage import Stage
from tests.sim.street import Street, new, quiet

VENUES = [VenueConfig(name="XLIT1", share=1.0, maker_fee="-0.002", taker_fee="0.003", auction_fee="0.001")]


def test_fee_1_who_adds_gets_a_rebate_and_who_removes_pays():
    street = Street(quiet(venues=VENUES))
    street.ask(new("A", Side.SELL, 300, "50"))
    street.ask(new("X", Side.BUY, 100, "50", TimeInForce.IOC, client="OTHER"))
    fees = {a.client: a.fee for a in street.seen if isinstance(a, Trade)}
    assert fees == {"ALGO": -px("0.2"), "OTHER": px("0.3")}


def test_fee_2_a_fee_is_rounded_once_and_per_whole_unit():
    """BTC has five decimals: a fee of a third of 1e-8 rounds to none, half rounds away from zero, either sign."""
    tape = [InstrumentConfig(symbol="BTC", tick="0.01", qty_decimals=5, tape=TapeConfig(file="none"))]
    venues = [VenueConfig(name="XLIT1", share=1.0, maker_fee="-0.00000001", taker_fee="0.00000001", auction_fee="0.5")]
    scenario = Scenario(seed=1, venues=venues, instruments=tape)
    fees = Fees(scenario, {"BTC": tape[0].instrument()})
    told = [fees.of("XLIT1", "BTC", qty, kind) for qty, kind in ((33_333, REMOVED), (50_000, REMOVED), (50_000, ADDED), (200_000, NEITHER))]
    assert told == [0, 1, -1, px("1")]


def test_fee_3_a_fill_reports_it_and_one_without_has_none():
    street = Street(quiet(venues=VENUES))
    street.ask(new("A", Side.SELL, 300, "50"))
    street.ask(new("X", Side.BUY, 100, "50", TimeInForce.IOC))
    fills = [dict(split(report(a, street.exchange.instruments))) for a in street.seen if isinstance(a, Trade)]
    assert [(f["136"], f["137"], f["138"], f["139"]) for f in fills] == [("1", "0.3", "USD", "4"), ("1", "-0.2", "USD", "4")]
    free = Street()
    free.ask(new("A", Side.SELL, 300, "50"))
    free.ask(new("X", Side.BUY, 100, "50", TimeInForce.IOC))
    assert not any("\x01136=" in report(a, free.exchange.instruments) for a in free.seen if isinstance(a, Trade))


def test_fee_4_a_bust_and_a_correction_speak_of_no_fee():
    """Who keeps account knows the rate of what was taken back."""
    street = Street(quiet(venues=VENUES))
    street.ask(new("A", Side.SELL, 300, "50"))
    street.ask(new("X", Side.BUY, 100, "50", TimeInForce.IOC, client="OTHER"))
    stage = Stage(street.exchange)
    out = stage.inject(street.ts, Fault(kind="correction", client="OTHER")) + stage.inject(street.ts, Fault(kind="bust", client="ALGO"))
    told = [report(a, street.exchange.instruments) for a in out if isinstance(a, TradeCancel | TradeCorrect)]
    assert [("\x01136=" in body, "\x0119=" in body) for body in told] == [(False, True), (False, True)]
