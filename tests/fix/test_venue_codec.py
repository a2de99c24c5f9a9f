"""Venue side: reports and market data as events, commands as text; nothing that comes makes it raise."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoserver.domain.commands import AskChildStatus, CancelChild, SendChild
from algoserver.domain.events import (
    CancelRejected,
    ChildAccepted,
    ChildCanceled,
    ChildFilled,
    ChildRejected,
    ChildReplaced,
    ChildStatusReported,
    CopyReported,
    Event,
    FillBusted,
    FillCorrected,
    ForeignOrderReported,
    Garbled,
    QuoteUpdated,
    StatusChanged,
    TradePrinted,
)
from algoserver.domain.types import PX_ONE, OrdStatus, OrdType, Side, TimeInForce, px, px_text, qty_text
from algoserver.fix.text import fields
from algoserver.fix.venue_codec import (
    Ours,
    decode_copy,
    decode_feed,
    decode_venue,
    encode_child,
    encode_child_cancel,
    encode_child_status,
    encode_subscription,
)
from tests.fix.test_codec import INSTRUMENTS, _fix, ids, px_units, quantities, soup

COMMON: dict[str, Any] = {"session": "XLIT1", "msg_seq": 5, "child_id": "P.1"}


def _report(exec_type: str, *more: tuple[object, object], symbol: str = "COIN") -> Event | None:
    text = _fix((35, 8), (34, 5), (37, "V1"), (11, "P.1"), (55, symbol), (54, 1), (150, exec_type), *more)
    return decode_venue(text, "XLIT1", INSTRUMENTS)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(px_units, quantities, ids, ids, st.integers(0, 3))
def test_executions_are_understood_as_they_were_meant(price: int, quantity: int, exec_id: str, ref_id: str, liquidity: int):
    """Trade, bust, correction; quantities in the instrument's units."""
    trade = ((17, exec_id), (31, px_text(price)), (32, qty_text(quantity, 5)))
    assert _report("F", *trade, (851, liquidity)) == ChildFilled(
        **COMMON, exec_id=exec_id, last_px=price, last_qty=quantity, last_liquidity_ind=liquidity
    )
    assert _report("G", *trade, (19, ref_id)) == FillCorrected(
        **COMMON, exec_id=exec_id, exec_ref_id=ref_id, last_px=price, last_qty=quantity
    )
    assert _report("H", (17, exec_id), (19, ref_id)) == FillBusted(**COMMON, exec_id=exec_id, exec_ref_id=ref_id)


@pytest.mark.parametrize(
    ("exec_type", "more", "event"),
    [
        ("0", (), ChildAccepted(**COMMON, order_id="V1")),
        ("4", ((58, "why"),), ChildCanceled(**COMMON, ord_status=OrdStatus.CANCELED, text="why")),
        ("4", ((378, 6),), ChildCanceled(**COMMON, ord_status=OrdStatus.CANCELED, exec_restatement_reason=6)),
        ("D", ((38, "1.5"), (378, 5)), ChildReplaced(**COMMON, order_qty=150_000, exec_restatement_reason=5)),
        ("C", (), ChildCanceled(**COMMON, ord_status=OrdStatus.EXPIRED)),
        ("3", (), ChildCanceled(**COMMON, ord_status=OrdStatus.DONE_FOR_DAY)),
        ("8", ((103, 3), (58, "no")), ChildRejected(**COMMON, ord_rej_reason=3, text="no")),
        ("5", ((38, "1.5"),), ChildReplaced(**COMMON, order_qty=150_000)),
        ("D", ((38, "1.5"),), ChildReplaced(**COMMON, order_qty=150_000)),
        (
            "I", ((39, "1"), (14, "0.5"), (151, "1")),
            ChildStatusReported(**COMMON, is_known=True, ord_status=OrdStatus.PARTIALLY_FILLED, cum_qty=50_000, leaves_qty=100_000),
        ),
        (
            "I", ((39, "8"), (14, "0"), (151, "0")),
            ChildStatusReported(**COMMON, is_known=False, ord_status=OrdStatus.REJECTED, cum_qty=0, leaves_qty=0),
        ),
        *[(step, (), None) for step in "6EA79B"],
    ],
)  # fmt: skip
def test_every_state_is_understood(exec_type: str, more: tuple[tuple[object, object], ...], event: Event | None):
    """150 says what happened; steps in between say nothing."""
    assert _report(exec_type, *more) == event


