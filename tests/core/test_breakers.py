"""What stops by itself, and what it stops: told in events to the whole machine, not to the gate alone."""

from typing import Any

import msgspec

from algoserver.domain import commands, events
from algoserver.domain.policy import Layer, OverrideTerms, Permits, RiskPolicy
from algoserver.domain.types import DAY, MINUTE, PX_ONE, SECOND, OrdType, Side, TimeInForce
from tests.core.day import POLICY, Day, policy_loaded

NOW = {"time_in_force": TimeInForce.IOC}


def limited(*layers: Layer, **limits: Any) -> RiskPolicy:
    """The tests' policy with some limits."""
    return msgspec.structs.replace(POLICY, layers=layers, **limits)


def day_of(policy: RiskPolicy) -> Day:
    """A day under that policy, with two clients and a book at both venues."""
    day = Day(policy_loaded(policy=policy, clients=("CLIENT1", "CLIENT2")))
    day.quote()
    return day


def children(out: list[commands.Command]) -> list[commands.SendChild]:
    """What leaves."""
    return [c for c in out if isinstance(c, commands.SendChild)]


def alerts(out: list[commands.Command], code: str) -> list[str]:
    """Subjects of the alerts of one code."""
    return [c.subject for c in out if isinstance(c, commands.RaiseAlert) and c.code == code]


def test_a_limit_that_is_reached_in_one_orders_turn_stops_every_other_order_in_the_same_step():
    """The resting child of an order whose turn it is not is taken back at once."""
    day = day_of(limited())
    resting = day.resting(100)
    day.accept(resting)
    used = 100 * resting.price
    day.feed(policy_loaded(policy=limited(gross_value_max=used), clients=("CLIENT1", "CLIENT2")))
    out = day.parent("P2", 100, **NOW, price=200 * PX_ONE, ord_type=OrdType.LIMIT)
    assert "gross_value_max" in [c.text.partition(":")[0] for c in out if isinstance(c, commands.ReportParent)]
    day.feed(policy_loaded(policy=limited(repeats_max=0), clients=("CLIENT1", "CLIENT2")))
    out = day.parent("P3", 100, **NOW)
    assert alerts(out, "stopped_by_limit") == ["algo:TWAP@AAPL"]
    assert children(out) == []
    assert [c.child_id for c in out if isinstance(c, commands.CancelChild)] == [resting.child_id]


def test_the_message_that_trips_a_breaker_is_the_last_that_leaves():
    """Nothing of the stopped algo comes behind the word that it is stopped."""
    day = day_of(limited(order_to_trade_max=1, order_to_trade_min=0))
    out: list[commands.Command] = []
    for n in range(4):
        out += day.parent(f"P{n}", 100, **NOW)
    stopped = [isinstance(c, commands.RaiseAlert) and c.code == "stopped_by_limit" for c in out].index(True)
    assert len(children(out)) == 3
    assert children(out[stopped:]) == []


def test_rejects_in_a_row_stop_algo_and_venue_and_a_release_counts_anew():
    """Two refusals are not three; after the release three more it takes."""
    day = day_of(limited(rejects_max=3))
    scopes = ("algo:TWAP", "venue:XLIT1")
    for n in range(6):
        day.quote(size=100, venue="XLIT1", ask="200.01")
        (child,) = children(day.parent(f"P{n}", 100, **NOW))
        out = day.rejected(child)
        assert sorted(alerts(out, "stopped_by_limit")) == (sorted(scopes) if n % 3 == 2 else [])
        if n % 3 == 2:
            assert children(day.parent(f"Q{n}", 100, **NOW)) == []
            for scope in scopes:
                day.operator("release", scope)
    assert day.state.gate.traffic == {}


def test_repeats_stop_the_algo_in_the_symbol_and_a_release_counts_anew():
    """The child beyond the bound does not leave; another algo and another symbol are not meant."""
    day = day_of(limited(repeats_max=2))
    assert [len(children(day.parent(f"P{n}", 100, **NOW))) for n in range(3)] == [1, 1, 0]
    assert list(day.state.gate.stops) == ["algo:TWAP@AAPL"]
    assert len(children(day.parent("V", 100, strategy=1, **NOW))) == 1
    day.operator("release", "algo:TWAP@AAPL")
    assert [len(children(day.parent(f"R{n}", 100, **NOW))) for n in range(3)] == [1, 1, 0]


