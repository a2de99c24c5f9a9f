"""A study: the same parents over many seeds, each against a market of its own, in processes of its own.

Rule 1: a seed's journal and result are the same bytes on every run, however many processes there are.
Rule 2: what a seed came to is written last and at once (`result.json`): a study that was stopped goes on where it was.
Rule 3: on a cluster (`--dask`) a worker needs none of our files: a seed's journal and result come back with it, and are written here.
Rule 4: results of another configuration are not mixed: the directory remembers what its study was.

Layout of the directory: `study.json` (hash of all configuration), `seed-000007/journal/`, `seed-000007/reference.json` (the market without us),
`seed-000007/result.json`, `results.csv`.
"""

import csv
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from math import sqrt
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from algoserver.backtest import Backtest
from algoserver.cluster import ClusterFailed, spread
from algoserver.config import load as load_server
from algoserver.domain.events import PolicyLoaded
from algoserver.domain.params import BY_NAME, parse
from algoserver.domain.policy import SessionHours
from algoserver.domain.types import Side, Strategy, px, px_text, qty, qty_text, utc
from algoserver.journal import Journal
from algoserver.policies import digest_of, load_policy
from algoserver.settings import BadConfig, Entry, read, time_of_day
from algoserver.sim.config import Scenario
from algoserver.sim.config import load as load_scenario
from algoserver.sim.exchange import Exchange
from algoserver.sim.reacting import Reacting
from algoserver.sim.sources import tapes
from algoserver.sim.tape_file import BrokenTape
from algoserver.sim.volume import UnknownRecording
from algoserver.study_orders import DrawnConfig, ParentConfig, draw

REFUSALS = (BadConfig, ClusterFailed, BrokenTape, UnknownRecording, ValueError, OSError)  # what `play` says of a study that can't be run


REFERENCE = "reference.json"  # beside the journal
RESULT = "result.json"


class StudyConfig(Entry, frozen=True):
    """server, market: files beside this one; policy: one beside it instead of the server's. begin, end: market time. Either `parents` or `drawn`.

    latency_ms: one way; sums_trades: see Backtest. book_interval_ms: instead of the market's; 0: as it is.
    """

    server: str
    market: str
    begin: str
    end: str
    parents: list[ParentConfig] = msgspec.field(default_factory=list)
    drawn: DrawnConfig | None = None
    policy: str = ""
    latency_ms: float = 1.0
    sums_trades: bool = True
    book_interval_ms: int = 0

    def __post_init__(self) -> None:
        if not utc(self.begin) < utc(self.end):
            raise ValueError("`begin` is not before `end`")
        names = [p.cl_ord_id for p in self.parents]
        if bool(names) == (self.drawn is not None) or len(set(names)) < len(names):
            raise ValueError("needs `parents`, each `cl_ord_id` once, or `drawn`")
        if any(not utc(self.begin) < utc(p.at) < utc(self.end) for p in self.parents):
            raise ValueError("`at` of `parents` must be after `begin` and before `end`")
        if self.latency_ms * 1e6 < 1:
            raise ValueError("`latency_ms` must be positive")
        if self.book_interval_ms < 0:
            raise ValueError("`book_interval_ms` must not be negative")


class Study(NamedTuple):
    """All that a seed needs. digest: of every file it came from."""

    config: StudyConfig
    setup: PolicyLoaded
    scenario: Scenario
    digest: str

    def parents(self, seed: int) -> list[ParentConfig]:
        """The orders of a seed."""
        c = self.config
        return draw(c.drawn, self.setup, c.begin, c.end, seed) if c.drawn else c.parents


class Outcome(msgspec.Struct, frozen=True):
    """What became of a parent with one seed. Prices as text; shares of 1; slippage in basis points, positive is worse for us.

    arrival_px: consolidated mid when it came, vwap_px: of all trades from then to its end, ours included.
    """

    seed: int
    cl_ord_id: str
    order_qty: str
    cum_qty: str
    ord_status: str
    avg_px: str
    arrival_px: str
    arrival_slippage_bp: float
    vwap_px: str
    vwap_slippage_bp: float
    participation: float
    passive_share: float
    children: int
    alerts: int
    events: int
    journal_sha256: str


