"""What differs between the FIX versions that clients speak: 4.4 is written, the others are translated.

Rule: the core knows one kind of report. A version drops the fields that it does not have and says states in its own words.
Sources: FIX 4.2 (20010501) Volume 4 and Appendix D; FIX 5.0 SP2 has what 4.4 has, and requires MassActionReportID (1369) in an r.
"""

from typing import NamedTuple

from algoserver.domain.commands import ReportParent
from algoserver.domain.types import ExecType, OrdStatus

# ExecTransType (20).
NEW, CANCEL, CORRECT, STATUS = "0", "1", "2", "3"


class Version(NamedTuple):
    """One version of FIX. name: as a person says it. begin_string: 8. lacks: tags of our messages that it does not have.

    cxl_rej_reasons, ord_rej_reasons, restatement_reasons: values of 102, 103 and 378 that it has; every other one is BROKER_OPTION; of
    380 above business_reject_reason_max likewise 0.
    """

    name: str
    begin_string: str
    lacks: frozenset[str] = frozenset()
    cxl_rej_reasons: frozenset[int] = frozenset()
    ord_rej_reasons: frozenset[int] = frozenset()
    has_exec_trans_type: bool = False
    restatement_reasons: frozenset[int] = frozenset()
    has_mass_action_report_id: bool = False
    business_reject_reason_max: int = 6


BROKER_OPTION = {"102": 2, "103": 0, "378": 4}
V42 = Version(
    "4.2", "FIX.4.2", frozenset(("851", "790", "584", "911", "912")), frozenset(range(4)), frozenset(range(9)), has_exec_trans_type=True,
    restatement_reasons=frozenset(range(6)), business_reject_reason_max=5,
)  # fmt: skip
V44 = Version("4.4", "FIX.4.4")
V50 = Version("5.0SP2", "FIXT.1.1", has_mass_action_report_id=True)
BY_BEGIN_STRING = {v.begin_string: v for v in (V42, V44, V50)}


def version_of(session: str) -> Version:
    """The version of "FIX.4.4:ALGO->CLIENT1". A KeyError for one that we do not speak."""
    return BY_BEGIN_STRING[session.partition(":")[0]]


def states_42(c: ReportParent) -> tuple[str, str, str]:
    """ExecTransType (20), ExecType (150) and OrdStatus (39) of a report in FIX 4.2.

    4.2 says a trade by 1 or 2, its cancel, correction and a status answer by tag 20; and an order without a fill that was
    replaced is Replaced, not New.
    """
    is_replaced = c.ord_status is OrdStatus.NEW and c.orig_cl_ord_id and c.exec_type in (ExecType.REPLACED, ExecType.ORDER_STATUS)
    status = OrdStatus.REPLACED if is_replaced else c.ord_status
    filled = OrdStatus.FILLED if c.cum_qty >= c.order_qty else OrdStatus.PARTIALLY_FILLED
    if c.exec_type is ExecType.TRADE:
        return NEW, filled, status
    if c.exec_type is ExecType.TRADE_CANCEL:
        return CANCEL, status, status
    if c.exec_type is ExecType.TRADE_CORRECT:
        return CORRECT, filled, status
    if c.exec_type is ExecType.ORDER_STATUS:
        return STATUS, status, status
    return NEW, c.exec_type, status


def translated(body: str, version: Version) -> str:
    """A 4.4 body ("35=9|...|") without the tags and reasons that `version` does not have."""
    reasons = {"102": version.cxl_rej_reasons, "103": version.ord_rej_reasons, "378": version.restatement_reasons}
    kept = []
    for pair in body.split("\x01"):
        tag, _, value = pair.partition("=")
        if tag in version.lacks:
            continue
        allowed = reasons.get(tag)
        if allowed and int(value) not in allowed:
            pair = f"{tag}={BROKER_OPTION[tag]}"
        kept.append(pair)
    return "\x01".join(kept)
