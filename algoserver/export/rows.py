"""The journal becomes rows: one event after another, with what the server said to it. Pure but for reading.

Rule: nothing is decided anew. What an order was, whose, and by which policy follows from what was written then.
"""

from collections.abc import Callable
from typing import Any

from algoserver.core.state import run_id
from algoserver.domain import commands as c
from algoserver.domain import events as e
from algoserver.domain.alerts import is_told_only, kind
from algoserver.domain.params import NO_PARAMS
from algoserver.domain.policy import RiskPolicy
from algoserver.domain.types import COPY_SUFFIX, ExecType, Strategy, qty_text
from algoserver.export.texts import Row, Step, nano_text, params, px, reason, shown

Put = Callable[[str, Row], None]
ALGOS = {int(s): s.name for s in Strategy}
NO_ORDER = "NONE"


class Tracer:
    """Follows a journal from its beginning. put(table, row) is called for what is in the range; last() gives the orders at its end."""

    def __init__(self, put: Put) -> None:
        self._put_row = put
        self.run, self.policy = "", ""
        self._risk: RiskPolicy | None = None
        self._known: dict[str, tuple[str, RiskPolicy, e.Commanded | e.PolicyLoaded]] = {}  # digest[:12] -> digest, policy, whose word
        self._proposed: dict[str, e.ActionProposed] = {}
        self._decimals: dict[str, int] = {}
        self._clients: frozenset[str] = frozenset()
        self._parents: dict[str, Row] = {}
        self._children: dict[str, Row] = {}
        self._fills: dict[tuple[str, str, str], int] = {}
        self._named: dict[str, None] = {}  # parents and children that a row of the range names
        self._refused: list[Row] = []  # parents that have no OrderID of their own
        self._base: Row = {}
        self._in_force: Row | None = None
        self._is_in = False
        self.commanded: dict[int, tuple[Row, e.Commanded]] = {}
        self.seqs = 0, 0

    def take(self, step: Step, is_in: bool) -> None:
        """One event and what was said to it."""
        event, said = step
        self._is_in = is_in
        self.run = self.run or run_id(event.ts)
        if is_in:
            self.seqs = self.seqs[0] or event.seq, event.seq
        self._base = self._when(event)
        book = EVENTS.get(type(event))
        if isinstance(event, e.ParentRequested):
            self._parent(event, said)
        for n, command in said:
            self._base = {**self._when(event), "id": f"{self.run}.e{event.seq}.{n}"}
            tell = COMMANDS.get(type(command))
            if tell is not None:
                tell(self, command)
        self._base = self._when(event)
        if book is not None:
            book(self, event, [command for _, command in said])
        if isinstance(event, e.Commanded):
            self._command(event, said)
        if is_in and self._in_force is not None:
            self._put("policies", self._in_force, {})
            self._in_force = None

    def last(self) -> None:
        """Put the parents and children that the range has named."""
        self._is_in = True
        named = [row for order_id, row in self._parents.items() if order_id in self._named] + self._refused
        for row in sorted(named, key=lambda row: int(row["seq"])):
            self._put_row("parents", shown(row))
        for child_id, row in self._children.items():
            if child_id in self._named:
                self._put_row("children", shown(row))

    # What is known of whom.

    def _when(self, event: e.Event) -> Row:
        return {"id": f"{self.run}.e{event.seq}", "seq": event.seq, "ts_ns": event.ts, "utc": nano_text(event.ts), "policy": self.policy}

    def _put(self, table: str, row: Row, whose: Row) -> None:
        if not self._is_in:
            return
        for name in (row.get("order_id", ""), row.get("child_id", "")):
            if name in self._parents or name in self._children:
                self._named[name] = None
        shared = {k: whose.get(k, "") for k in ("order_id", "client", "desk", "algo", "model", "symbol", "side")}
        self._put_row(table, {**shared, **self._base, **row})

    def _desk(self, client: str) -> str:
        desk = self._risk.desk_of(client) if self._risk is not None else None
        return desk.name if desk is not None else ""

    def _of_order(self, order_id: str, client: str) -> Row:
        return self._parents.get(order_id) or {"client": client, "desk": self._desk(client), "_decimals": 0}

    def _of_child(self, child_id: str) -> Row:
        return self._children.get(child_id) or {"_decimals": 0}

    # Clients.

    def _parent(self, event: e.ParentRequested, said: list[tuple[int, c.Command]]) -> None:
        own = [x for _, x in said if isinstance(x, c.ReportParent) and x.session == event.session and x.cl_ord_id == event.cl_ord_id]
        first = next((x for x in own if x.exec_type in (ExecType.NEW, ExecType.REJECTED)), None)
        is_twin = first is not None and (first.order_id in self._parents or first.order_id == NO_ORDER)
        result = "repeated" if first is None else "duplicate" if is_twin else "rejected" if first.exec_type is ExecType.REJECTED else "accepted"
        decimals = self._decimals.get(event.symbol, 0)
        row = {
            **self._base, "order_id": first.order_id if first is not None else own[0].order_id if own else "", "client": event.session,
            "desk": self._desk(event.session), "algo": ALGOS.get(event.strategy, str(event.strategy)), "model": "", "account": event.account,
            "cl_ord_id": event.cl_ord_id, "symbol": event.symbol, "side": event.side, "order_qty": qty_text(event.order_qty, decimals),
            "ord_type": event.ord_type, "price": px(event.price), "time_in_force": event.time_in_force, "params": params(event.params),
            "on_halt": event.on_halt, "is_located": event.is_located, "poss_resend": event.poss_resend, "result": result,
            "reason": reason(first.ord_rej_reason) if first is not None else "", "text": first.text if first is not None else "",
            "last_cl_ord_id": "", "last_order_qty": "", "ord_status": "", "cum_qty": "", "leaves_qty": "", "avg_px": "", "children": 0,
            "sent_qty": "0", "last_ts_ns": "", "_sent": 0, "_decimals": decimals,
        }  # fmt: skip
        if result in ("accepted", "rejected"):
            self._parents[row["order_id"]] = row
            if self._is_in:
                self._named[row["order_id"]] = None
        elif self._is_in:
            self._refused.append(row)
            if row["order_id"] in self._parents:
                self._named[row["order_id"]] = None

    def _report(self, x: c.ReportParent) -> None:
        whose = self._of_order(x.order_id, x.session)
        d = x.qty_decimals
        code = x.ord_rej_reason
        self._put("reports", {
            "msg_type": "8", "order_id": x.order_id, "cl_ord_id": x.cl_ord_id, "orig_cl_ord_id": x.orig_cl_ord_id, "exec_id": x.exec_id,
            "exec_type": x.exec_type, "ord_status": x.ord_status, "symbol": x.symbol, "side": x.side, "order_qty": qty_text(x.order_qty, d),
            "cum_qty": qty_text(x.cum_qty, d), "leaves_qty": qty_text(x.leaves_qty, d), "avg_px": px(x.avg_px), "last_px": px(x.last_px),
            "last_qty": qty_text(x.last_qty, d) if x.last_qty else "", "last_mkt": x.last_mkt, "liquidity": x.last_liquidity_ind or "",
            "capacity": x.last_capacity, "exec_ref_id": x.exec_ref_id, "reason": reason(code), "restatement": reason(x.exec_restatement_reason),
            "text": x.text,
        }, whose)  # fmt: skip
        # That a twin was refused says nothing of the order whose ClOrdID it had.
        if x.order_id in self._parents and not (x.exec_type is ExecType.REJECTED and whose["result"] == "accepted"):
            whose.update(
                last_cl_ord_id=x.cl_ord_id, last_order_qty=qty_text(x.order_qty, d), ord_status=x.ord_status, cum_qty=qty_text(x.cum_qty, d),
                leaves_qty=qty_text(x.leaves_qty, d), avg_px=px(x.avg_px), last_ts_ns=self._base["ts_ns"],
            )  # fmt: skip

    def _reject_cancel(self, x: c.RejectCancel) -> None:
        self._put("reports", {
            "msg_type": "9", "order_id": x.order_id, "cl_ord_id": x.cl_ord_id, "orig_cl_ord_id": x.orig_cl_ord_id, "ord_status": x.ord_status,
            "reason": x.cxl_rej_reason, "text": x.text,
        }, self._of_order(x.order_id, x.session))  # fmt: skip

    def _mass_report(self, x: c.ReportMassCancel) -> None:
        row = {"msg_type": "r", "cl_ord_id": x.cl_ord_id, "symbol": x.symbol, "side": x.side, "reason": reason(x.reject_reason), "text": x.text}
        self._put("reports", {**row, "exec_id": x.report_id}, self._of_order("", x.session))

    def _reject_message(self, x: c.RejectMessage) -> None:
        self._put("reports", {"msg_type": "j", "reason": x.business_reject_reason, "text": x.text}, self._of_order("", x.session))

    def _request(self, event: Any, said: list[c.Command]) -> None:
        """Any message of a client but a new order."""
        name = REQUESTS[type(event)]
        if name == "unreadable" and event.session not in self._clients:
            return
        answers = [x for x in said if getattr(x, "session", "") == event.session]
        no = next((x for x in answers if isinstance(x, c.RejectCancel | c.RejectMessage)), None) or next(
            (x for x in answers if isinstance(x, c.ReportMassCancel) and x.response == "0"), None
        ) or next((x for x in answers if isinstance(x, c.ReportParent) and (x.exec_type is ExecType.REJECTED or x.order_id == NO_ORDER)), None)
        about: Any = no or next((x for x in answers if isinstance(x, c.ReportParent)), None)
        order_id = getattr(event, "order_id", "") or (getattr(about, "order_id", "") if not name.startswith("mass") else "")
        whose = self._of_order(order_id, event.session)
        d, order_qty = whose["_decimals"], getattr(event, "order_qty", 0)
        given_params = getattr(event, "params", NO_PARAMS)
        code = next((getattr(no, k) for k in ("cxl_rej_reason", "business_reject_reason", "reject_reason", "ord_rej_reason") if hasattr(no, k)), -1)
        text = no.text if no is not None else getattr(event, "dk_reason", "") and f"{event.dk_reason} {event.text}".strip()
        self._put("requests", {
            "request": name, "order_id": "" if order_id == NO_ORDER else order_id, "cl_ord_id": getattr(event, "cl_ord_id", ""),
            "orig_cl_ord_id": getattr(event, "orig_cl_ord_id", "") or getattr(event, "exec_id", ""),
            "symbol": getattr(event, "symbol", "") or whose.get("symbol", ""), "side": getattr(event, "side", "") or whose.get("side", ""),
            "order_qty": qty_text(order_qty, 0 if name == "unreadable" else d) if order_qty else "", "price": px(getattr(event, "price", 0)),
            "params": params(given_params, getattr(event, "given", ())),
            "answer": "rejected" if no is not None else "accepted" if answers else "none", "reason": reason(code), "text": text,
        }, whose)  # fmt: skip

    # Venues.

    def _send(self, x: c.SendChild) -> None:
        order_id = x.child_id.rpartition(".")[0]
        whose = self._of_order(order_id, x.client)
        d = whose["_decimals"]
        row = {
            **self._base, "child_id": x.child_id, "order_id": order_id, "client": x.client, "desk": x.desk, "algo": x.algo, "model": x.model,
            "venue": x.venue, "symbol": x.symbol, "side": x.side, "order_qty": qty_text(x.order_qty, d), "ord_type": x.ord_type,
            "price": px(x.price), "time_in_force": x.time_in_force, "exec_inst": x.exec_inst, "min_qty": qty_text(x.min_qty, d) if x.min_qty else "",
            "venue_order_id": "", "status": "sent", "cum_qty": "0", "last_ts_ns": self._base["ts_ns"], "_cum": 0, "_qty": x.order_qty, "_decimals": d,
        }  # fmt: skip
        self._children[x.child_id] = row
        if order_id in self._parents:
            whose["_sent"] += x.order_qty
            whose.update(model=x.model, children=whose["children"] + 1, sent_qty=qty_text(whose["_sent"], d))
        if self._is_in:
            self._named[x.child_id] = self._named[order_id] = None

    def _said_of_child(self, what: str, child_id: str, venue: str, **more: Any) -> None:
        whose = self._of_child(child_id)
        self._put("child_events", {"event": what, "child_id": child_id, "venue": venue, **more}, whose)

    def _child_word(self, event: Any, said: list[c.Command]) -> None:
        """What a venue says of a child, trades apart."""
        what = WORDS[type(event)]
        d = self._of_child(event.child_id)["_decimals"]
        more: Row = {"text": getattr(event, "text", "") or getattr(event, "order_id", "")}
        for name in ("order_qty", "cum_qty", "leaves_qty"):
            if hasattr(event, name):
                more[name] = qty_text(getattr(event, name), d)
        for name in ("ord_rej_reason", "cxl_rej_reason", "exec_restatement_reason"):
            if hasattr(event, name):
                more["reason"] = reason(getattr(event, name))
        more["ord_status"] = getattr(event, "ord_status", "")
        if what == "foreign":
            more.update(symbol=event.symbol, side=event.side)
        elif what in ("accepted", "canceled", "rejected"):
            self._stands(event.child_id, what, getattr(event, "order_id", ""))
        self._said_of_child(what, event.child_id, event.session, **more)

    def _unsent(self, event: e.SendFailed, said: list[c.Command]) -> None:
        if event.msg_type == "D":
            self._stands(event.child_id, "unsent")
        self._said_of_child("unsent", event.child_id, event.session, text=f"35={event.msg_type} {event.reason}".strip())

    def _stands(self, child_id: str, status: str, venue_order_id: str = "") -> None:
        row = self._children.get(child_id)
        if row is not None and (status != "accepted" or row["status"] == "sent"):
            row.update(status=status, last_ts_ns=self._base["ts_ns"])
        if row is not None and venue_order_id:
            row["venue_order_id"] = venue_order_id

    def _trade(self, event: Any, said: list[c.Command]) -> None:
        """A venue's trade, bust or correction on its order session."""
        what = TRADES[type(event)]
        key, ref = (event.child_id, "", event.exec_id), (event.child_id, "", getattr(event, "exec_ref_id", ""))
        is_repeat = key in self._fills
        last_qty = getattr(event, "last_qty", 0)
        row = self._children.get(event.child_id)
        if not is_repeat:
            change, is_booked = last_qty, what == "trade"
            if what != "trade" and ref in self._fills:
                # As the books have it: what is corrected is known by its new ExecID from then on.
                change, is_booked, self._fills[ref] = last_qty - self._fills[ref], True, 0
            change = change if is_booked else 0
            if is_booked:
                self._fills[key] = last_qty
            if row is not None:
                row["_cum"] += change
                row.update(cum_qty=qty_text(row["_cum"], row["_decimals"]), last_ts_ns=self._base["ts_ns"])
                if row["_cum"] >= row["_qty"]:
                    row["status"] = "filled"
        self._execution(event, what, "order_session", is_repeat, event.session)

    def _copied(self, event: e.CopyReported, said: list[c.Command]) -> None:
        key = event.child_id, "copy", event.exec_id
        is_repeat, self._fills[key] = key in self._fills, 0
        what = {"F": "trade", "H": "bust", "G": "correction"}[event.exec_type]
        self._execution(event, what, "drop_copy", is_repeat, event.session.removesuffix(COPY_SUFFIX))

    def _execution(self, event: Any, what: str, source: str, is_repeat: bool, venue: str) -> None:
        whose = self._of_child(event.child_id)
        decimals = whose["_decimals"] or self._decimals.get(getattr(event, "symbol", ""), 0)
        own = {k: getattr(event, k) for k in ("symbol", "side") if hasattr(event, k)}
        last_qty = getattr(event, "last_qty", 0)
        self._put("executions", {
            "kind": what, "source": source, "is_repeat": is_repeat, "exec_id": event.exec_id, "exec_ref_id": getattr(event, "exec_ref_id", ""),
            "child_id": event.child_id, "venue": venue, "last_px": px(getattr(event, "last_px", 0)), **own,
            "last_qty": qty_text(last_qty, decimals) if last_qty else "", "last_mkt": getattr(event, "last_mkt", ""),
            "liquidity": getattr(event, "last_liquidity_ind", 0) or "", "capacity": getattr(event, "last_capacity", ""),
        }, whose)  # fmt: skip

    # The desk.

    def _alert(self, x: Any) -> None:
        of, is_open = kind(x.code), isinstance(x, c.RaiseAlert)
        self._put("alerts", {
            "alert_id": x.alert_id, "state": "open" if is_open and not is_told_only(of) else "over", "code": x.code, "severity": of.severity.value,
            "owner": of.owner.value, "subject": x.subject, "order_id": x.subject if x.subject in self._parents else "", "times": x.times,
            "text": x.text if is_open else "",
        }, {})  # fmt: skip

    def _policy_loaded(self, event: e.PolicyLoaded, said: list[c.Command]) -> None:
        self._decimals = {i.instrument.symbol: i.instrument.qty_decimals for i in event.instruments}
        self._clients = frozenset(event.clients)
        if self._risk is None or not event.policy_digest:
            self._apply(event.policy_digest, event.policy, "start", "", "the first policy of this journal")

    def _proposal(self, event: e.ActionProposed, said: list[c.Command]) -> None:
        self._proposed[f"{self.run}.p{event.seq}"] = event

    def _command(self, event: e.Commanded, said: list[tuple[int, c.Command]]) -> None:
        """A person's command; one that brought a policy into force is told by the alert that it did."""
        if any(isinstance(x, c.RaiseAlert) and x.code == "policy_applied" for _, x in said):
            is_own = isinstance(event, e.ActionProposed)
            meant = event if isinstance(event, e.ActionProposed) else self._proposed.get(event.target)
            if meant is not None and meant.policy is not None:
                self._apply(meant.digest, meant.policy, meant.operator, "" if is_own else event.operator, meant.reason)
        if self._is_in:
            self.commanded[event.seq] = ({**self._base, "policy": self.policy}, event)

    def _apply(self, digest: str, policy: RiskPolicy, by: str, checked_by: str, reason: str) -> None:
        self.policy, self._risk = digest, policy
        self._base = {**self._base, "policy": digest}
        self._in_force = {**self._base, "name": policy.name, "by": by, "checked_by": checked_by, "reason": reason}