def load(path: Path, tape: str = "") -> Study:
    """Read a study. tape: the file of its market's recording, instead of the one that it names. Raises BadConfig, OSError."""
    config = read(path, StudyConfig)
    server_path, market_path = path.parent / config.server, path.parent / config.market
    server, scenario = load_server(server_path), load_scenario(market_path, tape)
    known = {i.symbol for i in scenario.instruments} & {i.instrument.symbol for i in server.setup.instruments}
    named = [(f"parents {p.cl_ord_id!r}", p.symbol) for p in config.parents]
    named += [("drawn", symbol) for symbol in (config.drawn.symbols if config.drawn else ())]
    for entry, symbol in named:
        if symbol not in known:
            raise BadConfig(f"{path}: {entry}: `symbol` {symbol} is not traded by both server and market")
    # Instruments that nobody trades change nothing for the others: they need not be run.
    wanted = {symbol for _, symbol in named}
    scenario = msgspec.structs.replace(
        scenario, instruments=[i for i in scenario.instruments if i.symbol in wanted], halts=[h for h in scenario.halts if h.symbol in wanted]
    )
    # The market's hours are the day that the algos plan.
    hours = SessionHours(time_of_day(scenario.session.open), time_of_day(scenario.session.close))
    setup = msgspec.structs.replace(server.setup, hours=hours)
    if config.policy:
        policy, policy_text = load_policy(path.parent / config.policy)
        setup = msgspec.structs.replace(setup, policy=policy, policy_digest=digest_of(policy_text))
    if config.book_interval_ms:
        scenario = msgspec.structs.replace(scenario, book_interval_ms=config.book_interval_ms)
    text = path.read_bytes() + msgspec.json.encode(setup) + msgspec.json.encode(scenario)
    for taped in [i.tape for i in scenario.instruments if i.tape and Path(i.tape.file).is_file()]:
        text += hashlib.sha256(Path(taped.file).read_bytes()).digest()
    return Study(config, setup, scenario, hashlib.sha256(text).hexdigest())


def play(config: Path, seeds: str, jobs: int, out: Path, is_json: bool, tape: str = "", dask: str = "") -> None:
    """The command: run, tell on stderr how far it is, print what it came to. seeds: "A:B"; jobs 0: one for each processor; tape: see load.

    dask: address of a scheduler whose workers do it instead of processes here.
    """
    first, _, last = seeds.partition(":")
    if not (first.isascii() and first.isdecimal() and last.isascii() and last.isdecimal() and int(first) < int(last)):
        raise ValueError(f"--seeds {seeds} is not A:B with A below B")
    since = time.monotonic()

    def tell(seed: int, found: list[Outcome], left: int) -> None:
        parents = "; ".join(f"{o.cl_ord_id} {o.cum_qty} of {o.order_qty}, {o.arrival_slippage_bp:.2f} bp" for o in found)
        print(f"seed {seed}: {parents}; {left} to go after {time.monotonic() - since:.0f} s", file=sys.stderr, flush=True)

    study = load(config, tape)
    if any(i.tape for i in study.scenario.instruments):
        for told in tapes(Exchange(study.scenario)):
            print(told, file=sys.stderr, flush=True)
    outcomes = run(study, range(int(first), int(last)), out, jobs or os.cpu_count() or 1, tell, dask)
    print(*summary(outcomes), f"results {out / 'results.csv'}", sep="\n")
    if is_json:
        print(msgspec.json.encode({"outcomes": outcomes}).decode())


def run(study: Study, seeds: range, out: Path, jobs: int, tell: Callable[[int, list[Outcome], int], None], dask: str = "") -> list[Outcome]:
    """Run every seed that `out` does not have yet, and write `results.csv`. tell: each seed as it is done, and how many are left."""
    _claim(study, out)
    done = {seed: outcomes for seed in seeds if (outcomes := _result(out, seed)) is not None}
    missing = [seed for seed in seeds if seed not in done]
    for left, (seed, outcomes) in zip(range(len(missing) - 1, -1, -1), _each(study, missing, out, jobs, dask), strict=True):
        done[seed] = outcomes
        tell(seed, outcomes, left)
    found = [outcome for seed in sorted(done) for outcome in done[seed]]
    with (out / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, Outcome.__struct_fields__, lineterminator="\n")
        writer.writeheader()
        writer.writerows(msgspec.structs.asdict(o) for o in found)
    return found


