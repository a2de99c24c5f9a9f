"""Another volume model takes the place of the one in force: decided, loaded, activated, and no plan is of two of them."""

import msgspec
import pytest

from algoserver.core import proposals
from algoserver.core.algos.schedule import planned
from algoserver.core.engine import step
from algoserver.core.models import SUBJECT
from algoserver.core.state import State, dump
from algoserver.domain.commands import ActivateModel, RaiseAlert, RequestForecast, SendChild
from algoserver.domain.events import ActionProposed, ForecastReady, ModelActivated, ModelRefused, OperatorCommanded, PolicyLoaded
from algoserver.domain.policy import InstrumentSetup
from algoserver.domain.types import MINUTE, Strategy
from tests.core.day import AAPL, FLAT_26, OPEN_TS, Day, policy_loaded

BIN = 15 * MINUTE
HISTORY = InstrumentSetup(AAPL, ("2019-06-27",), (tuple([1_000] * 26),))
PERSONS = ("ann", "bob")


def firm(model: str = "m1", **changes: object) -> PolicyLoaded:
    return policy_loaded(instruments=(HISTORY,), model=model, model_sha256=f"sha of {model}", **changes)


def answer(model: str, now_bin: int = 0, first: int = 38_461) -> ForecastReady:
    """Bins so far had `first` ppm each; the rest share what is left alike."""
    others = (1_000_000 - first * now_bin) // (26 - now_bin)
    curve = [first] * now_bin + [others] * (26 - now_bin)
    curve[-1] += 1_000_000 - sum(curve)
    return ForecastReady(
        symbol="AAPL", date="2019-06-28", model=model, curve=tuple(curve), trained_through="2019-06-27", now_bin=now_bin, asked=model
    )  # fmt: skip


def propose(day: Day, model: str, by: str = "ann", **more: object) -> list[object]:
    return day.feed(ActionProposed(operator=by, verb=proposals.MODEL, target=model, reason="better", digest=f"sha of {model}", **more))


def activate(day: Day, model: str) -> list[object]:
    return day.feed(ModelActivated(name=model, sha256=f"sha of {model}"))


def alerts(out: list[object]) -> list[str]:
    return [c.code for c in out if isinstance(c, RaiseAlert)]


def working(model: str = "m1") -> Day:
    """Before the open; a VWAP over the day that begins with it, by the model of the configuration; the first bin is over."""
    day = Day(firm(model), now=OPEN_TS - MINUTE)
    day.feed(answer(model))
    day.quote()
    day.parent("P1", 26_000, Strategy.VWAP, minutes=391)
    day.wait(OPEN_TS - day.now)
    day.quote()
    day.trade(40_000)
    day.wait(BIN - day.now % BIN)
    day.quote()
    day.wait(2 * MINUTE)
    return day


def go_on(day: Day, minutes: int = 3) -> set[str]:
    """The market trades and fills what rests, minute by minute; the models that the children sent meanwhile name."""
    seen = len(day.commands)
    for _ in range(minutes):
        for child in [c for c in day.sent() if c.child_id in day.order().open_children]:
            day.fill(child, child.order_qty)
        day.quote()
        day.trade(20_000)
        day.wait(MINUTE)
    return {c.model for c in day.commands[seen:] if isinstance(c, SendChild)}


def test_the_first_start_takes_the_configurations_model_and_asks_it_by_its_name():
    day = Day(firm())
    (asked,) = [c for c in day.commands if isinstance(c, RequestForecast)]
    assert (asked.model, asked.model_sha256) == ("m1", "sha of m1")
    assert [(m.name, m.sha256, m.by) for m in day.state.models] == [("m1", "sha of m1", "start")]


def test_a_swap_loads_first_and_asks_the_new_one_with_the_bins_so_far():
    """Until it is loaded the old one answers; the alert says who and why."""
    day = working()
    out = propose(day, "m2", is_enough=True)
    assert [c for c in out if not isinstance(c, RaiseAlert)] == [ActivateModel(name="m2", sha256="sha of m2")]
    assert (day.state.models[-1].name, day.state.model_wanted.name) == ("m1", "m2")
    out = activate(day, "m2")
    assert [(c.model, c.today) for c in out if isinstance(c, RequestForecast)] == [("m2", (40_000,))]
    assert [c.text for c in out if isinstance(c, RaiseAlert)] == ["m2 for m1, by ann: better"]
    assert (day.state.models[-1].name, day.state.model_wanted) == ("m2", None)


def test_a_plan_is_by_one_model_until_the_new_one_answers_and_every_child_says_which():
    """After the swap the plan stays as it was; what the old one still says is not heard; then the plan is the new one's as a whole."""
    day = working()
    work = day.state.works[day.order().parent_id]
    propose(day, "m2", is_enough=True)
    activate(day, "m2")
    before = work.schedule
    day.feed(answer("m1", 1, 300_000))  # asked before the swap
    assert go_on(day) == {"m1 2019-06-27"}
    assert (work.schedule, work.model) == (before, "m1 2019-06-27")
    day.feed(answer("m2", 1, 200_000))
    assert (work.model, planned(work.schedule, OPEN_TS + BIN)) == ("m2 2019-06-27", 5_200)
    assert go_on(day) == {"m2 2019-06-27"}


