"""The controls that a firm buys, once: what each does here, where, what it says, which tests hold it, and what of it is not built.

Numbers and names are those of SEC 15c3-5, MiFID II RTS 6 and the lessons of Knight Capital as the product lists them. docs/controls.md is
written from here (`algoserver controls`); limits come from domain/limits. The software supports a firm's controls; it does not make it compliant.

Rule: a code that a gate, a breaker or a stop says belongs to a control, and a test that is named exists. Both are tested.
"""

from typing import NamedTuple

LEVELS = {"O": "order", "A": "algo", "S": "symbol", "C": "client", "D": "desk", "V": "venue or session", "F": "firm"}


class Control(NamedTuple):
    """levels: letters of LEVELS. rooms: files under algoserver/. codes: of denials and alerts. missing: what is not built; "" if nothing is known."""

    number: int
    name: str
    levels: str
    does: str
    rooms: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    missing: str = ""


RISK, ADMISSION, STOPS, BREAKERS = "core/risk.py", "core/admission.py", "core/stops.py", "core/breakers.py"
ROGUE = "test_a_rogue_algos_wrong_child_never_reaches_the_venue"
KNIGHT = "test_knight_a_runaway_algo_on_150_symbols_is_stopped"
KNIGHT_WIRE = "test_knight_through_a_real_server_no_more_children_leave_than_the_policy_says"
HOSTILE_PERSON = "test_a_hostile_operator_gets_no_forbidden_order_out_and_every_try_is_audited"
MACHINE = "test_whatever_the_street_does_the_books_hold"

