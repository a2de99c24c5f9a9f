"""One QuickFIX engine, acceptor or initiator: texts in, texts out.

Rule 1: a callback copies text and enqueues, nothing else but asking who may log on; nothing escapes a callback (an exception
there hangs the process).
Rule 2: no QuickFIX object outlives its callback: sessions are known by their text, "FIX.4.4:ALGO->CLIENT1".
Rule 3: an order message that the engine would send again after a gap (43=Y) is withheld when `withhold_resends`: a venue
must never see yesterday's order today. Reports to a client are sent again as stored, which is what a client wants.
Rule 4: a thread of the engine keeps its Python state from logon to logout. By itself Python makes one for every callback and
throws it away, with its memory and its locks: that costs as much as to read and check the message.
"""

import ctypes
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import quickfix as fix

from algoserver.fix import guard, late_close
from algoserver.fix.text import readable

ORDER_MESSAGES = ("D", "F", "G")
GIL_HELD = 0  # PyGILState_LOCKED: what a callback finds
DICTIONARIES = Path(__file__).resolve().parents[2] / "sessions"
LIBRARY = Path(fix._quickfix.__file__).resolve()

# The dictionary that knows a version's groups.
GROUPING = {"FIX.4.2": "FIX42.xml", "FIX.4.4": "FIX44.xml", "FIXT.1.1": "FIX50SP2.xml"}

# It does not say which of both is wrong. The engine puts "Rejected Logon Attempt: " before it.
REFUSED = "check Username (553) and Password (554)"

# What the endpoint puts on the inbox: ("up" | "down" | "app" | "rejected" | "refused", session, text).
Inbox = queue.SimpleQueue


class BadSessions(Exception):
    """A session file that can't be used; the text names the file and the entry."""


class Pen(threading.local):
    """A thread's message, filled anew for each send: to make one takes twice as long as to fill it."""

    def __init__(self) -> None:
        self.message = fix.Message()


class KeptState(threading.local):
    """Whether this thread's Python state is kept between callbacks. Both calls belong into a callback of the same thread."""

    is_kept = False

    def keep(self) -> None:
        """Count one more user of the state than there are callbacks."""
        if not self.is_kept:
            ctypes.pythonapi.PyGILState_Ensure()
            self.is_kept = True

    def let_go(self) -> None:
        """Let the state go with the callback that is running: the thread may end now."""
        if self.is_kept:
            self.is_kept = False
            ctypes.pythonapi.PyGILState_Release(GIL_HELD)


