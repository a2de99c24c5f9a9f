"""Client side: FIX text to events and commands to FIX text. Pure; no message makes it raise.

Rule 1: what can't be acted on becomes Garbled, with a machine-readable code and a sentence that says what to change.
Rule 2: a body is the message from MsgType (35) up to the trailer; the session adds the rest.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from algoserver.domain.commands import RejectCancel, RejectMessage, ReportChild, ReportParent
from algoserver.domain.events import READ_ONLY, CancelRequested, Event, Garbled, ParentRequested, ReplaceRequested, StatusRequested
from algoserver.domain.params import BY_NAME, BY_TAG, NO_PARAMS, USES, AlgoParams
from algoserver.domain.policy import ClientProfile
from algoserver.domain.types import Instrument, OrdType, Strategy, px_text, qty_text, utc_text
from algoserver.fix import dialect, mass_codec
from algoserver.fix import tags as t
from algoserver.fix.read import (
    ID_CHARS_MAX,
    INCORRECT_QTY,
    ORD_TYPES,
    OTHER,
    SIDES,
    TIMES_IN_FORCE,
    UNKNOWN_SYMBOL,
    Unusable,
    choice,
    identifier,
    need,
    number,
    on_halt,
    parameter,
    positive,
    whole,
)
from algoserver.fix.text import TEXT_CHARS_MAX, count, fields, group
from algoserver.fix.versions import V44, Version, states_42, translated

UNSUPPORTED_MESSAGE_TYPE = 3
# The group can't hold more entries than there are parameters, each once.
PARAMETERS_MAX = len(BY_NAME)
REPORT = "35=8\x01"


def decode_client(text: str, session: str, instruments: Mapping[str, Instrument], profile: ClientProfile | None = None) -> Event:
    """The event that a client's application message is. profile: what is agreed with him; its defaults are part of the event."""
    f = fields(text)
    msg_type = f.get(t.MSG_TYPE, "")
    msg_seq = count(f.get(t.MSG_SEQ_NUM, "0"))
    try:
        if len(text) > TEXT_CHARS_MAX:
            raise Unusable("too_long", f"a message of {len(text)} characters exceeds {TEXT_CHARS_MAX}")
        decode = DECODERS.get(msg_type)
        if decode is None:
            supported = ", ".join(DECODERS)
            raise Unusable("unsupported_message_type", f"35={msg_type} is not supported; use {supported}", UNSUPPORTED_MESSAGE_TYPE)
        if profile is not None and msg_type in BY_PROFILE:
            return BY_PROFILE[msg_type](text, f, session, msg_seq, instruments, profile)
        return decode(text, f, session, msg_seq, instruments)
    except Unusable as e:
        return Garbled(
            session=session, msg_seq=msg_seq, msg_type=msg_type, code=e.code, text=e.text, reject_reason=e.reason,
            cl_ord_id=f.get(t.CL_ORD_ID, "")[:ID_CHARS_MAX], orig_cl_ord_id=f.get(t.ORIG_CL_ORD_ID, "")[:ID_CHARS_MAX],
            symbol=f.get(t.SYMBOL, "")[:ID_CHARS_MAX], side=f.get(t.SIDE, "")[:1], order_qty=count(f.get(t.ORDER_QTY, "")),
        )  # fmt: skip


def refuse_copy(text: str, session: str) -> Event:
    """What any application message on a drop copy's session is."""
    f = fields(text)
    msg_type = f.get(t.MSG_TYPE, "")
    said = f"this session is a drop copy: it takes no 35={msg_type}; send it on the session of a client"
    return Garbled(session=session, msg_seq=count(f.get(t.MSG_SEQ_NUM, "0")), msg_type=msg_type, code=READ_ONLY, text=said, reject_reason=0)


