"""The live loop: inbox -> stamp -> journal -> step -> commit -> dispatch. Start is recovery; stop is in good order.

Rule 1: nothing that a batch decided leaves before the batch is durable; an acknowledgement is a promise.
Rule 2: only the core thread touches the state, stamps and journals. Everybody else puts on its inbox.
Rule 3: if the journal fails or the core errs, nothing more is decided: every open child is taken back past the core, the
sessions are logged out and the process ends with a reason.
"""

import queue
import time
from pathlib import Path
from typing import Any

import structlog
from msgspec.structs import force_setattr

from algoserver.audit import Audit
from algoserver.clock import CoreTime
from algoserver.config import Config
from algoserver.control import answer, perform
from algoserver.core.bounds import FIRM
from algoserver.core.engine import next_wakeup, step
from algoserver.core.orders import is_open, leaves_qty
from algoserver.core.state import State, dump, open_children
from algoserver.desks import compid, named, never_left, open_desks
from algoserver.dispatch import Dispatcher
from algoserver.domain import events as e
from algoserver.domain.commands import Command, SendChild
from algoserver.domain.types import COPY_SUFFIX, FEED_SUFFIX, OURS, OrdType
from algoserver.fix import codec, venue_codec
from algoserver.fix.endpoint import Endpoint
from algoserver.health import check_recovered, check_start, running, watch_disk
from algoserver.house import House
from algoserver.journal import Journal, write_snapshot
from algoserver.killed import Remembered
from algoserver.model_threads import Models
from algoserver.opening import first_events, in_force
from algoserver.operators import Operators, load_operators
from algoserver.outside import Outside
from algoserver.policy_texts import PolicyTexts
from algoserver.recovery import digest, recover, unfit
from algoserver.reply import Late, Reply
from algoserver.settings import BadConfig
from algoserver.watchdog import EXIT_FAILED, Watchdog

# One batch is one fdatasync: long enough to share it among many, short enough that the first does not wait.
BATCH_MAX = 256
TURN_S_MAX = 0.1  # that a batch is stepped; the rest is the next one. Many orders at work may make each event cost milliseconds
# How long nothing must come, and how long it may go on, before a batch under load is closed. One alone never waits.
LINGER_S = 0.000_05
LINGER_S_MAX = 0.001
# How late a signal or a stepped clock may be noticed, wall seconds.
IDLE_S_MAX = 0.2
STOP_S_MAX = 5.0
SILENT_S_MAX = 1.0  # that a question waits for a core that has not been heard lately

Item = tuple[Any, ...]
Decided = tuple[int, int, list[Command]]  # seq, ts, what to do
Said = tuple[Reply, dict[str, Any]]  # where an answer goes, and the answer


