"""A client as a process: `python -m tests.e2e.client FOLDER PORT [COMPID]`. Bodies in on stdin ("35=D|11=..."), messages out on stdout.

QuickFIX has one session of a name in a process, so each test's client is one. Its numbers are on disk, as a real OMS's are.
"""

import sys
import threading
from pathlib import Path

import quickfix as fix

DICTIONARY = Path(__file__).resolve().parents[2] / "sessions" / "FIX44.xml"


class Application(fix.Application):
    """Prints every application message."""

    def __init__(self) -> None:
        super().__init__()
        self.up = threading.Event()
        self.is_said = threading.Event()

    def onCreate(self, session):
        pass

    def onLogon(self, session):
        self.up.set()

    def onLogout(self, session):
        pass

    def toAdmin(self, message, session):
        pass

    def fromAdmin(self, message, session):
        pass

    def toApp(self, message, session):
        pass

    def fromApp(self, message, session):
        self.is_said.wait()  # the ready line comes first, however fast the other side is
        print(message.toString(), flush=True)


def main() -> None:
    """Log on, say ready, and send what comes until stdin ends."""
    folder, port = Path(sys.argv[1]), sys.argv[2]
    compid = sys.argv[3] if len(sys.argv) > 3 else "CLIENT1"
    folder.mkdir(parents=True, exist_ok=True)
    cfg = folder / "client.cfg"
    cfg.write_text(
        "[DEFAULT]\nConnectionType=initiator\nBeginString=FIX.4.4\nTargetCompID=ALGO\n"
        f"SenderCompID={compid}\nSocketConnectHost=127.0.0.1\nSocketConnectPort={port}\nReconnectInterval=1\nSocketNodelay=Y\nNonStopSession=Y\n"
        f"HeartBtInt=30\nUseDataDictionary=Y\nDataDictionary={DICTIONARY}\nFileStorePath={folder}\n[SESSION]\nResetOnLogon=N\n"
    )
    application, settings = Application(), fix.SessionSettings(str(cfg))
    stores, dictionary = fix.FileStoreFactory(settings), fix.DataDictionary(str(DICTIONARY))
    engine = fix.ThreadedSocketInitiator(application, stores, settings)
    engine.start()
    print("ready" if application.up.wait(120) else "no logon", flush=True)
    application.is_said.set()
    session = fix.SessionID("FIX.4.4", compid, "ALGO")
    for line in sys.stdin:
        text = f"8=FIX.4.4|9=0|{line.strip()}|10=000|".replace("|", "\x01")
        fix.Session.sendToTarget(fix.Message(text, dictionary, False), session)
    engine.stop()


if __name__ == "__main__":
    main()