def test_the_answer_to_our_cancel_is_about_the_child_it_cancels():
    """41 names the child where 11 names our cancel."""
    text = _fix((35, 8), (37, "V"), (11, "P.1.c1"), (41, "P.1"), (55, "AAPL"), (54, 1), (150, 4))
    event = decode_venue(text, "XLIT1", INSTRUMENTS)
    assert event == ChildCanceled(session="XLIT1", child_id="P.1", ord_status=OrdStatus.CANCELED)
    text = _fix((35, 9), (34, 5), (11, "P.1.c1"), (41, "P.1"), (39, 2), (102, 0), (58, "late"))
    event = decode_venue(text, "XLIT1", INSTRUMENTS)
    assert event == CancelRejected(**COMMON, cxl_rej_reason=0, ord_status=OrdStatus.FILLED, text="late")


def test_a_business_reject_of_our_order_refuses_the_child():
    """35=j with the child in 379; of anything else it is garbage that is asked about."""
    text = _fix((35, "j"), (34, 5), (372, "D"), (379, "P.1"), (58, "closed"))
    assert decode_venue(text, "XLIT1", INSTRUMENTS) == ChildRejected(**COMMON, ord_rej_reason=99, text="closed")
    assert isinstance(decode_venue(_fix((35, "j"), (372, "F"), (58, "x")), "XLIT1", INSTRUMENTS), Garbled)


@pytest.mark.parametrize(
    ("exec_type", "more"),
    [
        ("F", ((17, "E"), (31, "1"), (32, "0"))), ("F", ((17, "E"), (31, "1"), (32, "-5"))), ("F", ((17, "E"), (31, "1"))),
        ("F", ((17, "E"), (31, "x"), (32, "5"))), ("F", ((31, "1"), (32, "5"))), ("G", ((17, "E"), (31, "1"), (32, "5"))),
        ("0", ()), ("I", ((39, "Z"), (14, 0), (151, 0))), ("?", ()), ("8", ((103, "many"),)),
    ],
)  # fmt: skip
def test_a_report_that_can_not_be_read_is_garbled_with_its_child(exec_type: str, more: tuple[tuple[object, object], ...]):
    """So that the core can ask how the child stands."""
    if exec_type == "0":
        text = _fix((35, 8), (34, 5), (11, "P.1"), (150, 0))
        event = decode_venue(text, "XLIT1", INSTRUMENTS)
    else:
        event = _report(exec_type, *more)
    assert isinstance(event, Garbled)
    assert (event.code, event.cl_ord_id) == ("unreadable_message", "P.1")


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    soup,
    st.sampled_from(
        ["", "35=f\x01326=2\x01", "35=8\x01150=F\x01", "35=8\x01150=I\x0155=AAPL\x01", "35=9\x01", "35=j\x01372=D\x01",
         "35=W\x01", "35=X\x01279=0\x01"]
    ),
)
def test_garbage_is_an_event_that_the_journal_can_write(text: str, head: str):
    """Never an exception, on the order session and on the feed."""
    event = decode_venue(head + text, "XLIT1", INSTRUMENTS)
    for e in [event, *decode_feed(head + text, "XLIT1", INSTRUMENTS)]:
        assert e is None or msgspec.json.decode(msgspec.json.encode(e), type=type(e)) == e


def test_a_sequence_number_of_thousands_of_digits_is_no_number():
    """int() refuses it; we don't fall over that."""
    event = decode_venue("35=8\x0134=" + "9" * 5_000 + "\x01", "XLIT1", INSTRUMENTS)
    assert isinstance(event, Garbled)
    assert event.msg_seq == 0


# ---- market data


