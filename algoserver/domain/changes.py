"""What changes from one policy to another, setting by setting, and which changes are raises.

Rule: a change is a raise if anything that was refused may pass by it, in doubt too. Raises need two persons, the rest one: the door says so to
who asks, and the core looks for itself.
"""

from typing import Any, NamedTuple

from algoserver.domain.limits import LIMITS, UNSET, Limit
from algoserver.domain.policy import RiskPolicy
from algoserver.domain.types import SECOND, ppm_text, px_text

FIRM = "firm"
# Ways to behave, each from the loosest to the tightest.
MODES = {"short_sale": ("allowed", "locate", "refused"), "on_disconnect": ("keep", "pause", "cancel"), "self_match": ("off", "firm")}
ALLOWED = {field: f"allow_{field}" for field in ("algos", "symbols", "venues", "venue_kinds", "ord_types")}


class Alone(NamedTuple):
    """A number that is the firm's alone: key in the file, field, how many of the field's units one of the file's is, what it means.

    kind: more, less: more of it, or less, lets more pass; any: either way something may pass that did not.
    """

    key: str
    field: str
    unit: int
    kind: str
    meaning: str


FIRM_ALONE = (
    Alone("duplicate_window_s", "duplicate_window_ns", SECOND, "less", "seconds in which a twin (symbol, side, quantity, price) is refused"),
    Alone("reference_age_s_max", "reference_age_ns_max", SECOND, "more", "seconds; an older reference price is none, and nothing new leaves"),
    Alone("venue_messages_per_second_max", "venue_messages_per_second_max", 1, "more", "orders and cancels a second and venue; cancels always pass"),
    Alone("venue_messages_per_day_max", "venue_messages_per_day_max", 1, "more", "the same a day"),
    Alone("confirm_window_s", "confirm_window_ns", SECOND, "more", "seconds to send an order again that parent_value_soft_max asked about"),
    # What a longer window forgets later, it also begins to count later; what is sold in it grows with what the market trades.
    Alone("repeats_window_s", "repeats_window_ns", SECOND, "any", "seconds that repeats_max counts over"),
    Alone("traded_window_s", "traded_window_ns", SECOND, "any", "seconds that traded_max looks back over"),
    Alone("order_to_trade_min", "order_to_trade_min", 1, "more", "orders and cancels of a day before order_to_trade_max is judged"),
)
# A fraction, and so none of those.
TRADED_FREE = Alone("traded_free", "traded_free_ppm", 1, "more", "fraction of the average daily volume that traded_max always leaves free")


class Change(NamedTuple):
    """One difference. where: firm, client:X and so on; key: the file's; old, new: as text, "" for none."""

    where: str
    key: str
    old: str
    new: str
    is_raise: bool


def diff(old: RiskPolicy, new: RiskPolicy) -> list[Change]:
    """What changes from one policy to another, the firm first."""
    before, after = _rows(old), _rows(new)
    changes = []
    for where, key in dict.fromkeys((*before, *after)):
        a, b = before.get((where, key), _NOTHING), after.get((where, key), _NOTHING)
        if a.value != b.value:
            changes.append(Change(where, key, a.text, b.text, _is_raise(a, b)))
    return changes


def value_text(limit: Limit, value: int) -> str:
    """A limit's value as the file has it; "" where it is not set."""
    if value == UNSET:
        return ""
    return {"value": px_text, "share": ppm_text}.get(limit.unit, str)(value)


class _Row(NamedTuple):
    """One setting: as text, as something to compare, and how.

    more: larger is looser; less: smaller is; allow, deny: sets; any: each change of what was there is; own: so is each value of its own
    but 0, for what is above may be tighter; name: none is.
    """

    text: str = ""
    value: Any = None
    kind: str = "any"


_NOTHING = _Row()


def _rows(policy: RiskPolicy) -> dict[tuple[str, str], _Row]:
    rows: dict[tuple[str, str], _Row] = {(FIRM, "name"): _Row(policy.name, policy.name, "name")}
    for alone in FIRM_ALONE:
        value = getattr(policy, alone.field) // alone.unit
        rows[FIRM, alone.key] = _Row(str(value), value, alone.kind)
    rows[FIRM, TRADED_FREE.key] = _Row(ppm_text(policy.traded_free_ppm), policy.traded_free_ppm, TRADED_FREE.kind)
    rows[FIRM, "self_match"] = _mode("self_match", policy.self_match)
    for where, limits, permits, clients in (
        (FIRM, policy, policy.permits, ()), *((x.scope, x.limits, x.permits, x.clients) for x in policy.layers)
    ):  # fmt: skip
        for limit in LIMITS:
            value = getattr(limits, limit.field)
            if value != UNSET:
                rows[where, limit.key] = _Row(value_text(limit, value), value, "more")
        for field, key in ALLOWED.items():
            if getattr(permits, field):
                rows[where, key] = _Row(", ".join(getattr(permits, field)), set(getattr(permits, field)), "allow")
        if permits.restricted:
            rows[where, "restricted"] = _Row(", ".join(permits.restricted), set(permits.restricted), "deny")
        for key in ("short_sale", "on_disconnect"):
            mode = getattr(permits, key) or (MODES[key][0] if where == FIRM else "")
            if mode:
                rows[where, key] = _mode(key, mode)
        if not permits.is_active:
            rows[where, "active"] = _Row("false", {1}, "deny")
        if clients:
            rows[where, "clients"] = _Row(", ".join(clients), set(clients))
    return rows


def _mode(key: str, mode: str) -> _Row:
    """Counted from the tightest, which is 0."""
    return _Row(mode, len(MODES[key]) - 1 - MODES[key].index(mode), "own" if key == "on_disconnect" else "more")


def _is_raise(a: _Row, b: _Row) -> bool:
    """Whether b may let pass what a refused. A limit that is taken away does; one that is new does not."""
    kind = a.kind if a.text else b.kind
    if kind == "name":
        return False
    if kind == "deny":
        return not (a.value or set()) <= (b.value or set())
    if not a.text:
        return kind == "own" and b.value > 0
    if not b.text or kind == "any":
        return True
    if kind == "allow":
        return not b.value <= a.value
    return bool(b.value < a.value if kind == "less" else b.value > a.value)
