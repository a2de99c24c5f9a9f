"""Every limit that a policy can set, once: its key in the file, its unit, the layers that may set it, what it means.

The policy's file, its checks, its differences, `algoctl policy explain` and docs/controls.md are read from here.

Rule 1: a limit holds at equality; 0 lets nothing pass; a layer that says nothing leaves it to the layers above.
Rule 2: smaller is tighter, for every limit. What has no tighter side (windows, modes) is the firm's alone, in RiskPolicy.
"""

from typing import NamedTuple

import msgspec

UNSET = -1  # of a limit: this layer says nothing
LAYERS = ("firm", "desk", "client", "symbol", "algo", "venue")
ORDER_LAYERS = ("firm", "desk", "client", "symbol", "algo")  # a client's order stands under these


class Limits(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One layer's limits. Quantities are whole shares or coins, values price units of money (1e-8), shares ppm."""

    parent_qty_max: int = UNSET
    parent_value_max: int = UNSET
    parent_value_soft_max: int = UNSET
    parent_adv_ppm_max: int = UNSET
    parents_per_second_max: int = UNSET
    participation_ppm_max: int = UNSET
    child_qty_max: int = UNSET
    child_value_max: int = UNSET
    collar_ppm: int = UNSET
    collar_ticks: int = UNSET
    price_move_ppm_max: int = UNSET
    traded_ppm_max: int = UNSET
    children_open_max: int = UNSET
    children_per_second_max: int = UNSET
    open_value_max: int = UNSET
    gross_value_max: int = UNSET
    net_value_max: int = UNSET
    position_max: int = UNSET
    repeats_max: int = UNSET
    rejects_max: int = UNSET
    order_to_trade_max: int = UNSET


class Limit(NamedTuple):
    """field of Limits, key in the policy's file, unit (qty, value, share, count), layers that may set it, control of docs/controls.md.

    is_summed: each layer that sets it counts by itself (what a client has, what the firm has); else the tightest layer holds for each order.
    """

    field: str
    key: str
    unit: str
    layers: tuple[str, ...]
    control: int
    meaning: str
    is_summed: bool = False


_ALGO_VENUE = ("firm", "algo", "venue")
LIMITS = (
    Limit("parent_qty_max", "parent_qty_max", "qty", ORDER_LAYERS, 3, "of one client order"),
    Limit("parent_value_max", "parent_value_max", "value", ORDER_LAYERS, 2, "of one client order, at its limit or the market"),
    Limit("parent_value_soft_max", "parent_value_soft_max", "value", ORDER_LAYERS, 11, "the same; above it the order must be sent twice"),
    Limit("parent_adv_ppm_max", "parent_adv_max", "share", ORDER_LAYERS, 3, "of the average daily volume, of one client order"),
    Limit("parents_per_second_max", "parents_per_second_max", "count", ("firm", "desk", "client"), 4, "new and amended orders of a session"),
    Limit("participation_ppm_max", "participation_max", "share", ORDER_LAYERS, 18, "largest MaxPctVol or TargetPctVol that an order may ask for"),
    Limit("child_qty_max", "child_qty_max", "qty", ORDER_LAYERS, 3, "of one child"),
    Limit("child_value_max", "child_value_max", "value", ORDER_LAYERS, 2, "of one child"),
    Limit("collar_ppm", "collar", "share", ORDER_LAYERS, 1, "how far beyond the reference; the wider of collar and collar_ticks holds"),
    Limit("collar_ticks", "collar_ticks", "count", ORDER_LAYERS, 1, "the same in ticks"),
    Limit("price_move_ppm_max", "price_move_max", "share", ORDER_LAYERS, 23, "of the price since arrival; beyond it the order is paused"),
    Limit("traded_ppm_max", "traded_max", "share", ("firm", "symbol"), 18, "of a symbol's volume in traded_window_s, all our orders together"),
    Limit("children_open_max", "children_open_max", "count", ORDER_LAYERS, 17, "that may trade at the same time", True),
    Limit("children_per_second_max", "children_per_second_max", "count", ORDER_LAYERS, 4, "new children a second", True),
    Limit("open_value_max", "open_value_max", "value", ORDER_LAYERS, 17, "of all children that may trade", True),
    Limit("gross_value_max", "gross_value_max", "value", ORDER_LAYERS, 7, "bought and sold today and open; at it the layer stops", True),
    Limit("net_value_max", "net_value_max", "value", ORDER_LAYERS, 7, "bought less sold today or the reverse, and open; at it the layer stops", True),
    Limit("position_max", "position_max", "qty", ("symbol",), 19, "net long or short, with what is open", True),
    Limit("repeats_max", "repeats_max", "count", ("firm", "symbol", "algo"), 6, "an algo's children in a symbol in repeats_window_s; then both stop"),
    Limit("rejects_max", "rejects_max", "count", _ALGO_VENUE, 21, "refusals in a row of an algo's children or by a venue; then it stops"),
    Limit("order_to_trade_max", "order_to_trade_max", "count", _ALGO_VENUE, 22, "orders and cancels for each fill; alert there, stop at twice"),
)
BY_FIELD = {limit.field: limit for limit in LIMITS}
SUMMED = tuple(limit.field for limit in LIMITS if limit.is_summed)
