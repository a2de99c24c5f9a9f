"""What two persons decide: one proposes, another approves. Release of a stop, a new policy, an override for one order, another model.

Rule 1: the checker is not the maker, and one of the firm's persons; the core itself looks, whatever the door has let in.
Rule 2: a proposal lapses after an hour: what was right to do then need not be right now.
Rule 3: where one person is enough (a policy that only tightens, the fallback instead of a model, a firm that has named nobody) it is done at once.
The door says so, and the core believes it only where it finds the same.
"""

import msgspec

from algoserver.core import models, stops
from algoserver.core.reports import alert, over
from algoserver.core.risk import Override
from algoserver.core.state import Applied, Proposal, State, touch
from algoserver.domain.changes import diff
from algoserver.domain.commands import Command
from algoserver.domain.events import ActionProposed, ConfigDrifted, PolicyLoaded
from algoserver.domain.policy import RiskPolicy
from algoserver.domain.types import MINUTE

RELEASE, OVERRIDE, POLICY, MODEL = "release", "override", "policy", "model"
LAPSES_NS = 60 * MINUTE


def proposed(state: State, event: ActionProposed, out: list[Command]) -> None:
    """Keep it for another person, or do it where one is enough. What has lapsed is forgotten here."""
    for lapsed in [i for i, p in state.proposals.items() if state.ts - p.ts > LAPSES_NS]:
        del state.proposals[lapsed]
    base = models.in_force(state) if event.verb == MODEL else state.setup.policy_digest if state.setup else ""
    proposal = Proposal(event.operator, event.verb, event.target, event.reason, event.ts, event.policy, event.digest, event.override, base)
    if event.is_enough and _may_one(state, event):
        _do(state, proposal, "", out)
        return
    proposal_id = f"{state.run}.p{event.seq}"
    state.proposals[proposal_id] = proposal
    alert(out, "approval_wanted", proposal_id, f"{event.operator} proposes to {event.verb} {event.target}: {event.reason}")


def approve(state: State, proposal_id: str, operator: str, out: list[Command]) -> None:
    """Another person says yes."""
    why = refusal(state, proposal_id, operator)
    if why:
        alert(out, "approval_refused", proposal_id, f"{operator}: {why}")
        return
    over(out, "approval_wanted", proposal_id)
    _do(state, state.proposals.pop(proposal_id), operator, out)


def withdraw(state: State, proposal_id: str, operator: str, out: list[Command]) -> None:
    """Any person says no."""
    if state.proposals.pop(proposal_id, None) is not None:
        over(out, "approval_wanted", proposal_id)
        alert(out, "withdrawn", proposal_id, f"by {operator}")


def refusal(state: State, proposal_id: str, operator: str, now: int = 0) -> str:
    """Why this person can't approve it now; "" if he can. now: where it is later than the last event."""
    proposal = state.proposals.get(proposal_id)
    if proposal is None:
        return f"no proposal {proposal_id} is open"
    if proposal.by == operator:
        return "whoever proposed it can't approve it; another person must"
    if state.setup is not None and state.setup.persons and operator not in state.setup.persons:
        return f"{operator} is none of the persons that the firm has named"
    if max(state.ts, now) - proposal.ts > LAPSES_NS:
        return f"it lapsed, {LAPSES_NS // MINUTE} minutes after it was proposed; propose it again"
    # What the first person saw must be what the second one decides on.
    stop = state.gate.stops.get(proposal.target) if proposal.verb == RELEASE else None
    if stop is not None and stop.ts > proposal.ts:
        return f"{proposal.target} was stopped again since, by {stop.text}; propose it again"
    in_force = state.setup
    # A policy without a digest is known by when it came.
    is_other = in_force is not None and (proposal.base != in_force.policy_digest or (not proposal.base and in_force.ts > proposal.ts))
    if proposal.verb == POLICY and is_other:
        # What was compared is not what it would change: a limit that was lowered meanwhile would be lifted unseen.
        return "another policy was applied since it was proposed; propose it again"
    if proposal.policy is not None and (lifted := stops.lifted_by(state, proposal.policy)):
        return lifted
    if proposal.verb == MODEL and proposal.base != models.in_force(state):
        return f"{models.in_force(state) or 'no model'} was activated since it was proposed; propose it again"
    return ""


def _may_one(state: State, event: ActionProposed) -> bool:
    """Whether one person may do it: where none is named there is no other, and what only tightens, or falls back, needs none."""
    if state.setup is None or not state.setup.persons:
        return True
    if event.verb == MODEL:
        return event.target == models.FALLBACK
    return event.verb == POLICY and event.policy is not None and not any(c.is_raise for c in diff(state.setup.policy, event.policy))


def _do(state: State, proposal: Proposal, checked_by: str, out: list[Command]) -> None:
    who = f"{proposal.by} and {checked_by}" if checked_by else proposal.by
    if proposal.verb == RELEASE:
        stops.release(state, proposal.target, who, proposal.reason, out)
    elif proposal.verb == POLICY and proposal.policy is not None:
        apply(state, proposal.policy, proposal.digest, proposal.by, checked_by, proposal.reason)
        alert(out, "policy_applied", proposal.digest[:12], f"by {who}: {proposal.reason}")
    elif proposal.verb == MODEL:
        models.want(state, proposal.target, proposal.digest, proposal.by, checked_by, proposal.reason, out)
    elif proposal.verb == OVERRIDE and proposal.override is not None:
        terms = proposal.override
        state.gate.overrides[f"{state.run}.o{state.seq}"] = Override(
            terms.client, terms.symbol, terms.side, terms.order_qty, state.ts + terms.lasts_ns, proposal.by, checked_by, proposal.reason
        )
        alert(out, "override", terms.client, f"one order, {terms.side.name} {terms.order_qty} {terms.symbol}, by {who}: {proposal.reason}")


def in_force(state: State, loaded: PolicyLoaded, out: list[Command]) -> PolicyLoaded:
    """What a start loads, with the policy that was applied last: a file that was changed is only a wish until it is applied."""
    if not loaded.policy_digest:
        return loaded
    if not state.policies or state.setup is None:
        state.policies.append(Applied(loaded.policy_digest, loaded.policy.name, loaded.ts, "start", "", "the first policy of this journal"))
        return loaded
    applied = state.policies[-1].digest
    if applied == loaded.policy_digest:
        return loaded
    text = f"the file is {loaded.policy_digest[:12]}, in force stays {applied[:12]} of {state.policies[-1].by}"
    text = f"{text}; apply the file, or put the old one back"
    alert(out, "policy_file_differs", loaded.policy.name, text)
    return msgspec.structs.replace(loaded, policy=state.setup.policy, policy_digest=applied)


def drifted(state: State, event: ConfigDrifted, out: list[Command]) -> None:
    """A file on disk is not what is in force any more. It has no effect, and somebody must know."""
    now = f"is {event.digest[:12]} on disk" if event.digest else "is gone from the disk"
    alert(out, "config_drifted", event.file, f"it {now} and that is not in force; apply a policy with `algoctl policy apply`, or put the file back")


def apply(state: State, policy: RiskPolicy, digest: str, by: str, checked_by: str, reason: str) -> None:
    """A policy comes into force: for every child from now on."""
    assert state.setup is not None
    state.setup = msgspec.structs.replace(state.setup, policy=policy, policy_digest=digest)
    state.policies.append(Applied(digest, policy.name, state.ts, by, checked_by, reason))
    for parent_id in state.works:
        touch(state, parent_id)
