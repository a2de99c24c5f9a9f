"""Every algo parameter, declared once: name, tags, type, range, meaning. The decoder, rejects and documents read it.

A parameter comes in the strategy-parameter group (957) by its name, or in a standard tag; by both with two values it is
contradictory and refused.
"""

from typing import Literal

import msgspec

from algoserver.domain.types import Strategy


class AlgoParams(msgspec.Struct, frozen=True):
    """A parent's parameters, decoded. 0 or "" means not given; shares are ppm, prices and quantities in units."""

    start_ts: int = 0
    end_ts: int = 0
    max_pct_vol: int = 0
    min_pct_vol: int = 0
    target_pct_vol: int = 0
    urgency: int = 3
    i_would_price: int = 0
    i_would_pct: int = 1_000_000
    display_qty: int = 0
    dark_pct: int = 0
    min_exec_qty: int = 0
    open_auction: bool = False
    close_auction: bool = False
    completion: str = "CANCEL"
    catch_up: bool = True


class Param(msgspec.Struct, frozen=True):
    """One parameter. field: in AlgoParams. least and most bound shares (ppm) and whole numbers, both included."""

    name: str
    field: str
    kind: Literal["time", "share", "int", "price", "qty", "flag", "choice"]
    tags: tuple[int, ...]
    meaning: str
    least: int = 0
    most: int = 0
    choices: tuple[str, ...] = ()
    is_built: bool = True


PARAMS = (
    Param("StartTime", "start_ts", "time", (168,), "begin not before; in the past means now"),
    Param("EndTime", "end_ts", "time", (126,), "be done by; default the close"),
    Param("MaxPctVol", "max_pct_vol", "share", (), "cap on our share of the market's volume", 1, 1_000_000),
    Param("MinPctVol", "min_pct_vol", "share", (), "floor under our share of the market's volume", 0, 1_000_000),
    Param("TargetPctVol", "target_pct_vol", "share", (849,), "our share of the market's volume that POV aims at", 1, 1_000_000),
    Param("Urgency", "urgency", "int", (), "1 patient to 5 urgent: how early a slice crosses the spread", 1, 5),
    Param("IWouldPrice", "i_would_price", "price", (), "at this price or better complete at once, whatever the plan"),
    Param("IWouldPct", "i_would_pct", "share", (), "share of the remainder that IWouldPrice completes", 1, 1_000_000),
    Param("DisplayQty", "display_qty", "qty", (1138, 210, 111), "most that a child may show"),
    Param("DarkPct", "dark_pct", "share", (), "share that may go to dark venues", 0, 1_000_000, is_built=False),
    Param("MinExecQty", "min_exec_qty", "qty", (110,), "least execution in a dark venue", is_built=False),
    Param("OpenAuction", "open_auction", "flag", (), "take part in the opening auction", is_built=False),
    Param("CloseAuction", "close_auction", "flag", (), "take part in the closing auction", is_built=False),
    Param("Completion", "completion", "choice", (), "what happens to the rest at the end", choices=("CANCEL", "SOFT", "HARD")),
    Param("CatchUp", "catch_up", "flag", (), "make up later for what could not be traded"),
)
BY_NAME = {p.name: p for p in PARAMS}
BY_TAG = {str(tag): p for p in PARAMS for tag in p.tags}

BUILT = (Strategy.VWAP, Strategy.POV, Strategy.TWAP)
