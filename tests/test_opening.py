"""What a start says first: the policy that it keeps, and the manifest that is not enforced."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from algoserver.clock import BEHIND
from algoserver.config import NOTHING_PASSES, Config, ManifestConfig, load
from algoserver.core.state import State
from algoserver.domain.events import MachineWarned
from algoserver.opening import first_events, in_force
from algoserver.settings import BadConfig
from tests.core.day import POLICY, Day, policy_loaded

CFG = Path(__file__).resolve().parents[1] / "cfg"


def started(day: Day, config: Config) -> list[MachineWarned]:
    """What a start on the state of this day warns of; it is fed to it."""
    events = [event for event in first_events(day.state, config, config.setup, []) if isinstance(event, MachineWarned)]
    for event in events:
        day.feed(event)
    return events


def test_the_journals_policy_stands_in_for_a_file_that_can_not_be_used():
    """Its digest with it; without one in the journal there is no start, and what stands in lets nothing pass."""
    config = load(CFG / "server.toml")
    broken = replace(config, setup=replace(config.setup, policy=NOTHING_PASSES, policy_digest="b" * 64), policy_error="policy.toml: no")
    with pytest.raises(BadConfig, match=r"policy\.toml: no; there is no policy in force yet"):
        in_force(broken, State())
    day = Day(policy_loaded(policy_digest="a" * 64))
    kept = in_force(broken, day.state)
    assert (kept.setup.policy, kept.setup.policy_digest) == (POLICY, "a" * 64)
    assert in_force(config, day.state) is config
    (unusable, _) = started(day, kept)
    assert (unusable.code, unusable.subject) == ("policy_file_unusable", "policy.toml")
    assert unusable.text.startswith("policy.toml: no; in force stays aaaaaaaaaaaa of start")
    day.quote()
    strict = Day(replace(config.setup, policy=NOTHING_PASSES, clients=("CLIENT1",)))
    strict.quote()
    assert strict.parent("P1")[0].text.startswith("inactive")


def test_a_manifest_that_is_not_enforced_is_an_alert_until_one_is():
    """Once, however many starts; silent when a person knows; over with the first start that enforces one."""
    config = load(CFG / "server.toml")
    enforced = replace(config, server=replace(config.server, manifest=ManifestConfig(file="approved.toml")))
    day = Day()
    assert started(day, enforced) == []
    assert [w.code for w in started(day, config) + started(day, config)] == ["manifest_not_enforced"] * 2
    (alert,) = day.state.alerts.live["warning"].values()
    assert (alert.times, alert.subject) == (2, "manifest")
    assert [w.code for w in started(day, enforced)] == ["manifest_enforced"]
    assert day.state.alerts.live["warning"] == {}
    assert started(day, enforced) == []


def test_a_clock_that_was_behind_is_over_with_the_next_start():
    """One that still is behind the journal refuses the start, so none that begins is."""
    config = load(CFG / "server.toml")
    enforced = replace(config, server=replace(config.server, manifest=ManifestConfig(file="approved.toml")))
    day = Day()
    day.feed(MachineWarned(code=BEHIND, subject="clock", text="a day"))
    assert [w.code for w in started(day, enforced)] == ["clock_caught_up"]
    assert (day.state.alerts.live["critical"], started(day, enforced)) == ({}, [])
