"""The one table of what must be right before a server starts and while it runs. Pure: facts in, rows out.

Rule 1: a row says what was found, what bounds it and what to do; what could not be measured here has no row.
Rule 2: a start is refused by the rows that say so, and by all that fail at once: a person repairs them in one go.
Rule 3: doctor, start and the operator's door show the same rows, each of the facts that it can know.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from algoserver.clock import BEHIND_S_MAX

OK, WARN, FAIL = "ok", "warn", "fail"
MB = 1024 * 1024
# Beside the bound itself: from here on a person hears of it before it is short.
DISK_WARN_FACTOR = 2
HASH_CHARS = 12


class Hash(NamedTuple):
    """One thing whose hash was approved. found and approved: "" where it is missing on that side."""

    part: str
    name: str
    approved: str
    found: str


class Facts(msgspec.Struct, kw_only=True):
    """What was measured; None: not here. Times in wall seconds, disk in bytes.

    manifest: the approved file, "" for none. hashes: of build, configuration and model, in the manifest's order.
    policy: digests of the one in force, the approved one and whom the journal names for it, "" where it was not applied by persons.
    policy_error: why the policy's file can't be used. policy_is_kept: whether the journal has one in force.
    forecast: the volume model that forecasts, or will after a start, and why it can't be used; forecast_configured: the same of the configured one,
    where that is another.
    unknown, foreign: venue -> how many. behind_s: how far our clock is behind the journal, or a running core. synced: the kernel's word on its clock.
    core_s: how long the core took to answer; below 0: it did not.
    """

    configuration: str | None = None
    manifest: str | None = None
    manifest_error: str = ""
    hashes: tuple[Hash, ...] = ()
    policy: tuple[str, str, str] | None = None
    forecast: tuple[str, str] | None = None
    forecast_configured: tuple[str, str] | None = None
    policy_error: str = ""
    policy_is_kept: bool = False
    state_dir: str = ""
    write_error: str | None = None
    in_use: bool | None = None
    disk_free: int | None = None
    disk_free_min: int = 0
    behind_s: float | None = None
    synced: bool | None = None
    require_synced: bool = False
    stores: tuple[str, ...] | None = None
    journal: str | None = None
    journal_error: str = ""
    unfit: str | None = None
    unknown: dict[str, int] | None = None
    is_started: bool = False
    foreign: dict[str, int] | None = None
    port: int | None = None
    port_error: str = ""
    core_s: float | None = None
    venues_down: tuple[str, ...] | None = None
    doubted: tuple[str, ...] | None = None
    stops: tuple[str, ...] | None = None


class Check(msgspec.Struct, frozen=True):
    """A row. bound: what the value is held against; to_do: "" where nothing is."""

    check: str
    state: str
    value: str
    bound: str = ""
    to_do: str = ""


def table(facts: Facts) -> list[Check]:
    """Every row that these facts allow."""
    return [row for rule in RULES for row in rule.judge(facts)]


def refusal(facts: Facts) -> str:
    """Why a server must not start on this, all of it; "" if it may."""
    failed = [row for rule in RULES if rule.refuses for row in rule.judge(facts) if row.state == FAIL]
    return "; ".join(f"{row.check}: {row.value}{f' ({row.bound})' if row.bound else ''}: {row.to_do}" for row in failed)


def is_healthy(rows: list[Check]) -> bool:
    """Whether nothing fails; a warning is not a failure."""
    return all(row.state != FAIL for row in rows)


def _configuration(facts: Facts) -> list[Check]:
    if facts.configuration is None:
        return []
    if facts.configuration:
        return [Check("configuration", FAIL, facts.configuration, "", "correct what is named")]
    return [Check("configuration", OK, "can be read")]


def _manifest(facts: Facts) -> list[Check]:
    if facts.manifest is None:
        return []
    write = "algoserver manifest write"
    if not facts.manifest:
        return [Check("manifest", WARN, "not enforced", "[manifest] file is empty", f"`{write}` it, and name it in [manifest] file")]
    if facts.manifest_error:
        return [Check("manifest", FAIL, facts.manifest_error, facts.manifest, f"put the approved file back, or `{write}` a new one and approve it")]
    rows = [Check("manifest", OK, "enforced", facts.manifest)]
    for part in dict.fromkeys(h.part for h in facts.hashes):
        wrong = [h for h in facts.hashes if h.part == part and h.approved != h.found]
        if not wrong:
            rows.append(Check(part, OK, f"{sum(h.part == part for h in facts.hashes)} as approved"))
            continue
        names = ", ".join(f"{h.name} is {_short(h.found) or 'missing'}" for h in wrong)
        bound = ", ".join(f"{h.name} {_short(h.approved) or 'none'}" for h in wrong)
        rows.append(Check(part, FAIL, names, f"approved: {bound}", f"put back what was approved, or have a new manifest approved (`{write}`)"))
    return rows


def _forecast(facts: Facts) -> list[Check]:
    """The median stands in for a model that can't be used, so that it refuses no start."""
    if facts.forecast is None:
        return []
    name, wrong = facts.forecast
    if wrong:
        rows = [Check("forecast", WARN, wrong, name, "restore it, or train another; until then the median of the recorded days forecasts")]
    else:
        rows = [Check("forecast", OK if name else WARN, name or "no model", "", "" if name else "[forecast] model names one")]
    if facts.forecast_configured is not None:
        other, wrong = facts.forecast_configured
        to_do = f"restore it, or name another in [forecast] model; {name or 'no model'} stays in force until then" if wrong else ""
        rows.append(Check("forecast_configured", WARN if wrong else OK, wrong or f"{other}; another is in force by `algoctl model`", other, to_do))
    return rows


