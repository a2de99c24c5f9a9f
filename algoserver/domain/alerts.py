"""Every alert that can be raised, once: how bad it is, who must look, what it means, what to do, and what ends it.

Rule 1: a code that is not here is not raised; a test reads the sources, and docs/alerts.md is made from this table.
Rule 2: an alert has an owner, a function of the desk and not a person. One that nobody needs to act on is INFO.
"""

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """CRITICAL: money or control is at risk now. WARNING: a person must look. INFO: to be known."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Owner(StrEnum):
    """The function of the desk that must look: of orders, of limits, of the running machine, of sessions and messages."""

    TRADER = "trader"
    RISK = "risk"
    OPERATOR = "operator"
    FIX_DESK = "fix_desk"


class Ending(StrEnum):
    """What ends an alert, besides the codes that name it in `ends`. NOTHING and RESUME are of what has happened, and an acknowledgement is the last
    word on it, whatever becomes of the order; the others are of what lasts."""

    NOTHING = ""
    ORDER = "the order is over"
    RESUME = "the order is resumed"
    PAUSE = "the order is resumed, or over"
    SESSION = "the session is up again"
    BELIEF = "an order looks again and believes the prices"
    DECISION = "another person has decided"
    ANSWER = "the next forecast of the symbol comes"
    COPY = "the other session tells the same"


class Kind(msgspec.Struct, frozen=True):
    """One code. ends: codes whose alerts on the same subject are over when this one is raised. ending: what else ends this one.

    is_last_word: a person has ended them: what comes again after that is another alert, and told at once however often that is.
    """

    code: str
    severity: Severity
    owner: Owner
    meaning: str
    to_do: str
    ending: Ending = Ending.NOTHING
    ends: tuple[str, ...] = ()
    is_last_word: bool = False


_C, _W, _I = Severity.CRITICAL, Severity.WARNING, Severity.INFO
_T, _R, _O, _F = Owner.TRADER, Owner.RISK, Owner.OPERATOR, Owner.FIX_DESK
_COMPARE = "compare executions with the venue, then resume or cancel the order"

KINDS = (
    # Stops, and what two persons decide.
    Kind("killed", _C, _R, "a person has stopped a scope; or `server`, because the disk is nearly full",
         "wait for kill_verified; release it when the cause is gone"),
    Kind("stopped_by_limit", _C, _R, "a limit has stopped a scope by itself", "find out why it was reached, then release it"),
    Kind("kill_verified", _I, _R, "no child is open in a stopped scope any more", "nothing"),
    Kind("released", _I, _R, "a stopped scope may trade again", "nothing", ends=("killed", "stopped_by_limit", "order_to_trade"), is_last_word=True),
    Kind("stopping", _I, _O, "the server takes its children back, because it was told to end", "nothing"),
    Kind("started", _I, _O, "the server has opened the gate that it shut when it ended", "nothing"),
    Kind("order_to_trade", _W, _R, "an algo or venue has too many messages for what trades; at twice that it stops", "look at its orders"),
    Kind("approval_wanted", _W, _R, "a person proposes what two must agree on", "approve or withdraw it within the hour", Ending.DECISION),
    Kind("approval_refused", _I, _R, "an approval came too late or from the wrong person", "propose it again"),
    Kind("withdrawn", _I, _R, "a proposal was withdrawn", "nothing"),
    Kind("policy_applied", _I, _R, "another policy is in force", "nothing"),
    Kind("policy_file_differs", _W, _R, "the policy's file is not the policy in force", "apply the file, or put the old one back"),
    Kind("policy_file_unusable", _W, _R, "the policy's file can't be used; the start kept the policy in force", "repair it, or apply another policy"),
    Kind("config_drifted", _W, _O, "a file of the configuration was changed on disk and is not in force", "apply it, or put the old one back"),
    Kind("manifest_not_enforced", _W, _O, "no manifest is enforced: a start takes whatever build, configuration and model are here",
         "have a manifest approved and name it in [manifest] file"),
    Kind("manifest_enforced", _I, _O, "a start takes only what was approved", "nothing", ends=("manifest_not_enforced",)),
    Kind("override", _I, _R, "one order of a client may pass some limits, for a while", "nothing"),
    Kind("disk_short", _C, _O, "the disk has less room than the journal must have", "make room before the server stops"),
    Kind("disk_enough", _I, _O, "the disk has room again", "nothing", ends=("disk_short",)),
    Kind("clock_behind", _C, _O, "the machine's clock has gone back, or stands; the time of the orders, ahead of it now, goes on by what passes",
         "set the clock right; until then EndTime and hours count by a time that is ahead: pause or cancel orders that it harms"),
    Kind("clock_caught_up", _I, _O, "the machine's clock is behind no longer", "nothing", ends=("clock_behind",)),
    Kind("clock_jumped", _W, _O, "the machine's clock went on by more than has passed: it was wrong before or is now, or the machine slept",
         "look which it is, and at orders that ended by it"),
    Kind("core_stopped", _C, _O, "the core can't go on; every open child was canceled past it", "read the log, then start the server again"),
    # Venues and markets.
    Kind("venue_down", _C, _O, "a venue's session broke; its open children are unknown", "call the venue if it stays down", Ending.SESSION),
    Kind("venue_awaited", _I, _O, "a venue's session is not up yet since the server started", "call the venue if it does not come", Ending.SESSION),
    Kind("venue_missing", _C, _O, "a venue's session has not come since the server started", "call the venue; nothing is sent there", Ending.SESSION),
    Kind("not_canceled", _W, _O, "a venue kept a child that it should cancel; it is taken back", "tell the venue: its cancel on disconnect fails"),
    Kind("halted", _W, _T, "a venue halts a symbol, or everything", "nothing: orders wait, go on elsewhere or end as their client asked"),
    Kind("halt_lifted", _I, _T, "a venue trades again", "nothing", ends=("halted",)),
    Kind("market_in_doubt", _W, _T, "a symbol's prices are old, crossed or far from its last trade", "look at its market data", Ending.BELIEF),
    Kind("session_reject", _C, _F, "a venue refused a message of ours as malformed (35=3)", "ask the venue which field, and tell us"),
    Kind("unreadable_message", _W, _F, "a venue's message could not be read", "show it to the venue"),
    Kind("unexpected_message", _W, _F, "a venue sent a message that has no meaning here", "show it to the venue"),
    # Orders at a venue that are not ours.
    Kind("foreign_order", _C, _O, "a venue has an order that we did not send; its symbol stops there", "adopt or cancel it (venue foreign)"),
    Kind("foreign_trade", _C, _R, "an order that we did not send has traded", "find out whose position it is"),
    Kind("foreign_cancel_refused", _W, _O, "a venue does not cancel an order that we did not send", "call the venue"),
    Kind("foreign_not_canceled", _W, _O, "an order that we did not send can't be canceled by message", "call the venue, or adopt it"),
    Kind("foreign_adopted", _I, _O, "a person says that a foreign order is known", "nothing", ends=("foreign_order", "foreign_cancel_refused")),
    Kind("foreign_settled", _I, _O, "a foreign order is over", "nothing", ends=("foreign_order", "foreign_cancel_refused")),
    # What venues say of our children, and the books can't let pass.
    Kind("overfill", _C, _R, "more was traded than ordered; the order is paused", _COMPARE, Ending.RESUME),
    Kind("late_fill", _C, _R, "a child traded after it was over; the order is paused", _COMPARE, Ending.RESUME),
    Kind("unequal_books", _C, _R, "a venue has done another quantity than our books have; the order is paused", _COMPARE, Ending.RESUME),
    Kind("not_over", _C, _R, "a child that was over is there after all; the order is paused", _COMPARE, Ending.RESUME),
    Kind("reused_exec_id", _C, _R, "two trades have one ExecID and one is not booked; the order is paused", _COMPARE, Ending.RESUME),
    Kind("unsolicited_increase", _C, _R, "a venue has raised a child's quantity; the order is paused", _COMPARE, Ending.RESUME),
    Kind("bust", _W, _R, "a venue took a trade back; the order is paused", "resume it to trade the quantity again", Ending.RESUME),
    Kind("correction", _W, _R, "a venue changed a trade; the order is paused", "compare it, then resume the order", Ending.RESUME),
    Kind("unknown_bust", _C, _R, "a venue takes back a trade that is not booked", "compare executions with the venue"),
    Kind("unknown_correction", _C, _R, "a venue corrects a trade that is not booked", "compare executions with the venue"),
    Kind("unknown_child", _W, _F, "a venue reports on an order that is not ours", "ask the venue whose order it is"),
    Kind("lost_child", _W, _O, "a venue had accepted a child and does not know it now", "call the venue; its quantity is sent again"),
    Kind("unsolicited_cancel", _W, _T, "a venue ended a child that nobody canceled", "nothing if it is rare: the quantity is sent again"),
    Kind("unsolicited_decrease", _W, _T, "a venue has cut a child's quantity", "nothing if it is rare: the rest is worked elsewhere"),
    # What a venue's drop copy says of our trades, and its order session does not; or the reverse.
    Kind("fill_not_heard", _C, _R, "a venue's drop copy has a trade that its order session has not; the order is paused", _COMPARE, Ending.COPY),
    Kind("fill_not_copied", _C, _R, "a trade that we have booked is not in the venue's drop copy", "compare executions with the venue", Ending.COPY),
    Kind("copy_differs", _C, _R, "a venue's drop copy has another price or quantity than we; the order is paused", _COMPARE),
    Kind("copy_given_up", _C, _R, "a venue's drop copy tells more trades that its order session has not than can be kept; the oldest wait no more",
         "compare the whole day with the venue: what its order session brings of them later is fill_not_copied"),
    Kind("copy_down", _W, _O, "a venue's drop copy is not there: its trades are not compared", "call the venue if it stays down", Ending.SESSION),
    # A client's order.
    Kind("refusals", _W, _T, "children were refused too often in a row; the order is paused", "read the last refusal, then resume", Ending.PAUSE),
    Kind("symbol_removed", _W, _O, "an order's symbol is not in the instruments any more; it is paused", "put it back, then resume", Ending.PAUSE),
    Kind("disconnected", _W, _F, "a client's session is gone and his order is paused", "call the client; resume when he is back", Ending.PAUSE),
    Kind("price_moved", _W, _T, "a price has moved too far since the order came; it is paused", "look at it, then resume", Ending.PAUSE),
    Kind("auction_missed", _W, _T, "a venue did not take an order for its opening auction", "nothing: the plan has the rest of the day"),
    Kind("not_sent", _W, _R, "more orders a second of the wall's clock than a venue may have; the rest stayed here", "find out what sends so fast"),
    Kind("forecast_late", _W, _O, "a forecast of the running day did not come; plans go on as they are", "look at the model", Ending.ANSWER),
    Kind("model_activated", _I, _O, "another model forecasts the volume", "nothing", ends=("model_refused", "model_unusable", "model_late")),
    Kind("model_refused", _W, _O, "a model that was to be swapped in does not load; the one before it stays", "read why; restore it, or train again"),
    Kind("model_unusable", _W, _O, "the volume model does not load, or failed: the median of the recorded days answers", "restore it, or swap it"),
    Kind("model_late", _W, _O, "the volume model did not answer in time: the median of the recorded days answers", "swap it if it goes on"),
    Kind("model_answers", _I, _O, "the volume model answers again", "nothing", ends=("model_unusable", "model_late")),
    Kind("can_not_complete", _W, _T, "the cap of the volume still expected is less than what is left", "raise MaxPctVol, or its end", Ending.ORDER),
    Kind("trade_disputed", _C, _F, "a client does not know an execution (35=Q)", "compare it with the client"),
    Kind("no_such_order", _I, _O, "a person named an order that is unknown", "name it by its OrderID"),
    Kind("amended", _I, _T, "a person has changed an order", "nothing"),
    Kind("amend_refused", _I, _T, "a person's change of an order was refused", "read why, and ask again"),
    Kind("amend_given_up", _W, _T, "a person's change of an order was not done in time", "look at the order, and ask again", Ending.ORDER),
)  # fmt: skip

# The gate's refusals of children, before each the word gate_. They are over with their order, but for those that should never be.
_WAITS = "nothing: the order waits for its next turn"
_OURS = "pause the order and tell us: an algo asked for what it must not"
_LIMIT = "look whether the limit or the order is wrong"
GATE = (
    Kind("message_rate", _I, _O, "more messages a second than a limit allows", _WAITS),
    Kind("no_reference", _I, _O, "no reference price is known", _WAITS),
    Kind("stale_reference", _I, _O, "the reference price is too old", _WAITS),
    Kind("traded_max", _I, _R, "our share of a symbol's volume would be too large", _WAITS),
    Kind("self_match", _I, _T, "it would meet a child of our own", _WAITS),
    Kind("killed", _W, _R, "its scope is stopped", "release the scope when the cause is gone"),
    Kind("venue_unusable", _W, _O, "its venue is down or not configured", "look at the venue's session"),
    Kind("venue_shut", _W, _O, "its venue takes nothing of its symbol now", "look at halts and foreign orders there"),
    Kind("no_policy", _C, _R, "no policy is loaded", "start the server with one"),
    Kind("no_parent", _C, _R, "it belongs to no admitted order", _OURS),
    Kind("duplicate_child", _C, _R, "it has left before", _OURS),
    Kind("not_the_parents", _C, _R, "its side or symbol is not its order's", _OURS),
    Kind("conservation", _C, _R, "filled, open and it are more than was ordered", _OURS),
    Kind("beyond_limit", _C, _R, "its price is beyond its order's limit", _OURS),
    Kind("no_limit_price", _C, _R, "nothing bounds what it pays", _OURS),
    Kind("wrong_lot", _W, _O, "its quantity is not in lots", "compare the instrument with the venue's"),
    Kind("wrong_tick", _W, _O, "its price is not in ticks", "compare the instrument with the venue's"),
    Kind("price_on_market", _C, _R, "a market order carries a price", _OURS),
    Kind("unknown_symbol", _W, _O, "its symbol is not in the instruments", "put the instrument back, or cancel the order"),
    Kind("venue_denied", _W, _R, "policy or profile do not open the venue to it", "look at both"),
    Kind("ord_type_denied", _W, _R, "the policy opens no order type to it", "look at the policy"),
    Kind("venues_denied", _W, _R, "the policy opens no venue to it", "look at the policy"),
    Kind("restricted", _W, _R, "its symbol is on a restricted list", "cancel the order"),
    Kind("inactive", _W, _R, "a part of the policy that it falls under is not active", "cancel the order, or change the policy"),
    Kind("symbol_denied", _W, _R, "the policy does not let it trade the symbol", "cancel the order, or change the policy"),
    Kind("algo_denied", _W, _R, "the policy does not let it use the algo", "cancel the order, or change the policy"),
    Kind("price_collar", _W, _R, "its price is too far from the reference", _LIMIT),
    Kind("child_qty_max", _W, _R, "its quantity is beyond the limit", _LIMIT),
    Kind("child_value_max", _W, _R, "its value is beyond the limit", _LIMIT),
    Kind("children_open_max", _W, _R, "too many children are open", _LIMIT),
    Kind("open_value_max", _W, _R, "the value of what is open is beyond the limit", _LIMIT),
    Kind("gross_value_max", _C, _R, "the gross value of the day is beyond the limit; its scope is stopped", _LIMIT),
    Kind("net_value_max", _C, _R, "the net value of the day is beyond the limit; its scope is stopped", _LIMIT),
    Kind("position_max", _W, _R, "the net position is beyond the limit", _LIMIT),
    Kind("message_count", _W, _R, "the day's messages to its venue are used up", _LIMIT),
    Kind("repeats_max", _C, _R, "its algo sends too many children in its symbol; both are stopped", "find out whether it runs away, then release it"),
)

ALERTS = {k.code: k for k in KINDS} | {
    f"gate_{k.code}": msgspec.structs.replace(
        k, code=f"gate_{k.code}", meaning=f"a child was refused: {k.meaning}", ending=Ending.NOTHING if k.severity is _C else Ending.ORDER
    )
    for k in GATE
}


def kind(code: str) -> Kind:
    """What is declared of a code. One that is not is a mistake of ours, and still somebody's to look at."""
    return ALERTS.get(code) or Kind(code, _W, _O, "undeclared", "tell us")


def lasts(of: Kind) -> bool:
    """Whether it is so until something ends it, and not something that has happened."""
    return of.ending not in (Ending.NOTHING, Ending.RESUME) or of.code in ENDED


ENDED = frozenset(code for k in ALERTS.values() for code in k.ends)


def is_told_only(of: Kind) -> bool:
    """Nobody must act and it does not last: it is over as soon as it is told."""
    return of.severity is Severity.INFO and not lasts(of)