def _each(study: Study, seeds: list[int], out: Path, jobs: int, dask: str) -> Iterator[tuple[int, list[Outcome]]]:
    """Seeds as they are done."""
    if dask and seeds:
        for seed, (outcomes, files) in spread(dask, partial(_away, study), seeds):
            _keep(out, seed, files)
            yield seed, outcomes
        return
    if jobs == 1:
        yield from ((seed, one(study, seed, out)) for seed in seeds)
        return
    # spawn: a compiled kernel and its threads are not forked.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(one, study, seed, out): seed for seed in seeds}
        for future in as_completed(waiting):
            yield waiting[future], future.result()


def one(study: Study, seed: int, out: Path) -> list[Outcome]:
    """Run one seed and write what it came to."""
    folder = _folder(out, seed)
    if folder.exists():
        shutil.rmtree(folder)  # it was stopped half way
    folder.mkdir(parents=True)
    config, parents = study.config, study.parents(seed)
    with Journal(folder / "journal") as journal:
        latency_ns = max(1, round(config.latency_ms * 1e6))
        bt = Backtest(study.setup, study.scenario, utc(config.begin), seed, latency_ns, journal=journal, sums_trades=config.sums_trades)
        arrivals = {}
        for parent in sorted(parents, key=lambda p: (utc(p.at), p.cl_ord_id)):
            bt.run(utc(parent.at) - 1)
            arrivals[parent.cl_ord_id] = _mid(bt, parent.symbol)
            _send(bt, parent)
        bt.run(utc(config.end))
    written = folder / "reference.tmp"
    written.write_bytes(msgspec.json.encode(reference_of(bt)) + b"\n")
    written.replace(folder / REFERENCE)
    digest = hashlib.sha256()
    for path in sorted((folder / "journal").iterdir()):
        if path.suffix in (".log", ".zst"):
            digest.update(path.read_bytes())
    outcomes = [_outcome(bt, seed, parent, arrivals[parent.cl_ord_id], digest.hexdigest()) for parent in parents]
    written = folder / "result.tmp"
    written.write_bytes(msgspec.json.encode(outcomes) + b"\n")
    written.replace(folder / RESULT)
    return outcomes


def _away(study: Study, seed: int) -> tuple[list[Outcome], dict[str, bytes]]:
    """Run one seed where nothing of ours is: what it came to, and its files."""
    with tempfile.TemporaryDirectory(prefix="algoserver-study-") as name:
        outcomes = one(study, seed, Path(name))
        folder = _folder(Path(name), seed)
        return outcomes, {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _keep(out: Path, seed: int, files: dict[str, bytes]) -> None:
    """Write a seed's files, the result last."""
    folder = _folder(out, seed)
    if folder.exists():
        shutil.rmtree(folder)
    for name, content in sorted(files.items(), key=lambda item: item[0] == RESULT):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_suffix(".tmp")
        written.write_bytes(content)
        written.replace(path)


def reference_of(bt: Backtest) -> dict[str, Any]:
    """What the price would have done without us, where the market reacts: by symbol, since_ts and price units each second from then on.

    It is the market's own, drawn before anybody trades; with it an order's cost is told from the price's own moves (learn/executions.py).
    """
    found = {}
    for symbol, instrument in bt.exchange.instruments.items():
        source = bt.exchange.source(symbol)
        if isinstance(source, Reacting):
            since_ts, ticks = source.reference_path()
            found[symbol] = {"since_ts": since_ts, "px": [round(t * instrument.tick) for t in ticks]}
    return found


def summary(outcomes: list[Outcome]) -> Iterator[str]:
    """A line a parent: means over seeds, with the half width of their 95 % interval."""
    for name in dict.fromkeys(o.cl_ord_id for o in outcomes):
        mine = [o for o in outcomes if o.cl_ord_id == name]
        filled = sum(o.cum_qty == o.order_qty for o in mine)
        figures = [
            f"{label} {_interval([getattr(o, field) * scale for o in mine])}"
            for label, field, scale in (
                ("slippage to arrival, bp:", "arrival_slippage_bp", 1), ("to VWAP:", "vwap_slippage_bp", 1),
                ("participation, %:", "participation", 100), ("passive, %:", "passive_share", 100),
            )
        ]  # fmt: skip
        yield f"{name}: {filled} of {len(mine)} filled; {'; '.join(figures)}"


def _interval(values: list[float]) -> str:
    mean = sum(values) / len(values)
    if len(values) < 2:
        return f"{mean:.2f}"
    spread = sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values))
    return f"{mean:.2f} +- {1.96 * spread:.2f}"


