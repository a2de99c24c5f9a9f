"""What is asked of the risk policy: is this one possible, what would it change, apply it, which were in force. Pure, like answers.

Rule 1: a policy comes as text and is read by what this server knows: its clients, symbols, venues. One that is refused leaves no trace.
Rule 2: whether one person may apply it is decided in one place, needs_second().
Rule 3: texts of policies that were applied are kept by the shell (policy_texts); what it has found comes with the request.
"""

from functools import lru_cache
from typing import Any

from algoserver.answers import ROWS_MAX, Answer
from algoserver.core import stops
from algoserver.core.state import Applied, State
from algoserver.domain.changes import Change, diff
from algoserver.domain.events import ActionProposed
from algoserver.domain.policy import RiskPolicy
from algoserver.domain.types import utc_text
from algoserver.door import error
from algoserver.policies import Names, check_names, digest_of, parse_policy
from algoserver.settings import BadConfig

VERBS = ("policy.validate", "policy.diff", "policy.apply", "policy.history", "policy.show", "policy.rollback")
VERSION_CHARS = 12  # of a digest, where a person reads it

Reply = tuple[Answer, ActionProposed | None]


def needs_second(changes: list[Change], is_alone: bool) -> bool:
    """Whether another person must approve: anything that was refused may pass by it. is_alone: the firm has named no operators."""
    return not is_alone and any(c.is_raise for c in changes)


def answer(
    state: State, verb: str, operator: str, target: str = "", text: str = "", reason: str = "", dry_run: bool = False,
    is_alone: bool = True,
) -> Reply:  # fmt: skip
    """Answer one of VERBS. target: a policy's digest or its beginning. text: of the policy that is meant, "" if the shell has not kept it."""
    if state.setup is None:
        return error("failed", "no policy is loaded yet"), None
    if verb == "policy.history":
        return history(state), None
    if verb in ("policy.show", "policy.rollback"):
        found = applied(state, target or state.setup.policy_digest)
        if isinstance(found, dict):
            return found, None
        digest = found.digest
        if text and digest_of(text.encode()) != digest:
            return error("failed", f"what is kept as policy {digest[:VERSION_CHARS]} is not its text any more"), None
        if verb == "policy.show":
            return {**_row(state, found), "is_kept": bool(text), "text": text}, None
        if not text:
            return error("refused", f"the text of policy {digest[:VERSION_CHARS]} is not kept; apply a file that says the same"), None
    elif not text:
        return error("usage", "send the policy's text"), None
    policy = _read(state, text)
    if not isinstance(policy, RiskPolicy):
        return policy, None
    said = _compared(state, policy, text)
    if verb == "policy.validate":
        return {key: value for key, value in said.items() if key != "changes"}, None
    if verb == "policy.diff":
        return said, None
    return _proposed(state, policy, said, verb, operator, reason, dry_run, is_alone)


def applied(state: State, begin: str) -> Applied | Answer:
    """The latest application of the policy whose digest begins so; a refusal if there is none, or more than one."""
    found = {a.digest: a for a in state.policies if begin and a.digest.startswith(begin)}
    if len(found) > 1:
        return error("ambiguous", f"several policies begin with {begin[:64]!r}: {', '.join(d[:VERSION_CHARS] for d in found)}")
    missing = error("not_found", f"no policy {begin[:64]!r} was ever in force; `algoctl policy history` lists those that were")
    return next(iter(found.values()), None) or missing


def history(state: State) -> Answer:
    """The policies that were applied, oldest first; the last is in force. total says how many there are."""
    return {"total": len(state.policies), "policies": [_row(state, a) for a in state.policies[-ROWS_MAX:]]}


def _row(state: State, one: Applied) -> Answer:
    return {
        "version": one.digest[:VERSION_CHARS],
        "digest": one.digest,
        "name": one.name,
        "since": utc_text(one.ts),
        "by": one.by,
        "checked_by": one.checked_by,
        "reason": one.reason,
        "is_in_force": one is state.policies[-1],
    }


def _read(state: State, text: str) -> RiskPolicy | Answer:
    setup = state.setup
    assert setup is not None
    policy = parsed(text)
    if isinstance(policy, str):
        return error("refused", f"{policy}; what is in force stays")
    try:
        check_names(policy, Names(clients=setup.clients, symbols=tuple(state.instruments), venues=tuple(v.name for v in setup.venues)))
    except ValueError as wrong:
        return error("refused", f"policy: {wrong}; what is in force stays")
    return policy


@lru_cache(maxsize=4)
def parsed(text: str) -> RiskPolicy | str:
    """A policy from its text, or what is wrong with it. Remembered: the request's own thread asks first, and the core does not parse again."""
    try:
        return parse_policy(text.encode(), "policy")
    except (BadConfig, UnicodeEncodeError) as wrong:
        return str(wrong)


def _compared(state: State, policy: RiskPolicy, text: str) -> Answer:
    """What a policy is and what it changes."""
    setup = state.setup
    assert setup is not None
    digest, changes = digest_of(text.encode()), diff(setup.policy, policy)
    return {
        "name": policy.name,
        "version": digest[:VERSION_CHARS],
        "digest": digest,
        "is_in_force": digest == setup.policy_digest,
        "raises": sum(c.is_raise for c in changes),
        "changed": len(changes),
        "changes": [
            {"place": c.where, "key": c.key, "old": c.old, "new": c.new, "way": "raise" if c.is_raise else "lower" if c.key != "name" else ""}
            for c in changes
        ],
    }


def _proposed(state: State, policy: RiskPolicy, said: Answer, verb: str, operator: str, reason: str, dry_run: bool, is_alone: bool) -> Reply:
    if said["is_in_force"]:
        return error("nothing_to_do", f"policy {said['version']} is in force already"), None
    if not reason:
        return error("usage", "say why with --reason; it is kept with the policy"), None
    if lifted := stops.lifted_by(state, policy):
        return error("refused", f"policy: {lifted}; what is in force stays"), None
    assert state.setup is not None
    waits = needs_second(diff(state.setup.policy, policy), is_alone)
    # The event that comes of this is the next one: the answer is made on the core's thread, just before.
    done: dict[str, Any] = {
        "verb": verb,
        "operator": operator,
        "reason": reason,
        "dry_run": dry_run,
        **said,
        "is_applied": not (waits or dry_run),
        "proposal": f"{state.run}.p{state.seq + 1}" if waits and not dry_run else "",
    }
    if dry_run:
        return done, None
    return done, ActionProposed(
        operator=operator, verb="policy", target=said["version"], reason=reason, policy=policy, digest=said["digest"], is_enough=not waits
    )
