"""Venue side: execution reports and market data to events, child commands to FIX text. Pure; no message makes it raise.

The child is the order of OrigClOrdID (41) where there is one: the answer to our cancel carries the cancel's id in 11.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from algoserver.core.foreign import NAMELESS
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
from algoserver.domain.types import FEED_SUFFIX, Instrument, OrdStatus, Side, px, px_text, qty, qty_text, utc_text
from algoserver.fix import tags as t
from algoserver.fix.text import count, fields, group

BID, OFFER, TRADE = "0", "1", "2"
# Steps on the way that change neither quantity nor what may still trade: PendingCancel, PendingReplace, PendingNew,
# Stopped, Suspended, Calculated.
IN_BETWEEN = ("6", "E", "A", "7", "9", "B")
# SecurityTradingStatus (326) of f: opening delay, trading halt, no open or no resume; resume, ready to trade, fast market.
# TradSesStatus (340) of h: halted; open. The others say nothing about whether an order may rest.
IS_HALTED = {
    "f": {"1": True, "2": True, "4": True, "3": False, "17": False, "23": False},
    "h": {"1": True, "2": False},
}
ENDED = {"4": OrdStatus.CANCELED, "C": OrdStatus.EXPIRED, "3": OrdStatus.DONE_FOR_DAY}


class Ours(NamedTuple):
    """What a report on a child of ours must agree with, and the units of its quantities: its symbol may be gone since it left."""

    symbol: str
    side: str
    qty_decimals: int


def decode_venue(
    text: str, session: str, instruments: Mapping[str, Instrument], find: Callable[[str], Ours | None] | None = None
) -> Event | None:
    """The event that a venue's application message is; None for a step in between. find: the child that we sent there; without it all are ours."""
    f = fields(text)
    msg_type = f.get(t.MSG_TYPE, "")
    msg_seq = count(f.get(t.MSG_SEQ_NUM, "0"))
    try:
        if msg_type == "8":
            ours = find(_child_id(f)) if find is not None else _by_itself(f, instruments)
            return _foreign(f, session, msg_seq, instruments) if ours is None else _report(f, session, msg_seq, ours)
        if msg_type in IS_HALTED:
            return _status(f, session, session, msg_seq, instruments)
        if msg_type == "9":
            return CancelRejected(
                session=session, msg_seq=msg_seq, child_id=f[t.ORIG_CL_ORD_ID], cxl_rej_reason=int(f.get(t.CXL_REJ_REASON, "99")),
                ord_status=OrdStatus(f[t.ORD_STATUS]), text=f.get(t.TEXT, ""),
            )  # fmt: skip
        if msg_type == "j" and f.get(t.REF_MSG_TYPE) == "D" and t.BUSINESS_REJECT_REF_ID in f:
            return ChildRejected(
                session=session, msg_seq=msg_seq, child_id=f[t.BUSINESS_REJECT_REF_ID], ord_rej_reason=99, text=f.get(t.TEXT, "")
            )
        code, problem = "unexpected_message", f"35={msg_type} {f.get(t.TEXT, '')[:200]}"
    except (KeyError, ValueError) as e:
        code, problem = "unreadable_message", f"35={msg_type}: {type(e).__name__} {e}"
    return Garbled(session=session, msg_seq=msg_seq, msg_type=msg_type, code=code, text=problem, reject_reason=0, cl_ord_id=_child_id(f))


def _child_id(f: dict[str, str]) -> str:
    return f.get(t.ORIG_CL_ORD_ID) or f.get(t.CL_ORD_ID, "")


def _foreign(f: dict[str, str], session: str, msg_seq: int, instruments: Mapping[str, Instrument]) -> Event:
    symbol = f.get(t.SYMBOL, "")
    decimals = instruments[symbol].qty_decimals if symbol in instruments else 0
    return ForeignOrderReported(
        session=session, msg_seq=msg_seq, child_id=_child_id(f) or f"{NAMELESS}{f[t.ORDER_ID]}", ord_status=OrdStatus(f[t.ORD_STATUS]),
        symbol=symbol, side=f.get(t.SIDE, ""), order_qty=_whatever(f.get(t.ORDER_QTY, ""), decimals),
        cum_qty=_whatever(f.get(t.CUM_QTY, ""), decimals),
    )  # fmt: skip


