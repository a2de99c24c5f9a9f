"""The operator's door: a Unix socket of mode 0600; one JSON line in, one JSON line out.

Rule 1: who may ask is decided by the kernel's word on the peer (SO_PEERCRED): our own user, or root.
Rule 2: answer() is pure and runs on the core's thread. What an operator does becomes an event, and the answer leaves when
that event is durable.
Rule 3: a peer that is slow or speaks garbage costs its own thread and nothing else.
"""

import json
import os
import pwd
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from algoserver.core import orders
from algoserver.core.algos.schedule import band, planned
from algoserver.core.market import best_ask, best_bid
from algoserver.core.operator import FIRM
from algoserver.core.orders import ParentOrder
from algoserver.core.state import State, open_children
from algoserver.domain.events import OperatorCommanded
from algoserver.domain.types import Side, Strategy, px_text, qty_text, utc_text

REQUEST_BYTES_MAX = 65_536
PEERS_MAX = 16
PEER_TIMEOUT_S = 5.0
SOCKET_NAME = "control.sock"
REASON_CHARS_MAX = 200

Answer = dict[str, Any]


class Unreachable(Exception):
    """No server answers at this state directory."""


class Door:
    """Listens at state_dir/control.sock. ask: (request, operator) -> answer, for instance Server.ask."""

    def __init__(self, state_dir: Path, ask: Callable[[Answer, str], Answer]) -> None:
        self._path = state_dir / SOCKET_NAME
        self._ask = ask
        self._places = threading.Semaphore(PEERS_MAX)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def start(self) -> None:
        """Begin to listen; the socket of a server that died is replaced."""
        self._path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            with _short(self._path.parent) as folder:
                self._socket.bind(f"{folder}/{SOCKET_NAME}")
        finally:
            os.umask(mask)
        self._socket.listen(PEERS_MAX)
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def stop(self) -> None:
        """Close the door."""
        # shutdown() wakes the thread that waits in accept(); close() alone would not.
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        finally:
            self._socket.close()
            self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            if not self._places.acquire(blocking=False):
                peer.close()
                continue
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        try:
            with peer:
                peer.settimeout(PEER_TIMEOUT_S)
                peer.sendall(json.dumps(self._said(peer)).encode() + b"\n")
        except OSError:
            pass  # the peer has gone; it has nothing to be told any more
        finally:
            self._places.release()

    def _said(self, peer: socket.socket) -> Answer:
        operator = peer_name(peer)
        if not operator:
            return error("denied", "this socket is for the server's own user")
        try:
            request = json.loads(_line(peer))
        except ValueError as e:
            return error("usage", f"one JSON object on one line of at most {REQUEST_BYTES_MAX} bytes is expected: {e}")
        if not isinstance(request, dict) or not isinstance(request.get("verb"), str):
            return error("usage", 'the request needs a "verb"')
        return self._ask(request, operator)


