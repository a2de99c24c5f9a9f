"""A day told in events: what tests of the core are written in. Time moves only when told to."""

from typing import Any

from algoserver.core.engine import next_wakeup, step
from algoserver.core.orders import ChildOrder, ParentOrder
from algoserver.core.state import State, find
from algoserver.domain import commands, events
from algoserver.domain.events import PolicyLoaded
from algoserver.domain.params import AlgoParams
from algoserver.domain.policy import AlgoDefaults, InstrumentSetup, RiskPolicy, SessionHours, Venue
from algoserver.domain.types import DAY, MINUTE, PX_ONE, SECOND, Instrument, OrdStatus, OrdType, Side, Strategy, TimeInForce, utc

OPEN_TS = utc("20190628-13:30:00")
FLAT_26 = tuple([38_461] * 25 + [38_475])

POLICY = RiskPolicy(
    name="test", parent_qty_max=1_000_000, parent_value_max=500_000_000 * PX_ONE, parent_adv_ppm_max=500_000,
    duplicate_window_ns=0, parents_per_second_max=1_000, child_qty_max=50_000, child_value_max=10_000_000 * PX_ONE,
    children_open_max=10_000, venue_messages_per_second_max=1_000, venue_messages_per_day_max=10_000_000,
    collar_ppm=50_000, collar_ticks=5, reference_age_ns_max=60 * SECOND,
)  # fmt: skip
ALGO = AlgoDefaults(
    slice_ns=MINUTE, max_pct_vol=250_000, catch_up_factor=3, cross_after_ppm=700_000, refresh_ns=SECOND,
    risk_aversion_e9=(10, 100, 300, 1_000, 10_000),
    forecast_age_ns_max=10 * DAY, static_curve=FLAT_26, closing_ppm=80_000, opening_ppm=10_000,
)  # fmt: skip
HOURS = SessionHours(13 * 60 * MINUTE + 30 * MINUTE, 20 * 60 * MINUTE)
AAPL = Instrument(symbol="AAPL", tick=PX_ONE // 100, lot=1, round_lot=100, qty_decimals=0, adv=30_000_000, previous_close=199 * PX_ONE)


def policy_loaded(**changes: Any) -> PolicyLoaded:
    """The firm of the tests: AAPL on two lit venues, one client."""
    given = {
        "policy": POLICY, "venues": (Venue("XLIT1", has_auctions=True), Venue("XLIT2")), "instruments": (InstrumentSetup(AAPL),), "algo": ALGO,
        "hours": HOURS, "clients": ("CLIENT1",), "digest": "test",
    }  # fmt: skip
    return PolicyLoaded(**{**given, **changes})


class Day:
    """Feeds events to a State and keeps all that it commanded. `now` is the last event's time."""

    def __init__(self, setup: PolicyLoaded | None = None, now: int = OPEN_TS) -> None:
        self.state = State()
        self.now = now
        self.fed: list[events.Event] = []
        self.commands: list[commands.Command] = []
        self.feed(setup or policy_loaded())
        for venue in ("XLIT1", "XLIT2"):
            self.feed(events.SessionUp(session=venue))
        self.execs = 0

    def feed(self, event: events.Event) -> list[commands.Command]:
        """Stamp and step one event, a microsecond after the last."""
        self.now += 1_000
        stamped = event.__class__(**{**{f: getattr(event, f) for f in event.__struct_fields__}, "seq": self.state.seq + 1, "ts": self.now})
        self.fed.append(stamped)
        out = step(self.state, stamped)
        self.commands += out
        return out

    def wait(self, ns: int) -> list[commands.Command]:
        """Let time pass, waking up whenever the core wants to be."""
        end, out = self.now + ns, []
        while (wakeup := next_wakeup(self.state)) is not None and wakeup <= end:
            self.now = max(self.now, wakeup)
            out += self.feed(events.Wakeup())
        self.now = max(self.now, end)
        return out

    def quote(self, bid: str = "200.00", ask: str = "200.02", size: int = 5_000, venue: str = "", symbol: str = "AAPL") -> None:
        """The same book at one venue, or at both."""
        for name in [venue] if venue else ["XLIT1", "XLIT2"]:
            self.feed(events.QuoteUpdated(venue=name, symbol=symbol, bid_px=_px(bid), bid_qty=size, ask_px=_px(ask), ask_qty=size))

    def trade(self, last_qty: int, last_px: str = "200.01", venue: str = "XLIT1") -> None:
        """A market print."""
        self.feed(events.TradePrinted(venue=venue, symbol="AAPL", last_px=_px(last_px), last_qty=last_qty))

    def parent(
        self, cl_ord_id: str = "P1", qty: int = 1_000, strategy: int = Strategy.TWAP, minutes: int = 10, **more: Any
    ) -> list[commands.Command]:
        """A client's order; params as keywords of AlgoParams."""
        fields = {"side": Side.BUY, "ord_type": OrdType.MARKET, "price": 0, "time_in_force": TimeInForce.DAY, "symbol": "AAPL"}
        for name in (*fields, "poss_resend", "poss_dup", "session", "on_halt", "is_located"):
            if name in more:
                fields[name] = more.pop(name)
        session = fields.pop("session", "CLIENT1")
        params = AlgoParams(**{"end_ts": self.now + minutes * MINUTE, **more})
        return self.feed(
            events.ParentRequested(session=session, cl_ord_id=cl_ord_id, order_qty=qty, strategy=strategy, params=params, **fields)
        )

    def halt(self, venue: str = "", symbol: str = "AAPL", is_halted: bool = True) -> list[commands.Command]:
        """One venue, or both, halt trading or open it."""
        out = []
        for name in [venue] if venue else ["XLIT1", "XLIT2"]:
            out += self.feed(events.StatusChanged(session=f"{name}.md", venue=name, symbol=symbol, is_halted=is_halted))
        return out

    def cancel(self, orig: str = "P1", cl_ord_id: str = "C1") -> list[commands.Command]:
        """A client's cancel."""
        return self.feed(events.CancelRequested(session="CLIENT1", cl_ord_id=cl_ord_id, orig_cl_ord_id=orig))

    def accept(self, child: commands.SendChild) -> list[commands.Command]:
        """The venue acknowledges."""
        return self.feed(events.ChildAccepted(session=child.venue, child_id=child.child_id, order_id="v" + child.child_id))

    def fill(self, child: commands.SendChild, qty: int, exec_id: str = "", px: int = 0) -> list[commands.Command]:
        """The venue trades `qty` of a child at its price."""
        self.execs += 1
        return self.feed(
            events.ChildFilled(
                session=child.venue, child_id=child.child_id, exec_id=exec_id or f"E{self.execs}", last_px=px or child.price, last_qty=qty
            )
        )

    def canceled(self, child: commands.SendChild, status: OrdStatus = OrdStatus.CANCELED) -> list[commands.Command]:
        """The venue ends a child."""
        return self.feed(events.ChildCanceled(session=child.venue, child_id=child.child_id, ord_status=status))

    def rejected(self, child: commands.SendChild, text: str = "no") -> list[commands.Command]:
        """The venue refuses a child."""
        return self.feed(events.ChildRejected(session=child.venue, child_id=child.child_id, ord_rej_reason=99, text=text))

    def cancel_rejected(self, child: commands.SendChild, status: OrdStatus = OrdStatus.NEW) -> list[commands.Command]:
        """The venue refuses to cancel a child."""
        return self.feed(events.CancelRejected(session=child.venue, child_id=child.child_id, cxl_rej_reason=0, ord_status=status))

    def bust(self, child: commands.SendChild, exec_ref_id: str, exec_id: str = "B1") -> list[commands.Command]:
        """The venue takes a trade back."""
        return self.feed(events.FillBusted(session=child.venue, child_id=child.child_id, exec_id=exec_id, exec_ref_id=exec_ref_id))

    def correct(self, child: commands.SendChild, exec_ref_id: str, qty: int, px: int = 0, exec_id: str = "K1") -> list[commands.Command]:
        """The venue changes a trade."""
        ids = {"session": child.venue, "child_id": child.child_id, "exec_id": exec_id, "exec_ref_id": exec_ref_id}
        return self.feed(events.FillCorrected(**ids, last_px=px or child.price, last_qty=qty))

    def replaced(self, child: commands.SendChild, qty: int) -> list[commands.Command]:
        """The venue changes a child's quantity."""
        return self.feed(events.ChildReplaced(session=child.venue, child_id=child.child_id, order_qty=qty))

    def status_of(
        self, child: commands.SendChild, cum: int = 0, status: OrdStatus = OrdStatus.NEW, is_known: bool = True
    ) -> list[commands.Command]:
        """The venue says how a child stands."""
        event = events.ChildStatusReported(
            session=child.venue, child_id=child.child_id, is_known=is_known, ord_status=status, cum_qty=cum, leaves_qty=0
        )
        return self.feed(event)

    def up(self, session: str) -> list[commands.Command]:
        """A session logs on."""
        return self.feed(events.SessionUp(session=session))

    def down(self, session: str, is_restart: bool = False) -> list[commands.Command]:
        """A session is gone."""
        return self.feed(events.SessionDown(session=session, reason="gone", is_restart=is_restart))

    def operator(self, verb: str, target: str = "firm", reason: str = "test", is_verbal: bool = False) -> list[commands.Command]:
        """Ann at algoctl; no persons are named, so that she may release alone."""
        if verb == "release":
            return self.feed(events.ActionProposed(operator="ann", verb=verb, target=target, reason=reason, is_enough=True))
        return self.feed(events.OperatorCommanded(operator="ann", verb=verb, target=target, reason=reason, is_verbal=is_verbal))

    def resting(self, qty: int = 1_000, venue: str = "XLIT1", **more: Any) -> commands.SendChild:
        """P1, a buy past its end with Completion SOFT, whose whole quantity has just gone to rest in one child."""
        more = {"minutes": 1, "completion": "SOFT", "max_pct_vol": 1_000_000} | more
        self.quote(venue=venue)
        self.parent("P1", qty, **more)
        # Without volume the cap lets nothing out before.
        for _ in range(4):
            self.wait(MINUTE // 2)
            self.quote(venue=venue)
        self.quote(venue=venue)
        self.trade(20 * qty)
        self.wait(2 * SECOND)
        (child,) = self.sent()
        assert (child.order_qty, child.venue, child.time_in_force) == (qty, venue, TimeInForce.DAY)
        return child

    def order(self, cl_ord_id: str = "P1") -> ParentOrder:
        """A client's parent as the core has it."""
        parent = find(self.state, "CLIENT1", cl_ord_id)
        assert parent is not None
        return parent

    def child(self, child: commands.SendChild) -> ChildOrder:
        """A child as the core has it."""
        return self.state.children[child.child_id]

    def alerts(self) -> list[str]:
        """Codes of every alert."""
        return [c.code for c in self.commands if isinstance(c, commands.RaiseAlert)]

    def sent(self) -> list[commands.SendChild]:
        """Every child that left."""
        return [c for c in self.commands if isinstance(c, commands.SendChild)]

    def reports(self, cl_ord_id: str = "") -> list[commands.ReportParent]:
        """Every report to a client."""
        return [c for c in self.commands if isinstance(c, commands.ReportParent) and cl_ord_id in ("", c.cl_ord_id)]


def _px(text: str) -> int:
    from algoserver.domain.types import px

    return px(text)