def _policy(facts: Facts) -> list[Check]:
    """What persons have applied is approved by its own history; only a policy that nobody applied is the manifest's to approve."""
    rows = []
    if facts.policy_error:
        to_do = "repair the file, or apply another policy while the server runs (`algoctl policy`)"
        kept = f"in force stays {_short(facts.policy[0])}" if facts.policy_is_kept and facts.policy else "no policy is in force yet"
        rows.append(Check("policy_file", WARN if facts.policy_is_kept else FAIL, facts.policy_error, kept, to_do))
    if facts.policy is None or (facts.policy_error and not facts.policy_is_kept):
        return rows
    return [*rows, _in_force(facts, *facts.policy)]


def _in_force(facts: Facts, found: str, approved: str, applied_by: str) -> Check:
    if not facts.manifest or facts.manifest_error or not approved:
        return Check("policy", OK, f"{_short(found)} {f'applied by {applied_by}' if applied_by else 'as the file has it'}")
    if found == approved:
        return Check("policy", OK, _short(found), f"approved: {_short(approved)}")
    if applied_by:
        to_do = "nothing, if that is meant; else apply the manifest's policy"
        return Check("policy", WARN, f"{_short(found)} applied by {applied_by}", f"the manifest has {_short(approved)}", to_do)
    to_do = "put the approved file back, or have a manifest of this one approved; another is applied while the server runs (`algoctl policy`)"
    return Check("policy", FAIL, f"{_short(found)}, applied by nobody", f"approved: {_short(approved)}", to_do)


def _state_directory(facts: Facts) -> list[Check]:
    rows = []
    if facts.write_error is not None:
        to_do = "give the server's user a directory that it may write (--state)"
        rows.append(Check("state_directory", FAIL if facts.write_error else OK, facts.write_error or "can be written", facts.state_dir,
                          to_do if facts.write_error else ""))  # fmt: skip
    if facts.in_use is not None:
        to_do = "stop that one, ask it by `algoctl doctor`, or give this one a state directory of its own"
        rows.append(Check("only_server", FAIL if facts.in_use else OK, "another server runs here" if facts.in_use else "no other runs here",
                          facts.state_dir, to_do if facts.in_use else ""))  # fmt: skip
    return rows


def _disk(facts: Facts) -> list[Check]:
    if facts.disk_free is None:
        return []
    least = facts.disk_free_min
    state = FAIL if facts.disk_free < least else WARN if facts.disk_free < DISK_WARN_FACTOR * least else OK
    to_do = "" if state == OK else f"free room on the disk of {facts.state_dir}: a journal that can't be written stops the server"
    return [Check("disk", state, f"{facts.disk_free // MB} MB free", f"disk_free_mb_min {least // MB}", to_do)]


def _clock(facts: Facts) -> list[Check]:
    rows = []
    if facts.behind_s is not None:
        is_off = facts.behind_s > BEHIND_S_MAX
        if facts.is_started:
            ahead = "the time of the orders"
            to_do = "set the machine's clock right; orders' times and hours count by theirs until then: pause or cancel those that it harms"
        else:
            ahead = "the journal's last event"
            to_do = (
                "set the machine's clock right, or start with the epochs of [clock] that the journal was written by. If the clock is right and was "
                "ahead before, wait until it has caught up; or take every child back by `algoserver serve --safe-mode` and start in a new directory"
            )
        value = f"{facts.behind_s:.1f} s behind {ahead}" if facts.behind_s > 0 else f"not behind {ahead}"
        rows.append(Check("clock", FAIL if is_off else OK, value, f"at most {BEHIND_S_MAX:g} s", to_do if is_off else ""))
    if facts.synced is not None:
        state = OK if facts.synced else FAIL if facts.require_synced else WARN
        bound = "require_synced_clock = " + ("true" if facts.require_synced else "false")
        to_do = "" if facts.synced else "let chrony or ntpd keep the machine's clock; reports carry its time"
        rows.append(Check("kernel_clock", state, "synchronised" if facts.synced else "the kernel says unsynchronised", bound, to_do))
    return rows


