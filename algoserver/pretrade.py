"""`algoctl estimate`: what an order would cost, by each algo, before it is sent; and the tables of costs that the core reads.

Rule 1: the core says what it knows (facts, on its thread, no model); what a model makes of it is computed on the asker's own thread.
Rule 2: no model stops anybody: one that does not load leaves the published one in its place, and the answer says so.
Rule 3: windows and what makes no sense are refused by the core's own rules; limits are not asked, so an order that is estimated may still be refused.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from algoserver.core import estimates
from algoserver.core import market as markets
from algoserver.core.algos.schedule import Window
from algoserver.core.planning import day_curve, refusal, window
from algoserver.core.state import State
from algoserver.domain.events import ParentRequested, PolicyLoaded
from algoserver.domain.model_events import CostTable
from algoserver.domain.params import BY_NAME, USES, AlgoParams, parse
from algoserver.domain.types import DAY, MINUTE, PPM_ONE, Denied, OrdType, Side, Strategy, TimeInForce, px_text, qty, qty_text, utc_text
from algoserver.door import error

if TYPE_CHECKING:
    from algoserver.learn.cost import CostModel

PUBLISHED = "published"
Answer = dict[str, Any]
# ICEBERG has no plan that could be costed: it waits at its own side's price.
ALGOS = (Strategy.VWAP, Strategy.TWAP, Strategy.POV, Strategy.IS, Strategy.CLOSE, Strategy.LIQUIDITY)
AHEAD_MAX = 7 * DAY  # as far as a week's order
DAYS_MAX = 10  # average days' volume; a model has seen orders of a fraction of one
SAID = ("Symbol", "Side", "OrderQty", "Strategy", "Minutes")


class Pricer:
    """Prices by `impact`: "published", a model directory, or "" for nobody. The model is read when it is first asked."""

    def __init__(self, impact: str, setup: PolicyLoaded) -> None:
        self._name = impact
        self._sigmas = {i.instrument.symbol: i.instrument.volatility_ppm / PPM_ONE for i in setup.instruments}
        self._lock = threading.RLock()  # two threads of the forecaster, the planner's and those of the door ask
        self._turn = threading.Lock()
        self._model: CostModel | None = None
        self._why = ""
        self._tables: dict[str, CostTable] = {}

    def table(self, symbol: str) -> CostTable | None:
        """What trading in a symbol costs; None where nobody is to say it."""
        sigma = self._sigmas.get(symbol)
        if not self._name or sigma is None:
            return None
        with self._lock:
            if symbol not in self._tables:
                from algoserver.learn.tables import cost_table

                try:
                    self._tables[symbol] = cost_table(self.model(), sigma)
                except Exception as error:
                    # It is asked by who brings the day's forecast: that must come, with costs or without.
                    structlog.get_logger().warning("no costs", symbol=symbol, reason=f"{type(error).__name__}: {error}")
                    return None
            return self._tables[symbol]

    def ask(self, ask: Callable[[], Answer]) -> Answer:
        """Answer a question. ask: puts it to the core, which answers by facts()."""
        told = ask()
        if "error" in told:
            return told
        if not self._name:
            return error("refused", "no model of cost is configured: `impact` of [forecast] is empty")
        from algoserver.learn.terms import Scene, Wanted

        model, scene, rows = self.model(), Scene(**told["scene"]), []
        with self._turn:  # one at a time: a dozen at once would take the processor from the core a dozen times as often
            for said in told["wanted"]:
                try:
                    rows.append(_row(model, Wanted(**said["order"]), scene, said))
                except ValueError as wrong:
                    return error("refused", str(wrong))
                except Exception as failure:
                    # A question that a model can't answer has an answer too.
                    return error("failed", f"the model of costs says nothing of this order: {type(failure).__name__}: {failure}")
        best = min(rows, key=lambda row: float(row["p90_bp"]))
        return {
            **told["order"], "best": f"{best['algo']} {best['urgency']}".strip(), "model": model.version, "model_orders": model.orders,
            "text": self._why, "algos": rows,
        }  # fmt: skip

    def model(self) -> "CostModel":
        """The model, read now if it was not yet."""
        with self._lock:
            if self._model is None:
                from algoserver.learn.cost import PUBLISHED_MODEL

                self._model = PUBLISHED_MODEL
                if self._name != PUBLISHED:
                    from algoserver.learn.cost_fit import load_impact

                    try:
                        self._model = load_impact(Path(self._name))
                    except Exception as e:
                        self._why = f"the model does not load: {e}"
                        structlog.get_logger().warning("costs by the published model", reason=self._why)
            return self._model


def facts(state: State, values: dict[str, str], now: int) -> Answer:
    """What the core knows of an order that might be sent, for each algo that would take it; on the core's thread."""
    setup = state.setup
    instrument = state.instruments.get(values.get("Symbol", ""))
    if setup is None or instrument is None:
        return error("not_found", f"symbol {values.get('Symbol', '')[:32]!r} is not traded here; there are {', '.join(state.instruments)}")
    wanted: list[Answer] = []
    refused = ""
    try:
        for asked in _orders(values, instrument.qty_decimals, instrument.adv, now):
            denied = refusal(state, asked)
            found = window(setup, asked) if denied is None else denied
            if isinstance(found, Denied):
                refused = refused or f"{found.code}: {found.text}"
            else:
                wanted += _wanted(state, asked, found)
    except ValueError as wrong:
        return error("usage", str(wrong))
    if not wanted:
        return error("refused", refused)
    market = state.markets[instrument.symbol]
    price = markets.mid(market) or instrument.previous_close
    if not price:
        return error("refused", f"no price of {instrument.symbol} is known yet")
    spread, volume = estimates.half_spread(market, price), estimates.volume_of(state.forecasts.get(instrument.symbol), now)
    curve, curve_text, _ = day_curve(state, setup, instrument.symbol, now)
    scene = {
        "instrument": instrument, "algo": setup.algo, "hours": setup.hours, "curve": curve, "price": price,
        "half_spread": spread * price // estimates.PX_E8, "volume": volume,
    }  # fmt: skip
    order = {
        "symbol": instrument.symbol, "side": values["Side"], "order_qty": values["OrderQty"], "market_time": utc_text(now), "price": px_text(price),
        "spread_bp": estimates.basis_points(2 * spread), "volatility": f"{instrument.volatility_ppm / PPM_ONE:.4f}", "curve": curve_text,
    }  # fmt: skip
    return {"order": order, "scene": scene, "wanted": wanted}


