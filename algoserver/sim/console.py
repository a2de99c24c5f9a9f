"""What an operator may ask of a running simulator (`algoctl sim`), and what comes of it. Pure: time is an argument.

OPS-1: what is unknown or impossible is refused in words, and nothing has changed.
OPS-2: a halt or pause that was ordered survives a restart; a script that runs does not.
"""

from typing import Any

import msgspec

from algoserver.domain.types import SECOND, px_text, utc_text
from algoserver.settings import BadConfig
from algoserver.sim.exchange import Exchange
from algoserver.sim.faults import KINDS, Fault, known, load
from algoserver.sim.mishaps import Impossible
from algoserver.sim.reports import Answer
from algoserver.sim.stage import Stage

PHASES = ("continuous", "halted", "paused")
PAUSE_S = 60  # of a pause that was ordered without saying how long
NO_END = 4_000_000_000 * SECOND  # what lasts longer lasts until it is ended
Said = dict[str, Any]


class Console:
    """Of one market."""

    def __init__(self, exchange: Exchange, stage: Stage):
        self._exchange = exchange
        self._stage = stage

    def ask(self, ts: int, request: Said) -> tuple[Said, list[Answer]]:
        """The answer, and what happened in the market because of it."""
        verbs = {
            "sim.status": self._status, "sim.scenario": self._scenarios, "sim.run": self._run, "sim.inject": self._inject,
            "sim.halt": self._halt, "sim.resume": self._resume, "sim.phase": self._phase,
        }  # fmt: skip
        verb = verbs.get(str(request.get("verb", "")))
        if verb is None:
            return _refusal("usage", f"no verb {request.get('verb')!r}: this is a simulator, which knows {', '.join(verbs)}"), []
        try:
            return verb(ts, request)
        except (Impossible, BadConfig) as wrong:
            return _refusal("refused", str(wrong)), []
        except msgspec.ValidationError as wrong:
            return _refusal("usage", str(wrong)), []
        except ValueError as wrong:
            return _refusal("not_found", str(wrong)), []

    def _status(self, ts: int, request: Said) -> tuple[Said, list[Answer]]:
        lasting = [{**_named(f), "until": utc_text(until)} for f, until in self._stage.lasting(ts)]
        waiting = [{**_named(f), "from": utc_text(due)} for due, f in self._stage.waiting()]
        return {
            "time": utc_text(ts), "venues": self._exchange.venues, "phases": self._phases(), "lasting": lasting, "waiting": waiting,
            "passed": self._stage.passed,
        }, []  # fmt: skip

    def _scenarios(self, ts: int, request: Said) -> tuple[Said, list[Answer]]:
        if request.get("target"):
            script = load(str(request["target"]))
            return {"about": script.about, "seed": script.seed, "faults": [{"at_s": f.at_s, **_named(f)} for f in script.faults]}, []
        scripts = [{"scenario": name, "about": load(name).about} for name in known()]
        return {"scenarios": scripts, "kinds": [{"kind": k, "keys": ", ".join((*v.needs, *v.takes)), "what": v.what} for k, v in KINDS.items()]}, []

    def _run(self, ts: int, request: Said) -> tuple[Said, list[Answer]]:
        script = load(str(request.get("target", "")))
        out = self._exchange.advance(ts)
        self._stage.run(ts, script)
        return {"scenario": request["target"], "faults": len(script.faults), "seed": script.seed}, out + self._stage.advance(ts)

    def _inject(self, ts: int, request: Said) -> tuple[Said, list[Answer]]:
        values = request.get("values") or {}
        if "at_s" in values:
            raise Impossible("what is injected happens now: `at_s` belongs into a script")
        fault = msgspec.convert({"kind": request.get("target", ""), **values}, Fault, strict=False)
        return {"injected": _named(fault)}, self._stage.inject(ts, fault)

    def _halt(self, ts: int, request: Said) -> tuple[Said, list[Answer]]:
        out: list[Answer] = []
        seconds, resting = request.get("seconds") or 0, str(request.get("resting") or "keep")
        symbols = self._symbols(request)
        for fault in [msgspec.convert({"kind": "halt", "symbol": s, "seconds": seconds, "resting": resting}, Fault) for s in symbols]:
            out += self._stage.inject(ts, fault)
        return {"phases": self._phases()}, out

    def _resume(self, ts: int, request: Said) -> tuple[Said, list[Answer]]:
        symbols = self._symbols(request)
        if not any(self._exchange.is_halted(s) for s in symbols):
            raise Impossible(f"trading in {', '.join(symbols)} is not halted")
        out = [answer for s in symbols for answer in self._exchange.resume(ts, s)]
        return {"phases": self._phases()}, out

    def _phase(self, ts: int, request: Said) -> tuple[Said, list[Answer]]:
        phase = str(request.get("phase") or "")
        if not phase:
            return {"phases": self._phases()}, []
        if phase not in PHASES:
            raise ValueError(f"no phase {phase}: {', '.join(PHASES)} can be ordered; the session's hours open and close the market")
        if phase == "continuous":
            return self._resume(ts, request)
        if phase == "halted":
            return self._halt(ts, request)
        out: list[Answer] = []
        for symbol in self._symbols(request):
            out += self._stage.inject(ts, Fault(kind="luld", symbol=symbol, seconds=float(request.get("seconds") or PAUSE_S)))
        return {"phases": self._phases()}, out

    def _symbols(self, request: Said) -> list[str]:
        target = str(request.get("target") or "")
        if target == "all":
            return [s for s in self._exchange.instruments if self._exchange.flows(s)]
        if target not in self._exchange.instruments:
            raise ValueError(f"no symbol {target}: {', '.join(self._exchange.instruments)} are listed, and `all` means each of them")
        return [target]

    def _phases(self) -> list[Said]:
        return [self._row(symbol) for symbol in self._exchange.instruments]

    def _row(self, symbol: str) -> Said:
        books = self._exchange.source(symbol).books
        band = next((b.band for b in books.values() if b.band), None)
        stop = self._exchange.mark().stops.get(symbol)
        bids = [px for b in books.values() if (px := b.bids.best_px())]
        offers = [px for b in books.values() if (px := b.asks.best_px())]
        return {
            "symbol": symbol, "phase": self._exchange.phases.name(symbol),
            "until": utc_text(stop.until_ts) if stop is not None and stop.until_ts < NO_END else "",
            "bid": px_text(max(bids)) if bids else "", "offer": px_text(min(offers)) if offers else "",
            "band": f"{px_text(band[0])} to {px_text(band[1])}" if band else "",
        }  # fmt: skip


def _named(fault: Fault) -> Said:
    """A fault as its script would say it."""
    defaults = {f.name: f.default for f in msgspec.structs.fields(Fault)}
    said = {name: getattr(fault, name) for name, default in defaults.items() if name != "at_s" and getattr(fault, name) != default}
    return {"kind": fault.kind, **said}


def _refusal(code: str, text: str) -> Said:
    return {"error": {"code": code, "text": text}}