def _stores(facts: Facts) -> list[Check]:
    if facts.stores is None:
        return []
    if facts.stores:
        to_do = "put the file back from a copy; without it the peer's numbers are not ours (`fix` in the state directory)"
        return [Check("session_stores", FAIL, "; ".join(facts.stores), "", to_do)]
    return [Check("session_stores", OK, "can be read")]


def _journal(facts: Facts) -> list[Check]:
    if facts.journal_error:
        return [Check("journal", FAIL, facts.journal_error, "", "`algoserver serve --safe-mode` takes every child back; then find out why")]
    return [Check("journal", OK, facts.journal)] if facts.journal is not None else []


def _orders(facts: Facts) -> list[Check]:
    """Every open order of ours has a venue that can be asked about it, and was asked."""
    rows = []
    if facts.unfit is not None:
        to_do = "put that back until the order is over"
        rows.append(Check("open_orders_fit", FAIL if facts.unfit else OK, facts.unfit or "each has its venue, client and units", "",
                          to_do if facts.unfit else ""))  # fmt: skip
    if facts.unknown is not None:
        state = OK if not facts.unknown else FAIL if facts.is_started else WARN
        text = ", ".join(f"{count} at {venue}" for venue, count in facts.unknown.items())
        waits = "their orders send nothing before the venue has said how they stand"
        to_do = f"{waits}: bring its session up, or call it" if facts.is_started else f"{waits}; the start asks it"
        rows.append(Check("open_orders_known", state, f"unknown: {text}" if text else "all known", "0", to_do if text else ""))
    if facts.foreign is not None:
        text = ", ".join(f"{count} at {venue}" for venue, count in facts.foreign.items())
        to_do = "`algoctl venue foreign` lists them; adopt or cancel each"
        rows.append(Check("foreign_orders", FAIL if text else OK, text or "none", "0", to_do if text else ""))
    return rows


def _port(facts: Facts) -> list[Check]:
    if facts.port is None:
        return []
    to_do = "stop what has the port, or take another by --port"
    return [Check("port", FAIL if facts.port_error else OK, facts.port_error or "free", str(facts.port), to_do if facts.port_error else "")]


def _running(facts: Facts) -> list[Check]:
    rows = []
    if facts.core_s is not None:
        is_silent = facts.core_s < 0
        value = "the core does not answer" if is_silent else f"answered in {1000 * facts.core_s:.0f} ms"
        to_do = "`algoctl kill`; the watchdog cancels every child after stall_ms"
        rows.append(Check("core", FAIL if is_silent else OK, value, "", to_do if is_silent else ""))
    for name, found, state, bad, good, to_do in (
        ("venues", facts.venues_down, FAIL, "down", "all up", "see why by `algoctl session ls` and the venue's status page, or call it"),
        ("market_data", facts.doubted, WARN, "", "all quoted", "nothing new is sent there until that is over; look at the feed"),
        ("stops", facts.stops, WARN, "stopped", "none", "`algoctl status` says by whom and why; `algoctl release` when it is over"),
    ):
        if found is not None:
            rows.append(Check(name, state if found else OK, f"{', '.join(found)} {bad}".strip() if found else good, "", to_do if found else ""))
    return rows


class Rule(NamedTuple):
    """judge: its rows of what is known. refuses: whether a server must not start when one fails."""

    judge: Callable[[Facts], list[Check]]
    refuses: bool


# The order is that of the table on the screen.
RULES = (
    Rule(_running, False), Rule(_configuration, True), Rule(_manifest, True), Rule(_forecast, False), Rule(_policy, True),
    Rule(_state_directory, True), Rule(_disk, True), Rule(_clock, True), Rule(_stores, True), Rule(_journal, True), Rule(_orders, False),
    Rule(_port, False),
)  # fmt: skip


def _short(sha256: str) -> str:
    return sha256[:HASH_CHARS] if len(sha256) == 64 else sha256
