"""Plays one scenario on a session: sends its lines, compares each answer, cleans up behind itself.

Rule 1: the first line that fails ends the scenario; what it leaves open is canceled.
Rule 2: every ExecutionReport goes through its order's book and its ExecID is new in the whole run.
"""

import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from algoserver.certify import answers
from algoserver.certify.answers import Known
from algoserver.certify.book import CANCELED, TRADE, Book, incomplete, number
from algoserver.certify.dialect import Dialect
from algoserver.certify.script import Scenario, Step
from algoserver.certify.session import Message, Pairs, Session, SessionBroken, utc_now

LOW_PX = "1.00"
APPLICATION = ("8", "9", "r", "j", "3")  # what answers our requests; 3 because it may do so too
REJECTS = ("j", "3")
ANY_TIME = ("0", "1", "2", "4", "5", "A", "r")  # admin messages, and r beside the reports of the orders that it canceled
UNKNOWN_QTY = "100"  # 38 of a request about an order that is none
FILL_S_MAX = 45.0  # a fill takes the market's time: the script's orders that trade end after 20 s or bring the first share by then


class Failed(Exception):
    """A line was not met; the text says what came instead, one problem a line."""


@dataclass
class Played:
    """A line after the run. state: passed, failed or not reached. wire: what was sent or heard for it."""

    line: str
    state: str = "not reached"
    problem: str = ""
    wire: str = ""