def encode_report(c: ReportParent, version: Version = V44) -> str:
    """ExecutionReport (8)."""
    if version.has_exec_trans_type:
        trans_type, exec_type, ord_status = states_42(c)
        return translated(_report(c, f"20={trans_type}\x01150={exec_type}\x0139={ord_status}\x01"), version)
    return _report(c, f"150={c.exec_type}\x0139={c.ord_status}\x01")


def _report(c: ReportParent, states: str) -> str:
    d = c.qty_decimals
    body = (
        f"35=8\x0137={c.order_id}\x0111={c.cl_ord_id}\x0117={c.exec_id}\x01{states}"
        f"55={c.symbol}\x0154={c.side}\x0138={qty_text(c.order_qty, d)}\x0114={qty_text(c.cum_qty, d)}\x01"
        f"151={qty_text(c.leaves_qty, d)}\x016={px_text(c.avg_px)}\x0160={utc_text(c.ts)}\x01"
    )
    if c.orig_cl_ord_id:
        body += f"41={c.orig_cl_ord_id}\x01"
    if c.last_qty:
        body += f"31={px_text(c.last_px)}\x0132={qty_text(c.last_qty, d)}\x01"
        if c.last_mkt:  # of fills that went up together there may be several
            body += f"30={c.last_mkt}\x01"
        if c.last_liquidity_ind:
            body += f"851={c.last_liquidity_ind}\x01"
        if c.last_capacity:
            body += f"29={c.last_capacity}\x01"
    if c.exec_ref_id:
        body += f"19={c.exec_ref_id}\x01"
    if c.ord_rej_reason >= 0:
        body += f"103={c.ord_rej_reason}\x01"
    if c.exec_restatement_reason >= 0:
        body += f"378={c.exec_restatement_reason}\x01"
    if c.ord_status_req_id:
        body += f"790={c.ord_status_req_id}\x01"
    if c.mass_status_req_id:
        body += f"584={c.mass_status_req_id}\x01911={c.tot_num_reports}\x01912={'Y' if c.is_last_report else 'N'}\x01"
    if c.text:
        body += f"58={c.text}\x01"
    return body


def encode_copy(body: str, client: str) -> str:
    """A report for a drop copy: the client's own, with him in OnBehalfOfCompID (115)."""
    return f"35=8\x01115={client}\x01{body.removeprefix(REPORT)}"


def encode_child_report(c: ReportChild, version: Version = V44) -> str:
    """ExecutionReport (8) of a child. SecondaryOrderID (198) is its parent's OrderID."""
    price = f"44={px_text(c.price)}\x01" if c.price else ""
    return encode_copy(encode_report(c.report, version) + f"198={c.parent_id}\x01{price}", c.report.session)


def encode_cancel_reject(c: RejectCancel, version: Version = V44) -> str:
    """OrderCancelReject (9)."""
    body = (
        f"35=9\x0137={c.order_id}\x0111={c.cl_ord_id}\x0141={c.orig_cl_ord_id}\x0139={c.ord_status}\x01"
        f"60={utc_text(c.ts)}\x01434={c.response_to}\x01102={c.cxl_rej_reason}\x0158={c.text}\x01"
    )
    return translated(body, version) if version.lacks else body


def encode_message_reject(c: RejectMessage, version: Version = V44) -> str:
    """BusinessMessageReject (j)."""
    reason = c.business_reject_reason if c.business_reject_reason <= version.business_reject_reason_max else 0
    return f"35=j\x0145={c.ref_seq_num}\x01372={c.ref_msg_type}\x01380={reason}\x0158={c.text}\x01"


