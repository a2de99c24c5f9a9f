"""Client side: what is sent is what is understood, and nothing that is sent makes it raise."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoserver.domain.commands import RejectCancel, RejectMessage, ReportParent
from algoserver.domain.events import CancelRequested, Event, Garbled, ParentRequested, ReplaceRequested, StatusRequested
from algoserver.domain.params import BY_NAME, PARAMS, AlgoParams, Param
from algoserver.domain.types import (
    PX_ONE,
    ExecType,
    Instrument,
    OnHalt,
    OrdStatus,
    OrdType,
    Side,
    ppm_text,
    px_text,
    qty_text,
    utc,
    utc_text,
)
from algoserver.fix.codec import decode_client, encode_cancel_reject, encode_message_reject, encode_report
from algoserver.fix.read import TIMES_IN_FORCE
from algoserver.fix.text import TEXT_CHARS_MAX, fields, group
from algoserver.fix.versions import V42

AAPL = Instrument(symbol="AAPL", tick=1, lot=1, round_lot=100, qty_decimals=0, adv=1)
COIN = Instrument(symbol="COIN", tick=1, lot=1, round_lot=100, qty_decimals=5, adv=1)
INSTRUMENTS = {"AAPL": AAPL, "COIN": COIN}

ids = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64)
quantities = st.integers(1, 10**12)
px_units = st.integers(1, 10**14)
times = st.integers(0, 4 * 10**9).map(lambda ms: ms * 1_000_000)


def _fix(*pairs: tuple[object, object]) -> str:
    return "".join(f"{tag}={value}\x01" for tag, value in pairs)


def _of_kind(param: Param) -> st.SearchStrategy[Any]:
    return {
        "time": times.filter(bool),
        "share": st.integers(max(param.least, 1), param.most or 1),
        "int": st.integers(param.least, param.most or 1),
        "price": px_units,
        "qty": quantities,
        "flag": st.booleans(),
        "choice": st.sampled_from(param.choices or ("",)),
    }[param.kind]


def _param_text(param: Param, value: Any, decimals: int) -> str:
    return {
        "time": utc_text, "share": ppm_text, "int": str, "price": px_text, "qty": lambda v: qty_text(v, decimals),
        "flag": lambda v: "Y" if v else "N", "choice": str,
    }[param.kind](value)  # fmt: skip


def _encode(e: ParentRequested, by_tag: bool) -> str:
    """The D of a careful client: parameters in standard tags where there are some, or all of them in the group."""
    decimals = INSTRUMENTS[e.symbol].qty_decimals
    body = [
        (35, "D"), (34, e.msg_seq), (11, e.cl_ord_id), (1, e.account), (55, e.symbol), (54, e.side), (38, qty_text(e.order_qty, decimals)),
        (40, e.ord_type), (59, e.time_in_force), (847, e.strategy), (97, "Y" if e.poss_resend else "N"), (43, "Y" if e.poss_dup else "N"),
        (18, f"1 {e.on_halt}".strip()),
    ]  # fmt: skip
    if e.ord_type is OrdType.LIMIT:
        body.append((44, px_text(e.price)))
    grouped = []
    for param in PARAMS:
        value = getattr(e.params, param.field)
        if value == getattr(AlgoParams(), param.field):
            continue
        text = _param_text(param, value, decimals)
        if by_tag and param.tags:
            body.append((param.tags[0], text))
        else:
            grouped += [(958, param.name), (959, 14), (960, text)]
    return _fix(*body, *([(957, len(grouped) // 3), *grouped] if grouped else []))


@st.composite
def parents(draw: Any) -> ParentRequested:
    ord_type = draw(st.sampled_from([OrdType.MARKET, OrdType.LIMIT]))
    chosen = draw(st.lists(st.sampled_from(PARAMS), unique_by=lambda p: p.name))
    return ParentRequested(
        session="C1", msg_seq=draw(st.integers(0, 10**9)), cl_ord_id=draw(ids), symbol=draw(st.sampled_from(list(INSTRUMENTS))),
        side=draw(st.sampled_from(list(Side))), order_qty=draw(quantities), ord_type=ord_type,
        price=draw(px_units) if ord_type is OrdType.LIMIT else 0, time_in_force=draw(st.sampled_from(list(TIMES_IN_FORCE.values()))),
        strategy=draw(st.integers(0, 2_000)), params=AlgoParams(**{p.field: draw(_of_kind(p)) for p in chosen}), account=draw(ids),
        on_halt=draw(st.sampled_from(list(OnHalt))), poss_resend=draw(st.booleans()), poss_dup=draw(st.booleans()),
    )  # fmt: skip


@settings(max_examples=250, deadline=None, derandomize=True)
@given(parents(), st.booleans())
def test_an_order_is_understood_as_it_was_meant(order: ParentRequested, by_tag: bool):
    """Every field and parameter, in standard tags and in the group alike."""
    assert decode_client(_encode(order, by_tag), "C1", INSTRUMENTS) == order


@given(ids, ids)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_cancel_replace_and_status_are_understood(one: str, other: str):
    """By their ids."""

    def decoded(*pairs: tuple[object, object]) -> Event:
        return decode_client(_fix(*pairs), "C1", INSTRUMENTS)

    assert decoded((35, "F"), (11, one), (41, other), (43, "Y")) == CancelRequested(
        session="C1", cl_ord_id=one, orig_cl_ord_id=other, poss_dup=True
    )
    same = {"session": "C1", "cl_ord_id": one, "orig_cl_ord_id": other, "symbol": "AAPL", "side": Side.BUY}
    replace = ((35, "G"), (11, one), (41, other), (55, "AAPL"), (54, 1))
    assert decoded(*replace, (40, 1)) == ReplaceRequested(**same, ord_type=OrdType.MARKET)
    more = ((40, 2), (38, 500), (44, "1.5"), (847, 1), (59, 0), (957, 1), (958, "Urgency"), (960, 3), (126, "20260101-10:00:00"))
    assert decoded(*replace, *more) == ReplaceRequested(
        **same, ord_type=OrdType.LIMIT, order_qty=500, price=PX_ONE * 3 // 2, strategy=1, time_in_force="0",
        params=AlgoParams(end_ts=utc("20260101-10:00:00")), given=("end_ts", "urgency"),
    )  # fmt: skip
    status = StatusRequested(session="C1", cl_ord_id=one, ord_status_req_id=other, symbol="AAPL", side="1")
    assert decoded((35, "H"), (11, one), (790, other), (55, "AAPL"), (54, 1)) == status


# ---- garbage

SCRAPS = (
    *("\x01", "=", "\x00", "8=", "35=D", "35=F", "11=X", "55=AAPL", "54=1", "38=1e9", "38=-0", "40=2", "44=.", "847=1", "957=99", "59=3"),
    *("958=IWouldPrice", "960=", "168=20191301-00:00:00", "126=99991231-23:59:59", "849=0.5", "34=" + "9" * 5_000),
)
scraps = st.one_of(st.sampled_from(SCRAPS), st.text(max_size=8), st.integers(0, 1_200).map(lambda n: f"{n}="))
soup = st.lists(scraps, max_size=40).map("\x01".join)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.one_of(soup, st.text(max_size=200)), st.sampled_from(["", "35=D\x01", "35=F\x01", "35=G\x01", "35=H\x01"]))
def test_garbage_is_an_event_that_the_journal_can_write(text: str, head: str):
    """Never an exception; what comes out can be encoded and read back."""
    event = decode_client(head + text, "C1", INSTRUMENTS)
    assert msgspec.json.decode(msgspec.json.encode(event), type=type(event)) == event


@settings(max_examples=300, deadline=None, derandomize=True)
@given(parents(), st.booleans(), st.integers(0, 10**6), st.text(max_size=6), st.integers(0, 4))
def test_a_damaged_order_is_an_order_or_garbage(order: ParentRequested, by_tag: bool, at: int, noise: str, cut: int):
    """A valid message with something cut out and something put in, anywhere."""
    text = _encode(order, by_tag)
    at %= len(text)
    event = decode_client(text[:at] + noise + text[at + cut :], "C1", INSTRUMENTS)
    assert isinstance(event, (ParentRequested, CancelRequested, ReplaceRequested, StatusRequested, Garbled))


def _code(**changes: object) -> tuple[str, int]:
    """Code and reason of a good limit order with some tags changed (None: left out); extra as raw text."""
    extra = str(changes.pop("extra", ""))
    tags: dict[str, object] = {"35": "D", "11": "X", "55": "AAPL", "54": 1, "38": 100, "40": 2, "44": "200.01", "847": 1}
    tags |= {k.removeprefix("t"): v for k, v in changes.items()}
    text = _fix(*((k, v) for k, v in tags.items() if v is not None)) + extra
    event = decode_client(text, "C1", INSTRUMENTS)
    return (event.code, event.reject_reason) if isinstance(event, Garbled) else ("", 0)


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({}, ("", 0)),
        ({"t11": None}, ("missing_field", 99)),
        ({"t11": "x" * 64}, ("", 0)),
        ({"t11": "x" * 65}, ("bad_id", 99)),
        ({"t11": "a\nb"}, ("bad_id", 99)),
        ({"t11": "a\ufffd"}, ("bad_id", 99)),
        ({"t55": None}, ("missing_field", 99)),
        ({"t55": "NONE"}, ("unknown_symbol", 1)),
        ({"t54": 3}, ("unknown_side", 11)),
        ({"t54": None}, ("missing_field", 99)),
        ({"t38": None}, ("missing_field", 99)),
        ({"t38": "1.5"}, ("wrong_lot", 13)),
        ({"t38": "1.0"}, ("", 0)),
        ({"t38": "1e3"}, ("wrong_lot", 13)),
        ({"t38": "١"}, ("wrong_lot", 13)),
        ({"t38": "9" * 25}, ("wrong_lot", 13)),
        ({"t40": "P"}, ("unknown_ordtype", 11)),
        ({"t44": None}, ("missing_price", 99)),
        ({"t44": "200.000000001"}, ("bad_number", 99)),
        ({"t44": "NaN"}, ("bad_number", 99)),
        ({"t59": 1}, ("unknown_timeinforce", 11)),
        ({"t847": None}, ("missing_field", 99)),
        ({"t847": "VWAP"}, ("bad_number", 99)),
        ({"t168": "2019-06-28 13:30"}, ("bad_parameter", 99)),
        ({"t849": "15"}, ("bad_parameter", 99)),
        ({"t849": "0"}, ("bad_parameter", 99)),
        ({"t849": "1"}, ("", 0)),
        ({"t1138": "-1"}, ("bad_parameter", 99)),
        ({"t110": "100"}, ("", 0)),
        ({"t110": "-100"}, ("bad_parameter", 99)),
        ({"extra": _fix((957, 1), (958, "DarkPct"), (960, "1.01"))}, ("bad_parameter", 99)),
        ({"t35": "E"}, ("unsupported_message_type", 3)),
        ({"t35": None}, ("unsupported_message_type", 3)),
        ({"t58": "x" * TEXT_CHARS_MAX}, ("too_long", 99)),
        ({"t210": "5", "t1138": "5"}, ("", 0)),
        ({"t210": "5", "t1138": "6"}, ("contradictory_parameter", 99)),
        ({"t849": "0.1", "extra": _fix((957, 1), (958, "TargetPctVol"), (960, "0.10"))}, ("", 0)),
        ({"t849": "0.1", "extra": _fix((957, 1), (958, "TargetPctVol"), (960, "0.11"))}, ("contradictory_parameter", 99)),
        ({"extra": _fix((957, 2), (958, "Urgency"), (960, "1"), (958, "Urgency"), (960, "2"))}, ("contradictory_parameter", 99)),
        ({"extra": _fix((957, 1), (958, "Speed"), (960, "1"))}, ("unknown_parameter", 99)),
        ({"extra": _fix((957, 1), (958, "Urgency"))}, ("bad_parameter", 99)),
        ({"extra": _fix((957, 1), (958, "Urgency"), (960, "6"))}, ("bad_parameter", 99)),
        ({"extra": _fix((957, 1), (958, "CatchUp"), (960, "yes"))}, ("bad_parameter", 99)),
        ({"extra": _fix((957, 1), (958, "Completion"), (960, "NEVER"))}, ("bad_parameter", 99)),
        ({"extra": _fix((957, 1), (958, "OpenAuction"), (960, "N"))}, ("", 0)),
        ({"extra": _fix((957, 1), (958, "OpenAuction"), (960, "y"))}, ("bad_parameter", 99)),
        ({"extra": _fix((957, 16), *[(958, "Urgency"), (960, "1")] * (len(BY_NAME) + 1))}, ("too_many_parameters", 99)),
        ({"extra": _fix((958, "Urgency"), (960, "1"))}, ("bad_group", 99)),
        ({"extra": _fix((957, 2), (958, "Urgency"), (960, "1"))}, ("bad_group", 99)),
    ],
    ids=lambda v: v[0] or "understood" if isinstance(v, tuple) else "-".join(f"{k}={x!r:.12}" for k, x in v.items()),
)  # fmt: skip
def test_what_can_not_be_acted_on_has_a_code_and_a_reason(changes: dict[str, object], answer: tuple[str, int]):
    """103 for a D, 380 for a type that is not supported."""
    assert _code(**changes) == answer


def test_garbage_keeps_what_the_answer_needs():
    """ClOrdID, OrigClOrdID, symbol, side and MsgSeqNum, cut to size."""
    event = decode_client(_fix((35, "D"), (34, 12), (11, "X" * 100), (41, "Y"), (55, "NONE"), (54, "12")), "C1", INSTRUMENTS)
    assert isinstance(event, Garbled)
    assert (event.msg_seq, event.cl_ord_id, event.orig_cl_ord_id, event.symbol, event.side) == (12, "X" * 64, "Y", "NONE", "1")


# ---- what we say


def test_a_report_says_each_thing_once_and_only_what_it_has():
    """Required tags always; a trade's, a reject's and a reference's only where they apply."""
    report = ReportParent(
        session="C1", exec_id="P.r1", order_id="P", cl_ord_id="X", exec_type=ExecType.TRADE, ord_status=OrdStatus.PARTIALLY_FILLED,
        symbol="COIN", side="1", order_qty=150_000, cum_qty=50_000, leaves_qty=100_000, avg_px=PX_ONE // 2, qty_decimals=5, ts=0,
        last_px=PX_ONE // 2, last_qty=50_000, last_mkt="XLIT1", last_liquidity_ind=2, last_capacity="1",
    )  # fmt: skip
    text = encode_report(report)
    assert len(fields(text)) == text.count("\x01")
    assert fields(text) == {
        "35": "8", "37": "P", "11": "X", "17": "P.r1", "150": "F", "39": "1", "55": "COIN", "54": "1", "38": "1.5", "14": "0.5", "151": "1",
        "6": "0.5", "60": "19700101-00:00:00.000", "31": "0.5", "32": "0.5", "30": "XLIT1", "851": "2", "29": "1",
    }  # fmt: skip
    status = msgspec.structs.replace(
        report, last_qty=0, orig_cl_ord_id="W", exec_ref_id="P.r0", ord_rej_reason=0, ord_status_req_id="S", text="why"
    )  # fmt: skip
    said = fields(encode_report(status))
    assert {t: said[t] for t in ("41", "19", "103", "790", "58")} == {"41": "W", "19": "P.r0", "103": "0", "790": "S", "58": "why"}
    assert not {"31", "32", "30", "851", "29", "378"} & said.keys()


