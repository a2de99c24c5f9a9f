"""What persons did: the events that come in by the operators' door. A part of events.py, which has all of them."""

from algoserver.domain.event import Event
from algoserver.domain.params import NO_PARAMS, AlgoParams
from algoserver.domain.policy import OverrideTerms, RiskPolicy


class Commanded(Event, frozen=True, kw_only=True):
    """What a person did. audit_head: hash of the audit's last line when it was done, "" if the server did it by itself."""

    operator: str
    target: str
    reason: str = ""
    audit_head: str = ""


class OperatorCommanded(Commanded, frozen=True, kw_only=True):
    """A person at algoctl: verb kill of a scope; approve or withdraw of a proposal; pause, resume or cancel of a parent id; adopt or cancel_foreign
    of "venue cl_ord_id"; ack of an alert. The server itself: stop, and at its next start release. is_verbal: the client asked, not by message."""

    verb: str
    is_verbal: bool = False


class ActionProposed(Commanded, frozen=True, kw_only=True):
    """A person wants what two must agree on: verb release of a scope; policy, which is `policy` with `digest`; override on terms `override`;
    model, which is `target` with the sha256 `digest`.

    is_enough: one person may do it, by the door's word: it is done at once if the core finds so too.
    """

    verb: str
    policy: RiskPolicy | None = None
    digest: str = ""
    override: OverrideTerms | None = None
    is_enough: bool = False


class OperatorAmended(Commanded, frozen=True, kw_only=True):
    """A person at algoctl changes a parent. Values as in ReplaceRequested; ord_type "": as it is. is_verbal: the client asked for it."""

    ord_type: str = ""
    order_qty: int = 0
    price: int = 0
    params: AlgoParams = NO_PARAMS
    given: tuple[str, ...] = ()
    is_verbal: bool = False