def _whatever(text: str, decimals: int) -> int:
    try:
        return qty(text, decimals)
    except ValueError:
        return 0


def _by_itself(f: dict[str, str], instruments: Mapping[str, Instrument]) -> Ours:
    symbol = f[t.SYMBOL]
    return Ours(symbol, f.get(t.SIDE, ""), instruments[symbol].qty_decimals if symbol in instruments else 0)


def _report(f: dict[str, str], session: str, msg_seq: int, ours: Ours) -> Event | None:
    exec_type = f[t.EXEC_TYPE]
    child_id = _child_id(f)
    decimals = ours.qty_decimals
    # A venue that mixes up two orders must not book the one's trade on the other, nor in the other's units.
    if f[t.SYMBOL] != ours.symbol:
        raise ValueError(f"Symbol (55) {f[t.SYMBOL][:32]} of {child_id} is not {ours.symbol}")
    if (f.get(t.SIDE, ours.side) == Side.BUY) != (ours.side == Side.BUY):
        raise ValueError(f"Side (54) {f[t.SIDE][:1]} of {child_id} is not {ours.side}")
    if exec_type == "F":
        return ChildFilled(
            session=session, msg_seq=msg_seq, child_id=child_id, exec_id=f[t.EXEC_ID], last_px=_price(f[t.LAST_PX]),
            last_qty=_positive(f[t.LAST_QTY], decimals), last_liquidity_ind=int(f.get(t.LAST_LIQUIDITY_IND, "0")),
            last_mkt=f.get(t.LAST_MKT, ""), last_capacity=f.get(t.LAST_CAPACITY, ""),
        )  # fmt: skip
    if exec_type == "0":
        return ChildAccepted(session=session, msg_seq=msg_seq, child_id=child_id, order_id=f[t.ORDER_ID])
    if exec_type in ENDED:
        return ChildCanceled(
            session=session, msg_seq=msg_seq, child_id=child_id, ord_status=ENDED[exec_type], text=f.get(t.TEXT, ""),
            exec_restatement_reason=int(f.get(t.EXEC_RESTATEMENT_REASON, "-1")),
        )  # fmt: skip
    if exec_type == "8":
        reason = int(f.get(t.ORD_REJ_REASON, "99"))
        return ChildRejected(session=session, msg_seq=msg_seq, child_id=child_id, ord_rej_reason=reason, text=f.get(t.TEXT, ""))
    if exec_type in ("5", "D"):
        return ChildReplaced(
            session=session, msg_seq=msg_seq, child_id=child_id, order_qty=qty(f[t.ORDER_QTY], decimals),
            exec_restatement_reason=int(f.get(t.EXEC_RESTATEMENT_REASON, "-1")),
        )  # fmt: skip
    if exec_type == "I":
        status = OrdStatus(f[t.ORD_STATUS])
        return ChildStatusReported(
            session=session, msg_seq=msg_seq, child_id=child_id, is_known=status is not OrdStatus.REJECTED, ord_status=status,
            cum_qty=qty(f[t.CUM_QTY], decimals), leaves_qty=qty(f[t.LEAVES_QTY], decimals),
        )  # fmt: skip
    if exec_type == "H":
        return FillBusted(
            session=session, msg_seq=msg_seq, child_id=child_id, exec_id=f[t.EXEC_ID], exec_ref_id=f[t.EXEC_REF_ID],
            last_mkt=f.get(t.LAST_MKT, ""), last_capacity=f.get(t.LAST_CAPACITY, ""),
        )  # fmt: skip
    if exec_type == "G":
        return FillCorrected(
            session=session, msg_seq=msg_seq, child_id=child_id, exec_id=f[t.EXEC_ID], exec_ref_id=f[t.EXEC_REF_ID],
            last_px=_price(f[t.LAST_PX]), last_qty=_positive(f[t.LAST_QTY], decimals),
            last_liquidity_ind=int(f.get(t.LAST_LIQUIDITY_IND, "0")), last_mkt=f.get(t.LAST_MKT, ""), last_capacity=f.get(t.LAST_CAPACITY, ""),
        )  # fmt: skip
    if exec_type in IN_BETWEEN:
        return None
    raise ValueError(f"ExecType (150) {exec_type}")


