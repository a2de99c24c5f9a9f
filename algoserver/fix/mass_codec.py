"""Messages about many orders, or about a trade that the client does not know: q, AF and Q in, r out. Pure."""

from collections.abc import Mapping

from algoserver.domain.commands import ReportMassCancel
from algoserver.domain.events import Event, MassCancelRequested, MassStatusRequested, TradeDisputed
from algoserver.domain.types import Instrument, utc_text
from algoserver.fix import tags as t
from algoserver.fix.read import ID_CHARS_MAX, Fields, identifier, need
from algoserver.fix.versions import V44, Version

DISPUTE_CHARS_MAX = 200


def mass_cancel(text: str, f: Fields, session: str, msg_seq: int, instruments: Mapping[str, Instrument]) -> Event:
    """OrderMassCancelRequest (q)."""
    return MassCancelRequested(
        session=session, msg_seq=msg_seq, cl_ord_id=identifier(f, t.CL_ORD_ID, "ClOrdID"),
        request_type=need(f, t.MASS_CANCEL_REQUEST_TYPE, "MassCancelRequestType")[:1], symbol=f.get(t.SYMBOL, "")[:ID_CHARS_MAX],
        side=f.get(t.SIDE, "")[:1], poss_dup=f.get(t.POSS_DUP_FLAG) == "Y",
    )  # fmt: skip


def mass_status(text: str, f: Fields, session: str, msg_seq: int, instruments: Mapping[str, Instrument]) -> Event:
    """OrderMassStatusRequest (AF)."""
    return MassStatusRequested(
        session=session, msg_seq=msg_seq, mass_status_req_id=identifier(f, t.MASS_STATUS_REQ_ID, "MassStatusReqID"),
        request_type=need(f, t.MASS_STATUS_REQ_TYPE, "MassStatusReqType")[:2], symbol=f.get(t.SYMBOL, "")[:ID_CHARS_MAX],
        side=f.get(t.SIDE, "")[:1],
    )  # fmt: skip


def dispute(text: str, f: Fields, session: str, msg_seq: int, instruments: Mapping[str, Instrument]) -> Event:
    """DontKnowTrade (Q)."""
    return TradeDisputed(
        session=session, msg_seq=msg_seq, order_id=identifier(f, t.ORDER_ID, "OrderID"), exec_id=identifier(f, t.EXEC_ID, "ExecID"),
        dk_reason=f.get(t.DK_REASON, "")[:1], text=f.get(t.TEXT, "")[:DISPUTE_CHARS_MAX],
    )  # fmt: skip


def encode_mass_cancel(c: ReportMassCancel, version: Version = V44) -> str:
    """OrderMassCancelReport (r). It has a group: the sender must keep its order."""
    body = f"35=r\x0137={c.report_id}\x0111={c.cl_ord_id}\x01530={c.request_type}\x01531={c.response}\x01"
    if version.has_mass_action_report_id:
        body += f"1369={c.report_id}\x01"
    if c.reject_reason >= 0:
        body += f"532={c.reject_reason}\x01"
    body += f"533={len(c.affected)}\x01"
    if c.affected:
        body += f"534={len(c.affected)}\x01" + "".join([f"41={cl_ord_id}\x01535={order_id}\x01" for cl_ord_id, order_id in c.affected])
    if c.symbol:
        body += f"55={c.symbol}\x01"
    if c.side:
        body += f"54={c.side}\x01"
    body += f"60={utc_text(c.ts)}\x01"
    return body + (f"58={c.text}\x01" if c.text else "")
