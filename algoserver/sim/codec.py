"""FIX 4.4 text to requests, reports to FIX 4.4 text. Pure: strings in, values out.

Rule 1: a request that can be understood but not fulfilled is `Unreadable`: it is answered about its order, in words.
Rule 2: an instruction that changes what an order does and is not known here is refused, not ignored: an iceberg must not show its
whole size. What it means to each kind of venue, and whether it is taken there, says admission.py.
Rule 3: a stop (40=3, 4), what is previously quoted (40=D) and what firms up an indication (40=E) are market, limit and pegged orders
with terms; what is good till a date or till canceled (59=6, 1) is a day order with terms.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from algoserver.domain.types import DAY, Instrument, OrdType, Side, TimeInForce, px, qty, utc
from algoserver.sim.reports import (
    ALL,
    GOOD_TILL_CANCEL,
    PLAIN,
    NewOrderSingle,
    OrderCancelReplaceRequest,
    OrderCancelRequest,
    OrderMassCancelRequest,
    OrderStatusRequest,
    Request,
    Terms,
)

SOH = "\x01"
REQUESTS = ("D", "F", "G", "H", "q")
# Far above any real order and far below 64 bits, which the ledger's numbers must fit.
QTY_MAX = 10**15
PX_MAX = 10**17
# LastCapacity (29): a venue brings orders together, it takes no side; a dealer is the other side.
AGENT, PRINCIPAL = "1", "4"
# Fields of D and G that change what an order does, and are not known here.
UNSUPPORTED = {"210": "MaxShow", "168": "EffectiveTime", "388": "DiscretionInst", "836": "PegOffsetType", "835": "PegMoveType"}
# ExecInst (18) likewise: all or none, last, opening, market and VWAP pegs, suspend, cancel if not best, trailing stop, peg to limit.
UNKNOWN_INSTRUCTIONS = {"G", "L", "O", "P", "W", "S", "Z", "a", "d"}
# OrdType (40) that is another with terms.
WITH_TERMS = {"3": OrdType.MARKET, "4": OrdType.LIMIT, "D": OrdType.LIMIT, "E": OrdType.PEGGED}
GTC, GTD = "1", "6"  # TimeInForce (59)


class Unreadable(msgspec.Struct, frozen=True):
    """A request whose order is known but whose wish is not possible. reason: OrdRejReason (103)."""

    request: Request
    reason: int
    text: str


class Garbled(msgspec.Struct, frozen=True):
    """A message that can't be answered about an order. reason: BusinessRejectReason (380)."""

    reason: int
    text: str


def split(text: str) -> list[tuple[str, str]]:
    """Tag and value of every field, in order."""
    fields = []
    for field in text.split(SOH):
        tag, equals, value = field.partition("=")
        if equals:
            fields.append((tag, value))
    return fields


def request(fields: Mapping[str, str], venue: str, client: str, instruments: Mapping[str, Instrument]) -> Request | Unreadable | Garbled:
    """Decode D, F, G or H. fields: each tag once."""
    try:
        side = Side(fields.get("54", ""))
    except ValueError:
        return Garbled(0, f"Side {fields.get('54', '')!r} is not supported: 1, 2 and 5 are")
    if not fields.get("11") or not fields.get("55"):
        return Garbled(5, "ClOrdID (11) and Symbol (55) are required")
    instrument = instruments.get(fields["55"])
    symbol = instrument.symbol if instrument is not None else fields["55"]  # of a day's orders one text, not one each
    common: dict[str, Any] = {"venue": venue, "client": client, "cl_ord_id": fields["11"], "symbol": symbol, "side": side}
    match fields["35"]:
        case "H":
            return OrderStatusRequest(**common, ord_status_req_id=fields.get("790", ""))
        case "F":
            return OrderCancelRequest(**common, orig_cl_ord_id=fields.get("41", ""))
        case "G":
            common["orig_cl_ord_id"] = fields.get("41", "")
    is_new = fields["35"] == "D"
    if is_new:
        common["is_poss_resend"] = fields.get("97") == "Y"
    kind = NewOrderSingle if is_new else OrderCancelReplaceRequest
    terms = _wish(fields, instrument)
    if isinstance(terms, tuple):
        return Unreadable(kind(**common, order_qty=0), *terms)
    return kind(**common, **terms)


def mass_cancel(fields: Mapping[str, str], venue: str, client: str) -> OrderMassCancelRequest | Garbled:
    """Decode q."""
    side = fields.get("54", "")
    if not fields.get("11") or side not in ("", *Side):
        return Garbled(5, "ClOrdID (11) is required, and Side (54) is 1, 2 or 5 where it is given")
    kind, symbol = fields.get("530", ""), fields.get("55", "")
    return OrderMassCancelRequest(
        venue=venue, client=client, cl_ord_id=fields["11"], kind=kind, symbol=symbol, side=Side(side) if side else None
    )  # fmt: skip


class _Refused(Exception):
    """OrdRejReason (103) and text."""


