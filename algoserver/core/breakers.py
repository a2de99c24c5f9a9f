"""What traffic says of an algo or a venue: refusals in a row, and too many messages for what trades. Either stops by itself.

Rule: one that only counts costs nobody anything; one that acts names its scope, and a person releases it.
"""

from algoserver.core import stops
from algoserver.core.bounds import MEMO_MAX
from algoserver.core.reports import alert
from algoserver.core.risk import Traffic
from algoserver.core.state import State
from algoserver.domain.commands import Command
from algoserver.domain.limits import UNSET
from algoserver.domain.policy import RiskPolicy


def on_message(state: State, algo: str, venue: str, out: list[Command]) -> None:
    """An order or a cancel leaves."""
    policy = state.setup.policy if state.setup else None
    for scope in (algo, f"venue:{venue}"):
        seen = _traffic(state, scope)
        seen.messages += 1
        if policy is not None and seen.messages > policy.order_to_trade_min:
            _judge(state, policy, scope, seen, out)


def on_fill(state: State, algo: str, venue: str) -> None:
    """A child traded."""
    for scope in (algo, f"venue:{venue}"):
        seen = _traffic(state, scope)
        seen.fills += 1
        seen.refused = 0


def on_accepted(state: State, algo: str, venue: str) -> None:
    """A venue took a child."""
    for scope in (algo, f"venue:{venue}"):
        seen = state.gate.traffic.get(scope)
        if seen is not None and seen.refused:
            seen.refused = 0


def on_refused(state: State, scopes: tuple[str, ...], text: str, out: list[Command]) -> None:
    """The gate (of an algo) or a venue (of both) refused a child."""
    policy = state.setup.policy if state.setup else None
    for scope in scopes:
        seen = _traffic(state, scope)
        seen.refused += 1
        most = _limit(policy, scope, "rejects_max") if policy else UNSET
        if most != UNSET and seen.refused >= most:
            stops.stop(state, scope, "rejects_max", f"{seen.refused} refusals in a row, the last: {text}", out, is_automatic=True)


def _judge(state: State, policy: RiskPolicy, scope: str, seen: Traffic, out: list[Command]) -> None:
    most = _limit(policy, scope, "order_to_trade_max")
    if most == UNSET or seen.messages <= most * max(1, seen.fills):
        return
    text = f"{seen.messages} orders and cancels for {seen.fills} fills today, order_to_trade_max is {most}"
    if seen.messages > 2 * most * max(1, seen.fills):
        stops.stop(state, scope, "order_to_trade_max", text, out, is_automatic=True)
    elif not seen.is_told:
        seen.is_told = True
        alert(out, "order_to_trade", scope, f"{text}; at twice that it is stopped")


# A function of its arguments, remembered, as core/bounds remembers its own: every message asks.
_memo: dict[tuple[int, str, str], tuple[RiskPolicy, int]] = {}


def _limit(policy: RiskPolicy, scope: str, field: str) -> int:
    known = _memo.get((id(policy), scope, field))
    if known is not None and known[0] is policy:
        return known[1]
    layer = policy.layer(scope)
    values = [v for v in (getattr(policy, field), getattr(layer.limits, field) if layer else UNSET) if v != UNSET]
    found = min(values, default=UNSET)
    if len(_memo) >= MEMO_MAX:
        _memo.clear()
    _memo[id(policy), scope, field] = (policy, found)
    return found


def _traffic(state: State, scope: str) -> Traffic:
    known = state.gate.traffic.get(scope)
    if known is None:
        known = state.gate.traffic[scope] = Traffic()
    return known