class Endpoint(fix.Application):  # type: ignore[misc]  # QuickFIX has no types
    """A QuickFIX engine on the sessions of one .cfg file.

    cfg: QuickFIX settings. state_dir: its stores go to state_dir/fix. overrides: settings that replace those of
    the file in every session, for instance SocketAcceptPort. session_overrides: the same for one, by its TargetCompID.
    admit: whether a session may log on by this Logon; it runs on the session's thread and may take its time. Raises BadSessions.
    """

    def __init__(
        self,
        cfg: Path,
        state_dir: Path,
        role: Literal["acceptor", "initiator"],
        inbox: "Inbox[tuple[str, str, str]]",
        overrides: Mapping[str, str] | None = None,
        withhold_resends: bool = False,
        session_overrides: Mapping[str, Mapping[str, str]] | None = None,
        admit: Callable[[str, str], bool] | None = None,
    ) -> None:
        super().__init__()
        guard.install()
        late_close.install(LIBRARY)
        self._inbox = inbox
        self._withhold_resends = withhold_resends
        self._admit = admit
        self.store_dir = state_dir / "fix"
        effective = self.store_dir / cfg.name
        self.store_dir.mkdir(parents=True, exist_ok=True)
        forced = {"ConnectionType": role, "FileStorePath": str(self.store_dir), **(overrides or {})}
        effective.write_text(with_overrides(cfg, forced, session_overrides or {}))
        try:
            # The engine keeps raw pointers to these: they live as long as it does.
            self._settings = fix.SessionSettings(str(effective))
            self._stores = fix.FileStoreFactory(self._settings)
            make = fix.ThreadedSocketAcceptor if role == "acceptor" else fix.ThreadedSocketInitiator
            self._engine = make(self, self._stores, self._settings)
        except fix.FIXException as e:
            raise BadSessions(f"{cfg}: {e}") from e
        self._session_ids: dict[str, fix.SessionID] = {}
        self._dictionaries: dict[str, fix.DataDictionary] = {}
        self._pen, self._state = Pen(), KeptState()
        for session in session_names(effective):
            begin_string, _, compids = session.partition(":")
            sender, _, target = compids.partition("->")
            self._session_ids[session] = fix.SessionID(begin_string, sender, target)

    @property
    def sessions(self) -> list[str]:
        """Names of the sessions, in the file's order."""
        return list(self._session_ids)

    def start(self) -> None:
        """Begin to listen or to connect. Raises BadSessions when the port is taken."""
        try:
            self._engine.start()
        except (fix.FIXException, RuntimeError) as e:
            free = "; stop what has the port, or take another by --port" if "bind" in str(e) else ""
            raise BadSessions(f"the FIX engine does not start: {e}{free}") from e

    def stop(self) -> None:
        """Log every session out and close."""
        self._engine.stop()

    def free(self) -> None:
        """After `stop`, for whoever has no thread left that could send: end the engine while what it points to lives.

        At the interpreter's own end chance says which of them is freed first, and the process may crash.
        """
        del self._engine

    def send(self, session: str, body: str, grouped: bool = False) -> bool:
        """Send `body` ("35=8|11=...|", SOH ended); the engine makes header and trailer. False: not accepted by the engine.

        To a session that is logged off the engine stores the message and sends it after the next logon.
        grouped: the body has repeating groups, whose order only a dictionary can keep.
        """
        if grouped:
            begin_string = session.partition(":")[0]
            # The whole frame: without a field behind it the engine loses the last entry of a group.
            message = fix.Message(f"8={begin_string}\x019=0\x01{body}10=000\x01", self._grouping(begin_string), False)
        else:
            message = self._pen.message
            message.setString(body, False)
        return bool(fix.Session.sendToTarget(message, self._session_ids[session]))

    def is_logged_on(self, session: str) -> bool:
        """Whether the session can take a message now."""
        found = fix.Session.lookupSession(self._session_ids[session])
        return bool(found and found.isLoggedOn())

    def disconnect(self, session: str) -> None:
        """Break a session's connection, as a fault would. The peer may log on again."""
        found = fix.Session.lookupSession(self._session_ids[session])
        if found and found.isLoggedOn():
            found.disconnect()

    def skip(self, session: str, count: int) -> None:
        """Leave out so many of the numbers (34) that a session sends."""
        found = fix.Session.lookupSession(self._session_ids[session])
        found.setNextSenderMsgSeqNum(found.getExpectedSenderNum() + count)

    def rewind(self, session: str, next_target_seq: int) -> None:
        """Expect `next_target_seq` next, if the engine believes to be further. Before start() only.

        The engine counts a message as received when the callback returns, which is before we have it on disk. What a
        crash took from the queue is asked for again by setting the count back to what our own record has.
        """
        found = fix.Session.lookupSession(self._session_ids[session])
        if found.getExpectedTargetNum() > next_target_seq:
            found.setNextTargetMsgSeqNum(next_target_seq)

    def _grouping(self, begin_string: str) -> "fix.DataDictionary":
        found = self._dictionaries.get(begin_string)
        if found is None:
            found = self._dictionaries[begin_string] = fix.DataDictionary(str(DICTIONARIES / GROUPING[begin_string]))
        return found

    # Callbacks, in QuickFIX's names. Each is complete in itself: there is no way to report a failure from here.
    def onCreate(self, session_id: "fix.SessionID") -> None:
        pass

    def onLogon(self, session_id: "fix.SessionID") -> None:
        self._state.keep()
        self._inbox.put(("up", session_id.toString(), ""))

    def onLogout(self, session_id: "fix.SessionID") -> None:
        self._inbox.put(("down", session_id.toString(), "logged out or connection lost"))
        self._state.let_go()

    def toAdmin(self, message: "fix.Message", session_id: "fix.SessionID") -> None:
        pass

    def fromAdmin(self, message: "fix.Message", session_id: "fix.SessionID") -> None:
        text = readable(message.toString())
        if "\x0135=3\x01" in text:
            self._inbox.put(("rejected", session_id.toString(), text))
        elif message_type(text) == "A" and not self._is_admitted(session_id.toString(), text):
            self._inbox.put(("refused", session_id.toString(), ""))
            raise fix.RejectLogon(REFUSED)

    def _is_admitted(self, session: str, logon: str) -> bool:
        try:
            return self._admit is None or self._admit(session, logon)
        except Exception:  # whatever it was: nothing escapes a callback, and who can't be checked is not let in
            return False

    def toApp(self, message: "fix.Message", session_id: "fix.SessionID") -> None:
        if self._withhold_resends:
            text = message.toString()
            if "\x0143=Y\x01" in text and message_type(text) in ORDER_MESSAGES:
                raise fix.DoNotSend()

    def fromApp(self, message: "fix.Message", session_id: "fix.SessionID") -> None:
        self._inbox.put(("app", session_id.toString(), readable(message.toString())))