@pytest.mark.parametrize("exec_type", ["0", "F", "4", "8", "I", "A"])
def test_a_report_on_an_order_that_is_not_ours_is_about_a_foreign_order(exec_type: str):
    """Whatever it says happened: what counts is how the order stands. Without a ClOrdID it goes by its OrderID; numbers need not be any."""
    text = _fix((35, 8), (34, 5), (37, "V1"), (11, "WHO1"), (150, exec_type), (39, 1), (55, "COIN"), (54, 1), (38, "1.5"), (14, "0.5"), (17, "E"))
    told = {"session": "XLIT1", "msg_seq": 5, "ord_status": OrdStatus.PARTIALLY_FILLED}
    event = ForeignOrderReported(**told, child_id="WHO1", symbol="COIN", side="1", order_qty=150_000, cum_qty=50_000)
    assert decode_venue(text, "XLIT1", INSTRUMENTS, {"P.1": Ours("COIN", "1", 5)}.get) == event
    bare = decode_venue(_fix((35, 8), (34, 5), (37, "V1"), (39, 1), (38, "many")), "XLIT1", INSTRUMENTS, lambda child_id: None)
    assert bare == ForeignOrderReported(**told, child_id="#V1", symbol="", side="", order_qty=0, cum_qty=0)
    assert isinstance(decode_venue(_fix((35, 8), (37, "V1")), "XLIT1", INSTRUMENTS, lambda child_id: None), Garbled)


@pytest.mark.parametrize(("symbol", "side", "last_px", "is_true"), [
    ("GONE", "1", "9.5", True), ("COIN", "1", "9.5", False), ("NONE", "1", "9.5", False), ("GONE", "2", "9.5", False),
    ("GONE", "1", "0", False), ("GONE", "1", "-9.5", False),
])  # fmt: skip
def test_a_trade_is_of_the_order_that_it_names_or_it_is_none(symbol: str, side: str, last_px: str, is_true: bool):
    """Its quantity is in the child's units, be its symbol gone; of another symbol or side, or for no money, it is not booked but asked about."""
    trade = ((35, 8), (34, 5), (37, "V1"), (11, "P.1"), (55, symbol), (54, side), (150, "F"), (17, "E"), (31, last_px), (32, "1.5"))
    event = decode_venue(_fix(*trade), "XLIT1", INSTRUMENTS, {"P.1": Ours("GONE", "1", 3)}.get)
    if is_true:
        assert event == ChildFilled(**COMMON, exec_id="E", last_px=px("9.5"), last_qty=1_500)
    else:
        assert isinstance(event, Garbled)
        assert event.cl_ord_id == "P.1"


@pytest.mark.parametrize(
    ("pairs", "symbol", "is_halted"),
    [
        *[(((35, "f"), (55, "AAPL"), (326, value)), "AAPL", True) for value in (1, 2, 4)],
        *[(((35, "f"), (55, "AAPL"), (326, value)), "AAPL", False) for value in (3, 17, 23)],
        (((35, "h"), (336, 1), (340, 1)), "", True), (((35, "h"), (336, 1), (340, 2)), "", False),
    ],
)  # fmt: skip
def test_a_halt_is_understood_on_either_session(pairs: tuple[tuple[object, object], ...], symbol: str, is_halted: bool):
    """On the order session it has a number, on the feed it has none; sent again after a gap it is old."""
    text = _fix(*pairs, (34, 5), (58, "news"))
    said = {"venue": "XLIT1", "symbol": symbol, "is_halted": is_halted, "text": "news"}
    assert decode_venue(text, "XLIT1", INSTRUMENTS) == StatusChanged(session="XLIT1", msg_seq=5, **said)
    assert decode_feed(text, "XLIT1", INSTRUMENTS) == [StatusChanged(session="XLIT1.md", **said)]
    assert decode_venue(text + "43=Y\x01", "XLIT1", INSTRUMENTS) is None


def test_a_status_that_says_nothing_about_trading_is_no_news():
    """Imbalances, closed sessions, other symbols, nothing at all."""
    aapl = ((35, "f"), (55, "AAPL"))
    for pairs in ((*aapl, (326, 7)), aapl, ((35, "f"), (55, "NONE"), (326, 2)), ((35, "h"), (336, 1), (340, 3))):
        assert decode_venue(_fix(*pairs), "XLIT1", INSTRUMENTS) is None
        assert decode_feed(_fix(*pairs), "XLIT1", INSTRUMENTS) == []