def _new_order(
    text: str, f: dict[str, str], session: str, msg_seq: int, instruments: Mapping[str, Instrument], profile: ClientProfile | None = None
) -> Event:
    instrument = _instrument(f, instruments)
    ord_type = choice(ORD_TYPES, f, t.ORD_TYPE, "OrdType", "1 market or 2 limit")
    if ord_type is OrdType.LIMIT and t.PRICE not in f:
        raise Unusable("missing_price", "a limit order (40=2) needs Price (44)")
    decimals = instrument.qty_decimals
    strategy = profile.strategy if profile is not None and t.TARGET_STRATEGY not in f else 0
    strategy = strategy or whole("TargetStrategy (847)", need(f, t.TARGET_STRATEGY, "TargetStrategy"))
    params = _params(text, f, decimals, profile)
    if profile is not None and profile.defaults and strategy in USES:
        params = _with_defaults(params, profile, USES[Strategy(strategy)].takes, decimals)
    return ParentRequested(
        session=session,
        msg_seq=msg_seq,
        cl_ord_id=identifier(f, t.CL_ORD_ID, "ClOrdID"),
        symbol=instrument.symbol,
        side=choice(SIDES, f, t.SIDE, "Side", "1 buy, 2 sell or 5 sell short"),
        order_qty=number("OrderQty (38)", need(f, t.ORDER_QTY, "OrderQty"), decimals, INCORRECT_QTY),
        ord_type=ord_type,
        price=number("Price (44)", f[t.PRICE], 8, OTHER) if t.PRICE in f else 0,
        time_in_force=choice(TIMES_IN_FORCE, f, t.TIME_IN_FORCE, "TimeInForce", "0 day, 3 IOC or 4 FOK", "0"),
        strategy=strategy,
        params=_as_params(params),
        on_halt=on_halt(f),
        account=f.get(t.ACCOUNT, "")[:ID_CHARS_MAX],
        is_located=f.get(t.LOCATE_REQD) == "N",
        poss_resend=f.get(t.POSS_RESEND) == "Y",
        poss_dup=f.get(t.POSS_DUP_FLAG) == "Y",
    )


def _cancel(text: str, f: dict[str, str], session: str, msg_seq: int, instruments: Mapping[str, Instrument]) -> Event:
    return CancelRequested(
        session=session, msg_seq=msg_seq, cl_ord_id=identifier(f, t.CL_ORD_ID, "ClOrdID"),
        orig_cl_ord_id=identifier(f, t.ORIG_CL_ORD_ID, "OrigClOrdID"), poss_dup=f.get(t.POSS_DUP_FLAG) == "Y",
    )  # fmt: skip


def _replace(
    text: str, f: dict[str, str], session: str, msg_seq: int, instruments: Mapping[str, Instrument], profile: ClientProfile | None = None
) -> Event:
    instrument = _instrument(f, instruments)
    decimals = instrument.qty_decimals
    params = _params(text, f, decimals, profile)
    return ReplaceRequested(
        session=session, msg_seq=msg_seq, cl_ord_id=identifier(f, t.CL_ORD_ID, "ClOrdID"),
        orig_cl_ord_id=identifier(f, t.ORIG_CL_ORD_ID, "OrigClOrdID"), symbol=instrument.symbol,
        side=choice(SIDES, f, t.SIDE, "Side", "1 buy, 2 sell or 5 sell short"),
        ord_type=choice(ORD_TYPES, f, t.ORD_TYPE, "OrdType", "1 market or 2 limit"),
        order_qty=positive("OrderQty (38)", f[t.ORDER_QTY], decimals, INCORRECT_QTY) if t.ORDER_QTY in f else 0,
        price=positive("Price (44)", f[t.PRICE], 8, OTHER) if t.PRICE in f else 0,
        strategy=whole("TargetStrategy (847)", f[t.TARGET_STRATEGY]) if t.TARGET_STRATEGY in f else 0,
        time_in_force=f.get(t.TIME_IN_FORCE, "")[:1], params=_as_params(params), given=tuple(params),
        on_halt=on_halt(f), poss_dup=f.get(t.POSS_DUP_FLAG) == "Y",
    )  # fmt: skip


