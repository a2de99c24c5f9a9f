"""Between the operator's door and the core: who is it, may he, and what is written of it.

Rule 1: everything that a person asks to be done has its line in the audit before its answer leaves: done, refused or denied.
Rule 2: a kill comes first: it is carried out, then written; if it can't be written the answer says so. Nothing else is done
while the audit can't be written.
Rule 3: questions and dry runs leave no line, unless they are denied.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from algoserver.audit import Audit
from algoserver.control import MARK, QUESTIONS, TRACE
from algoserver.domain.events import Commanded
from algoserver.domain.types import utc_text
from algoserver.door import Answer, Caller, error
from algoserver.operators import VERBS, Known, Operators, Unknown
from algoserver.reply import Late

# How long a kill's answer waits for a disk that does not answer, seconds.
AUDIT_S_MAX = 1.0
# How long a check of the audit waits for the lines of commands that are being answered, seconds.
SETTLE_S_MAX = 1.0
TEXT_MAX = 300  # characters of what was asked that a line keeps
AUDIT_VERBS = ("audit.tail", "audit.verify")

Line = dict[str, Any]


class Porter:
    """Lets requests through to `ask` (request, operator's name, late), which waits until what it changes is durable.

    late: what hears of an answer that came when the asker had been told that none did.
    """

    def __init__(self, operators: Operators, audit: Audit, ask: Callable[[Answer, str, Late], Answer]) -> None:
        self._operators = operators
        self._audit = audit
        self._ask = ask

    def ask(self, request: Answer, caller: Caller) -> Answer:
        """Answer a request; on a thread of the door's."""
        verb = str(request.get("verb", ""))
        who = self._operators.who(caller)
        name, role = (who.name, "every" if self._operators.is_alone else who.role_for(verb)) if isinstance(who, Known) else ("", "")
        line = self._line(request, verb, who, name, role)
        if not role:
            return self._written(line, error("denied", _denial(who, verb)))
        if verb in AUDIT_VERBS:
            return self._of_the_audit(verb, request)
        if verb in QUESTIONS or request.get("dry_run") is True:
            said = self._ask(request, name, _nothing)
            said.pop(TRACE, None)
            return {**said, "operators": self._operators.text, "audit": self._audit.damage or "whole at the start"} if verb == "status" else said
        why = "" if verb == "kill" else self._audit.flush()
        if why:
            return self._written(line, error("failed", f"{why}; while that is so nothing but a kill is done"))
        said = self._ask(request, name, lambda late: self._late(line, late))
        is_command = TRACE in said or "error" in said or "is_past_core" in said
        return self._written(line, said, is_kill=verb == "kill") if is_command else said

    def _late(self, line: Line, said: Answer) -> None:
        """The core did it after all: that has a line of its own, with the event's seq."""
        if TRACE in said:
            self._audit.write({**line, "result": "done", "text": "done by the core after the asker had his answer", **said.pop(TRACE)})

    def recovered(self, events: list[Commanded]) -> None:
        """Write the lines of commands that the last process carried out and did not live to write."""
        for event in events:
            if event.audit_head and not self._audit.knows(event.seq):
                verb = getattr(event, "verb", "order.amend")
                text = "found in the journal at the start: the server ended before it was written, or it was cut off"
                self._audit.write(_entry(event.operator, "journal", "", verb, event.target, event.reason, "unknown", text, event.seq))

    def _line(self, request: Answer, verb: str, who: Known | Unknown, name: str, role: str) -> Line:
        target, venue, values = (request.get(key, "") for key in ("target", "venue", "values"))
        named = f"{venue} {target}" if venue else str(target)
        if isinstance(values, dict) and values:
            named = f"{named} {' '.join(f'{k}={v}' for k, v in values.items())}".strip()
        return _entry(name, who.how, role, verb, named, str(request.get("reason", "")), "", "", 0)

    def _written(self, line: Line, said: Answer, is_kill: bool = False) -> Answer:
        trace = said.pop(TRACE, None)
        refusal = said.get("error")
        line["result"] = refusal["code"] if refusal else "past_core" if said.get("is_past_core") else "done"
        line["text"] = refusal["text"][:TEXT_MAX] if refusal else ""
        if trace:
            line.update(trace)
        why = self._within(line) if is_kill else self._audit.write(line)
        if why:
            warning = f"{why}: this command has no line in it yet"
            said["warning"] = f"{said['warning']}; {warning}" if "warning" in said else warning
        return said

    def _within(self, line: Line) -> str:
        """Write on a thread of its own: a disk that hangs keeps no kill's answer back."""
        said: list[str] = []
        thread = threading.Thread(target=lambda: said.append(self._audit.write(line, AUDIT_S_MAX)), daemon=True)
        thread.start()
        thread.join(AUDIT_S_MAX * 2)
        return said[0] if said else "the audit's disk does not answer"

    def _of_the_audit(self, verb: str, request: Answer) -> Answer:
        try:
            if verb == "audit.tail":
                count = request.get("count", 20)
                return {"lines": self._audit.tail(count if isinstance(count, int) else 20)}
            mark = self._ask({"verb": MARK}, "", _nothing)
            seq, head = mark.get("seq", 0), mark.get("head", "")
            deadline = time.monotonic() + SETTLE_S_MAX
            lines, wrong = self._audit.verify(seq, head)
            while wrong and not self._audit.knows(seq) and time.monotonic() < deadline:
                time.sleep(0.05)  # the command of this event may be on its way from the core to its line
                lines, wrong = self._audit.verify(seq, head)
        except OSError as failure:
            return error("failed", f"the audit can't be read: {failure.strerror or failure}")
        if wrong:
            return error("failed", f"audit: {wrong}")
        unasked = mark["error"]["text"] if "error" in mark else ""
        known = f"not compared with the journal: {unasked}" if unasked else f"every command to the journal's event {seq} is there"
        return {"is_whole": True, "lines": lines, "sha256": self._audit.head, "text": known}


def _nothing(said: Answer) -> None:
    pass


def _entry(person: str, how: str, role: str, verb: str, target: str, reason: str, result: str, text: str, seq: int) -> Line:
    """A line but for its place in the chain. before, after: sha256 of what operators change, "" where nothing was changed."""
    cut = {"person": person, "how": how, "role": role, "verb": verb, "target": target, "reason": reason}
    line: Line = {key: value.encode("utf-8", "replace").decode()[:TEXT_MAX] for key, value in cut.items()}
    return {"time": utc_text(time.time_ns()), **line, "result": result, "text": text, "seq": seq, "before": "", "after": ""}


def _denial(who: Known | Unknown, verb: str) -> str:
    if isinstance(who, Unknown):
        return who.text
    return f"{who.name} has {_or(who.roles, 'and')}; {verb[:32]} needs {_or(VERBS.get(verb, ('admin',)))}"


def _or(words: tuple[str, ...], last: str = "or") -> str:
    return f"role {words[0]}" if len(words) == 1 else f"roles {', '.join(words[:-1])} {last} {words[-1]}"