def test_a_book_is_its_best_prices():
    """Whatever the order of the levels; an empty side is 0; levels without size or price are none."""

    def book(*levels: tuple[int, str, str]) -> list[Event]:
        entries = [pair for kind, price, size in levels for pair in ((269, kind), (270, price), (271, size))]
        return decode_feed(_fix((35, "W"), (55, "AAPL"), (268, len(levels)), *entries), "XLIT1", INSTRUMENTS)

    both = QuoteUpdated(venue="XLIT1", symbol="AAPL", bid_px=200 * PX_ONE, bid_qty=5, ask_px=201 * PX_ONE, ask_qty=7)
    assert book((0, "199", "9"), (0, "200", "5"), (1, "201", "7"), (1, "202", "9")) == [both]
    assert book((0, "200", "5"), (0, "300", "0"), (1, "-1", "7"), (1, "201", "7")) == [both]
    assert book((0, "200", "5")) == [QuoteUpdated(venue="XLIT1", symbol="AAPL", bid_px=200 * PX_ONE, bid_qty=5, ask_px=0, ask_qty=0)]
    assert book() == [QuoteUpdated(venue="XLIT1", symbol="AAPL", bid_px=0, bid_qty=0, ask_px=0, ask_qty=0)]
    assert book((0, "x", "5")) == []


def test_a_trade_is_a_positive_quantity_at_a_positive_price():
    """What can't be is left out: a negative volume would lift every cap's base or lower it."""

    def trades(price: str, size: str, symbol: str = "COIN") -> list[Event]:
        return decode_feed(_fix((35, "X"), (268, 1), (279, 0), (269, 2), (55, symbol), (270, price), (271, size)), "XLIT1", INSTRUMENTS)

    assert trades("200", "0.5") == [TradePrinted(venue="XLIT1", symbol="COIN", last_px=200 * PX_ONE, last_qty=50_000)]
    for price, size in (("200", "-1"), ("200", "0"), ("0", "1"), ("-5", "1"), ("200", "0.000001")):
        assert trades(price, size) == []
    assert trades("200", "1", "NONE") == []


# ---- what we say


@settings(max_examples=100, deadline=None, derandomize=True)
@given(px_units, quantities, st.sampled_from(list(Side)), st.sampled_from(list(TimeInForce)))
def test_a_child_is_said_exactly(price: int, quantity: int, side: Side, tif: TimeInForce):
    """Each tag once; price and quantity to the last digit."""
    child = SendChild(
        child_id="P.1", venue="V", symbol="COIN", side=side, order_qty=quantity, ord_type=OrdType.LIMIT, price=price, time_in_force=tif
    )
    text = encode_child(child, 5, 0)
    assert len(fields(text)) == text.count("\x01")
    assert fields(text) == {
        "35": "D", "11": "P.1", "21": "1", "55": "COIN", "54": side.value, "38": qty_text(quantity, 5), "40": "2", "44": px_text(price),
        "59": tif.value, "60": "19700101-00:00:00.000",
    }  # fmt: skip


def test_a_child_pegged_to_the_mid_has_its_instruction_limit_and_min_qty():
    """40=P, 18=M, 44 and 110, in the instrument's units."""
    child = SendChild(
        child_id="P.1", venue="V", symbol="COIN", side=Side.BUY, order_qty=300_000, ord_type=OrdType.PEGGED, price=PX_ONE,
        time_in_force=TimeInForce.DAY, exec_inst="M", min_qty=150_000,
    )  # fmt: skip
    said = fields(encode_child(child, 5, 0))
    assert {t: said[t] for t in ("40", "18", "44", "38", "110")} == {"40": "P", "18": "M", "44": "1", "38": "3", "110": "1.5"}


