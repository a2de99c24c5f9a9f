"""The versions of FIX that a client may certify. The script is written in 4.4; what 4.2 says otherwise is put into 4.4's words.

Rule: what is heard is checked in its own version first: a tag or a value that the version does not have is a problem.
"""

from typing import NamedTuple

from algoserver.certify.session import Message, Pairs

NEW, CANCEL, CORRECT, STATUS = "0", "1", "2", "3"  # ExecTransType (20)
# ExecType (150) and OrdStatus (39) of 4.2; and what Broker Option stands for among the reasons of 4.4 that it has not.
STATES_42 = set("0123456789ABCDE")
REASONS_42 = {102: ("2", ("6", "99")), 103: ("0", ("11", "13", "99"))}


class Dialect(NamedTuple):
    """name: as --fix has it. logon: what a Logon says besides. lacks: tags, and chapters of the script, that it does not have."""

    name: str
    begin_string: str
    logon: Pairs = ()
    lacks: frozenset[int] = frozenset()
    lacks_chapters: tuple[str, ...] = ()

    def credentials(self, username: str, password: str) -> Pairs:
        """What a Logon says of who it is: 553 and 554; 4.2 has neither, and RawData (96) is "username:password"."""
        if not username and not password:
            return ()
        if self.name == "4.2":
            raw = f"{username}:{password}"
            return ((95, str(len(raw.encode()))), (96, raw))
        return ((553, username), (554, password))

    def said(self, pairs: Pairs) -> Pairs:
        """What we send, without the tags that the version does not have."""
        return [pair for pair in pairs if pair[0] not in self.lacks]

    def heard(self, m: Message) -> Message:
        """A message in 4.4's words; its `problems` are what it says that its version does not."""
        if self.name != "4.2" or m.msg_type not in ("8", "9"):
            return m
        found = Message(_in_44(m) if m.msg_type == "8" else m.pairs)
        found.problems = _problems(m, self.lacks)
        found.lacks = self.lacks
        found.stands_for = {tag: others for tag, (value, others) in REASONS_42.items() if m.get(tag) == value}
        return found


DIALECTS = {
    d.name: d
    for d in (
        Dialect("4.4", "FIX.4.4"),
        Dialect("4.2", "FIX.4.2", (), frozenset((790, 584, 851, 911, 912)), ("Mass cancel and mass status",)),
        Dialect("5.0SP2", "FIXT.1.1", ((1137, "9"),)),
    )
}


def _problems(m: Message, lacks: frozenset[int]) -> list[str]:
    wrong = [f"tag {tag} is not in FIX 4.2" for tag, _ in m.pairs if tag in lacks]
    if m.msg_type == "8":
        if m.get(20) not in (NEW, CANCEL, CORRECT, STATUS):
            wrong.append(f"ExecTransType (20) is {m.get(20) or 'missing'}, 0 to 3 is due in FIX 4.2")
        for tag, name in ((150, "ExecType"), (39, "OrdStatus")):
            if m.get(tag) not in STATES_42:
                wrong.append(f"{name} ({tag}) is {m.get(tag)}, which FIX 4.2 does not have")
    return wrong


def _in_44(m: Message) -> Pairs:
    trans_type, exec_type, status = m.get(20), m.get(150), m.get(39)
    if trans_type in (CANCEL, CORRECT, STATUS):
        exec_type = {CANCEL: "H", CORRECT: "G", STATUS: "I"}[trans_type]
    elif exec_type in ("1", "2"):
        exec_type = "F"
    words = {150: exec_type, 39: "0" if status == "5" else status}
    return [(tag, words.get(tag, value)) for tag, value in m.pairs if tag != 20]