def decode_copy(text: str, session: str, instruments: Mapping[str, Instrument], find: Callable[[str], Ours | None]) -> list[Event]:
    """What a venue's drop copy tells of a trade, its correction or its bust; nothing else of it is looked at. find: as in decode_venue()."""
    f = fields(text)
    msg_seq, exec_type = count(f.get(t.MSG_SEQ_NUM, "0")), f.get(t.EXEC_TYPE, "")
    if f.get(t.MSG_TYPE) != "8" or exec_type not in ("F", "G", "H"):
        return []
    try:
        child_id, symbol = _child_id(f), f[t.SYMBOL]
        ours = find(child_id) or _by_itself(f, instruments)
        last = (0, 0) if exec_type == "H" else (_price(f[t.LAST_PX]), _positive(f[t.LAST_QTY], ours.qty_decimals))
        return [
            CopyReported(
                session=session, msg_seq=msg_seq, child_id=child_id, exec_id=f[t.EXEC_ID], exec_type=exec_type, symbol=symbol,
                side=f.get(t.SIDE, ours.side), last_px=last[0], last_qty=last[1], exec_ref_id=f.get(t.EXEC_REF_ID, ""),
            )
        ]  # fmt: skip
    except (KeyError, ValueError) as e:
        problem = f"35=8: {type(e).__name__} {e}"
        return [Garbled(session=session, msg_seq=msg_seq, msg_type="8", code="unreadable_message", text=problem, reject_reason=0)]


def decode_feed(text: str, venue: str, instruments: Mapping[str, Instrument]) -> list[Event]:
    """Quotes and trades of a W (book) or X (trades), halts of an f or h. What can't be read is left out: the next one replaces it."""
    f = fields(text)
    try:
        if f.get(t.MSG_TYPE) == "W":
            return _book(text, f[t.SYMBOL], venue, instruments)
        if f.get(t.MSG_TYPE) == "X":
            trades = [e for e in group(text, "279") if e.get(t.MD_ENTRY_TYPE) == TRADE and e[t.SYMBOL] in instruments]
            return [_trade(e, venue, instruments[e[t.SYMBOL]].qty_decimals) for e in trades]
        if f.get(t.MSG_TYPE) in IS_HALTED:
            changed = _status(f, f"{venue}{FEED_SUFFIX}", venue, 0, instruments)
            return [changed] if changed else []
    except (KeyError, ValueError):
        pass
    return []


def _status(f: dict[str, str], session: str, venue: str, msg_seq: int, instruments: Mapping[str, Instrument]) -> Event | None:
    msg_type = f[t.MSG_TYPE]
    is_halted = IS_HALTED[msg_type].get(f.get(t.SECURITY_TRADING_STATUS if msg_type == "f" else t.TRAD_SES_STATUS, ""))
    symbol = f[t.SYMBOL] if msg_type == "f" else ""
    is_old = f.get(t.POSS_DUP_FLAG) == "Y"  # sent again after a gap; what holds now was asked for and told
    if is_halted is None or is_old or (symbol and symbol not in instruments):
        return None
    return StatusChanged(session=session, msg_seq=msg_seq, venue=venue, symbol=symbol, is_halted=is_halted, text=f.get(t.TEXT, "")[:200])


def _trade(entry: dict[str, str], venue: str, decimals: int) -> Event:
    last_px, last_qty = px(entry[t.MD_ENTRY_PX]), _positive(entry[t.MD_ENTRY_SIZE], decimals)
    if last_px <= 0:
        raise ValueError(f"MDEntryPx (270) {entry[t.MD_ENTRY_PX]} is not positive")
    return TradePrinted(venue=venue, symbol=entry[t.SYMBOL], last_px=last_px, last_qty=last_qty)