class Player:
    """One scenario under way. patience_s: how long an answer may take. exec_ids: ExecIDs heard in this run so far."""

    def __init__(self, session: Session, dialect: Dialect, prefix: str, symbol: str, patience_s: float, exec_ids: set[str]) -> None:
        self._dialect = dialect
        self._session, self._prefix, self._symbol, self._patience_s = session, prefix, symbol, patience_s
        self._known = Known({}, exec_ids)
        self._queue: deque[Message] = deque()
        self._sent_seqs: set[int] = set()
        self._last_sent: Message | None = None
        self._wire: list[str] = []

    def play(self, scenario: Scenario) -> list[Played]:
        """Every line and how it went."""
        played = [Played(step.line) for step in scenario.steps]
        for step, result in zip(scenario.steps, played, strict=True):
            self._wire = []
            try:
                self._do(step)
                result.state = "passed"
            except Failed as failed:
                result.state, result.problem = "failed", str(failed)
            except (SessionBroken, OSError) as broken:
                result.state, result.problem = "failed", f"the session broke: {broken}"
            result.wire = "\n".join(self._wire)
            if result.state == "failed":
                break
        self._clean_up()
        return played

    def _do(self, step: Step) -> None:
        if step.act == "send":
            self._send(step.what, step)
        elif step.act == "act":
            self._act(step)
        else:
            verbs: dict[str, Callable[[Step], None]] = {
                "fill": self._fill, "fills": self._fill, "ends": self._fill, "canceled": self._canceled, "statuses": self._statuses,
                "resent": self._resent, "closed": self._closed,
            }  # fmt: skip
            verbs.get(step.what, self._expect)(step)

    # What we send.

    def _send(self, msg_type: str, step: Step, is_garbled: bool = False) -> None:
        own_id = self._name(step.ids[0]) if step.ids else ""
        fields = {tag: value for tag, value in step.fields if tag.isdecimal()}
        book = self._known.books.get(self._name(fields["41"])) if "41" in fields else self._known.books.get(own_id)
        pairs: list[tuple[int, str]] = [(584 if msg_type == "AF" else 11, own_id)] if own_id else []
        pairs += [(int(tag), self._value(tag, value, book)) for tag, value in fields.items()]
        group = [(name, value) for name, value in step.fields if not name.isdecimal()]
        pairs += [(957, str(len(group)))] if group else []
        for name, value in group:
            pairs += [(958, name), (960, self._value(name, value, book))]
        self._note_order(msg_type, own_id, dict(pairs), book)
        sent = self._session.send(msg_type, self._dialect.said(pairs), is_garbled)
        self._sent_seqs.add(sent.seq)
        self._last_sent = sent
        self._wire.append(f"> {sent}")

    def _note_order(self, msg_type: str, own_id: str, fields: dict[int, str], book: Book | None) -> None:
        if own_id:
            self._known.ours.add(own_id)
        if msg_type == "D" and own_id and own_id not in self._known.books:
            self._known.books[own_id] = Book(own_id, fields.get(55, ""), fields.get(54, ""), fields.get(38, ""))
        elif msg_type in ("F", "G") and book is not None:
            self._known.books.setdefault(own_id, book)

    def _value(self, tag: str, value: str, book: Book | None) -> str:
        """A word of the script as it goes on the wire."""
        if tag in answers.IDS:
            return self._name(value)
        moment = re.fullmatch(r"([+-]\d+)([sm])", value)
        if moment:
            return utc_now(int(moment[1]) * (60 if moment[2] == "m" else 1))
        if value == "qty":
            return str(book.order_qty) if book is not None and book.order_qty is not None else UNKNOWN_QTY
        return {"NOW": utc_now(), "SYMBOL": self._symbol, "LOW": LOW_PX}.get(value, value)

    def _name(self, letter: str) -> str:
        return f"{self._prefix}-{letter}" if re.fullmatch(r"[A-Z]\d?", letter) else letter

    def _act(self, step: Step) -> None:
        if step.what == "connect":
            self._session.connect()
        elif step.what == "skip":
            self._session.skip(int(step.ids[0]))
        elif step.what == "garble":
            self._send("1", Step(step.line, "send", "1", (), (("112", "GARBLED"),)), is_garbled=True)
        else:
            raise Failed(f"the script says {step.line}, which is no act")

    # What we hear.

    def _expect(self, step: Step) -> None:
        """The next message that answers us must be this one."""
        wants_trade = any(c.tag == "150" and c.value == TRADE for c in step.conditions)
        deadline = time.monotonic() + self._patience_s
        while True:
            m = self._next(self._wanted(step), deadline)
            if m is None and step.act == "may":
                return
            if m is None:
                raise Failed(self._silence(step))
            if m.msg_type == "8" and m.get(150) == TRADE and not wants_trade:
                self._hear(m)
                continue
            if step.act == "may" and not answers.is_meant(step, m, self._name):
                self._queue.appendleft(m)
                return
            break
        self._hear(m, answers.misfits(step, m, self._known, self._name, self._last_sent))

    def _wanted(self, step: Step) -> Callable[[Message], bool]:
        if step.what == "0":
            # The engine's own heartbeats may come between; only the one that is meant counts.
            return lambda m: m.msg_type == "0" and not answers.misfits(step, m, self._known, self._name, None)
        if step.what in ANY_TIME:
            return lambda m: m.msg_type == step.what or (step.what == "r" and m.msg_type in REJECTS and self._is_ours(m))
        return self._is_ours

    def _is_ours(self, m: Message) -> bool:
        """Whether an application message answers this scenario. A reject that names nothing is taken for ours."""
        if m.msg_type not in APPLICATION or m.is_old:
            return False
        if m.msg_type in REJECTS:
            return not m.get(45).isdecimal() or int(m.get(45)) in self._sent_seqs
        return any(m.get(tag) in self._known.ours for tag in (11, 41, 584))

    def _next(self, wanted: Callable[[Message], bool], deadline: float) -> Message | None:
        """The first message that is wanted; the others wait in their order."""
        for waiting in self._queue:
            if wanted(waiting):
                self._queue.remove(waiting)
                return waiting
        while (m := self._session.read(deadline)) is not None:
            m = self._in_words(m)
            if wanted(m):
                return m
            self._queue.append(m)
        return None

    def _in_words(self, m: Message) -> Message:
        in_44 = self._dialect.heard(m)
        in_44.is_old = m.is_old
        return in_44

    def _hear(self, m: Message, misfits: list[str] | None = None) -> None:
        """Book what came. Raises Failed with everything that is wrong with it."""
        self._wire.append(f"< {m}")
        wrong = [*m.problems, *(misfits or [])]
        if m.msg_type == "8":
            wrong += [problem for problem in self._known.note(m) if problem not in wrong]
        if wrong:
            raise Failed("\n".join(wrong))

    def _silence(self, step: Step) -> str:
        conditions = ", ".join(str(c) for c in step.conditions)
        heard = [m for m in self._queue if not m.is_old and m.msg_type != "0"]
        meanwhile = f"; what came instead: {answers.said(heard[0])}" if heard else ""
        sent = f" to 35={self._last_sent.msg_type} {self._last_sent.get(11) or ''}".rstrip() if self._last_sent else ""
        return f"no answer{sent} within {self._patience_s:g} s: 35={step.what}{' with ' + conditions if conditions else ''} is due{meanwhile}"

    # The verbs.

    def _fill(self, step: Step) -> None:
        """Its next trade (fill), its trades until it is filled (fills), or until what could not be done is canceled (ends)."""
        deadline = time.monotonic() + FILL_S_MAX
        book = self._book(step.ids[0])
        while True:
            m = self._next(self._is_ours, deadline)
            if m is None:
                due = "35=8 with 150=F is due, CumQty (14) so far"
                raise Failed(f"no trade within {FILL_S_MAX:g} s: {due} is {book.cum_qty} of {book.order_qty}")
            is_due = m.get(150) == TRADE or (step.what == "ends" and m.get(150) == m.get(39) == CANCELED)
            wrong = [] if is_due else [f"a trade (150=F) is due, but {answers.said(m)} came"]
            status = "2" if number(m.get(14)) == number(m.get(38)) else "1"
            if m.get(150) == TRADE and m.get(39) != status:
                wrong.append(f"OrdStatus (39) is {m.get(39)}, {status} is due with CumQty (14) {m.get(14)} of {m.get(38)}")
            self._hear(m, wrong)
            if not book.is_open or step.what == "fill":
                return

    def _canceled(self, step: Step) -> None:
        """An order ends by another's message; Pending Cancel may come first."""
        order, by = step.ids
        book, deadline = self._book(order), time.monotonic() + self._patience_s
        while book.is_open:
            m = self._next(lambda m: self._is_ours(m) and self._known.books.get(m.get(41) or m.get(11)) is book, deadline)
            if m is None:
                raise Failed(f"order {self._name(order)} was not reported Canceled (150=4) within {self._patience_s:g} s, it is 39={book.status}")
            wrong = []
            if m.get(150) not in (CANCELED, "6", TRADE):
                wrong.append(f"ExecType (150) is {m.get(150)}, 4 canceled is due")
            if m.get(150) == CANCELED and m.get(39) != CANCELED:
                wrong.append(f"OrdStatus (39) is {m.get(39)}, 4 canceled is due")
            if m.get(11) not in (self._name(order), self._name(by)):
                wrong.append(f"ClOrdID (11) is {m.get(11)}, {self._name(order)} or {self._name(by)} is due")
            self._hear(m, wrong)

    def _statuses(self, step: Step) -> None:
        """All answers to one AF: each a status, their number in 911, the last marked by 912."""
        request, *orders = (self._name(letter) for letter in step.ids)
        deadline = time.monotonic() + self._patience_s
        heard: list[Message] = []
        while not heard or heard[-1].get(912) != "Y":
            m = self._next(lambda m: m.get(584) == request or (m.msg_type in REJECTS and self._is_ours(m)), deadline)
            if m is None:
                raise Failed(f"{len(heard)} reports with 584={request} came within {self._patience_s:g} s, none with LastRptRequested (912) Y")
            heard.append(m)
            right = (m.msg_type, m.get(150)) == ("8", "I")
            self._hear(m, [] if right else [f"a status (35=8, 150=I) is due, but {answers.said(m)} came"])
        wrong = [f"order {order} is not among the reports (11)" for order in orders if order not in {m.get(11) for m in heard}]
        wrong += [f"TotNumReports (911) is {m.get(911)}, but {len(heard)} came" for m in heard if m.get(911) != str(len(heard))][:1]
        if wrong:
            raise Failed("\n".join(wrong))

    def _resent(self, step: Step) -> None:
        """Number by number from 1 to the last that we heard before."""
        last, position = self._session.heard_seq, 1
        deadline = time.monotonic() + self._patience_s
        while position <= last:
            m = self._next(lambda m: m.is_old, deadline)
            if m is None:
                raise Failed(f"number {position} was not sent again within {self._patience_s:g} s")
            self._wire.append(f"< {m}")
            wrong = answers.wrong_resend(m, position, self._known.exec_ids)
            if wrong:
                raise Failed(wrong)
            position = int(m.get(36)) if m.msg_type == "4" else position + 1

    def _closed(self, step: Step) -> None:
        try:
            m = self._next(lambda m: m.msg_type == "A", time.monotonic() + self._patience_s)
        except SessionBroken:
            return
        raise Failed(f"the Logon was accepted: {m}" if m else f"the connection is still open after {self._patience_s:g} s")

    def _book(self, letter: str) -> Book:
        book = self._known.books.get(self._name(letter))
        if book is None:
            raise Failed(f"the script sent no order {letter}")
        return book

    def _clean_up(self) -> None:
        """Cancel what is still open; no part of the verdict."""
        try:
            for number, book in enumerate({id(b): b for b in self._known.books.values()}.values()):
                if book.is_open or not book.status:
                    pairs: Pairs = [(11, f"{self._prefix}-END{number}"), (41, book.cl_ord_id), (55, self._symbol), (54, book.side), (60, utc_now()),
                                    (38, str(book.order_qty))]  # fmt: skip
                    self._session.send("F", pairs)
                    self._await_end(book)
        except (SessionBroken, OSError):
            self._session.close()

    def _await_end(self, book: Book) -> None:
        deadline = time.monotonic() + self._patience_s
        while book.is_open:
            m = self._next(lambda m: m.msg_type in ("8", "9") and book.cl_ord_id in (m.get(11), m.get(41)), deadline)
            if m is None or m.msg_type == "9":
                return
            if not incomplete(m):
                book.take(m)
