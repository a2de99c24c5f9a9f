"""The tables of docs/policy.md: every key of the policy's file, as domain/limits and policies declare it.

A table stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->`, as in the rules of engagement.
"""

from collections.abc import Callable

from algoserver.domain.changes import ALLOWED, FIRM_ALONE, MODES, TRADED_FREE
from algoserver.domain.limits import LAYERS, LIMITS
from algoserver.policies import KNOWN, NOT_A_VENUES, REQUIRED
from algoserver.rules import table

# What a person writes, for each unit of domain/limits.
UNITS = {"qty": "shares or coins", "value": "money", "share": 'fraction, as text: "0.05"', "count": "number"}
WORDS = {
    "algos": "strategies", "symbols": "symbols", "venues": "venues", "venue_kinds": "kinds of venues", "ord_types": "types (40) of clients' orders",
}  # fmt: skip
MODES_MEAN = {
    "short_sale": "sales short (54=5); locate: only with LocateReqd (114) N, the client has located the stock",
    "on_disconnect": "what becomes of a client's orders when his session goes; here the nearest layer's word holds, not the tightest",
    "self_match": "firm: a child never meets another of ours in a book",
}


def limits() -> str:
    """Each limit: its unit, who may set it, whether each layer counts by itself."""
    rows = [
        (
            f"`{limit.key}`",
            UNITS[limit.unit],
            ", ".join(kind for kind in LAYERS if kind in limit.layers),
            "must" if limit.key in REQUIRED else "may",
            "each layer its own" if limit.is_summed else "-",
            limit.meaning,
        )
        for limit in LIMITS
    ]
    return table(("key", "unit", "may be set for", "the firm", "counted by", "meaning"), rows)


def alone() -> str:
    """Numbers that have no tighter side for a part of the firm, or that belong to nobody's part."""
    changed = {"more": "more of it", "less": "less of it", "any": "any other value"}
    rows = [(f"`{a.key}`", changed[a.kind], a.meaning) for a in FIRM_ALONE]
    rows += [(f"`{TRADED_FREE.key}`", "more of it", TRADED_FREE.meaning)]
    rows += [("`self_match`", MODES["self_match"][0], f"{' or '.join(MODES['self_match'])}; {MODES_MEAN['self_match']}")]
    return table(("key", "a raise is", "meaning"), rows)


def permits() -> str:
    """What a layer lets happen at all."""
    rows = []
    for field, key in ALLOWED.items():
        known = f": {', '.join(KNOWN[field])}" if field in KNOWN else ""
        rows.append((f"`{key}`", _of_a_venue(key), f"list of {WORDS[field]}{known}; none named: all that the layers above allow"))
    rows.append(("`restricted`", _of_a_venue("restricted"), "list of symbols that must not be traded"))
    rows += [(f"`{key}`", _of_a_venue(key), f"{', '.join(MODES[key])}: {MODES_MEAN[key]}") for key in ("short_sale", "on_disconnect")]
    rows.append(("`active`", _of_a_venue("active"), "false: nothing new of this layer, or to this venue, at all"))
    return table(("key", "for venues too", "meaning"), rows)


def _of_a_venue(key: str) -> str:
    return "no" if key in NOT_A_VENUES else "yes"


TABLES: dict[str, Callable[[], str]] = {"limits": limits, "alone": alone, "permits": permits}