def _book(text: str, symbol: str, venue: str, instruments: Mapping[str, Instrument]) -> list[Event]:
    if symbol not in instruments:
        return []
    best: dict[str, tuple[int, int]] = {}
    for entry in group(text, t.MD_ENTRY_TYPE):
        kind = entry[t.MD_ENTRY_TYPE]
        if kind in (BID, OFFER):
            price, size = px(entry[t.MD_ENTRY_PX]), qty(entry[t.MD_ENTRY_SIZE], instruments[symbol].qty_decimals)
            sign = 1 if kind == BID else -1
            if size > 0 and price > 0 and (kind not in best or sign * price > sign * best[kind][0]):
                best[kind] = price, size
    (bid_px, bid_qty), (ask_px, ask_qty) = best.get(BID, (0, 0)), best.get(OFFER, (0, 0))
    return [QuoteUpdated(venue=venue, symbol=symbol, bid_px=bid_px, bid_qty=bid_qty, ask_px=ask_px, ask_qty=ask_qty)]


# PartyRole (452) of FIX 4.4 in which a venue hears whose a child is: client ID, executing trader (the algo, and the model of its
# curve behind a colon), entering trader (the desk). PartyIDSource (447) D: names of our own.
CLIENT_ID, EXECUTING_TRADER, ENTERING_TRADER = 3, 12, 36


def encode_child(c: SendChild, decimals: int, ts: int) -> str:
    """NewOrderSingle (D). It has a group where it is attributed; ClOrdLinkID (583) is its parent."""
    price = f"44={px_text(c.price)}\x01" if c.price else ""
    if c.exec_inst:
        price += f"18={c.exec_inst}\x01"
    if c.min_qty:
        price += f"110={qty_text(c.min_qty, decimals)}\x01"
    return (
        f"35=D\x0111={c.child_id}\x0121=1\x0155={c.symbol}\x0154={c.side}\x0138={qty_text(c.order_qty, decimals)}\x01"
        f"40={c.ord_type}\x01{price}59={c.time_in_force}\x0160={utc_text(ts)}\x01{_parties(c)}"
    )


def _parties(c: SendChild) -> str:
    if not c.client:
        return ""
    algo = f"{c.algo}:{c.model}" if c.model else c.algo
    parties = [(c.client, CLIENT_ID), (algo, EXECUTING_TRADER), *(((c.desk, ENTERING_TRADER),) if c.desk else ())]
    entries = "".join(f"448={name}\x01447=D\x01452={role}\x01" for name, role in parties)
    return f"583={c.child_id.rpartition('.')[0]}\x01453={len(parties)}\x01{entries}"


def encode_child_cancel(c: CancelChild, ts: int) -> str:
    """OrderCancelRequest (F)."""
    return (
        f"35=F\x0111={c.cancel_id}\x0141={c.child_id}\x0155={c.symbol}\x0154={c.side}\x01"
        f"38={qty_text(c.order_qty, c.qty_decimals)}\x0160={utc_text(ts)}\x01"
    )


def encode_child_status(c: AskChildStatus) -> str:
    """OrderStatusRequest (H)."""
    return f"35=H\x0111={c.child_id}\x0155={c.symbol}\x0154={c.side}\x01"


def encode_subscription(symbol: str) -> str:
    """MarketDataRequest (V): snapshot and updates of book and trades. One symbol each: a venue refuses a request as a whole."""
    return f"35=V\x01262={symbol}\x01263=1\x01264=5\x01265=0\x01267=3\x01269=0\x01269=1\x01269=2\x01146=1\x0155={symbol}\x01"


def encode_status_subscription(symbol: str) -> str:
    """SecurityStatusRequest (e): is it halted now, and whenever that changes."""
    return f"35=e\x01324={symbol}\x0155={symbol}\x01263=1\x01"


def encode_session_subscription() -> str:
    """TradingSessionStatusRequest (g): the same of the venue as a whole."""
    return "35=g\x01335=venue\x01263=1\x01"


def _price(text: str) -> int:
    price = px(text)
    if price <= 0:
        raise ValueError(f"price {text} is not positive")
    return price


def _positive(text: str, decimals: int) -> int:
    number = qty(text, decimals)
    if number <= 0:
        raise ValueError(f"quantity {text} is not positive")
    return number
