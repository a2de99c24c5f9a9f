"""The clients of a drill: sessions that come back when they break, ask for what they have missed, and keep every report."""

import contextlib
import threading
import time

from algoserver.oms import Session

AGAIN_S = 0.1  # between two attempts to connect


class Clients:
    """One session for each name. reports: ExecID -> the report, the first time that it came. told_twice: without PossDupFlag (43)."""

    def __init__(self, names: tuple[str, ...], port: int) -> None:
        self.reports: dict[str, dict[str, str]] = {}
        self.told_twice: list[str] = []
        self._port = port
        self._sessions: dict[str, Session] = {}
        self._is_over = False
        for name in names:
            threading.Thread(target=self._keep, args=(name,), daemon=True).start()
        self._names = names

    def are_up(self) -> bool:
        """Whether all are logged on."""
        return len(self._sessions) == len(self._names)

    def send(self, name: str, pairs: list[tuple[int, str]]) -> None:
        """Send a NewOrderSingle."""
        self._sessions[name].send("D", pairs)

    def filled(self) -> int:
        """Sum of LastQty over all trades."""
        return sum(int(r["32"]) for r in list(self.reports.values()) if r["150"] == "F")

    def of(self, cl_ord_id: str) -> list[dict[str, str]]:
        """An order's reports, in the order in which they came."""
        return [r for r in list(self.reports.values()) if r["11"] == cl_ord_id]

    def stop(self) -> None:
        """Hang up."""
        self._is_over = True
        for session in list(self._sessions.values()):
            session.close()

    def _keep(self, name: str) -> None:
        """Keep a session up; its numbers go on through every break."""
        out_seq, in_seq = -1, 0
        while not self._is_over:
            with contextlib.suppress(OSError):
                session = Session("127.0.0.1", self._port, name, "ALGO", out_seq)
                try:
                    in_seq = self._listen(name, session, in_seq)
                finally:
                    self._sessions.pop(name, None)
                    out_seq = session.seq
                    session.close()
            time.sleep(AGAIN_S)

    def _listen(self, name: str, session: Session, in_seq: int) -> int:
        """Take what comes until the connection ends; the last MsgSeqNum that was taken."""
        is_asked = False
        with contextlib.suppress(OSError):
            for fields in session.messages():
                seq, msg_type = int(fields["34"]), fields["35"]
                if msg_type == "A":
                    self._sessions[name] = session
                if msg_type == "2":
                    session.fill_gap(int(fields["7"]))
                if seq > in_seq + 1 and not is_asked:
                    is_asked = True
                    session.send("2", [(7, str(in_seq + 1)), (16, "0")])
                if seq != in_seq + 1:
                    continue
                in_seq = int(fields["36"]) - 1 if msg_type == "4" else seq
                if msg_type == "8":
                    self._take(fields)
        return in_seq

    def _take(self, fields: dict[str, str]) -> None:
        if fields["17"] not in self.reports:
            self.reports[fields["17"]] = fields
        elif fields.get("43") != "Y":
            self.told_twice.append(fields["17"])
