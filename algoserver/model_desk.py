"""What is asked of a running server's volume model: which one is in force, which were, and another one instead. Pure, but for on_shelf().

Rule: a model is checked to the byte before anybody is asked to decide on it, on the asker's own thread; it is loaded, and checked again, when it was
decided (core/models). What is wrong with it then is an alert, and the old one goes on.
"""

from typing import Any

from algoserver.answers import Answer
from algoserver.core import models, proposals
from algoserver.core.state import ModelUse, State
from algoserver.domain.events import ActionProposed
from algoserver.domain.types import utc_text
from algoserver.door import error
from algoserver.learn.registry import Shelf, Unknown

SWAP, HISTORY = "model.swap", "model.history"
VERBS = (SWAP, HISTORY)
ROWS_MAX = 100

Reply = tuple[Answer, ActionProposed | None]


def on_shelf(shelf: Shelf, request: Answer) -> Answer:
    """A request, with what the shelf has where it is for a swap: its name in full, its sha256, its last day. What the asker says of them counts
    for nothing."""
    if request.get("verb") != SWAP:
        return request
    wanted = str(request.get("target", ""))
    if wanted == models.FALLBACK:
        return {**request, "values": {"sha256": "", "trained_through": ""}}
    try:
        found = shelf.checked(wanted)
    except Unknown as unknown:
        return error("not_found", str(unknown))
    except (ValueError, OSError) as wrong:
        return error("refused", str(wrong))
    return {**request, "target": found.name, "values": {"sha256": found.model_sha256, "trained_through": found.trained_through}}


def answer(
    state: State, verb: str, operator: str, target: str = "", values: dict[str, str] | None = None, reason: str = "", dry_run: bool = False,
    is_alone: bool = True, now: int = 0,
) -> Reply:  # fmt: skip
    """Answer one of VERBS. values: of on_shelf(). now: market time, for what has lapsed while nothing happened."""
    if verb == HISTORY:
        return history(state), None
    known = values or {}
    if state.setup is None or "sha256" not in known:
        return error("failed", "the server does not know its models yet"), None
    if not reason:
        return error("usage", "say why with --reason; it is kept with the model"), None
    if target == models.in_force(state) and state.model_wanted is None:
        return error("nothing_to_do", f"{target} is in force already"), None
    if state.model_wanted is not None and state.model_wanted.name == target:
        return error("nothing_to_do", f"{target} is being loaded, as {state.model_wanted.by} has asked"), None
    twin = next((i for i, p in state.proposals.items() if (p.verb, p.target) == (proposals.MODEL, target) and not _has_lapsed(state, p.ts, now)), "")
    waits = not is_alone and target != models.FALLBACK
    if twin and waits:
        return error("nothing_to_do", f"{state.proposals[twin].by} has asked for that already: `algoctl approval approve {twin}`"), None
    said: dict[str, Any] = {
        "verb": verb,
        "target": target,
        "operator": operator,
        "reason": reason,
        "dry_run": dry_run,
        "before": models.in_force(state),
        "sha256": known["sha256"],
        "trained_through": known.get("trained_through", ""),
        "parents_open": len(state.works),
        "awaits_approval": waits,
    }
    if dry_run:
        return said, None
    event = ActionProposed(
        operator=operator, verb=proposals.MODEL, target=target, reason=reason, digest=known["sha256"], is_enough=not waits
    )  # fmt: skip
    return said, event


def history(state: State) -> Answer:
    """The models that were activated, oldest first; the last is in force. wanted: one that is being loaded."""
    rows = [_row(m, is_in_force=n == len(state.models)) for n, m in enumerate(state.models, start=1)]
    wanted = state.model_wanted
    return {"in_force": models.in_force(state), "wanted": wanted.name if wanted else "", "total": len(rows), "activated": rows[-ROWS_MAX:]}


def _row(one: ModelUse, is_in_force: bool) -> Answer:
    return {
        "model": one.name,
        "sha256": one.sha256,
        "since": utc_text(one.ts),
        "by": one.by,
        "checked_by": one.checked_by,
        "reason": one.reason,
        "is_in_force": is_in_force,
    }


def _has_lapsed(state: State, ts: int, now: int) -> bool:
    return max(state.ts, now) - ts > proposals.LAPSES_NS
