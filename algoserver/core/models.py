"""Which volume model answers for the day, and how another one takes its place.

Rule 1: in force is what this journal says: the configuration's at the first start, then what persons swap in. A swap outlives restarts until the
configuration names other bytes than it did at the last start; one that can't be read is a wish that nobody can read.
Rule 2: a swap is decided here and carried out outside: the model that is wanted is loaded first, and the old one answers until then. One that
does not load is refused, and the old one stays. After a crash in between it is asked for again.
Rule 3: a request names the model that is to answer, and what another one says is not heard any more (forecasts). A plan has its model with its
curve, as a whole: the next forecast is the first that changes it.
"""

from algoserver.core.reports import alert
from algoserver.core.state import ModelUse, State
from algoserver.domain.commands import ActivateModel, Command
from algoserver.domain.events import ModelActivated, ModelRefused, PolicyLoaded

FALLBACK = "median20"  # needs no file: who wants to be rid of a model has this one, alone
SUBJECT = "volume"  # of every alert: whatever model it was about, another one ends it
START = "start"  # by whom, where the configuration says so


def in_force(state: State) -> str:
    """Name of the model that answers; "" if there is none."""
    return state.models[-1].name if state.models else ""


def is_taken(state: State, setup: PolicyLoaded) -> bool:
    """Whether a start takes the configuration's model, and not the one that is in force."""
    return not state.models or (not setup.model_text and f"{setup.model} {setup.model_sha256}" != state.model_configured)


def configured(state: State, setup: PolicyLoaded, out: list[Command]) -> None:
    """A start: the configuration's model if it is another one than at the last start, and again whatever was wanted when the last process ended."""
    if state.models and setup.model_text:
        alert(out, "model_unusable", SUBJECT, f"{setup.model_text}; in force stays {in_force(state) or 'no model'}")
    elif is_taken(state, setup):
        state.model_configured, state.model_wanted = f"{setup.model} {setup.model_sha256}", None
        state.models.append(ModelUse(setup.model, setup.model_sha256, state.ts, START))
    if state.model_wanted is not None:
        out.append(ActivateModel(name=state.model_wanted.name, sha256=state.model_wanted.sha256))


def want(state: State, name: str, sha256: str, by: str, checked_by: str, reason: str, out: list[Command]) -> None:
    """Persons have decided. What was wanted before and is not there yet is wanted no more."""
    state.model_wanted = ModelUse(name, sha256, state.ts, by, checked_by, reason)
    out.append(ActivateModel(name=name, sha256=sha256))


def activated(state: State, event: ModelActivated, out: list[Command]) -> bool:
    """It is loaded; False if nobody wants it any more."""
    wanted = state.model_wanted
    if wanted is None or (wanted.name, wanted.sha256) != (event.name, event.sha256):
        return False
    before, state.model_wanted = in_force(state), None
    state.models.append(ModelUse(wanted.name, wanted.sha256, event.ts, wanted.by, wanted.checked_by, wanted.reason))
    who = f"{wanted.by} and {wanted.checked_by}" if wanted.checked_by else wanted.by
    alert(out, "model_activated", SUBJECT, f"{wanted.name} for {before or 'no model'}, by {who}: {wanted.reason}")
    return True


def refused(state: State, event: ModelRefused, out: list[Command]) -> None:
    """It does not load."""
    wanted = state.model_wanted
    if wanted is not None and (wanted.name, wanted.sha256) == (event.name, event.sha256):
        state.model_wanted = None
        alert(out, "model_refused", SUBJECT, f"{event.name}: {event.text}; in force stays {in_force(state) or 'no model'}")