REQUESTS: dict[Any, str] = {
    e.CancelRequested: "cancel", e.ReplaceRequested: "replace", e.MassCancelRequested: "mass_cancel", e.StatusRequested: "status",
    e.MassStatusRequested: "mass_status", e.TradeDisputed: "dispute", e.Garbled: "unreadable",
}  # fmt: skip
WORDS: dict[Any, str] = {
    e.ChildAccepted: "accepted", e.ChildCanceled: "canceled", e.ChildReplaced: "restated", e.ChildRejected: "rejected",
    e.CancelRejected: "cancel_rejected", e.ChildStatusReported: "status", e.ForeignOrderReported: "foreign",
}  # fmt: skip
TRADES: dict[Any, str] = {e.ChildFilled: "trade", e.FillBusted: "bust", e.FillCorrected: "correction"}
EVENTS: dict[type, Callable[[Tracer, Any, list[c.Command]], None]] = {
    **dict.fromkeys(REQUESTS, Tracer._request), **dict.fromkeys(WORDS, Tracer._child_word),
    **dict.fromkeys(TRADES, Tracer._trade), e.CopyReported: Tracer._copied, e.SendFailed: Tracer._unsent,
    e.PolicyLoaded: Tracer._policy_loaded, e.ActionProposed: Tracer._proposal,
}  # fmt: skip
COMMANDS: dict[type, Callable[[Tracer, Any], None]] = {
    c.ReportParent: Tracer._report, c.RejectCancel: Tracer._reject_cancel, c.ReportMassCancel: Tracer._mass_report,
    c.RejectMessage: Tracer._reject_message, c.SendChild: Tracer._send, c.RaiseAlert: Tracer._alert, c.EndAlert: Tracer._alert,
    c.CancelChild: lambda own, x: own._said_of_child("cancel_sent", x.child_id, x.venue, text=x.cancel_id),
    c.AskChildStatus: lambda own, x: own._said_of_child("status_asked", x.child_id, x.venue),
}  # fmt: skip