def test_a_reason_that_fix_42_does_not_have_is_the_brokers_option():
    """378=6 of a halt is 4 there; 2 is what it is."""
    report = ReportParent(
        session="C1", exec_id="P.r1", order_id="P", cl_ord_id="X", exec_type=ExecType.CANCELED, ord_status=OrdStatus.CANCELED,
        symbol="AAPL", side="1", order_qty=100, cum_qty=0, leaves_qty=0, avg_px=0,
    )  # fmt: skip
    for reason, in_42 in ((6, "4"), (2, "2")):
        halted = msgspec.structs.replace(report, exec_restatement_reason=reason)
        assert (fields(encode_report(halted))["378"], fields(encode_report(halted, V42))["378"]) == (str(reason), in_42)


def test_a_reject_says_what_it_refuses():
    """434 and 102 of a cancel, 372 and 380 of a message."""
    cancel = RejectCancel(
        session="C1", order_id="P", cl_ord_id="Y", orig_cl_ord_id="X", ord_status=OrdStatus.FILLED, cxl_rej_reason=0, response_to="1"
    )
    assert {t: fields(encode_cancel_reject(cancel))[t] for t in ("35", "39", "434", "102")} == {
        "35": "9",
        "39": "2",
        "434": "1",
        "102": "0",
    }
    message = RejectMessage(session="C1", ref_seq_num=7, ref_msg_type="E", business_reject_reason=3, text="no")
    assert fields(encode_message_reject(message)) == {"35": "j", "45": "7", "372": "E", "380": "3", "58": "no"}


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=120))
def test_fields_and_groups_of_any_text_are_strings(text: str):
    """Splitting never fails, and a group's entry begins with its first tag."""
    assert all(isinstance(v, str) for v in fields(text).values())
    assert all("958" in e for e in group(text, "958"))