def test_a_bust_of_yesterday_makes_no_room_today():
    """What was counted yesterday can't be taken from what counts today; a bust of today's is."""
    day = day_of(limited(gross_value_max=100 * 201 * PX_ONE))
    (first,) = children(day.parent("P1", 50, **NOW))
    day.fill(first, 50, exec_id="Y1")
    day.now += DAY
    day.quote()
    (second,) = children(day.parent("P2", 100, **NOW))
    day.fill(second, 100, exec_id="T1")
    day.bust(first, "Y1")
    assert day.state.gate.usage["firm"].bought == 100 * second.price
    day.bust(second, "T1", exec_id="B2")
    assert day.state.gate.usage["firm"].bought == 0


def test_a_bust_makes_no_room_in_the_running_share_of_the_volume():
    """The market's volume has the trade that was taken back, and it may be older than the window."""
    day = day_of(limited(traded_ppm_max=100_000, traded_free_ppm=0))
    child = day.resting(100)
    day.fill(child, 60, exec_id="E60")
    day.wait(400 * SECOND)
    day.bust(child, "E60")
    assert day.state.gate.traded["AAPL"].since(day.now - 300 * SECOND, include_second=True) == 0


def test_control_18_what_is_on_its_way_counts_as_traded():
    """No fill has come: of the 120 that are always free one order has taken 60, and another's 61 wait."""
    day = day_of(limited(traded_ppm_max=1, traded_free_ppm=4))
    out = day.parent("P1", 60, completion="HARD", minutes=1, max_pct_vol=1_000_000, strategy=1)
    out += day.parent("P2", 61, completion="HARD", minutes=1, max_pct_vol=1_000_000)
    for _ in range(8):
        day.quote()
        day.trade(1_000)
        out += day.wait(10 * SECOND)
    assert sum(c.order_qty for c in children(out)) == 60
    assert "gate_traded_max" in day.alerts()


# ---- overrides


def proposed(day: Day, verb: str, target: str, operator: str = "ann", **more: Any) -> str:
    """A proposal; its id."""
    day.feed(events.ActionProposed(operator=operator, verb=verb, target=target, reason="test", **more))
    return list(day.state.proposals)[-1] if not more.get("is_enough") else ""


def approved(day: Day, proposal_id: str, operator: str = "bob") -> list[commands.Command]:
    """Another person says yes."""
    return day.feed(events.OperatorCommanded(operator=operator, verb="approve", target=proposal_id))


def overridden(day: Day, qty: int, symbol: str = "AAPL") -> None:
    """Two persons let one buy of CLIENT1 pass, within an hour."""
    terms = OverrideTerms("CLIENT1", symbol, Side.BUY, qty, 3_600 * SECOND)
    approved(day, proposed(day, "override", "CLIENT1", override=terms))


def admitted(out: list[commands.Command]) -> str:
    """Code of the refusal of an order; "" if it was taken."""
    (report,) = [c for c in out if isinstance(c, commands.ReportParent) and c.exec_type.name in ("NEW", "REJECTED")]
    return "" if report.exec_type.name == "NEW" else report.text.partition(":")[0]


def test_control_10_one_override_lets_one_order_pass():
    """Larger than agreed, of another side, or a second one: refused."""
    day = day_of(limited(parent_qty_max=100, child_qty_max=100))
    overridden(day, 200)
    assert admitted(day.parent("L", 201)) == "parent_qty_max"
    assert admitted(day.parent("S", 200, side=Side.SELL)) == "parent_qty_max"
    assert admitted(day.parent("A", 200)) == ""
    assert admitted(day.parent("B", 200)) == "parent_qty_max"


def test_control_10_an_override_lapses():
    """At its end it holds, a moment later no more."""
    day = day_of(limited(parent_qty_max=100, child_qty_max=100))
    overridden(day, 200)
    day.now += 3_600 * SECOND
    day.quote()
    assert admitted(day.parent("A", 200)) == "parent_qty_max"