class Server:
    """A server on its state directory. Raises BadConfig, BadSessions, JournalCorrupt, JournalLocked, Diverged, OSError."""

    def __init__(self, config: Config, state_dir: Path, client_port: int = 0, venue_port: int = 0) -> None:
        self.operators = load_operators(config.path(config.server.control.operators)) if config.server.control.operators else Operators([])
        self._log = structlog.get_logger()
        self._inbox: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._urgent: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._state_dir, journal_dir = state_dir, state_dir / "journal"
        check_start(config, state_dir)
        self._journal = Journal(journal_dir, config.server.journal.segment_mb * 1024 * 1024, wall_ts=time.time_ns())
        recovered = recover(journal_dir, self._journal.sent_seq, self._journal.next_seq - 1)
        self.state: State = recovered.state
        self._config = config = in_force(config, self.state)
        check_recovered(config, self.state)
        self._time = CoreTime(config.clock, self.state.ts)
        self._sent_seq = self._journal.sent_seq
        self._log.info("recovered", events=recovered.events, seq=self.state.seq, torn_bytes=self._journal.torn_bytes)
        head_file = config.server.control.audit_head
        self.audit = Audit(state_dir, config.path(head_file) if head_file else None)
        self.commanded = recovered.commanded
        self._remembered = Remembered(state_dir)
        self._instruments = {i.instrument.symbol: i.instrument for i in config.setup.instruments}
        self._models = Models(config, lambda event: self._inbox.put(("event", event)))
        self._outside = Outside(config.server, self.state, self._inbox.qsize)
        self._dispatcher = Dispatcher(
            self._instruments, self._models.forecast, config.server.shell.orders_per_second_max, tell=self._outside.tell, plan=self._models.plan
        )  # fmt: skip
        self._endpoints: list[Endpoint] = []
        self._watchdog = Watchdog(config.server.shell.stall_ms, self._dispatcher, self._endpoints, self._remembered, self._outside)
        self._names: dict[str, str] = {}
        self._feeds: dict[str, tuple[Endpoint, str]] = {}
        self._copies = {d.session: d for d in config.setup.drop_copies}
        self._profiles = {p.client: p for p in config.setup.profiles}
        self._clients = self._add_clients(state_dir, client_port)
        if misfit := unfit(self.state, config.setup, [compid(session) for session in self._clients.sessions]):
            raise BadConfig(f"{config.file}: {misfit}")
        for venue in config.server.venues:
            self._add_venue(state_dir, venue.name, config.path(venue.sessions), venue.host, venue_port or venue.port)
            if venue.drop_copy:
                self._add_venue(state_dir, venue.name, config.path(venue.drop_copy), venue.host, venue_port or venue.port, is_copy=True)
        self.setup = named(config, self._clients, self.operators.names)
        self._unsent = never_left(recovered.unsent, self._clients, config.setup.drop_copies)
        self._left: list[Item] = []  # of a batch that took too long
        self._is_busy = self._is_stopping = False
        self._since_digest = self._since_snapshot = 0
        self._texts = PolicyTexts(state_dir / "policies")
        if not config.policy_error:
            self._texts.keep(config.policy_text)
        self._house = House(config, lambda: self.state.setup, lambda event: self._inbox.put(("event", event)))

    def start(self) -> None:
        """Say what the last process could not, then open the doors."""
        self._outside.start()
        self._outside.repeat()
        self._introduce()
        for endpoint in self._endpoints:
            endpoint.start()
        self._watchdog.start()
        watch_disk(self._config, self._state_dir, lambda event: self._inbox.put(("event", event)))
        self._house.start()

    def ask(self, request: dict[str, Any], operator: str, late: Late = lambda said: None) -> dict[str, Any]:
        """Answer an operator's request; from any thread but the core's. Waits until what it changes is durable.

        late: hears what the core did after this had answered that it did not.
        """
        if request.get("verb") == "doctor":
            return running(self._config, self._state_dir, lambda asked: self._ask(asked, operator, late))
        if request.get("verb") == "estimate":
            return self._models.estimate(lambda: self._ask(request, operator, late))
        found = self._models.on_shelf(request)
        return found if "error" in found else self._texts.ask(found, operator, lambda asked, who: self._ask(asked, who, late))

    def _ask(self, request: dict[str, Any], operator: str, late: Late) -> dict[str, Any]:
        reply = Reply(lambda said: self._house.do(lambda: late(said)))
        item = ("ask", request, operator, reply)
        if request.get("verb") == "kill" and request.get("dry_run", False) is False:
            return self._watchdog.kill(request, operator, lambda: self._ask_first(item, reply))
        self._inbox.put(item)
        # Who waits for a core that stands still has a place at the door that a kill may need.
        said = reply.get(STOP_S_MAX if self._watchdog.is_core_alive else SILENT_S_MAX) or reply.give_up()
        return said or {"error": {"code": "timeout", "text": "the core did not answer in time"}}

    def _ask_first(self, item: Item, reply: Reply) -> Reply:
        """Put a kill before everything that waits, and wake the core."""
        self._urgent.put(item)
        self._inbox.put(("wake",))
        return reply

    def stop(self) -> None:
        """End in good order; from a signal handler."""
        self._inbox.put(("stop",))

    def run(self) -> int:
        """Serve until stopped. Returns the exit status."""
        try:
            while not self._is_stopping:
                self._turn(self._drain())
                self._watchdog.beat(self._urgent.empty())
            self._wind_down()
        except BaseException as error:
            self._watchdog.fail(error)
            return EXIT_FAILED
        return 0

    # The loop.

    def _drain(self) -> list[Item]:
        items, self._left = self._left, []
        try:
            if not items:
                items.append(self._inbox.get(timeout=self._patience()))
            if self._is_busy:
                self._linger()
            while len(items) < BATCH_MAX:
                items.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        self._is_busy = len(items) > 1
        return items

    def _linger(self) -> None:
        """Under load, wait while more keeps coming: a batch of forty costs one fdatasync, as a batch of four does."""
        deadline, size = time.monotonic() + LINGER_S_MAX, -1
        while size < self._inbox.qsize() < BATCH_MAX and time.monotonic() < deadline:
            size = self._inbox.qsize()
            time.sleep(LINGER_S)

    def _patience(self) -> float:
        wakeup = next_wakeup(self.state)
        if wakeup is None:
            return IDLE_S_MAX
        return min(IDLE_S_MAX, max(0.0, self._config.clock.wall_delay(wakeup - self._time.now())))

    def _turn(self, items: list[Item]) -> None:
        """One batch: everything is stepped, then durable, then sent and answered."""
        decided: list[Decided] = []
        answers: list[Said] = []
        begun = time.monotonic()
        self._kill_first(decided, answers)
        for number, item in enumerate(items, 1):
            if item[0] == "ask":
                self._answer(item, decided, answers)
            else:
                for event in self._events(item):
                    self._apply(event, decided)
            self._kill_first(decided, answers)
            if time.monotonic() - begun > TURN_S_MAX:
                self._left = items[number:]
                break
        for warned in self._time.look():
            self._apply(warned, decided)
        wakeup = next_wakeup(self.state)
        if wakeup is not None and wakeup <= self._time.now():
            self._apply(e.Wakeup(), decided)
        if not decided and not answers:
            return
        self._checkpoint(decided)
        self._journal.commit()
        for seq, ts, commands in decided:
            for command in commands:
                self._dispatcher.dispatch(seq, ts, command)
        self._dispatcher.post()
        for reply, said in answers:
            reply.put(said)

    def _kill_first(self, decided: list[Decided], answers: list[Said]) -> None:
        """Take what is urgent before the next item of a batch."""
        while not self._urgent.empty():
            self._answer(self._urgent.get(), decided, answers)

    def _apply(self, event: e.Event, decided: list[Decided]) -> None:
        state = self.state
        ts = max(self._time.now(), state.ts + 1)
        # Decoded a moment ago and known to nobody else: to copy it would cost as much as to decode half of it.
        force_setattr(event, "seq", state.seq + 1)
        force_setattr(event, "ts", ts)
        self._journal.append_input(event)
        self._dispatcher.heard(event)
        try:
            commands = step(state, event)
        except BaseException:
            self._journal.commit()  # so that a replay shows what broke it
            raise
        if commands:
            self._journal.append_outputs(event.seq, commands)
        decided.append((event.seq, ts, commands))

    def _checkpoint(self, decided: list[Decided]) -> None:
        """Now and then: how far sending has come, the state's digest, a snapshot, closed segments compressed."""
        settings = self._config.server.journal
        if decided:
            handed = self._dispatcher.handed_seq(decided[0][0] - 1)
            if handed > self._sent_seq:
                self._sent_seq = handed
                self._journal.append_sent(handed)
        self._since_digest += len(decided)
        self._since_snapshot += len(decided)
        if self._since_digest >= settings.digest_every:
            self._since_digest = 0
            self._journal.append_digest(self.state.seq, digest(self.state))
        if self._since_snapshot >= settings.snapshot_every:
            self._since_snapshot = 0
            self._journal.commit()  # a snapshot must never be ahead of the journal
            seq, payload, directory = self.state.seq, dump(self.state), self._journal.directory
            self._house.do(lambda: write_snapshot(directory, seq, payload))
            self._house.do(self._journal.compress_closed)

    def _events(self, item: Item) -> list[e.Event]:
        """What an item of the inbox is to the core."""
        kind = item[0]
        if kind == "app":
            return self._message(self._names[item[1]], item[2])
        if kind == "event":
            return [item[1]]
        if kind in ("up", "down"):
            name = self._names[item[1]]
            self._log.info("session", session=name, state=kind, reason=item[2])
            if kind == "up" and name in self._feeds:
                endpoint, session = self._feeds[name]
                endpoint.send(session, venue_codec.encode_session_subscription())
                for symbol in self._instruments:
                    endpoint.send(session, venue_codec.encode_subscription(symbol), grouped=True)
                    endpoint.send(session, venue_codec.encode_status_subscription(symbol))
            return [e.SessionUp(session=name) if kind == "up" else e.SessionDown(session=name, reason=item[2])]
        if kind == "unsent":
            return [e.SendFailed(session=item[1], msg_type=item[2].msg_type, child_id=item[2].child_id, reason=item[3])]
        if kind == "rejected":
            name = self._names[item[1]]
            text = item[2].replace("\x01", "|")[:500]
            self._log.warning("peer rejected a message", session=name, message=text)
            if name not in self.state.venues_up:
                return []
            return [e.Garbled(session=name, msg_seq=self.state.heard.get(name, 0), msg_type="3", code="session_reject", text=text, reject_reason=0)]
        if kind == "refused":
            self._log.warning("logon refused", session=self._names[item[1]], reason="username or password")
            return []
        if kind == "wake":
            return []  # something urgent came: it is done
        assert kind == "stop"
        self._is_stopping = True
        return [] if self._config.server.shell.leave_children else [e.OperatorCommanded(operator=OURS, verb="stop", target=FIRM)]

    def _message(self, name: str, text: str) -> list[e.Event]:
        if name.endswith(FEED_SUFFIX):
            return venue_codec.decode_feed(text, name.removesuffix(FEED_SUFFIX), self._instruments)
        if name.endswith(COPY_SUFFIX):
            return venue_codec.decode_copy(text, name, self._instruments, lambda child_id: self._ours(child_id, name.removesuffix(COPY_SUFFIX)))
        if name in self.state.venues_up:
            event = venue_codec.decode_venue(text, name, self._instruments, lambda child_id: self._ours(child_id, name))
            return [event] if event is not None else []
        if name in self._copies:
            return [codec.refuse_copy(text, name)]
        return [codec.decode_client(text, name, self._instruments, self._profiles.get(name))]

    def _ours(self, child_id: str, venue: str) -> venue_codec.Ours | None:
        child = self.state.children.get(child_id)
        if child is None or child.venue != venue:
            return None
        return venue_codec.Ours(child.symbol, child.side, self.state.parents[child.parent_id].qty_decimals)

    def _answer(self, item: Item, decided: list[Decided], answers: list[Said]) -> None:
        _, request, operator, reply = item
        asked = answer(self.state, request, operator, self.operators.is_alone, self._time.now())
        answers.append((reply, perform(self.state, asked, self.audit.head, lambda event: self._apply(event, decided))))

    # Start, stop, failure.

    def _add_clients(self, state_dir: Path, port: int) -> Endpoint:
        endpoint = open_desks(self._config, state_dir, port, self._inbox)
        self._endpoints.append(endpoint)
        for session in endpoint.sessions:
            name = self._names[session] = compid(session)
            if name in self._copies:
                self._dispatcher.add_copy(name, endpoint, session, self._copies[name])
            else:
                self._dispatcher.add_client(name, endpoint, session)
            if name in self.state.heard:
                endpoint.rewind(session, self.state.heard[name] + 1)
        return endpoint

    def _add_venue(self, state_dir: Path, name: str, cfg: Path, host: str, port: int, is_copy: bool = False) -> None:
        overrides = {"SocketConnectHost": host, "SocketConnectPort": str(port)}
        endpoint = Endpoint(cfg, state_dir, "initiator", self._inbox, overrides, withhold_resends=True)
        self._endpoints.insert(0, endpoint)
        for session in endpoint.sessions:
            if ":ALGOMD->" in session:
                self._names[session] = name + FEED_SUFFIX
                self._feeds[name + FEED_SUFFIX] = endpoint, session
                continue
            known = self._names[session] = name + COPY_SUFFIX if is_copy else name
            if known in self.state.heard:
                endpoint.rewind(session, self.state.heard[known] + 1)
            if not is_copy:
                self._dispatcher.add_venue(name, endpoint, session, lambda venue, letter, why: self._inbox.put(("unsent", venue, letter, why)))

    def _introduce(self) -> None:
        """The first events of a process: the firm's decisions, and that every session of the last one is gone."""
        decided: list[Decided] = []
        for parent_id in self.state.works:
            for child in open_children(self.state, self.state.parents[parent_id]):
                if is_open(child.order):
                    sent = SendChild(
                        child_id=child.child_id, venue=child.venue, symbol=child.symbol, side=child.side, order_qty=leaves_qty(child.order),
                        ord_type=OrdType.LIMIT, price=child.price, time_in_force=child.time_in_force,
                    )  # fmt: skip
                    self._dispatcher.remember(sent, self.state.ts, self.state.parents[parent_id].qty_decimals)
        for event in first_events(self.state, self._config, self.setup, self._remembered.kills()):
            self._apply(event, decided)
        self._journal.append_digest(self.state.seq, digest(self.state))
        self._journal.commit()
        self._remembered.clear()
        for seq, ts, command, to in self._unsent:
            self._dispatcher.dispatch(seq, ts, command, to)
        for seq, ts, commands in decided:
            for command in commands:
                self._dispatcher.dispatch(seq, ts, command)
        self._dispatcher.post()

    def _wind_down(self) -> None:
        """Wait until no child is open, as far as the venues answer; then say goodbye."""
        deadline = time.monotonic() + STOP_S_MAX
        leave = self._config.server.shell.leave_children
        while not leave and self.state.gate.open_children and time.monotonic() < deadline:
            self._turn(self._drain())
            self._watchdog.beat(self._urgent.empty())
        self._watchdog.stop()
        late = self._dispatcher.stop(1.0)
        self._watchdog.log_out()
        self._outside.stop()
        self._models.stop()
        self._journal.append_digest(self.state.seq, digest(self.state))
        self._journal.commit()
        self._house.stop()
        self._journal.close()
        self._log.info("stopped", seq=self.state.seq, open_children=self.state.gate.open_children, not_reading=late)


