"""The rules of a parent's life, and what broke in others: each has its test by name, and the name is there."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
NAMES = {name for path in TESTS.rglob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)}

RULES = {
    "amend: what may change, and what is left out stays": "test_what_a_replace_leaves_out_stays test_what_may_not_change_is_named",
    "amend: start can't move once started": "test_a_start_that_has_come_stays_and_one_that_has_not_may_move",
    "amend: the plan is made anew from now": "test_an_amended_schedule_begins_anew_with_what_is_left",
    "amend: the arrival benchmark stays, a last-amend benchmark is added": "test_an_amended_order_has_a_new_id_and_a_new_plan_in_a_sentence",
    "amend: Pending Replace at once, Replaced when children fit": "test_children_that_do_not_fit_go_first",
    "cancel: children first, late fills reported, Canceled when all are over": "test_a_fill_that_crosses_the_cancel_of_a_parent_answers_it_too_late",
    "cancel: 102=0 too late, 3 already pending": "test_a_cancel_is_refused_for_each_reason_by_its_number",
    "mass cancel by security and all": "test_all_of_a_clients_orders_and_nobody_elses test_by_security_and_by_side",
    "status is always answered": "test_status_says_why_an_order_does_not_trade test_mass_status_is_a_report_for_each_working_order",
    "limit away from the market: no unbounded debt": "test_a_limit_away_from_the_market_is_kept_and_catch_up_decides",
    "behind schedule: catch up within bounds": "test_catch_up_is_bounded_by_a_factor_of_the_slice",
    "behind schedule: alert when it can't complete": "test_an_order_that_can_not_complete_says_so_once_and_before_its_end",
    "venue down: its children are unknown and not re-routed": (
        "test_a_lost_session_leaves_children_unknown_and_their_quantity_is_not_routed_elsewhere"
    ),
    "stale or suspicious data: freeze, keep limits, alert": "test_a_suspicious_market_freezes_what_is_new_and_keeps_what_rests",
    "end time: the parameter decides": (
        "test_completion_cancel_ends_with_the_window test_completion_soft_goes_on_without_giving_up_price "
        "test_completion_hard_crosses_the_spread_to_finish test_the_close_ends_an_order_that_would_go_on"
    ),
    "bust, correction: recalculated, not traded again by itself": (
        "test_a_bust_opens_again_what_it_took_back test_a_bust_of_a_filled_child_asks_its_venue_whether_it_lives"
    ),
    "late fill, overfill: booked, reported, paused, alert": (
        "test_a_fill_of_a_parent_that_is_over_is_booked_and_pauses_it test_an_overfill_is_booked_and_reported_and_pauses_the_parent"
    ),
    "lots and ticks: one rounding with an odd tail": "test_only_the_very_last_quantity_may_be_an_odd_lot",
    "restart: replay, status sweep, then trade": "test_after_a_restart_a_parent_trades_only_when_its_children_are_known",
}
BROKE_IN_OTHERS = {
    "partial fills ignored in sizing": "test_partial_fills_count_in_sizing",
    "child left alive after end time": "test_no_child_is_alive_after_the_end_of_its_parent",
    "restart loses or double-counts a fill": "test_a_restart_neither_loses_nor_double_counts_a_fill",
    "ResetOnLogon deletes the evidence": "test_no_session_with_orders_resets_its_numbers_by_itself",
    "two order namespaces after reconnect": "test_a_reconnect_does_not_make_a_second_order",
    "kill switch that goes on ordering or leaves orders resting": "test_a_killed_firm_orders_nothing_and_leaves_nothing_resting",
    "pause missing beside stop": "test_a_paused_parent_takes_back_and_sends_nothing_until_it_is_resumed",
    "quantity meant per slice or in total": "test_quantity_is_the_total_and_not_per_slice",
    "odd lots rejected": "test_an_odd_lot_is_done_to_the_last_share",
    "a stale event published after a refused transition": "test_a_stale_event_after_the_end_says_nothing",
    "simulated liquidity filled twice": "test_two_orders_are_never_filled_from_the_same_liquidity",
}


@pytest.mark.parametrize("rule", {**RULES, **BROKE_IN_OTHERS})
def test_every_rule_has_its_test(rule):
    """A test that is renamed or lost is missed here."""
    assert set({**RULES, **BROKE_IN_OTHERS}[rule].split()) <= NAMES


@pytest.mark.parametrize("path", sorted((TESTS.parent / "sessions").glob("*.cfg")), ids=lambda p: p.name)
def test_no_session_with_orders_resets_its_numbers_by_itself(path):
    """A reset deletes what a peer has not seen yet. Market data alone begins anew: old quotes are worth nothing."""
    sections = re.split(r"^\[", path.read_text(), flags=re.MULTILINE)[1:]
    default = next(s for s in sections if s.startswith("DEFAULT"))
    for section in (s for s in sections if s.startswith("SESSION") and "ALGOMD" not in s):
        for name in ("ResetOnLogon", "ResetOnLogout", "ResetOnDisconnect"):
            stated = re.findall(rf"^{name}=(\w)$", section, re.MULTILINE) or re.findall(rf"^{name}=(\w)$", default, re.MULTILINE)
            assert stated == ["N"], (section.splitlines()[:3], name)