def _status(text: str, f: dict[str, str], session: str, msg_seq: int, instruments: Mapping[str, Instrument]) -> Event:
    return StatusRequested(
        session=session, msg_seq=msg_seq, cl_ord_id=identifier(f, t.CL_ORD_ID, "ClOrdID"),
        ord_status_req_id=f.get(t.ORD_STATUS_REQ_ID, "")[:ID_CHARS_MAX], symbol=f.get(t.SYMBOL, "")[:ID_CHARS_MAX],
        side=f.get(t.SIDE, "")[:1],
    )  # fmt: skip


DECODERS = {
    "D": _new_order, "F": _cancel, "G": _replace, "H": _status, "q": mass_codec.mass_cancel, "AF": mass_codec.mass_status,
    "Q": mass_codec.dispute,
}  # fmt: skip
# Where a client's profile says what is meant.
BY_PROFILE = {"D": _new_order, "G": _replace}


def _instrument(f: dict[str, str], instruments: Mapping[str, Instrument]) -> Instrument:
    symbol = need(f, t.SYMBOL, "Symbol")
    instrument = instruments.get(symbol)
    if instrument is None:
        raise Unusable("unknown_symbol", f"Symbol (55) {symbol[:32]} is not traded here", UNKNOWN_SYMBOL)
    return instrument


def _as_params(values: Mapping[str, Any]) -> AlgoParams:
    return _shared_params(tuple(values.items())) if values else NO_PARAMS


# The orders of a basket share their parameters: one object for all of them.
@lru_cache(maxsize=1024)
def _shared_params(items: tuple[tuple[str, Any], ...]) -> AlgoParams:
    return AlgoParams(**dict(items))


def _with_defaults(params: dict[str, Any], profile: ClientProfile, takes: tuple[str, ...], decimals: int) -> dict[str, Any]:
    """The parameters of an order with the profile's, where it has none of its own and its strategy takes them."""
    defaults = {BY_NAME[name].field: parameter(BY_NAME[name], text, decimals) for name, text in profile.defaults if name in takes}
    return {**defaults, **params}


def _params(text: str, f: dict[str, str], decimals: int, profile: ClientProfile | None) -> dict[str, Any]:
    """Parameters from standard tags, the client's own and the group, field -> value; two values for one are contradictory."""
    given: dict[str, tuple[Any, str]] = {}
    has_group = t.NO_STRATEGY_PARAMETERS in f or t.STRATEGY_PARAMETER_NAME in f
    entries = group(text, t.STRATEGY_PARAMETER_NAME) if has_group else []
    if len(entries) > PARAMETERS_MAX:
        raise Unusable("too_many_parameters", f"{len(entries)} strategy parameters (957) exceed {PARAMETERS_MAX}")
    if has_group and count(f.get(t.NO_STRATEGY_PARAMETERS, "")) != len(entries):
        # A parameter that got lost may have been the client's cap.
        raise Unusable("bad_group", f"NoStrategyParameters (957) is not the number of its entries, {len(entries)}")
    found = [(param, f[tag], f"tag {tag}") for tag, param in BY_TAG.items() if tag in f]
    if profile is not None and profile.has_dialect:
        found += [(BY_NAME[name], value_text, where) for name, value_text, where in dialect.custom(f, profile)]
    for entry in entries:
        name = entry[t.STRATEGY_PARAMETER_NAME]
        param = BY_NAME.get(name)
        if param is None:
            raise Unusable("unknown_parameter", f"strategy parameter {name[:32]} is unknown; known are {', '.join(BY_NAME)}")
        found.append((param, entry.get(t.STRATEGY_PARAMETER_VALUE, ""), f"parameter {name}"))
    for param, value_text, where in found:
        value = parameter(param, value_text, decimals)
        before = given.get(param.field)
        if before is not None and before[0] != value:
            raise Unusable("contradictory_parameter", f"{param.name} has two values, by {before[1]} and by {where}; send one")
        given[param.field] = (value, where)
    return {field: value for field, (value, _) in given.items()}