def message_type(text: str) -> str:
    """MsgType (35) of a FIX text; empty if there is none."""
    start = text.find("\x0135=")
    return text[start + 4 : text.find("\x01", start + 4)] if start >= 0 else ""


def with_overrides(cfg: Path, overrides: Mapping[str, str], session_overrides: Mapping[str, Mapping[str, str]]) -> str:
    """The settings of `cfg` with `overrides` in its [DEFAULT] and nowhere else; dictionaries become absolute paths.

    session_overrides end the [SESSION] of their TargetCompID: of a key that comes twice the engine takes the last.
    """
    try:
        lines = cfg.read_text().splitlines()
    except OSError as e:
        raise BadSessions(f"{cfg}: {e.strerror}") from e
    kept: list[str] = []
    own: list[str] = []
    for line in lines:
        if line.startswith("["):
            kept, own = [*kept, *own], []
        key, equals, value = line.partition("=")
        if not line.startswith("#") and equals and key.strip() in overrides:
            continue
        if key.strip() in ("DataDictionary", "TransportDataDictionary", "AppDataDictionary"):
            line = f"{key.strip()}={(cfg.parent / value.strip()).resolve()}"
        kept.append(line)
        if line.strip() == "[DEFAULT]":
            kept.extend(f"{k}={v}" for k, v in overrides.items())
        if key.strip() == "TargetCompID" and equals:
            own = [f"{k}={v}" for k, v in session_overrides.get(value.strip(), {}).items()]
    return "\n".join([*kept, *own]) + "\n"


def session_names(cfg: Path) -> list[str]:
    """Every [SESSION] of a QuickFIX file as "BeginString:Sender->Target", defaults applied."""
    default: dict[str, str] = {}
    sessions: list[dict[str, str]] = []
    section: dict[str, str] = default
    for line in cfg.read_text().splitlines():
        stripped = line.strip()
        if stripped == "[SESSION]":
            section = {}
            sessions.append(section)
        elif stripped == "[DEFAULT]":
            section = default
        elif "=" in stripped and not stripped.startswith("#"):
            key, _, value = stripped.partition("=")
            section[key.strip()] = value.strip()
    names = []
    for number, own in enumerate(sessions, 1):
        merged = {**default, **own}
        missing = [k for k in ("BeginString", "SenderCompID", "TargetCompID") if not merged.get(k)]
        if missing:
            raise BadSessions(f"{cfg}: session {number} has no {', '.join(missing)}")
        if merged["BeginString"] not in GROUPING:
            raise BadSessions(f"{cfg}: session {number}: BeginString={merged['BeginString']} is not spoken here; use {', '.join(GROUPING)}")
        names.append(f"{merged['BeginString']}:{merged['SenderCompID']}->{merged['TargetCompID']}")
    return names


def stored_exec_ids(store_dir: Path, session: str) -> set[str]:
    """ExecIDs (17) of the reports that the engine's store can send again to this session.

    A number that the engine has not yet counted as sent, or that a later message took, does not count: that
    report never left. Files: "<num>,<offset>,<size> ..." in .header, texts in .body, "sender : target" in .seqnums.
    """
    begin_string, _, compids = session.partition(":")
    stem = store_dir / f"{begin_string}-{compids.replace('->', '-')}"
    try:
        header = stem.with_name(stem.name + ".header").read_text()
        body = stem.with_name(stem.name + ".body").read_bytes()
        next_sender = int(stem.with_name(stem.name + ".seqnums").read_text().partition(":")[0])
    except (FileNotFoundError, ValueError):
        return set()
    where: dict[int, tuple[int, int]] = {}
    for entry in header.split():
        number, offset, size = (int(n) for n in entry.split(","))
        where[number] = (offset, size)
    found = set()
    for number, (offset, size) in where.items():
        text = body[offset : offset + size]
        start = text.find(b"\x0117=")
        if number < next_sender and start >= 0:
            found.add(text[start + 4 : text.find(b"\x01", start + 4)].decode())
    return found
