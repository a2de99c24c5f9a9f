"""A street without manners, its second part: venues that tell anything about any child that ever left, in any order."""

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from algoserver.core.orders import FINAL, ChildOrder, is_open, leaves_qty, ord_status
from algoserver.core.state import dump, load
from algoserver.domain import commands, events
from algoserver.domain.types import PX_ONE, SECOND, ExecType, OrdStatus, OrdType
from tests.core.books import CLIENTS, COPIED, DARK, LIT
from tests.core.street_clients import FEW, INDEX, NUMBERS, PRICES, Clients

ENDS = (OrdStatus.CANCELED, OrdStatus.EXPIRED, OrdStatus.DONE_FOR_DAY)


class Venues(Clients):
    """And venues."""

    def child(self, index: int) -> ChildOrder:
        # The living first, the youngest before the others: of those that are over there are ever more.
        living = [c for p in self.state.parents.values() for c in p.open_children] if index % 4 else []
        known = living or [c.child_id for c in self.sent]
        return self.state.children[known[-1 - index % len(known)]]

    @precondition(lambda self: self.sent)
    @rule(index=INDEX)
    def accepts(self, index: int) -> None:
        c = self.child(index)
        if c.order.status is OrdStatus.REJECTED:
            self.strange.add(c.parent_id)  # it is there after all
        self.tell(events.ChildAccepted(session=c.venue, child_id=c.child_id, order_id="v"))

    @precondition(lambda self: self.sent)
    @rule(index=INDEX, share=st.sampled_from([1, 2, 3, 3, 3, 4]))
    def fills(self, index: int, share: int) -> None:
        self.fill(self.child(index), share)

    def fill(self, c: ChildOrder, share: int) -> None:
        """A single unit, half, all or more of what is left."""
        left = max(1, leaves_qty(c.order))
        quantity = [0, 1, max(1, left // 2), left, left + 100][share]
        if not is_open(c.order) or quantity > leaves_qty(c.order):
            self.strange.add(c.parent_id)
        self.exec_count += 1
        exec_id = f"E{self.exec_count}"
        self.venue_execs.setdefault(c.child_id, []).append(exec_id)
        filled = events.ChildFilled(session=c.venue, child_id=c.child_id, exec_id=exec_id, last_px=c.price, last_qty=quantity)
        copy = events.CopyReported(
            session=f"{c.venue}.dc", child_id=c.child_id, exec_id=exec_id, exec_type="F", symbol=c.symbol, side=c.side, last_px=c.price,
            last_qty=quantity,
        )  # fmt: skip
        # A drop copy is first, second, silent, or wrong; and it knows of what the order session does not tell.
        told = {0: (copy, filled), 1: (filled,), 2: (filled, msgspec.structs.replace(copy, last_px=1)), 3: (filled, copy, copy)}
        alone = msgspec.structs.replace(copy, exec_id=f"{exec_id}.alone")
        for event in (*told[self.exec_count % 4], *((alone,) if self.exec_count % 8 == 3 else ())) if c.venue == COPIED else (filled,):
            self.tell(event)

    @precondition(lambda self: self.sent)
    @rule(many=st.integers(1, 4))
    def trades_well(self, many: int) -> None:
        """As on a good day: the youngest children are accepted, and traded in two parts."""
        for index in range(1, many + 1):
            self.accepts(index)
            self.fills(index, 2)
            self.fills(index, 3)

    @precondition(lambda self: self.sent)
    @rule(index=INDEX, cancel=st.integers(0, 60), qty=NUMBERS, price=st.one_of(st.just(0), PRICES), is_amend=st.booleans(), share=FEW)
    def crosses(self, index: int, cancel: int, qty: int, price: int, is_amend: bool, share: int) -> None:
        """A cancel or a replace that meets a fill on its way."""
        c = self.child(index)
        parent = self.state.parents[c.parent_id]
        ids = {"session": parent.session, "cl_ord_id": f"C{cancel}", "orig_cl_ord_id": parent.cl_ord_id}
        if is_amend:
            same = {"symbol": parent.symbol, "side": parent.side, "ord_type": OrdType.LIMIT if price else OrdType.MARKET}
            self.says(events.ReplaceRequested(**ids, **same, order_qty=qty * (10 if parent.symbol == "COIN" else 1), price=price))
        else:
            self.says(events.CancelRequested(**ids))
        self.fill(c, share + 1)

    @precondition(lambda self: self.venue_execs)
    @rule(index=INDEX, which=INDEX, kind=st.sampled_from(["bust", "correct", "bust", "correct", "again", "unknown"]), quantity=NUMBERS)
    def changes_its_mind(self, index: int, which: int, kind: str, quantity: int) -> None:
        child_id = list(self.venue_execs)[index % len(self.venue_execs)]
        c, execs = self.state.children[child_id], self.venue_execs[child_id]
        ref_id = execs[which % len(execs)] if kind != "unknown" else "nowhere"
        self.exec_count += 1
        exec_id = f"E{self.exec_count}"
        common = {"session": c.venue, "child_id": child_id}
        if kind == "again":
            if ref_id not in c.order.fills and ref_id not in c.order.seen:
                return  # a correction of what was taken back: as a trade it would be a new one
            parent = self.state.parents[c.parent_id]
            done = parent.order.cum_qty
            out = self.tell(events.ChildFilled(**common, exec_id=ref_id, last_px=c.price, last_qty=quantity))
            # The moment may have come to tell of fills that were collected before.
            told = [r for r in out if isinstance(r, commands.ReportParent) and r.order_id == c.parent_id and r.exec_type is ExecType.TRADE]
            assert parent.order.cum_qty == done, "a trade twice"
            assert all(r.cum_qty <= done for r in told), "a trade told twice"
        elif kind == "correct":
            self.strange.add(c.parent_id)
            self.tell(events.FillCorrected(**common, exec_id=exec_id, exec_ref_id=ref_id, last_px=c.price + 1, last_qty=quantity))
            if exec_id in c.order.fills:
                execs.append(exec_id)
        else:
            # After a bust the venue may trade that quantity again, and the parent may have used its room.
            self.strange.add(c.parent_id)
            self.tell(events.FillBusted(**common, exec_id=exec_id, exec_ref_id=ref_id))

    @precondition(lambda self: self.sent)
    @rule(index=INDEX, how=st.sampled_from(ENDS))
    def ends(self, index: int, how: OrdStatus) -> None:
        c = self.child(index)
        self.tell(events.ChildCanceled(session=c.venue, child_id=c.child_id, ord_status=how))

    @precondition(lambda self: self.sent)
    @rule(index=INDEX, how=st.sampled_from(["D", "F", "wrong venue", "garbled", "cancel"]))
    def refuses(self, index: int, how: str) -> None:
        c = self.child(index)
        if how == "D":
            self.tell(events.ChildRejected(session=c.venue, child_id=c.child_id, ord_rej_reason=99, text="no"))
        elif how == "wrong venue":
            other = LIT[c.venue == LIT[0]]
            self.tell(events.ChildFilled(session=other, child_id=c.child_id, exec_id="E0", last_px=1, last_qty=1))
        elif how == "garbled":
            self.tell(events.Garbled(session=c.venue, msg_type="8", code="unreadable_message", text="", reject_reason=0, cl_ord_id=c.child_id))
        else:
            status = OrdStatus.FILLED if how == "F" else OrdStatus.NEW
            self.tell(events.CancelRejected(session=c.venue, child_id=c.child_id, cxl_rej_reason=0, ord_status=status))

    @precondition(lambda self: self.sent)
    @rule(index=INDEX, quantity=st.one_of(st.just(0), NUMBERS))
    def restates(self, index: int, quantity: int) -> None:
        c = self.child(index)
        if quantity > c.order.order_qty:
            self.strange.add(c.parent_id)
        self.tell(events.ChildReplaced(session=c.venue, child_id=c.child_id, order_qty=quantity))

    @precondition(lambda self: self.sent)
    @rule(index=INDEX, is_honest=st.booleans(), is_known=st.booleans(), status=st.sampled_from(list(OrdStatus)))
    def answers_status(self, index: int, is_honest: bool, is_known: bool, status: OrdStatus) -> None:
        c = self.child(index)
        if is_honest:
            is_known, status, cum_qty = True, ord_status(c.order), c.order.cum_qty
        else:
            cum_qty = c.order.order_qty // 2
        if c.order.status is OrdStatus.REJECTED and is_known and status not in FINAL:
            self.strange.add(c.parent_id)
        self.tell(
            events.ChildStatusReported(session=c.venue, child_id=c.child_id, is_known=is_known, ord_status=status, cum_qty=cum_qty, leaves_qty=0)
        )

    @rule(
        venue=st.sampled_from(LIT), number=FEW, symbol=st.sampled_from(["AAPL", "COIN", "GE", ""]), side=st.sampled_from(["1", ""]),
        status=st.sampled_from(list(OrdStatus)), cum=NUMBERS, what=st.sampled_from(["report", "adopt", "cancel_foreign", "refuse"]),
    )  # fmt: skip
    def has_a_foreign_order(self, venue: str, number: int, symbol: str, side: str, status: OrdStatus, cum: int, what: str) -> None:
        name = f"WHO{number}"
        if what == "report" and number < 2:  # rarely, or nothing would ever trade
            common = {"session": venue, "child_id": name, "symbol": symbol, "side": side}
            self.tell(events.ForeignOrderReported(**common, ord_status=status, order_qty=25_000, cum_qty=cum))
        elif what == "refuse":
            self.tell(events.CancelRejected(session=venue, child_id=name, cxl_rej_reason=number, ord_status=status))
        else:
            verb = "adopt" if what == "report" else what
            self.tell(events.OperatorCommanded(operator="ann", verb=verb, target=f"{venue} WHO{number % 2}", reason="test"))

    @rule(venue=st.sampled_from([*LIT, DARK]), symbol=st.sampled_from(["AAPL", "COIN", ""]), is_halted=st.sampled_from([True, False, False]))
    def halts(self, venue: str, symbol: str, is_halted: bool) -> None:
        self.tell(events.StatusChanged(session=f"{venue}.md", venue=venue, symbol=symbol, is_halted=is_halted))

    @rule(is_halted=st.sampled_from([True, False, False]))
    def everybody_halts(self, is_halted: bool) -> None:
        for venue in (*LIT, DARK):
            self.halts(venue, "AAPL", is_halted)

    @rule(venue=st.sampled_from(LIT))
    def tells_of_a_stranger(self, venue: str) -> None:
        self.tell(events.ChildFilled(session=venue, child_id="nobody.1", exec_id="E1", last_px=PX_ONE, last_qty=5))

    @rule(name=st.sampled_from([*LIT, *LIT, DARK, *CLIENTS, "XLIT1.md"]), change=st.sampled_from(["up", "up", "up", "down", "restart"]))
    def session_changes(self, name: str, change: str) -> None:
        if change == "up":
            self.tell(events.SessionUp(session=name))
        else:
            self.tell(events.SessionDown(session=name, is_restart=change == "restart"))

    @rule(venue=st.sampled_from([*LIT, DARK]), is_late=st.booleans())
    def venue_comes_back(self, venue: str, is_late: bool) -> None:
        """Gone and back: it is asked about every child that it may hold, and answers truly."""
        self.tell(events.SessionDown(session=venue, reason="cut"))
        if is_late:
            self.time_passes(6 * SECOND)
        held = [c.child_id for p in self.state.parents.values() for c in map(self.state.children.__getitem__, p.open_children) if c.venue == venue]
        out = self.tell(events.SessionUp(session=venue))
        # Elsewhere one may be asked again for its own reasons.
        asked = [c.child_id for c in out if isinstance(c, commands.AskChildStatus) and c.venue == venue and c.child_id in self.state.children]
        assert sorted(asked) == sorted(held), "the sweep leaves somebody out"
        self.sweep(asked)

    @rule(is_heard=st.booleans())
    def server_restarts(self, is_heard: bool) -> None:
        """A new process on the old state: every session was up and is not; nobody trades before all his children are known."""
        self.day.state = load(dump(self.state))
        self.tell(msgspec.structs.replace(self.state.setup))
        for name in (*LIT, DARK, *CLIENTS):
            if self.state.sessions.get(name) or name in self.state.venues_up:  # as opening.first_events: of a venue that was gone before as well
                self.tell(events.SessionDown(session=name, reason="restart", is_restart=True))
        asked = []
        for name in (*LIT, DARK):
            out = self.tell(events.SessionUp(session=name))
            # Foreign orders are asked about too.
            asked += [c.child_id for c in out if isinstance(c, commands.AskChildStatus) and c.child_id in self.state.children]
        self.unheard = {c for p in self.state.parents.values() for c in p.open_children}
        assert set(asked) == self.unheard
        if is_heard:
            self.sweep(asked)

    def sweep(self, asked: list[str]) -> None:
        """True answers; what is told may end an order and so others of the asked."""
        for child_id in asked:
            c = self.state.children[child_id]
            self.tell(
                events.ChildStatusReported(
                    session=c.venue,
                    child_id=child_id,
                    is_known=True,
                    ord_status=ord_status(c.order),
                    cum_qty=c.order.cum_qty,
                    leaves_qty=leaves_qty(c.order),
                )  # fmt: skip
            )
            assert not c.is_unknown

    @precondition(lambda self: self.sent)
    @rule(index=INDEX, msg_type=st.sampled_from("DFH"))
    def send_fails(self, index: int, msg_type: str) -> None:
        c = self.child(index)
        self.tell(events.SendFailed(session=c.venue, msg_type=msg_type, child_id=c.child_id))