def _orders(values: dict[str, str], decimals: int, adv: int, now: int) -> Iterator[ParentRequested]:
    """The order as each algo would be asked for it. ValueError: what it says makes no sense."""
    strange = [name for name in values if name not in SAID and name not in BY_NAME]
    if strange or values.get("Side") not in Side.__members__:
        raise ValueError(f"{strange[0][:32]!r} is no parameter" if strange else f"Side is one of {', '.join(Side.__members__)}")
    try:
        order_qty = qty(values.get("OrderQty", ""), decimals)
    except ValueError as wrong:
        raise ValueError(f"OrderQty: {wrong}") from wrong
    if order_qty <= 0:
        raise ValueError("OrderQty is not above 0")
    if order_qty > DAYS_MAX * adv:
        raise ValueError(f"OrderQty is more than {DAYS_MAX} average days' volume of {qty_text(adv, decimals)}: no model knows what that costs")
    name = values.get("Strategy", "")
    if name and name not in {s.name for s in ALGOS}:
        raise ValueError(f"Strategy is one of {', '.join(s.name for s in ALGOS)}")
    given: dict[str, Any] = {}
    for key, text in values.items():
        if key in BY_NAME:
            try:
                given[key] = parse(BY_NAME[key], text, decimals)
            except ValueError as wrong:
                raise ValueError(f"{key}: {wrong}") from wrong
    start_ts = given.get("StartTime", 0)
    if start_ts > now + AHEAD_MAX:
        raise ValueError(f"StartTime is more than {AHEAD_MAX // DAY} days ahead: nobody knows what the market is then")
    if given.get("EndTime", 0) > now + AHEAD_MAX:
        raise ValueError(f"EndTime is more than {AHEAD_MAX // DAY} days ahead: nobody knows what the market is then")
    if "Minutes" in values:
        minutes = values["Minutes"]
        if "EndTime" in given:
            raise ValueError("Minutes and EndTime both say when it ends: give one of them")
        if not (minutes.isascii() and minutes.isdecimal() and 0 < int(minutes) <= 1_440):
            raise ValueError("Minutes is a whole number from 1 to 1440")
        given["EndTime"] = max(now, start_ts) + int(minutes) * MINUTE
    for strategy in [Strategy[name]] if name else ALGOS:
        takes = given if name else {key: value for key, value in given.items() if key in USES[strategy].takes}
        if strategy is Strategy.POV:
            takes = {"TargetPctVol": PPM_ONE, **takes}  # least that is done in time, see _wanted
        if "Urgency" in given or "Urgency" not in USES[strategy].takes or strategy is not Strategy.IS:
            urgencies: tuple[int, ...] = (takes.get("Urgency", 3),)
        else:
            urgencies = (1, 2, 3, 4, 5)
        for urgency in urgencies:
            params = {BY_NAME[key].field: value for key, value in takes.items()} | ({"urgency": urgency} if strategy is Strategy.IS else {})
            yield ParentRequested(
                session="", cl_ord_id="", symbol=values["Symbol"], side=Side[values["Side"]], order_qty=order_qty, ord_type=OrdType.MARKET,
                price=0, time_in_force=TimeInForce.DAY, strategy=strategy, params=AlgoParams(**params), ts=now,
            )  # fmt: skip


