"""Every algo parameter, declared once: name, tags, type, range, meaning. The decoder, rejects and documents read it.

A parameter comes in the strategy-parameter group (957) by its name, or in a standard tag; by both with two values it is
contradictory and refused.
"""

from typing import Literal

import msgspec

from algoserver.domain import types
from algoserver.domain.types import Strategy, ppm_text


class AlgoParams(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """A parent's parameters, decoded. 0 or "" means not given; shares are ppm, prices and quantities in units.

    dark_pct: -1 is the strategy's own, all for LIQUIDITY and nothing for the others.
    """

    start_ts: int = 0
    end_ts: int = 0
    max_pct_vol: int = 0
    min_pct_vol: int = 0
    target_pct_vol: int = 0
    urgency: int = 3
    i_would_price: int = 0
    i_would_pct: int = 1_000_000
    display_qty: int = 0
    dark_pct: int = -1
    min_exec_qty: int = 0
    open_auction: bool = False
    close_auction: bool = False
    completion: str = "CANCEL"
    catch_up: bool = True


class Param(msgspec.Struct, frozen=True):
    """One parameter. field: in AlgoParams. least and most bound shares (ppm) and whole numbers, both included.

    default: what holds when it is left out, for a person. is_mutable: may a replace (G) change it.
    """

    name: str
    field: str
    kind: Literal["time", "share", "int", "price", "qty", "flag", "choice"]
    tags: tuple[int, ...]
    meaning: str
    default: str
    least: int = 0
    most: int = 0
    choices: tuple[str, ...] = ()
    is_mutable: bool = True

    @property
    def spelled(self) -> str:
        """The name as a text shows it, with its tags."""
        return f"{self.name} ({', '.join(str(t) for t in self.tags)})" if self.tags else self.name


PARAMS = (
    Param("StartTime", "start_ts", "time", (168,), "begin not before; in the past means now; fixed once it has come", "now"),
    Param("EndTime", "end_ts", "time", (126,), "be done by", "the close"),
    Param("MaxPctVol", "max_pct_vol", "share", (), "cap on our share of the market's volume", "the desk's cap", 1, 1_000_000),
    Param("MinPctVol", "min_pct_vol", "share", (), "floor under our share of the market's volume", "none", 0, 1_000_000),
    Param("TargetPctVol", "target_pct_vol", "share", (849,), "our share of the market's volume that POV aims at", "none", 1, 1_000_000),
    Param(
        "Urgency", "urgency", "int", (), "1 patient to 5 urgent: how early a slice crosses the spread, how front-loaded IS is, "
        "how soon LIQUIDITY goes to lit venues", "3", 1, 5,
    ),
    Param("IWouldPrice", "i_would_price", "price", (), "at this price or better complete at once, whatever the plan", "none"),
    Param("IWouldPct", "i_would_pct", "share", (), "share of the remainder that IWouldPrice completes", "1", 1, 1_000_000),
    Param("DisplayQty", "display_qty", "qty", (1138, 210, 111), "most that a child may show", "what the desk allows"),
    Param("DarkPct", "dark_pct", "share", (), "share of the remainder that may rest in dark venues", "0; for LIQUIDITY 1", 0, 1_000_000),
    Param("MinExecQty", "min_exec_qty", "qty", (110,), "least execution in a dark venue; rounded down to a lot", "none"),
    Param("OpenAuction", "open_auction", "flag", (), "take part in the opening auction", "N"),
    Param("CloseAuction", "close_auction", "flag", (), "take part in the closing auction", "N"),
    Param(
        "Completion", "completion", "choice", (), "what happens to the rest at the end: cancel it, join with it, cross with it", "CANCEL",
        choices=("CANCEL", "SOFT", "HARD"),
    ),
    Param("CatchUp", "catch_up", "flag", (), "make up later for what could not be traded", "Y"),
)  # fmt: skip
BY_NAME = {p.name: p for p in PARAMS}
BY_TAG = {str(tag): p for p in PARAMS for tag in p.tags}

_COMMON = ("StartTime", "EndTime", "MaxPctVol", "IWouldPrice", "IWouldPct")
_SCHEDULE = (*_COMMON, "Urgency", "DisplayQty", "DarkPct", "MinExecQty", "OpenAuction", "CloseAuction", "Completion")


class Use(msgspec.Struct, frozen=True):
    """What a strategy takes: names of parameters, and those without which it can't work. needs_limit: Price (44) too."""

    takes: tuple[str, ...]
    needs: tuple[str, ...] = ()
    needs_limit: bool = False


USES = {
    Strategy.VWAP: Use((*_SCHEDULE, "MinPctVol", "CatchUp")),
    Strategy.POV: Use((*(n for n in _SCHEDULE if n != "Completion"), "MinPctVol", "TargetPctVol", "CatchUp"), needs=("TargetPctVol",)),
    Strategy.IS: Use((*_SCHEDULE, "MinPctVol")),
    Strategy.TWAP: Use((*_SCHEDULE, "CatchUp")),
    Strategy.CLOSE: Use(("StartTime", "MaxPctVol", "IWouldPrice", "IWouldPct", "Urgency", "DarkPct", "MinExecQty")),
    Strategy.LIQUIDITY: Use((*_COMMON, "MinPctVol", "Urgency", "DisplayQty", "DarkPct", "MinExecQty", "Completion")),
    Strategy.ICEBERG: Use((*_COMMON, "DisplayQty"), needs=("DisplayQty",), needs_limit=True),
}
"""The strategies, and their parameters."""

NO_PARAMS = AlgoParams()
_DEFAULTS = msgspec.structs.astuple(NO_PARAMS)
assert AlgoParams.__struct_fields__ == tuple(p.field for p in PARAMS)


def bounds(param: Param) -> str:
    """What may be sent, for a person; empty where that is said by the type."""
    if param.kind == "share":
        return f"{ppm_text(param.least)} to {ppm_text(param.most)}"
    if param.kind == "int":
        return f"{param.least} to {param.most}"
    return ", ".join(param.choices)


def given(params: AlgoParams) -> list[Param]:
    """The parameters that say something else than their default."""
    values = msgspec.structs.astuple(params)
    return [param for param, value, default in zip(PARAMS, values, _DEFAULTS, strict=True) if value != default]


def parse(param: Param, text: str, decimals: int) -> int | str | bool:
    """A parameter's text as its value, quantities in units of 10**-decimals. A ValueError says what is wrong with it."""
    if param.kind == "time":
        return types.utc(text)
    if param.kind == "flag":
        if text not in ("Y", "N"):
            raise ValueError(f"{text[:16]!r} is not Y or N")
        return text == "Y"
    if param.kind == "choice":
        if text not in param.choices:
            raise ValueError(f"{text[:16]!r} is not one of {', '.join(param.choices)}")
        return text
    if param.kind == "price":
        value = types.px(text)
    elif param.kind == "qty":
        value = types.qty(text, decimals)
    elif param.kind == "share":
        value = types.ppm(text)
    else:
        value = types.qty(text)
    if param.kind in ("share", "int") and not param.least <= value <= param.most:
        show = types.ppm_text if param.kind == "share" else str
        unit = " (a fraction: 0.15 is 15 %)" if param.kind == "share" else ""
        raise ValueError(f"{text} is not within {show(param.least)} and {show(param.most)}{unit}")
    if value < 0:
        raise ValueError(f"{text} is negative")
    return value