def _claim(study: Study, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    mark = out / "study.json"
    if mark.exists() and msgspec.json.decode(mark.read_bytes()).get("digest") != study.digest:
        raise BadConfig(f"{out}: holds the results of another configuration; choose another --out, or remove it")
    mark.write_bytes(msgspec.json.encode({"digest": study.digest}) + b"\n")


def _folder(out: Path, seed: int) -> Path:
    return out / f"seed-{seed:06d}"


def _result(out: Path, seed: int) -> list[Outcome] | None:
    path = _folder(out, seed) / RESULT
    return msgspec.json.decode(path.read_bytes(), type=list[Outcome]) if path.exists() else None


def _send(bt: Backtest, parent: ParentConfig) -> None:
    decimals = bt.exchange.instruments[parent.symbol].qty_decimals
    params: dict[str, Any] = {BY_NAME[n].field: parse(BY_NAME[n], text, decimals) for n, text in parent.params.items()}
    price = px(parent.price) if parent.price else 0
    order_qty, strategy, side = qty(parent.order_qty, decimals), Strategy[parent.strategy], Side[parent.side]
    bt.parent(parent.cl_ord_id, parent.symbol, order_qty, strategy, side, price, utc(parent.at), **params)


def _mid(bt: Backtest, symbol: str) -> int:
    """Consolidated; 0 while a side is empty."""
    books = [bt.exchange.book(v, symbol) for v in bt.exchange.venues]
    bids, asks = [b[0][0] for b, _ in books if b], [a[0][0] for _, a in books if a]
    return (max(bids) + min(asks)) // 2 if bids and asks else 0


def _outcome(bt: Backtest, seed: int, config: ParentConfig, arrival_px: int, journal_sha256: str) -> Outcome:
    parent = bt.order(config.cl_ord_id)
    order, decimals = parent.order, bt.exchange.instruments[config.symbol].qty_decimals
    fills = [f for f in bt.fills if f.parent_id == parent.parent_id]
    last_ts = fills[-1].ts if order.cum_qty == order.order_qty else parent.end_ts
    market, value = (curves[config.symbol].at(last_ts) - curves[config.symbol].at(utc(config.at)) for curves in (bt.prints, bt.values))
    avg_px = sum(f.last_px * f.last_qty for f in fills) // order.cum_qty if order.cum_qty else 0
    vwap_px = value // market if market else 0

    def slippage(reference: int) -> float:
        return round((avg_px - reference) * parent.side.sign / reference * 1e4, 4) if reference and avg_px else 0.0

    return Outcome(
        seed=seed, cl_ord_id=config.cl_ord_id, order_qty=qty_text(order.order_qty, decimals), cum_qty=qty_text(order.cum_qty, decimals),
        ord_status=order.status.name, avg_px=px_text(avg_px), arrival_px=px_text(arrival_px), arrival_slippage_bp=slippage(arrival_px),
        vwap_px=px_text(vwap_px), vwap_slippage_bp=slippage(vwap_px), participation=round(order.cum_qty / market, 6) if market else 0.0,
        passive_share=round(sum(f.last_qty for f in fills if f.is_passive) / order.cum_qty, 6) if order.cum_qty else 0.0,
        children=len({f.child_id for f in fills}), alerts=len(bt.alerts), events=bt.state.seq, journal_sha256=journal_sha256,
    )  # fmt: skip
