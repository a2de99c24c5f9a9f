"""What operators ask of limits: which of them hold for an order, of which layer, and how much of each is used."""

from typing import Any

from algoserver.domain.changes import FIRM_ALONE, TRADED_FREE
from algoserver.domain.events import ActionProposed
from algoserver.domain.limits import LIMITS
from algoserver.domain.policy import OverrideTerms
from algoserver.domain.types import MINUTE, PX_ONE, SECOND, OrdType, Side
from tests.test_policy_desk import CLIENT, DESK, FILE, SYMBOL, applied, asked, opened, refused

# What holds for an order.


def rows_of(said: dict[str, Any], limit: str) -> list[tuple[str, str, str, str]]:
    """Its lines: value, layer, of, used."""
    return [(r["value"], r["layer"], r["of"], r["used"]) for r in said["limits"] if r["limit"] == limit]


def test_explain_lists_each_limit_with_its_layer_and_what_is_used():
    """Of an order with 400 of 1,000 done and 600 resting at 200."""
    day = opened(FILE + DESK + CLIENT + SYMBOL)
    child = day.resting()
    day.fill(child, 400)
    said = asked(day, "policy.explain", "P1")
    assert said == asked(day, "policy.explain", day.order().parent_id)
    assert said["layers"] == ["firm", "desk:cash", "client:CLIENT1", "symbol:AAPL"]
    assert rows_of(said, "parent_qty_max") == [("5000000", "firm", "order", "1000")]
    assert rows_of(said, "parent_value_max") == [("500000000", "firm", "order", "200010")]
    assert rows_of(said, "participation_max") == [("1", "firm", "order", "1")]
    assert rows_of(said, "collar") == [("0.04", "symbol:AAPL", "", "")]
    assert rows_of(said, "children_open_max") == [("20000", "firm", "firm", "1"), ("4", "client:CLIENT1", "client:CLIENT1", "1")]
    assert rows_of(said, "gross_value_max")[-1] == ("1000000", "client:CLIENT1", "client:CLIENT1", "200000")
    assert rows_of(said, "net_value_max")[-1] == ("900000", "desk:cash", "desk:cash", "200000")
    assert rows_of(said, "position_max") == [("2000", "symbol:AAPL", "symbol:AAPL", "1000")]
    assert [r["share"] for r in said["limits"] if r["limit"] == "position_max"] == ["0.5"]
    assert rows_of(said, "repeats_max") == [("3000", "firm", "algo:TWAP@AAPL", "1")]
    assert rows_of(said, "rejects_max") == [("50", "firm", "algo:TWAP", "0"), ("50", "firm", "venue:XLIT1", "0")]
    assert rows_of(said, "price_move_max") == [("0.1", "firm", "order", "0")]
    assert rows_of(said, "traded_max") == [("0.5", "firm", "symbol:AAPL", "0.05")]
    assert rows_of(said, "traded_free") == [("0.0002", "firm", "", "")]
    assert rows_of(said, "reference_age_s_max") == [("60", "firm", "", "")]
    assert rows_of(said, "venue_messages_per_day_max") == [("5000000", "firm", "venue:XLIT1", "1")]
    permits = {r["permit"]: (r["allowed"], r["layers"]) for r in said["permits"]}
    assert permits == {
        "venues": (["XLIT1"], ["client:CLIENT1"]), "algos": (["VWAP", "TWAP"], ["desk:cash"]), "ord_types": (["LIMIT", "MARKET"], []),
        "short_sale": (["locate"], ["firm"]), "on_disconnect": (["keep"], ["firm"]),
        "self_match": (["firm"], ["firm"]),
    }  # fmt: skip
    assert (said["refused"], said["stops"], said["override"], said["state"]) == ("", [], "", "working")


def test_explain_knows_every_limit_that_the_policy_can_set():
    """From the one table: each key of a policy that sets all of them has its line, and its meaning."""
    day = opened(FILE + SYMBOL)
    day.resting()
    said = asked(day, "policy.explain", "P1")
    assert {r["limit"] for r in said["limits"]} == {x.key for x in LIMITS} | {a.key for a in (*FIRM_ALONE, TRADED_FREE)}
    assert all(r["meaning"] for r in said["limits"])


def test_explain_works_for_orders_that_are_over_or_were_never_let_in():
    """By the policy of now; a symbol that nobody knows has no units and no volume."""
    day = opened()
    child = day.resting()
    day.fill(child, 1_000)
    day.parent("P2", symbol="NONE")
    day.parent("P3", qty=6_000_000)
    over, unknown, big = (asked(day, "policy.explain", name) for name in ("P1", "P2", "P3"))
    assert (over["state"], rows_of(over, "parent_qty_max")[0][3], rows_of(over, "gross_value_max")[0][3]) == ("over", "1000", "200000")
    assert (unknown["state"], unknown["symbol"], rows_of(unknown, "parent_adv_max")[0][3]) == ("over", "NONE", "")
    assert rows_of(big, "parent_qty_max") == [("5000000", "firm", "order", "6000000")]
    assert refused(day, "policy.explain", "P9")[0] == "not_found"


