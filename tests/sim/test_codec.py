"""FIX text to requests and back: every wish is either understood or refused in words."""

import pytest

from algoserver.domain.types import OrdStatus, OrdType, Side, TimeInForce, px
from algoserver.sim import codec, codec_reports
from algoserver.sim.reports import New
from tests.sim.street import BTC, T0, new, quiet

INSTRUMENTS = {"BTCUSDT": BTC}
ORDER = "35=D|11=X|55=BTCUSDT|54=1|38=0.5|40=2|44=61000.01|59=3"


def decode(text):
    return codec.request(dict(codec.split(text.replace("|", "\x01"))), "XLIT1", "ALGO", INSTRUMENTS)


def test_an_order_in_the_instruments_units():
    order = decode(ORDER)
    assert (order.order_qty, order.px, order.side, order.tif) == (50_000, px("61000.01"), Side.BUY, TimeInForce.IOC)
    assert decode("35=D|11=X|55=BTCUSDT|54=5|38=1|40=1").ord_type == OrdType.MARKET
    assert decode("35=D|11=X|55=BTCUSDT|54=1|38=1|40=1|97=Y").is_poss_resend
    replaced = decode(ORDER.replace("35=D", "35=G|41=W"))
    assert (replaced.orig_cl_ord_id, replaced.order_qty) == ("W", 50_000)
    assert decode("35=F|11=Y|41=X|55=BTCUSDT|54=1").orig_cl_ord_id == "X"
    assert decode("35=H|11=X|55=BTCUSDT|54=1|790=q").ord_status_req_id == "q"


def test_a_peg_to_the_mid_with_and_without_a_limit():
    """40=P with M among the instructions of 18; 110 in the instrument's units. A report says the same again."""
    peg = decode("35=D|11=X|55=BTCUSDT|54=1|38=0.5|40=P|18=h M|110=0.25")
    assert (peg.ord_type, peg.px, peg.min_qty) == (OrdType.PEGGED, 0, 25_000)
    assert decode("35=G|41=W|11=X|55=BTCUSDT|54=1|38=1|40=P|18=M|44=61000.01").px == px("61000.01")
    answer = New(venue="V", client="C", ts=T0, exec_id="E1", order_id="O1", cl_ord_id="X", symbol="BTCUSDT", side=Side.BUY,
                 ord_status=OrdStatus.NEW, order_qty=50_000, ord_type=OrdType.PEGGED, min_qty=25_000)  # fmt: skip
    fields = dict(codec.split(codec_reports.report(answer, INSTRUMENTS)))
    assert (fields["40"], fields["18"], fields["110"], "44" in fields) == ("P", "M", "0.25", False)


UNREADABLE = [
    ("38=0.5", "38=0.0000001", 13),
    ("38=0.5|", "", 13),
    ("38=0.5", "38=99999999999999999999", 13),
    ("44=61000.01", "44=9999999999999999999", 11),
    ("44=61000.01", "44=abc", 11),
    ("44=61000.01|", "", 11),
    ("40=2", "40=3", 11),
    ("40=2", "40=4|99=abc", 11),
    ("40=2", "40=2|99=61000", 11),
    ("40=2", "40=2|211=1", 11),
    ("40=2", "40=D", 11),
    ("40=2", "40=E", 11),
    ("40=2", "40=J", 11),
    ("59=3", "59=6", 11),
    ("59=3", "59=6|126=tomorrow", 11),
    ("59=3", "59=8", 11),
    ("59=3", "59=0|111=0.2|1138=0.3", 11),
    ("59=3", "59=0|111=-1", 13),
    ("59=3", "59=0|210=1", 11),
    ("59=3", "59=0|18=G", 11),
    ("40=2", "40=P", 11),
    ("40=2", "40=P|18=M R", 11),
    ("40=2|44=61000.01", "40=P|18=M|44=abc", 11),
    ("59=3", "59=3|110=0.0000001", 13),
    ("59=3", "59=3|110=99999999999999999999", 13),
]


@pytest.mark.parametrize(("old", "instead", "reason"), UNREADABLE)
def test_a_wish_that_is_not_possible_is_refused_about_its_order(old, instead, reason):
    refused = decode(ORDER.replace(old, instead))
    assert isinstance(refused, codec.Unreadable)
    assert (refused.reason, refused.request.cl_ord_id) == (reason, "X")


def test_a_message_without_a_usable_side_is_garbled():
    assert isinstance(decode(ORDER.replace("54=1", "54=6")), codec.Garbled)


def test_a_report_as_text():
    answer = quiet().submit(T0, new("X", Side.BUY, 100, "50"))[0]
    fields = dict(codec.split(codec_reports.report(answer, {}, poss_resend=True)))
    expected = {
        "35": "8",
        "97": "Y",
        "11": "X",
        "150": "0",
        "39": "0",
        "38": "100",
        "151": "100",
        "14": "0",
        "6": "0",
        "44": "50",
        "54": "1",
    }
    assert {t: fields[t] for t in expected} == expected
    assert fields["60"] == "20190628-13:30:00.000"