def _wish(fields: Mapping[str, str], instrument: Instrument | None) -> dict[str, Any] | tuple[int, str]:
    """Quantity, type, price, time in force and terms of D and G, or OrdRejReason and text."""
    try:
        for tag, name in UNSUPPORTED.items():
            if tag in fields:
                raise _Refused(11, f"{name} ({tag}) is not supported by this venue")
        kind, instructions = fields.get("40", ""), fields.get("18", "").split()
        if kind not in WITH_TERMS and kind not in ("1", "2", "P"):
            raise _Refused(11, f"OrdType {kind!r} is not supported: 1, 2, 3, 4, P, at dealers D and at dark venues E are")
        if unknown := UNKNOWN_INSTRUCTIONS.intersection(instructions):
            raise _Refused(11, f"ExecInst (18) {' '.join(sorted(unknown))} is not supported: 6, M and R are")
        ord_type = WITH_TERMS.get(kind) or OrdType(kind)
        if kind == "P" and len({"M", "R"}.intersection(instructions)) != 1:
            given = fields.get("18", "")
            raise _Refused(11, f"a pegged order (40=P) is pegged to the mid or to its own side here: ExecInst (18) M or R, not {given!r}")
        tif, expire_ts = _time(fields)
        order_qty = _qty(fields, "38", "OrderQty", instrument)
        min_qty = _qty(fields, "110", "MinQty", instrument) if "110" in fields else 0
        has_px = ord_type is OrdType.LIMIT or (ord_type is OrdType.PEGGED and "44" in fields)
        price = _px(fields, "44", "Price") if has_px else 0
        terms = _terms(fields, kind, instructions, expire_ts, instrument)
    except _Refused as refused:
        return refused.args[0], refused.args[1]
    return {"order_qty": order_qty, "ord_type": ord_type, "px": price, "tif": tif, "min_qty": min_qty, "terms": terms}


def _terms(fields: Mapping[str, str], kind: str, instructions: list[str], expire_ts: int, instrument: Instrument | None) -> Terms:
    is_stop, is_pegged = kind in ("3", "4"), kind == "P"
    if "99" in fields and not is_stop:
        raise _Refused(11, "StopPx (99) belongs to OrdType (40) 3 and 4")
    if "211" in fields and not is_pegged:
        raise _Refused(11, "PegOffsetValue (211) belongs to OrdType (40) P")
    if kind == "D" and not fields.get("117"):
        raise _Refused(11, "OrdType (40) D needs the QuoteID (117) that it is about")
    if kind == "E" and not fields.get("23"):
        raise _Refused(11, "OrdType (40) E needs the IOIID (23) that it firms up")
    shown = {tag: _qty(fields, tag, name, instrument) for tag, name in (("111", "MaxFloor"), ("1138", "DisplayQty")) if tag in fields}
    if len(set(shown.values())) > 1:
        raise _Refused(11, "MaxFloor (111) and DisplayQty (1138) say two different things: one is enough")
    display_qty = next(iter(shown.values()), ALL)
    if display_qty < ALL:
        raise _Refused(13, "DisplayQty is not negative")
    terms = Terms(
        stop_px=_px(fields, "99", "StopPx") if is_stop else 0,
        display_qty=display_qty,
        peg="R" if is_pegged and "R" in instructions else "",
        peg_offset=_px(fields, "211", "PegOffsetValue") if "211" in fields else 0,
        is_post_only="6" in instructions,
        expire_ts=expire_ts,
        quote_id=fields["117"] if kind == "D" else "",
        ioi_id=fields["23"] if kind == "E" else "",
    )
    if is_stop and terms.stop_px <= 0:
        raise _Refused(11, "StopPx (99) is not positive")
    return PLAIN if terms == PLAIN else terms


def _time(fields: Mapping[str, str]) -> tuple[TimeInForce, int]:
    """TimeInForce, and ExpireTime for what is good till then."""
    text = fields.get("59", "0")
    if text == GTC:
        return TimeInForce.DAY, GOOD_TILL_CANCEL
    try:
        if text != GTD:
            return TimeInForce(text), 0
        if "126" in fields:
            return TimeInForce.DAY, utc(fields["126"])
        return TimeInForce.DAY, utc(f"{fields['432']}-00:00:00") + DAY
    except KeyError:
        raise _Refused(11, "TimeInForce (59) 6 needs an ExpireTime (126) or an ExpireDate (432)") from None
    except ValueError as e:
        wrong = f"ExpireTime (126): {e}" if text == GTD else f"TimeInForce {text!r} is not supported: 0, 1, 2, 3, 4, 6 and 7 are"
        raise _Refused(11, wrong) from None


def _qty(fields: Mapping[str, str], tag: str, name: str, instrument: Instrument | None) -> int:
    # Of an unknown instrument only the symbol will be refused, so its units do not matter.
    try:
        value = qty(fields.get(tag, ""), instrument.qty_decimals) if instrument else 0
    except ValueError as e:
        raise _Refused(13, f"{name} ({tag}): {e}") from None
    if abs(value) > QTY_MAX:
        raise _Refused(13, f"{name} {fields[tag]} is beyond any order of this venue")
    return value


def _px(fields: Mapping[str, str], tag: str, name: str) -> int:
    try:
        value = px(fields.get(tag, ""))
    except ValueError as e:
        raise _Refused(11, f"{name} ({tag}): {e}") from None
    if abs(value) > PX_MAX:
        raise _Refused(11, f"{name} {fields[tag]} is beyond any price of this venue")
    return value
