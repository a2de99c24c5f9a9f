"""What models tell the core. Numbers are whole: a float ends where an answer begins."""

import msgspec

from algoserver.domain.event import Event


class CostTable(msgspec.Struct, frozen=True):
    """What an order costs, between nodes along straight lines. sizes: of the order, spans: volume expected in its window, both 1e-9 of an average
    day's volume; hastes: (kappa T)^2 of its plan in ppm, 0 is even. All rise.

    costs: by haste, then size, then span, without the spread, and risks, deviation of one order, by haste, then span: both 1e-8 of the price.
    spread_ppm: share of the half-spread that is paid. z10, z90: where P10 and P90 lie, ppm of a risk from the mean.
    """

    model: str
    sizes: tuple[int, ...]
    spans: tuple[int, ...]
    hastes: tuple[int, ...]
    costs: tuple[int, ...]
    risks: tuple[int, ...]
    spread_ppm: int
    z10: int
    z90: int


class ForecastReady(Event, frozen=True, kw_only=True):
    """A volume curve for a day. curve: ppm per bin, sum 1_000_000; empty if none could be made. model: who made it, text: why nobody better did.

    asked: name of the model that was asked. now_bin: bins of the day that were over when it was made. volume: expected units per bin (of those:
    what traded), between volume_p10 and volume_p90 in four of five. costs: what trading then costs, where a model of it is configured.
    """

    symbol: str
    date: str
    model: str
    curve: tuple[int, ...]
    trained_through: str = ""
    text: str = ""
    asked: str = ""
    now_bin: int = 0
    volume: tuple[int, ...] = ()
    volume_p10: tuple[int, ...] = ()
    volume_p90: tuple[int, ...] = ()
    costs: CostTable | None = None


class ModelActivated(Event, frozen=True, kw_only=True):
    """A model that ActivateModel wanted is loaded: it can answer from now on."""

    name: str
    sha256: str


class ModelRefused(Event, frozen=True, kw_only=True):
    """A model that ActivateModel wanted does not load. text: why."""

    name: str
    sha256: str
    text: str


class PlanReady(Event, frozen=True, kw_only=True):
    """A plan for what is left of a parent: totals, its own quantity done by each of `moments`, the first 0 and the last all. qty: what was asked for,
    as in RequestPlan; a plan for another quantity is out of date. cost_e8, p10_e8, p90_e8: what it is expected to cost, 1e-8 of the price.
    totals empty: none could be made, `text` says why."""

    parent_id: str
    qty: int
    model: str
    moments: tuple[int, ...] = ()
    totals: tuple[int, ...] = ()
    cost_e8: int = 0
    p10_e8: int = 0
    p90_e8: int = 0
    text: str = ""