def call(state_dir: Path, request: Answer, timeout_s: float = 10.0) -> Answer:
    """Ask the server of `state_dir`. Raises Unreachable."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door, _short(state_dir) as folder:
            door.settimeout(timeout_s)
            door.connect(f"{folder}/{SOCKET_NAME}")
            door.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(_line(door, 64 * REQUEST_BYTES_MAX))
            return answer if isinstance(answer, dict) else error("failed", "the server's answer is not an object")
    except (OSError, ValueError) as e:
        raise Unreachable(f"no server answers at {state_dir}: {e}") from e


def error(code: str, text: str) -> Answer:
    """A refusal: code as in the exit codes of algoctl, text for a person."""
    return {"error": {"code": code, "text": text}}


def answer(state: State, request: Answer, operator: str) -> tuple[Answer, OperatorCommanded | None]:
    """Answer a request; with the event that carries it out, if it is a command that makes sense now."""
    verb, target = request["verb"], str(request.get("target", ""))
    if verb in QUERIES:
        return QUERIES[verb](state), None
    if verb in ("kill", "release"):
        return _firm(state, verb, request, operator)
    if verb not in ORDER_VERBS:
        return error("usage", f"verb {verb[:32]!r} is unknown"), None
    parent = state.parents.get(target) or next((p for p in state.parents.values() if p.cl_ord_id == target), None)
    if parent is None:
        return error("not_found", f"no order has the id or ClOrdID {target[:64]!r}"), None
    if verb in ("order.show", "order.plan"):
        return (_show if verb == "order.show" else _plan)(state, parent), None
    if not orders.is_open(parent.order):
        return error("refused", f"order {parent.parent_id} is over: {orders.ord_status(parent.order).name}"), None
    if verb == "order.resume" and not parent.paused_by:
        return error("refused", f"order {parent.parent_id} is not paused"), None
    said = {"order_id": parent.parent_id, "verb": verb, "open_children": len(parent.open_children)}
    return _done(said, request, operator, verb.removeprefix("order."), parent.parent_id)


def _firm(state: State, verb: str, request: Answer, operator: str) -> tuple[Answer, OperatorCommanded | None]:
    if request.get("target", FIRM) != FIRM:
        return error("usage", "only the whole firm can be killed and released; other scopes are not built yet"), None
    if verb == "release" and not state.gate.killed:
        return error("refused", "the firm is not killed"), None
    said = {"verb": verb, "open_parents": len(state.works), "open_children": state.gate.open_children}
    return _done(said, request, operator, verb, FIRM)


def _done(said: Answer, request: Answer, operator: str, verb: str, target: str) -> tuple[Answer, OperatorCommanded | None]:
    if request.get("dry_run"):
        return {**said, "dry_run": True}, None
    reason = str(request.get("reason", ""))[:REASON_CHARS_MAX]
    return said, OperatorCommanded(operator=operator, verb=verb, target=target, reason=reason)


def _status(state: State) -> Answer:
    setup = state.setup
    return {
        "market_time": utc_text(state.ts),
        "seq": state.seq,
        "run": state.run,
        "policy": setup.policy.name if setup else "",
        "config_sha256": setup.digest if setup else "",
        "killed": state.gate.killed,
        "parents": len(state.parents),
        "parents_working": len(state.works),
        "children_open": state.gate.open_children,
        "sessions_up": [name for name, is_up in state.sessions.items() if is_up],
        "forecasts": {s: f.model if f.curve else f"static: {f.text}" for s, f in state.forecasts.items()},
    }


def _orders(state: State) -> Answer:
    return {"orders": [_row(state, p) for p in state.parents.values()]}


def _sessions(state: State) -> Answer:
    return {"sessions": [{"session": n, "state": "up" if up else "down", "msg_seq_heard": state.heard.get(n, 0)} for n, up in state.sessions.items()]}


def _venues(state: State) -> Answer:
    rows = []
    for name, is_up in state.venues_up.items():
        quotes = {s: f"{px_text(q.bid_px)}/{px_text(q.ask_px)}" for s, m in state.markets.items() if (q := m.quotes.get(name))}
        own = [c for p in state.works for c in open_children(state, state.parents[p]) if c.venue == name]
        unknown = sum(c.is_unknown for c in own)
        rows.append({"venue": name, "state": "up" if is_up else "down", "children_open": len(own), "children_unknown": unknown, "quotes": quotes})
    return {"venues": rows}


QUERIES: dict[str, Callable[[State], Answer]] = {"status": _status, "order.ls": _orders, "session.ls": _sessions, "venue.ls": _venues}
ORDER_VERBS = ("order.show", "order.plan", "order.pause", "order.resume", "order.cancel")


def _row(state: State, parent: ParentOrder) -> Answer:
    d = parent.qty_decimals
    names = {int(s): s.name for s in Strategy}
    return {
        "order_id": parent.parent_id,
        "cl_ord_id": parent.cl_ord_id,
        "session": parent.session,
        "symbol": parent.symbol,
        "side": Side(parent.side).name,
        "algo": names.get(parent.strategy, str(parent.strategy)),
        "order_qty": qty_text(parent.order.order_qty, d),
        "cum_qty": qty_text(parent.order.cum_qty, d),
        "leaves_qty": qty_text(orders.leaves_qty(parent.order), d),
        "avg_px": px_text(orders.avg_px(parent.order)),
        "ord_status": orders.ord_status(parent.order).name,
        "state": _word(state, parent),
    }


def _word(state: State, parent: ParentOrder) -> str:
    if not orders.is_open(parent.order):
        return "over"
    if parent.paused_by:
        return f"paused: {parent.paused_by}"
    if state.gate.killed:
        return "stopped by kill"
    if parent.awaits_status:
        return "waiting for a venue's word"
    return "waiting for its start" if state.ts < parent.start_ts else "working"


def _show(state: State, parent: ParentOrder) -> Answer:
    d, work, market = parent.qty_decimals, state.works.get(parent.parent_id), state.markets.get(parent.symbol)
    children = [
        {
            "child_id": c.child_id, "venue": c.venue, "price": px_text(c.price), "order_qty": qty_text(c.order.order_qty, d),
            "cum_qty": qty_text(c.order.cum_qty, d), "ord_status": orders.ord_status(c.order).name, "is_unknown": c.is_unknown,
        }  # fmt: skip
        for c in open_children(state, parent)
    ]
    return {
        **_row(state, parent),
        "start": utc_text(parent.start_ts),
        "end": utc_text(parent.end_ts),
        "limit": px_text(parent.price) if parent.price else "",
        "arrival_px": px_text(parent.arrival_px),
        "bid": px_text(best_bid(market)) if market else "",
        "ask": px_text(best_ask(market)) if market else "",
        "curve": work.curve_text if work else "",
        "completion": parent.params.completion,
        "children_sent": parent.next_child - 1,
        "open_children": children,
        "text": parent.end_text,
    }


def _plan(state: State, parent: ParentOrder) -> Answer:
    work, d = state.works.get(parent.parent_id), parent.qty_decimals
    said: Answer = {"order_id": parent.parent_id, "cum_qty": qty_text(parent.order.cum_qty, d), "now": utc_text(state.ts), "slices": []}
    if work is None:
        return {**said, "text": "the order is over; it has no plan any more"}
    if not work.schedule.moments:
        return {**said, "text": "the plan follows the market's volume, not the clock"}
    ts = parent.start_ts
    while ts < parent.end_ts:
        ts = min(ts + work.slice_ns, parent.end_ts)
        low, high = band(work.schedule, work.slice_ns, ts)
        row = {"planned": planned(work.schedule, ts), "low": low, "high": high}
        said["slices"].append({"by": utc_text(ts), **{k: qty_text(v, d) for k, v in row.items()}})
    return {**said, "text": work.curve_text}


def peer_name(peer: socket.socket) -> str:
    """Name of the user at the other end; empty if it is neither ours nor root."""
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    if uid not in (0, os.getuid()):
        return ""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _line(peer: socket.socket, bytes_max: int = REQUEST_BYTES_MAX) -> bytes:
    got = b""
    while b"\n" not in got:
        chunk = peer.recv(65_536)
        if not chunk:
            break
        got += chunk
        if len(got) > bytes_max:
            raise ValueError(f"more than {bytes_max} bytes")
    return got.partition(b"\n")[0]


class _short:
    """A path to a folder that is short whatever the folder's is: a socket's name has at most 107 bytes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> str:
        self._fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        return f"/proc/self/fd/{self._fd}"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