def test_control_26_a_child_says_whose_it_is():
    """ClOrdLinkID (583) is its parent; the Parties group has client, algo and model, desk. A desk that is none is not said."""
    child = SendChild(
        child_id="P-7.1", venue="V", symbol="COIN", side=Side.BUY, order_qty=1, ord_type=OrdType.LIMIT, price=PX_ONE, time_in_force=TimeInForce.DAY,
        client="CLIENT1", desk="cash", algo="VWAP", model="median20 2019-06-27",
    )  # fmt: skip
    parties = "448=CLIENT1|447=D|452=3|448=VWAP:median20 2019-06-27|447=D|452=12|448=cash|447=D|452=36|"
    assert encode_child(child, 5, 0).replace("\x01", "|").endswith(f"|583=P-7|453=3|{parties}")
    alone = msgspec.structs.replace(child, desk="", model="")
    assert encode_child(alone, 5, 0).replace("\x01", "|").endswith("|453=2|448=CLIENT1|447=D|452=3|448=VWAP|447=D|452=12|")


def test_a_cancel_and_a_status_request_name_the_child():
    """F has its own id in 11 and the child in 41; H has the child in 11."""
    cancel = CancelChild(child_id="P.1", cancel_id="P.1.c1", venue="V", symbol="COIN", side=Side.BUY, order_qty=150_000, qty_decimals=5)
    said = fields(encode_child_cancel(cancel, 0))
    assert (said["35"], said["11"], said["41"], said["38"]) == ("F", "P.1.c1", "P.1", "1.5")
    said = fields(encode_child_status(AskChildStatus(child_id="P.1", venue="V", symbol="COIN", side=Side.SELL)))
    assert said == {"35": "H", "11": "P.1", "55": "COIN", "54": "2"}


def test_a_subscription_asks_for_one_symbol():
    """146=1 and one 55: a venue that does not have the symbol refuses only that."""
    text = encode_subscription("A")
    assert fields(text)["146"] == "1"
    assert text.count("\x0155=") == 1


def copy(*pairs: tuple[object, object]) -> list[Event]:
    """What a drop copy's message is, where one child in COIN, of whatever units, is ours."""
    ours = Ours("COIN", Side.BUY, INSTRUMENTS["COIN"].qty_decimals)
    return decode_copy(_fix((34, 7), *pairs), "XLIT1.dc", INSTRUMENTS, lambda child_id: ours if child_id == "P.1" else None)


TRADED = ((35, 8), (37, "V1"), (11, "P.1"), (17, "E1"), (55, "COIN"), (54, 1), (31, "10.5"), (32, "2"))


def test_a_drop_copy_tells_of_trades_corrections_and_busts_and_of_nothing_else():
    """Under the child's ClOrdID, 41 where there is one; a trade of an order that is not ours too; what can't be read is told as such."""
    one = 10 ** INSTRUMENTS["COIN"].qty_decimals
    told = CopyReported(
        session="XLIT1.dc", msg_seq=7, child_id="P.1", exec_id="E1", exec_type="F", symbol="COIN", side=Side.BUY, last_px=px("10.5"), last_qty=2 * one
    )
    assert copy(*TRADED, (150, "F")) == [told]
    assert copy(*TRADED, (150, "F"), (11, "P.1.c1"), (41, "P.1")) == [told]
    assert copy(*TRADED, (150, "G"), (19, "E0")) == [msgspec.structs.replace(told, exec_type="G", exec_ref_id="E0")]
    busted = msgspec.structs.replace(told, exec_type="H", exec_ref_id="E0", last_px=0, last_qty=0)
    assert copy(*(p for p in TRADED if p[0] not in (31, 32)), (150, "H"), (19, "E0")) == [busted]
    (stranger,) = copy(*(p for p in TRADED if p[0] != 11), (11, "who"), (150, "F"))
    assert (type(stranger), getattr(stranger, "child_id", "")) == (CopyReported, "who")
    assert copy(*TRADED, (150, "0")) == copy((35, "9"), (150, "F")) == copy((35, "0")) == []
    for wrong in ((31, "0"), (31, "x"), (32, "-1"), (32, "")):
        (garbled,) = copy(*(p for p in TRADED if p[0] != wrong[0]), wrong, (150, "F"))
        assert isinstance(garbled, Garbled), wrong
        assert (garbled.session, garbled.code) == ("XLIT1.dc", "unreadable_message")
