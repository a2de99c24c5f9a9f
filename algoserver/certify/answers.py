"""Is an answer the one that is due? Pure comparisons, each problem a sentence.

Rule: what any refusal owes is asked of every refusal: a machine-readable code first in Text (58), then a sentence.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from algoserver.certify.book import Book, incomplete, number
from algoserver.certify.script import Condition, Step
from algoserver.certify.session import Message

CODE = re.compile(r"([a-z][a-z0-9_]*): (.{10,})")
NAMES = {
    "6": "AvgPx", "7": "BeginSeqNo", "11": "ClOrdID", "14": "CumQty", "17": "ExecID", "34": "MsgSeqNum", "36": "NewSeqNo", "37": "OrderID",
    "38": "OrderQty", "39": "OrdStatus", "41": "OrigClOrdID", "45": "RefSeqNum", "58": "Text", "98": "EncryptMethod", "102": "CxlRejReason",
    "103": "OrdRejReason", "108": "HeartBtInt", "112": "TestReqID", "141": "ResetSeqNumFlag", "150": "ExecType", "151": "LeavesQty",
    "371": "RefTagID", "372": "RefMsgType", "373": "SessionRejectReason", "380": "BusinessRejectReason", "434": "CxlRejResponseTo",
    "530": "MassCancelRequestType", "531": "MassCancelResponse", "532": "MassCancelRejectReason", "533": "TotalAffectedOrders",
    "790": "OrdStatusReqID",
}  # fmt: skip
IDS = ("11", "41", "584")  # where a letter of the script stands for an id of this run
Name = Callable[[str], str]


@dataclass
class Known:
    """What a scenario knows: its orders by each of their ClOrdIDs, our ids, and every ExecID of the run."""

    books: dict[str, Book]
    exec_ids: set[str]
    ours: set[str] = field(default_factory=set)

    def book_of(self, m: Message) -> Book | None:
        return self.books.get(m.get(41)) or self.books.get(m.get(11))

    def note(self, m: Message) -> list[str]:
        """Book an ExecutionReport. Returns what is wrong with it."""
        wrong = []
        if m.get(17) in self.exec_ids:
            wrong.append(f"ExecID (17) {m.get(17)} was used before")
        self.exec_ids.add(m.get(17))
        book = self.book_of(m)
        return wrong + (book.take(m) if book is not None else incomplete(m))


def is_meant(step: Step, m: Message, name: Name) -> bool:
    """Whether a message is the one that may come here: its type, its ClOrdID, its ExecType."""
    if m.msg_type != step.what or (step.ids and m.get(11) != name(step.ids[0])):
        return False
    return all(_holds(c, m, None, name) for c in step.conditions if c.tag == "150")


def misfits(step: Step, m: Message, known: Known, name: Name, sent: Message | None) -> list[str]:
    """What a message has otherwise than its line says. sent: our last message, which a reject must name."""
    if m.msg_type != step.what:
        return [f"35={step.what} is due, but {said(m)} came"]
    wrong = []
    if step.ids and m.get(11) != name(step.ids[0]):
        wrong.append(f"ClOrdID (11) is {m.get(11) or 'missing'}, {name(step.ids[0])} is due")
    book = known.book_of(m)
    wrong += [_sentence(c, m, book, name) for c in step.conditions if not _holds(c, m, book, name)]
    if wrong and m.get(58) and not any(m.get(58) in problem for problem in wrong):
        wrong.append(f"Text (58) says: {m.get(58)}")
    if m.msg_type in ("3", "j") and sent is not None and m.get(45) != str(sent.seq):
        wrong.append(f"RefSeqNum (45) is {m.get(45) or 'missing'}, {sent.seq} is due")
    is_refusal = m.msg_type in ("9", "j") or (m.msg_type == "8" and m.get(150) == "8")
    if is_refusal and not CODE.fullmatch(m.get(58)):
        wrong.append(f"Text (58) of a refusal is a code, a colon and a sentence, it is {m.get(58) or 'missing'}")
    if m.msg_type == "9":
        wrong += [f"{NAMES[tag]} ({tag}) is missing" for tag in ("37", "11", "41", "39", "434") if not m.get(int(tag))]
        if book is not None and book.order_id and m.get(37) != book.order_id:
            wrong.append(f"OrderID (37) is {m.get(37)}, the order's is {book.order_id}")
    return wrong


def said(m: Message) -> str:
    """A message in short, for a sentence about it."""
    tags = [tag for tag in (11, 150, 39, 372, 373, 380, 58) if m.get(tag)]
    return f"35={m.msg_type}{' with ' if tags else ''}{', '.join(f'{tag}={m.get(tag)}' for tag in tags)}"


def wrong_resend(m: Message, position: int, exec_ids: set[str]) -> str:
    """What is wrong with a message that was sent again; empty if nothing is."""
    if m.get(43) != "Y":
        return f"PossDupFlag (43) Y is missing in {m}"
    if m.seq != position:
        return f"number {position} is due, {m.seq} came: {m}"
    if m.msg_type == "4":
        new = number(m.get(36))
        is_forward = m.get(123) == "Y" and new is not None and new > position
        return "" if is_forward else f"a SequenceReset in a resend has GapFillFlag (123) Y and a NewSeqNo (36) above {position}: {m}"
    if not m.get(122):
        return f"OrigSendingTime (122) is missing in {m}"
    if m.msg_type == "8" and m.get(17) not in exec_ids:
        return f"the report sent again as {position} has ExecID (17) {m.get(17)}, which was never heard"
    return ""


def _holds(c: Condition, m: Message, book: Book | None, name: Name) -> bool:
    if c.tag == "code":
        code = CODE.fullmatch(m.get(58))
        return code is not None and code[1] == c.value
    if int(c.tag) in m.lacks:
        return True
    got = m.get(int(c.tag))
    if c.value == "*":
        return bool(got)
    if c.value == "-":
        return not got
    if c.sign == "~":
        return c.value in got
    wants = [_due(c.tag, word, book, name) for word in c.value.split("|")]
    if c.sign == ">=":
        amount, least = number(got), number(wants[0])
        return amount is not None and least is not None and amount >= least
    meant = (got, *m.stands_for.get(int(c.tag), ()))
    return any(want in meant or (_is_amount(c.tag) and number(got) is not None and number(got) == number(want)) for want in wants)


def _sentence(c: Condition, m: Message, book: Book | None, name: Name) -> str:
    if c.tag == "code":
        return f"Text (58) begins with the code {c.value}: is due, it is {m.get(58) or 'missing'}"
    label = f"{NAMES[c.tag]} ({c.tag})" if c.tag in NAMES else f"tag {c.tag}"
    due = " or ".join(_due(c.tag, word, book, name) for word in c.value.split("|"))
    due = {"*": "any value", "-": "no value"}.get(due, due)
    due = {"~": f"a text with {due}", ">=": f"at least {due}"}.get(c.sign, due)
    return f"{label} is {m.get(int(c.tag)) or 'missing'}, {due} is due"


def _due(tag: str, word: str, book: Book | None, name: Name) -> str:
    """A word of the script as a value: the order's quantities, a ClOrdID, or itself."""
    if book is not None and word in ("qty", "cum", "leaves"):
        return str({"qty": book.order_qty, "cum": book.cum_qty, "leaves": book.leaves_qty}[word])
    return name(word) if tag in IDS else word


def _is_amount(tag: str) -> bool:
    return tag in ("6", "14", "31", "32", "38", "44", "151", "533", "911")