def test_explain_says_what_stops_the_order_and_why_it_may_not_be():
    """A stop of a scope or of a venue that is open to it; a list that its symbol has come on."""
    day = opened()
    day.resting()
    day.operator("kill", "symbol:AAPL", "news")
    day.operator("kill", "venue:XLIT2", "slow")
    day.operator("kill", "symbol:GE", "not this one")
    applied(day, FILE + '[[clients]]\nname = "CLIENT1"\nrestricted = ["AAPL"]\n')
    said = asked(day, "policy.explain", "P1")
    assert [(s["scope"], s["reason"]) for s in said["stops"]] == [("symbol:AAPL", "news"), ("venue:XLIT2", "slow")]
    assert said["refused"] == "restricted: AAPL is on the restricted list of client CLIENT1"


def test_explain_says_that_an_override_let_it_in():
    """By whom and why, also after the ClOrdID has changed; another order of that client has none."""
    day = opened(FILE.replace("parent_qty_max = 5_000_000 ", "parent_qty_max = 900_000 "))
    day.quote()
    terms = OverrideTerms("CLIENT1", "AAPL", Side.BUY, 1_000_000, MINUTE)
    day.feed(ActionProposed(operator="ann", verb="override", target="CLIENT1", reason="block", override=terms, is_enough=True))
    day.parent("P1", 950_000, ord_type=OrdType.LIMIT, price=200 * PX_ONE)
    day.parent("P2", 950_000, ord_type=OrdType.LIMIT, price=201 * PX_ONE)
    assert [asked(day, "policy.explain", p)["override"] for p in ("P1", "P2")] == ["by ann: block", ""]
    assert [day.reports(p)[-1].ord_status.name for p in ("P1", "P2")] == ["NEW", "REJECTED"]


def test_an_override_lets_pass_what_it_may_and_nothing_else():
    """One limit of it does not hide another: an odd lot, or a market without a price, is refused as without an override."""
    day = opened(FILE.replace('participation_max = "1"', 'participation_max = "0.1"'))
    day.quote()
    terms = OverrideTerms("CLIENT1", "AAPL", Side.BUY, 1_000_000, 10 * MINUTE)
    day.feed(ActionProposed(operator="ann", verb="override", target="CLIENT1", override=terms, is_enough=True))
    day.parent("P1", 1_000, max_pct_vol=500_000, ord_type=OrdType.LIMIT, price=200 * PX_ONE + 1)
    assert day.reports("P1")[-1].text.startswith("wrong_tick")
    day.now += 120 * SECOND
    day.parent("P2", 1_000, max_pct_vol=500_000)
    assert day.reports("P2")[-1].text.startswith("stale_reference")
    assert len(day.state.gate.overrides) == 1
    day.quote()
    day.parent("P3", 1_000, max_pct_vol=500_000)
    assert (day.reports("P3")[-1].ord_status.name, day.state.gate.overrides) == ("NEW", {})


# Limits and usage without an order.


def test_limits_are_those_of_the_layers_that_are_named():
    """None named: the firm's."""
    day = opened(FILE + DESK + CLIENT + SYMBOL)
    assert asked(day, "risk.limits")["layers"] == ["firm"]
    said = asked(day, "risk.limits", values={"client": "CLIENT1", "symbol": "AAPL", "algo": "VWAP"})
    assert said["layers"] == ["firm", "desk:cash", "client:CLIENT1", "symbol:AAPL"]
    assert rows_of(said, "collar") == [("0.04", "symbol:AAPL", "", "")]
    assert rows_of(said, "children_open_max")[-1] == ("4", "client:CLIENT1", "client:CLIENT1", "0")
    for values in ({"client": "CLIENT2"}, {"symbol": "NONE"}, {"algo": "EAT"}):
        assert refused(day, "risk.limits", values=values)[0] == "not_found"


def test_usage_is_by_scope_against_its_own_limits():
    """Sums as the gate sums; the share is that of the limit that is nearest."""
    day = opened(FILE + DESK + CLIENT + SYMBOL)
    child = day.resting()
    day.fill(child, 400)
    said = asked(day, "risk.usage")
    rows = {r["scope"]: r for r in said["usage"]}
    assert list(rows) == ["firm", "desk:cash", "client:CLIENT1", "symbol:AAPL", "algo:TWAP", "venue:XLIT1"]
    assert rows["desk:cash"] | {"scope": "", "share": "", "of_limit": ""} == rows["client:CLIENT1"] | {"scope": "", "share": "", "of_limit": ""}
    assert list(rows["client:CLIENT1"].values()) == [
        "client:CLIENT1", 1, "120000", "80000", "0", "200000", "200000", "120006", "", "0.25", "children_open_max",
    ]  # fmt: skip
    assert (rows["symbol:AAPL"]["position"], rows["symbol:AAPL"]["share"], rows["symbol:AAPL"]["of_limit"]) == ("400", "0.5", "position_max")
    alone = asked(day, "risk.usage", "symbol:AAPL")
    assert (alone["usage"], len(alone["limits"])) == ([rows["symbol:AAPL"]], 1)
    assert asked(day, "risk.usage", "algo:TWAP@AAPL")["usage"][0]["children_open"] == 1
    assert refused(day, "risk.usage", "symbol:NONE")[0] == "not_found"
