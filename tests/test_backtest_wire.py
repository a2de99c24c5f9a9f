"""A backtest has no sockets: what core and market say to each other is what they would say over FIX."""

from collections.abc import Mapping

import msgspec
import pytest

from algoserver.backtest import _event, _request
from algoserver.domain.commands import AskChildStatus, CancelChild, SendChild
from algoserver.domain.types import MINUTE, SECOND, Instrument, OrdType, Side, TimeInForce, px
from algoserver.fix import venue_codec
from algoserver.sim import codec, codec_reports
from algoserver.sim.config import HaltConfig
from algoserver.sim.exchange import Exchange
from algoserver.sim.reports import AnyReport, MassCancelReport, PendingNew, Replaced, Restated, TradeCancel, TradeCorrect
from tests.sim.street import AAPL, T0, cancel, new, scenario, status

# We never replace, nor ask for what a venue would restate, or have a dealer look at; busts and corrections are faults.
NEVER = {Replaced, MassCancelReport, PendingNew, Restated, TradeCancel, TradeCorrect}


def every_answer() -> tuple[list[AnyReport], Mapping[str, Instrument]]:
    """A market that has accepted, traded, canceled by request and by itself, refused, expired and answered."""
    halt = HaltConfig(symbol="AAPL", begin="13:35:00", seconds=30, resting="cancel")
    few = msgspec.structs.replace(AAPL, trade_qty=100_000, book_events_per_s=1.0)  # so that a whole day takes a second
    exchange = Exchange(msgspec.structs.replace(scenario(few), halts=[halt]))
    out = exchange.advance(T0 + MINUTE)
    requests = [
        new("A", Side.BUY, 100, "190"), new("B", Side.BUY, 500, tif=TimeInForce.IOC), new("B", Side.BUY, 500), new("C", Side.SELL, 0),
        cancel("A2", "A"), cancel("A3", "A"), cancel("N2", "N"), status("A"), status("N"), new("D", Side.BUY, 100, "190"),
        new("E", Side.BUY, 100, "1", tif=TimeInForce.FOK),
    ]  # fmt: skip
    for i, request in enumerate(requests):
        out += exchange.submit(T0 + MINUTE + i * SECOND, request)
    out += exchange.submit(T0 + 10 * MINUTE, new("F", Side.BUY, 100, "1"))
    out += exchange.advance(T0 + 391 * MINUTE)
    return [a for a in out if isinstance(a, AnyReport)], exchange.instruments


def test_the_core_hears_what_it_would_hear_over_fix():
    """Every kind of answer to what we ask for at lit and dark venues without faults; a halt's reason and a trade's market too."""
    answers, instruments = every_answer()
    assert {type(a) for a in answers} == set(AnyReport.__args__) - NEVER
    for answer in answers:
        assert venue_codec.decode_venue(codec_reports.report(answer, instruments), answer.venue, instruments) == _event(answer), answer


@pytest.mark.parametrize(
    "more",
    [
        {"price": px("190"), "time_in_force": TimeInForce.IOC}, {"ord_type": OrdType.PEGGED, "exec_inst": "M", "price": px("190"), "min_qty": 10},
        {"price": px("190"), "time_in_force": TimeInForce.AT_CLOSE},
    ],
    ids=["limit", "pegged", "at the close"],
)  # fmt: skip
def test_the_market_is_asked_what_it_would_be_asked_over_fix(more):
    """A child, its cancel and the question how it stands."""
    terms = {"ord_type": OrdType.LIMIT, "time_in_force": TimeInForce.DAY} | more
    child = SendChild(child_id="P.1", venue="XLIT1", symbol="AAPL", side=Side.SELL, order_qty=300, **terms)
    about = {"child_id": "P.1", "venue": "XLIT1", "symbol": "AAPL", "side": Side.SELL}
    canceling = CancelChild(cancel_id="P.1.c1", order_qty=300, **about)
    asking = AskChildStatus(**about)
    instruments = {"AAPL": Exchange(scenario()).instruments["AAPL"]}
    bodies = [venue_codec.encode_child(child, 0, T0), venue_codec.encode_child_cancel(canceling, T0), venue_codec.encode_child_status(asking)]
    for body, command in zip(bodies, (child, canceling, asking), strict=True):
        assert codec.request(dict(codec.split(body)), "XLIT1", "ALGO", instruments) == _request(command)