CONTROLS = (
    Control(
        1, "price collar", "OS", "Parents and children against the mid of others, or the last trade; without a fresh one nothing leaves. What we "
        "quote ourselves does not move it.", (RISK, ADMISSION, "core/market.py"),
        ("price_collar", "no_reference", "stale_reference", "beyond_limit", "no_limit_price"),
        ("test_control_1_our_own_quotes_do_not_move_the_reference", "test_control_1_the_reference_can_not_be_walked_step_by_step",
         "test_control_1_the_collar_holds_at_equality_for_parents_and_children", "test_control_1_no_reference_price_lets_nothing_out", ROGUE),
        "What is behind our own quote at a venue is not known: what others showed there last counts, while it is behind ours.",
    ),
    Control(
        2, "order value", "OCF", "Parents at their limit or the market, children at their limit; a sale below the market at the market.",
        (ADMISSION, RISK), ("parent_value_max", "child_value_max"),
        ("test_control_2_the_value_of_a_child_has_a_cap_of_its_own", "test_control_2_a_sale_below_the_market_is_worth_the_market", ROGUE),
    ),
    Control(
        3, "order volume", "OSC", "Parents and children in quantity, parents as a share of the average day.", (ADMISSION, RISK),
        ("parent_qty_max", "parent_adv_max", "child_qty_max"),
        ("test_control_3_the_volume_of_a_parent_is_capped", "test_control_3_the_volume_of_a_child_is_capped", ROGUE),
    ),
    Control(
        4, "messages", "VAF", "Token buckets in market time: requests of a session, children of a layer, messages of a venue a second and a day. "
        "One in wall time for the children to each venue, whatever the core says (orders_per_second_max of [shell]).",
        ("core/rates.py", RISK, ADMISSION, "dispatch.py"), ("message_rate", "message_count", "not_sent"),
        (
            "test_control_4_cancels_use_the_rate_and_are_never_refused", "test_control_4_replaces_that_change_nothing_use_the_rate",
            "test_control_4_orders_have_a_rate_by_the_walls_clock_that_cancels_never_ask",
            "test_control_4_the_wall_clock_bounds_what_the_core_lets_out",
        ),
    ),
    Control(
        5, "in-flight counts", "OASCDVF", "A child counts from the moment it leaves; an order what it may still become.",
        ("core/exposure.py",), (),
        ("test_control_5_what_is_on_its_way_counts_as_arrived", "test_control_18_what_is_on_its_way_counts_as_traded", MACHINE),
    ),
    Control(
        6, "repeated execution", "AS", "So many children of an algo in a symbol in repeats_window_s; then both stop until a person releases them. "
        "The window slides.", (RISK, "core/rates.py", STOPS), ("repeats_max",),
        ("test_control_6_no_window_has_more_wherever_it_begins", KNIGHT, KNIGHT_WIRE,
         "test_repeats_stop_the_algo_in_the_symbol_and_a_release_counts_anew",
         "test_control_6_an_algo_that_repeats_itself_is_off_until_it_is_released"),
    ),
    Control(
        7, "credit and capital", "CF", "Gross and net value of each layer, traded today and open; at it the layer stops by itself. An order that "
        "would reach it with all that works is refused.", (RISK, ADMISSION, STOPS), ("gross_value_max", "net_value_max"),
        (KNIGHT, KNIGHT_WIRE, "test_a_bust_of_yesterday_makes_no_room_today", "test_a_crash_in_the_middle_of_a_limit_does_not_loosen_it", MACHINE),
        "Values are in the instrument's currency: there is no exchange rate.",
    ),
    Control(
        8, "exposure", "CSDF", "What is open, bought and sold, by client, symbol, desk, algo, venue and firm, in the gate's own books.",
        ("core/exposure.py",), (), ("test_control_16_the_gates_books_hold_on_every_prefix", MACHINE),
    ),
    Control(
        9, "permission", "DC", "Algos, symbols, venues, kinds of venues and order types that a layer allows; a layer may be switched off.",
        ("core/bounds.py", ADMISSION, RISK, "core/planning.py"),
        ("algo_denied", "symbol_denied", "inactive", "venues_denied", "venue_denied", "ord_type_denied"),
        (ROGUE, "test_only_agreed_strategies_are_accepted"),
    ),
    Control(
        10, "override", "O", "One order of a client past a limit, up to a quantity, for a while, by two persons. What is no limit is not let pass.",
        ("core/proposals.py", ADMISSION), ("override", "approval_wanted", "approval_refused", "withdrawn"),
        (HOSTILE_PERSON, "test_control_10_one_override_lets_one_order_pass", "test_control_10_an_override_of_a_limit_lets_nothing_else_pass",
         "test_control_10_an_override_lapses", MACHINE),
    ),
    Control(
        11, "hard and soft blocks", "O", "Above the soft limit an order, or a replace that grows one, must be sent twice.", (ADMISSION,),
        ("parent_value_soft_max",), ("test_control_11_a_replace_does_not_slip_past_the_soft_block",),
        "Of one limit only: the value of an order.",
    ),
    Control(
        12, "duplicate orders", "OC", "ClOrdID for good; symbol, side, quantity and price within duplicate_window_s; a child's id once.",
        (ADMISSION, RISK, "core/requests.py"), ("duplicate_order", "duplicate_child"),
        ("test_control_12_a_twin_within_the_window_is_a_duplicate", "test_control_12_a_child_id_leaves_once"),
    ),
    Control(
        13, "symbol, tick, lot", "OS", "Unknown or removed symbols, wrong steps.", (RISK, "core/planning.py"),
        ("unknown_symbol", "wrong_lot", "wrong_tick", "price_on_market"),
        ("test_control_13_a_price_is_a_positive_multiple_of_the_tick", "test_control_13_a_quantity_is_a_multiple_of_the_lot", ROGUE),
    ),
    Control(
        14, "restricted list, short sale, halts", "CS", "Lists by layer; a short sale allowed, located (114=N), or refused; nothing into a halt.",
        ("core/bounds.py", ADMISSION, "core/halts.py"), ("restricted", "short_sale_denied", "no_locate", "venue_shut"),
        ("test_control_14_a_located_short_sale_may_be_amended_but_not_grow", "test_control_17_each_layer_counts_its_own"),
        "The client's word that a stock is located is believed; there is no locate inventory.",
    ),
    Control(
        15, "parent and child", "O", "Filled, open and new children stay within the order, on its symbol, side and limit; no child outlives it.",
        (RISK, "core/working.py"), ("conservation", "not_the_parents", "no_parent"),
        ("test_control_15_a_rogue_algo_gets_no_more_out_than_was_ordered", KNIGHT, KNIGHT_WIRE, MACHINE),
    ),
    Control(
        16, "independent gate", "F", "The last check after all algos; its books believe none. Without a policy nothing leaves.", (RISK,),
        ("no_policy", "venue_unusable"), (ROGUE, "test_control_16_without_policy_nothing_leaves", "test_a_mad_child_never_leaves"),
    ),
    Control(
        17, "open orders", "SCF", "Open children and their value by layer.", (RISK,), ("children_open_max", "open_value_max"),
        ("test_control_17_each_layer_counts_its_own", MACHINE),
    ),
    Control(
        18, "participation", "OS", "The largest share that may be asked for; the order's own cap over sliding windows; all orders' share of a "
        "symbol's volume in traded_window_s, with what is shown.", (ADMISSION, RISK, "core/algos/schedule.py"), ("participation_max", "traded_max"),
        ("test_control_18_what_is_on_its_way_counts_as_traded", "test_a_bust_makes_no_room_in_the_running_share_of_the_volume", MACHINE),
        "Immediate orders and what rests in the dark are not asked for traded_max.",
    ),
    Control(
        19, "positions", "S", "Net long and short of a symbol, with what is open, since the journal began.", (RISK,), ("position_max",), (MACHINE,),
        "Positions from before the journal are not loaded; there is none by client.",
    ),
    Control(
        20, "self-match", "SF", "No child meets a resting child of ours at its venue.", (RISK, "core/exposure.py"), ("self_match",),
        ("test_control_20_a_child_never_meets_another_of_ours", MACHINE), "Not within a call auction; not across venues that share a book.",
    ),
    Control(
        21, "reject loop", "AV", "Refusals in a row, by gate or venue, stop an algo or a venue; five pause an order.",
        (BREAKERS, "core/executions.py"),
        ("rejects_max", "refusals"), ("test_rejects_in_a_row_stop_algo_and_venue_and_a_release_counts_anew",
                                      "test_control_21_a_venue_that_refuses_everything_is_stopped", KNIGHT),
    ),
    Control(
        22, "order-to-trade", "AV", "Orders and cancels for each fill of the day: an alert at the limit, a stop at twice.", (BREAKERS,),
        ("order_to_trade", "order_to_trade_max"), ("test_the_message_that_trips_a_breaker_is_the_last_that_leaves", MACHINE),
    ),
    Control(
        23, "price move", "O", "A working order is paused when the mid is too far from its arrival, or from its last resume, to either side.",
        ("core/watch.py",), ("price_moved",),
        ("test_control_23_a_price_that_moves_beyond_the_bound_pauses_the_order", "test_control_23_after_a_resume_the_bound_counts_from_there",
         "test_control_23_a_price_that_is_not_believed_pauses_nothing"),
    ),
    Control(
        24, "market data", "S", "Stale, crossed or far from the last trade: nothing new leaves, what rests stays. An empty book is no price.",
        ("core/watch.py", "core/market.py"), ("market_in_doubt",),
        ("test_a_suspicious_market_freezes_what_is_new_and_keeps_what_rests",
         "test_control_24_a_market_of_zeros_and_one_that_is_stale_let_nothing_out"),
    ),
    Control(
        25, "kill", "OASCDVF", "A scope's gate is shut, its children taken back, and it is said when each venue has let each go. By one person; the "
        "release by two. A stop outlives restarts.", (STOPS, "core/operator.py", "core/proposals.py", "server.py"),
        ("killed", "stopped_by_limit", "kill_verified", "released"),
        ("test_control_25_a_scoped_kill_takes_back_its_scope_and_shuts_it", HOSTILE_PERSON,
         "test_a_release_that_is_approved_while_the_server_stops_opens_nothing_until_the_next_start",
         "test_an_approval_is_of_the_stop_that_the_first_person_saw",
         "test_a_limit_that_is_reached_in_one_orders_turn_stops_every_other_order_in_the_same_step", MACHINE),
        "Zero is what venues said of our children; a venue is not asked for all that is open there.",
    ),
    Control(
        26, "attribution", "O", "Each D carries its order in ClOrdLinkID (583), and client (452=3), algo with the model of its curve (12) and desk "
        "(36); the journal has them.", ("core/working.py", "fix/venue_codec.py"), (),
        ("test_control_26_a_child_is_its_owners_whatever_the_algo_says", "test_control_26_a_child_says_whose_it_is"),
    ),
    Control(
        27, "reducing", "F", "Cancels pass every gate; less at the same price always may.", ("core/working.py", ADMISSION), (),
        ("test_control_4_cancels_use_the_rate_and_are_never_refused", "test_a_killed_firm_orders_nothing_and_leaves_nothing_resting"),
    ),
    Control(
        28, "cancel on disconnect", "V", "A client who is gone leaves his orders at work, paused or canceled (on_disconnect of his layer of the "
        "policy); so does one who has not come a minute after a start. Children of a venue that is gone count as open until it has told; then, by "
        "on_disconnect of the venue, they go on, are taken back, or should have been canceled by the venue, and one that was not is an alert.",
        ("core/links.py", "core/executions.py"), ("disconnected", "venue_down", "venue_missing", "not_canceled"),
        ("test_control_28_our_session_at_a_venue_breaks_and_each_venue_does_what_is_agreed",
         "test_control_28_a_client_breaks_and_his_orders_end_pause_or_go_on_as_his_layer_says",
         "test_control_28_what_survives_its_venues_session_is_dealt_with_as_agreed",
         "test_control_28_a_client_who_does_not_come_back_after_a_restart_is_gone", MACHINE),
        "A venue is not asked for it in the Logon: that is agreed with each.",
    ),
    Control(
        29, "alerts", "F", "Each has a code, a severity, an owner and an end; it is in the book, the log, at a webhook and in the metrics. What is "
        "open is told again by a start. How long that takes under twice the peak load: tools/bench_alert.py.",
        ("domain/alerts.py", "core/alerts.py", "dispatch.py", "webhook.py", "metrics.py"), (),
        ("test_an_alert_reaches_log_webhook_and_metrics_and_outlives_the_process", "test_every_alert_that_a_source_raises_is_declared_and_no_other"),
    ),
    Control(
        30, "reconciliation", "FV", "A child's status at its venue against our books after each break; orders that are not ours stop their symbol. "
        "Where a venue has a drop copy (drop_copy), each trade, bust and correction must be told by it and by the order session: what one of them "
        "has not after copy_tolerance_ms, or has otherwise, is an alert and pauses its order; `algoctl risk reconcile` shows the exposure by both.",
        ("core/reconcile.py", "core/executions.py", "core/foreign.py", "core/links.py", "copy_desk.py"),
        ("fill_not_heard", "fill_not_copied", "copy_differs", "copy_given_up", "copy_down"),
        ("test_control_30_a_fill_that_is_lost_on_the_order_session_is_found_by_the_venues_drop_copy",
         "test_control_30_what_a_copy_told_before_a_kill_9_is_not_lost_and_not_told_twice",
         "test_control_30_a_fill_that_only_the_copy_knows_pauses_its_order_and_is_an_alert",
         "test_an_order_that_we_did_not_send_stops_its_venue_until_it_is_canceled",
         "test_a_foreign_order_stops_its_symbol_at_its_venue_and_no_more"),
        "A drop copy books nothing: a fill that it alone has is no position of ours until a person or the order session says so.",
    ),
    Control(
        31, "access and audit", "F", "Persons by Unix user or token, with roles; each command has a line in a chained file, on disk before its "
        "answer; a tail that is cut off is found, by the journal and by a head that may be kept elsewhere.",
        ("operators.py", "porter.py", "audit.py", "approvals.py"), (),
        (HOSTILE_PERSON, "test_each_verb_is_for_its_roles_and_nobody_else", "test_one_flipped_byte_anywhere_is_found_and_its_line_named",
         "test_refusals_that_are_cut_off_between_two_runs_are_found_and_never_forgotten",
         "test_a_release_needs_two_persons_and_a_kill_one", "test_an_override_lets_exactly_one_order_pass_and_expires"),
        "As shipped nobody is named: the server's own user may do everything alone.",
    ),
    Control(
        32, "change control", "AF", "A changed policy file is a wish until applied; a raise needs two persons, and of what was in force when it "
        "was proposed. A start keeps what was applied, and is refused where build, configuration or model are not what a manifest approved. Another "
        "volume model needs two persons too; one whose bytes are not those that they decided on is refused, and the old one stays.",
        ("core/proposals.py", "core/models.py", "domain/changes.py", "policies.py", "policy_desk.py", "model_desk.py", "manifest.py"),
        ("policy_applied", "policy_file_differs", "config_drifted", "model_activated", "model_refused"),
        (HOSTILE_PERSON, "test_no_single_word_opens_anything_whatever_the_door_has_let_in",
         "test_an_approval_of_a_policy_does_not_undo_one_that_was_applied_since", "test_nobody_approves_his_own_proposal_and_nothing_is_done_by_it",
         "test_a_manifest_holds_until_anything_that_decides_is_changed", "test_a_model_owner_proposes_and_another_person_approves",
         "test_kill_9_in_the_midst_of_a_swap_and_then_a_damaged_model"),
    ),
    Control(
        33, "stress", "F", "tools/bench_stress.py sends twice a stated peak (by default what the policy lets happen in a second) from clients and "
        "venues at once, with the limits on, and compares what was sent with what arrived, and the books of all sides; times, memory and queues are "
        "measured.",
        ("drills/report.py", "server.py"), (),
        ("test_control_33_at_twice_the_peak_nothing_is_lost_and_the_books_agree",
         "test_a_batch_that_takes_too_long_is_cut_and_its_rest_is_the_next_one"),
        "The peak is stated, not taken from six months of a firm's own flow. Two shared cores hold a quarter of the policy's rates, twice, "
        "within the times, and not all of them: docs/drills.md.",
    ),
    Control(
        34, "surveillance, continuity, self-assessment", "F", "Journal and audit as tidy tables for a surveillance system, with ids that stay "
        "and whose each row is (`algoserver export`). Five drills break a street of their own and report what held. One document says which controls "
        "have code, and which of their tests and drills were run on this build (`algoserver evidence`). A disk that is nearly full kills the firm.",
        ("export/columns.py", "export/rows.py", "export/files.py", "evidence.py", "drills/faults.py", "health.py"),
        (),
        ("test_counts_and_quantities_are_the_journals_and_every_row_is_somebodys",
         "test_commands_have_who_why_and_the_policy_that_was_in_force", "test_a_drill_passes",
         "test_all_that_was_run_and_held_is_said_and_one_failure_is_not_hidden",
         "test_a_disk_that_is_nearly_full_kills_the_firm_while_that_can_still_be_written"),
        "Surveillance itself: nothing looks for abuse in what is exported. There is no second site.",
    ),
)  # fmt: skip