def test_a_model_that_does_not_load_is_refused_and_the_old_one_goes_on():
    day = working()
    propose(day, "m2", is_enough=True)
    out = day.feed(ModelRefused(name="m2", sha256="sha of m2", text="p10.txt was changed"))
    assert [(c.code, c.text) for c in out if isinstance(c, RaiseAlert)] == [("model_refused", "m2: p10.txt was changed; in force stays m1")]
    assert (day.state.models[-1].name, day.state.model_wanted) == ("m1", None)
    day.feed(answer("m1", 1, 200_000))
    assert day.state.works[day.order().parent_id].model == "m1 2019-06-27"
    propose(day, "m3", is_enough=True)
    assert alerts(activate(day, "m3")) == ["model_activated"]
    assert "model_refused" not in {a.code for shelf in day.state.alerts.live.values() for a in shelf.values()}, "another model ends it"


def test_what_nobody_wants_any_more_changes_nothing():
    """A second swap while the first is loaded: the last word holds, in whatever order they come."""
    day = working()
    propose(day, "m2", is_enough=True)
    propose(day, "m3", is_enough=True)
    assert activate(day, "m2") == []
    assert day.feed(ModelRefused(name="m2", sha256="sha of m2", text="x")) == []
    activate(day, "m3")
    assert [m.name for m in day.state.models] == ["m1", "m3"]


def restarted(day: Day, setup: PolicyLoaded) -> list[object]:
    """As a new process tells it: the state as it was."""
    again = day.feed(setup)
    return [c for c in again if isinstance(c, ActivateModel | RequestForecast | RaiseAlert)]


def test_a_swap_outlives_a_restart_until_the_configuration_names_other_bytes():
    day = Day(firm())
    propose(day, "m2", is_enough=True)
    activate(day, "m2")
    assert [c.model for c in restarted(day, firm())] == ["m2"]
    assert [c.model for c in restarted(day, firm("m4"))] == ["m4"]
    assert [c.model for c in restarted(day, firm("m4"))] == ["m4"]
    assert [m.name for m in day.state.models] == ["m1", "m2", "m4"]


def test_a_crash_in_the_midst_of_a_swap_asks_for_the_model_again():
    """Whether it was loaded nobody knows; the old one answers until it is. A new configuration is a newer word."""
    day = Day(firm())
    propose(day, "m2", is_enough=True)
    first, second = restarted(day, firm())
    assert (first, second.model) == (ActivateModel(name="m2", sha256="sha of m2"), "m1")
    activate(day, "m2")
    assert day.state.models[-1].name == "m2"
    propose(day, "m3", is_enough=True)
    assert [c.model for c in restarted(day, firm("m5")) if isinstance(c, RequestForecast)] == ["m5"]
    assert day.state.model_wanted is None


def test_a_configured_model_that_cannot_be_read_is_no_wish():
    """In force stays what is in force, and a person is told. At the first start nothing could stay: it is asked, and the median answers."""
    day = Day(firm())
    propose(day, "m2", is_enough=True)
    activate(day, "m2")
    said = restarted(day, policy_loaded(instruments=(HISTORY,), model="m1", model_text="m1: can't be read"))
    assert [(c.code, c.subject, c.text) for c in said if isinstance(c, RaiseAlert)] == [
        ("model_unusable", SUBJECT, "m1: can't be read; in force stays m2")
    ]
    assert [c.model for c in said if isinstance(c, RequestForecast)] == ["m2"]
    assert Day(policy_loaded(instruments=(HISTORY,), model="m1", model_text="x")).state.models[-1].name == "m1"


def test_two_persons_decide_where_persons_are_named_and_one_on_the_fallback():
    """Whatever the door says: m2 waits for bob, median20 does not."""
    day = Day(firm(persons=PERSONS))
    assert alerts(propose(day, "m2", is_enough=True)) == ["approval_wanted"]
    (proposal,) = day.state.proposals
    assert day.state.model_wanted is None
    day.feed(OperatorCommanded(operator="bob", verb="approve", target=proposal))
    assert (day.state.model_wanted.name, day.state.model_wanted.checked_by) == ("m2", "bob")
    activate(day, "m2")
    assert propose(day, "median20", is_enough=True) == [ActivateModel(name="median20", sha256="sha of median20")]


def test_an_approval_is_of_what_was_in_force_when_it_was_proposed():
    day = Day(firm(persons=PERSONS))
    propose(day, "m2")
    (proposal,) = day.state.proposals
    propose(day, "median20", is_enough=True)
    activate(day, "median20")
    out = day.feed(OperatorCommanded(operator="bob", verb="approve", target=proposal))
    assert [c.text for c in out if isinstance(c, RaiseAlert)] == ["bob: median20 was activated since it was proposed; propose it again"]


@pytest.mark.parametrize("model", ["", "m1"])
def test_a_replay_swaps_alike(model: str):
    day = working(model)
    propose(day, "m2", is_enough=True)
    activate(day, "m2")
    day.feed(answer("m2", 1, 200_000))
    day.wait(5 * MINUTE)
    again = State()
    for event in day.fed:
        step(again, msgspec.json.decode(msgspec.json.encode(event), type=type(event)))
    assert dump(again) == dump(day.state)


def test_a_forecast_of_a_model_that_is_not_in_force_is_not_for_new_orders_either():
    day = Day(firm())
    day.feed(answer("m9"))
    assert "AAPL" not in day.state.forecasts
    day.feed(answer("m1"))
    assert day.state.forecasts["AAPL"].curve == answer("m1").curve
    assert sum(FLAT_26) == sum(day.state.forecasts["AAPL"].curve)