def test_control_10_an_override_of_a_limit_lets_nothing_else_pass():
    """An order that asks for too much of the volume has its lot, its price and its market looked at all the same."""
    day = day_of(limited(participation_ppm_max=100_000))
    overridden(day, 10_000)
    greedy = {"max_pct_vol": 200_000}
    assert admitted(day.parent("L", 100, price=PX_ONE + 1, ord_type=OrdType.LIMIT, **greedy)) == "wrong_tick"
    day.now += 61 * SECOND
    assert admitted(day.parent("M", 100, **greedy)) == "stale_reference"
    day.quote()
    assert admitted(day.parent("A", 100, **greedy)) == ""
    assert admitted(day.parent("B", 100, **greedy)) == "participation_max"


def test_control_10_an_override_is_not_used_up_by_an_order_that_is_refused():
    """For another reason than the one that two persons have let pass."""
    day = day_of(limited(parent_qty_max=100, child_qty_max=100, gross_value_max=150 * 201 * PX_ONE))
    overridden(day, 200)
    assert admitted(day.parent("A", 200)) == "gross_value_max"
    assert admitted(day.parent("B", 120)) == ""


# ---- what two persons decide


def test_an_approval_is_of_the_stop_that_the_first_person_saw():
    """Killed again since, for another reason: that one has not been looked at by two."""
    day = day_of(limited())
    day.operator("kill", "symbol:AAPL", reason="news")
    release = proposed(day, "release", "symbol:AAPL")
    day.operator("kill", "symbol:AAPL", reason="the price is wrong")
    assert alerts(approved(day, release), "approval_refused") == [release]
    assert "symbol:AAPL" in day.state.gate.stops
    approved(day, proposed(day, "release", "symbol:AAPL"))
    assert day.state.gate.stops == {}


def test_an_approval_of_a_policy_does_not_undo_one_that_was_applied_since():
    """Ann's raise was of what was in force then; Carl has tightened it meanwhile."""
    day = day_of(limited())
    wide = proposed(day, "policy", "wide", policy=limited(child_qty_max=60_000), digest="wide")
    proposed(day, "policy", "tight", operator="carl", policy=limited(child_qty_max=100), digest="tight", is_enough=True)
    assert alerts(approved(day, wide), "approval_refused") == [wide]
    assert day.state.setup is not None
    assert day.state.setup.policy.child_qty_max == 100


def test_nobody_approves_his_own_proposal_and_nothing_is_done_by_it():
    """Nor does a proposal that was withdrawn."""
    day = day_of(limited())
    day.operator("kill", "firm")
    release = proposed(day, "release", "firm")
    assert alerts(approved(day, release, "ann"), "approval_refused") == [release]
    day.feed(events.OperatorCommanded(operator="carl", verb="withdraw", target=release))
    assert alerts(approved(day, release), "approval_refused") == [release]
    assert "firm" in day.state.gate.stops


def test_no_single_word_opens_anything_whatever_the_door_has_let_in():
    """Where persons are named: a release as a command, the server's name, one who says that he is enough, one who is nobody. Two open it."""
    day = Day(policy_loaded(policy=limited(), persons=("ann", "bob")))
    day.operator("kill", "firm", reason="news")
    for operator in ("ann", "bob", "server"):
        out = day.feed(events.OperatorCommanded(operator=operator, verb="release", target="firm"))
        assert alerts(out, "approval_refused") == ["firm"]
    terms = OverrideTerms("CLIENT1", "AAPL", Side.BUY, 5_000_000, MINUTE)
    for verb, more in (
        ("release", {}), ("override", {"override": terms}), ("policy", {"policy": limited(child_qty_max=60_000), "digest": "wide"}),
    ):  # fmt: skip
        proposed(day, verb, "firm", is_enough=True, **more)
    assert [(p.verb, p.target) for p in day.state.proposals.values()] == [(verb, "firm") for verb in ("release", "override", "policy")]
    release, *_ = day.state.proposals
    for operator in ("ann", "server", "eve"):
        assert alerts(approved(day, release, operator), "approval_refused") == [release]
    assert day.state.setup is not None
    assert (list(day.state.gate.stops), day.state.gate.overrides, day.state.setup.policy) == (["firm"], {}, limited())
    # What only tightens needs one, and what two have looked at is done.
    proposed(day, "policy", "tight", policy=limited(child_qty_max=100), digest="tight", is_enough=True)
    assert day.state.setup.policy.child_qty_max == 100
    assert alerts(approved(day, release), "released") == ["firm"]
    assert day.state.gate.stops == {}


