"""q, AF and Q as they are meant, and r as FIX writes it."""

import msgspec

from algoserver.domain.commands import ReportMassCancel
from algoserver.domain.events import Garbled, MassCancelRequested, MassStatusRequested, TradeDisputed
from algoserver.domain.types import utc
from algoserver.fix.codec import decode_client
from algoserver.fix.mass_codec import encode_mass_cancel
from algoserver.fix.versions import V50


def _decoded(body: str) -> object:
    return decode_client(f"8=FIX.4.4|9=0|{body}|10=000|".replace("|", "\x01"), "C1", {})


def test_requests_about_many_orders_are_understood():
    """With what narrows them; what is missing is named."""
    assert _decoded("35=q|34=5|11=M1|530=1|55=AAPL|54=1|43=Y") == MassCancelRequested(
        session="C1", msg_seq=5, cl_ord_id="M1", request_type="1", symbol="AAPL", side="1", poss_dup=True
    )
    assert _decoded("35=AF|34=6|584=S1|585=7") == MassStatusRequested(session="C1", msg_seq=6, mass_status_req_id="S1", request_type="7")
    assert _decoded("35=Q|34=7|37=O1|17=E1|127=A|58=what is this") == TradeDisputed(
        session="C1", msg_seq=7, order_id="O1", exec_id="E1", dk_reason="A", text="what is this"
    )
    for body in ("35=q|530=7", "35=q|11=M1", "35=AF|585=7", "35=Q|37=O1"):
        garbled = _decoded(body)
        assert isinstance(garbled, Garbled)
        assert garbled.code == "missing_field"


def test_a_mass_cancel_report_names_every_order():
    """The group in its order; a refusal has its reason."""
    report = ReportMassCancel(
        session="C1", report_id="r.q7", cl_ord_id="M1", request_type="7", response="7", ts=utc("20260102-03:04:05"),
        affected=(("A", "r-1"), ("B", "r-2")),
    )  # fmt: skip
    body = "35=r|37=r.q7|11=M1|530=7|531=7|533=2|534=2|41=A|535=r-1|41=B|535=r-2|60=20260102-03:04:05.000|"
    assert encode_mass_cancel(report).replace("\x01", "|") == body
    assert encode_mass_cancel(report, V50).replace("\x01", "|") == body.replace("531=7|", "531=7|1369=r.q7|")
    refused = msgspec.structs.replace(report, response="0", reject_reason=1, affected=(), symbol="X", text="no")
    assert encode_mass_cancel(refused).replace("\x01", "|") == "35=r|37=r.q7|11=M1|530=7|531=0|532=1|533=0|55=X|60=20260102-03:04:05.000|58=no|"