def _wanted(state: State, asked: ParentRequested, found: Window) -> Iterator[Answer]:
    """Its terms, and what the market should trade while it is at work."""
    assert state.setup is not None
    instrument, p = state.instruments[asked.symbol], asked.params
    curve = day_curve(state, state.setup, asked.symbol, found.start_ts)[0]
    full = Window(found.start_ts, found.end_ts, curve, found.hours)
    volume = estimates.expected(state.forecasts.get(asked.symbol), full, instrument.adv)
    cap, target = p.max_pct_vol or state.setup.algo.max_pct_vol, p.target_pct_vol
    if target == PPM_ONE:  # not said: what brings it home by the end, by the median
        target = min(cap, -(-asked.order_qty * PPM_ONE // max(1, volume.p50)))
    order = {
        "symbol": asked.symbol, "side": asked.side, "order_qty": asked.order_qty, "strategy": asked.strategy, "start_ts": found.start_ts,
        "end_ts": found.end_ts, "urgency": p.urgency, "cap_ppm": cap, "target_ppm": target,
    }  # fmt: skip
    done = estimates.completion(asked.order_qty * PPM_ONE // (target or cap), volume)
    yield {"order": order, "completion": done, "volume": qty_text(volume.p50, instrument.qty_decimals)}


def _row(model: "CostModel", wanted: Any, scene: Any, said: Answer) -> Answer:
    from algoserver.learn.terms import terms_of

    terms = terms_of(wanted, scene)
    cost = model.cost(terms)
    return {
        "algo": Strategy(wanted.strategy).name, "urgency": str(wanted.urgency) if wanted.strategy == Strategy.IS else "",
        "cost_bp": f"{cost.expected * 1e4:.1f}", "p10_bp": f"{cost.p10 * 1e4:.1f}", "p90_bp": f"{cost.p90 * 1e4:.1f}",
        "mean_from_bp": f"{cost.low * 1e4:.1f}", "mean_to_bp": f"{cost.high * 1e4:.1f}", "volume_pct": f"{terms.participation * 100:.1f}",
        "complete_pct": estimates.percent(said["completion"]), "start": utc_text(wanted.start_ts), "end": utc_text(wanted.end_ts),
        "market_volume": said["volume"],
    }  # fmt: skip