def test_a_release_that_is_approved_while_the_server_stops_opens_nothing_until_the_next_start():
    """The kill is lifted, the gate is the stopping server's; a start opens it, and would not have opened the kill."""
    day = day_of(limited())
    day.operator("kill", "firm", reason="news")
    release = proposed(day, "release", "firm")
    assert alerts(day.operator("stop"), "stopping") == ["firm"]
    assert alerts(approved(day, release), "released") == ["firm"]
    assert day.state.gate.killed == "server stopping"
    assert admitted(day.parent("LATE", 100)) == "killed"
    day.feed(policy_loaded(policy=limited()))
    day.feed(events.OperatorCommanded(operator="server", verb="release", target="firm", reason="started"))
    assert day.state.gate.stops == {}
    day.quote()
    assert admitted(day.parent("NEXT", 100)) == ""


# ---- parents


def test_control_4_replaces_that_change_nothing_use_the_rate():
    """They always may, and a flood of them leaves no room for anything else of that second."""
    day = day_of(limited(parents_per_second_max=5))
    day.parent("P1", 1_000)
    for n in range(5):
        orig = "P1" if not n else f"R{n - 1}"
        same = {"symbol": "AAPL", "side": Side.BUY, "ord_type": OrdType.MARKET, "order_qty": 1_000 - n}
        day.feed(events.ReplaceRequested(session="CLIENT1", cl_ord_id=f"R{n}", orig_cl_ord_id=orig, **same))
    assert admitted(day.parent("P2", 100)) == "message_rate"


def test_control_11_a_replace_does_not_slip_past_the_soft_block():
    """Grown beyond it the order is refused once, and may when it is asked for again."""
    day = day_of(limited(parent_value_soft_max=2_000 * 201 * PX_ONE))
    day.parent("P1", 1_000)

    def grow(name: str) -> list[commands.Command]:
        more = {"symbol": "AAPL", "side": Side.BUY, "ord_type": OrdType.MARKET, "order_qty": 3_000}
        return day.feed(events.ReplaceRequested(session="CLIENT1", cl_ord_id=name, orig_cl_ord_id="P1", **more))

    (refused,) = [c for c in grow("R1") if isinstance(c, commands.RejectCancel)]
    assert refused.text.startswith("parent_value_soft_max: ")
    assert [c for c in grow("R2") if isinstance(c, commands.RejectCancel)] == []
    assert day.order("R2").order.order_qty == 3_000


def test_control_2_a_sale_below_the_market_is_worth_the_market():
    """A low limit makes an order no smaller: it is done at the bid."""
    day = day_of(limited(parent_value_max=100 * 200 * PX_ONE))
    low = {"side": Side.SELL, "ord_type": OrdType.LIMIT, "price": 195 * PX_ONE}
    assert admitted(day.parent("A", 99, **low)) == ""
    assert admitted(day.parent("B", 101, **low)) == "parent_value_max"


def test_control_14_a_located_short_sale_may_be_amended_but_not_grow():
    """What was located when it came is located still; more is not."""
    day = day_of(limited(permits=Permits(short_sale="locate")))
    day.quote()
    assert admitted(day.parent("N", 100, side=Side.SELL_SHORT)) == "no_locate"
    assert admitted(day.parent("P1", 100, side=Side.SELL_SHORT, is_located=True)) == ""
    same = {"symbol": "AAPL", "side": Side.SELL_SHORT, "ord_type": OrdType.LIMIT, "price": 201 * PX_ONE}
    out = day.feed(events.ReplaceRequested(session="CLIENT1", cl_ord_id="R1", orig_cl_ord_id="P1", order_qty=100, **same))
    assert [c for c in out if isinstance(c, commands.RejectCancel)] == []
    out = day.feed(events.ReplaceRequested(session="CLIENT1", cl_ord_id="R2", orig_cl_ord_id="R1", order_qty=101, **same))
    assert [c.text.partition(":")[0] for c in out if isinstance(c, commands.RejectCancel)] == ["no_locate"]
