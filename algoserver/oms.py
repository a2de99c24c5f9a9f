"""A sample OMS: logs on over FIX, sends one parent order, prints each report in words and fields, a JSON line each. Shares no code with the server.

`python -m algoserver.oms --port 9880 --symbol AAPL --qty 200000 --strategy 1 --start 20190628-14:30:00 --end ...`
It ends when the order is over: status 0 if it filled, 1 if it ended with a rest or was refused, 2 if the session broke.
"""

import argparse
import contextlib
import json
import socket
import sys
import time
from typing import Any

import simplefix

FINAL = {"2": 0, "3": 1, "4": 1, "8": 1, "C": 1}
NAMES = {
    "58": "text", "11": "cl_ord_id", "37": "order_id", "17": "exec_id", "150": "exec_type", "39": "ord_status", "38": "order_qty", "14": "cum_qty",
    "151": "leaves_qty", "6": "avg_px", "31": "last_px", "32": "last_qty", "30": "last_mkt", "60": "transact_time",
    "103": "ord_rej_reason",
}  # fmt: skip
ORD_STATUS = {
    "0": "New", "1": "PartiallyFilled", "2": "Filled", "3": "DoneForDay", "4": "Canceled", "6": "PendingCancel", "7": "Stopped", "8": "Rejected",
    "9": "Suspended", "A": "PendingNew", "C": "Expired", "E": "PendingReplace",
}  # fmt: skip
# Of what is no trade and changes no status: what else the report is about.
EXEC_TYPE = {"5": "Replaced", "D": "Restated", "G": "TradeCorrect", "H": "TradeCancel", "I": "OrderStatus"}
MSG_TYPE = {"3": "Reject", "j": "BusinessMessageReject", "5": "Logout"}
STRATEGIES = {"VWAP": 1, "POV": 2, "IS": 3, "TWAP": 1001, "CLOSE": 1002, "LIQUIDITY": 1003, "ICEBERG": 1004}


class Session:
    """A FIX 4.4 session as initiator. last_seq: go on after this number; below 0: begin with fresh ones."""

    def __init__(self, host: str, port: int, sender: str, target: str, last_seq: int = -1) -> None:
        self._socket = socket.create_connection((host, port), timeout=10)
        self._sender, self._target = sender, target
        self._parser = simplefix.FixParser()
        self.seq = max(0, last_seq)
        self.send("A", [(98, "0"), (108, "30"), *([(141, "Y")] if last_seq < 0 else [])])

    def send(self, msg_type: str, pairs: list[tuple[int, str]]) -> None:
        """Send one message."""
        self.seq += 1
        self._write(msg_type, self.seq, pairs)

    def fill_gap(self, first_seq: int) -> None:
        """Say that nothing is sent again of what the peer has missed from this number on."""
        self._write("4", first_seq, [(43, "Y"), (123, "Y"), (36, str(self.seq + 1))])

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _write(self, msg_type: str, seq: int, pairs: list[tuple[int, str]]) -> None:
        message = simplefix.FixMessage()
        message.append_pair(8, "FIX.4.4", header=True)
        message.append_pair(35, msg_type, header=True)
        message.append_pair(34, seq, header=True)
        message.append_pair(49, self._sender, header=True)
        message.append_utc_timestamp(52, precision=3, header=True)
        message.append_pair(56, self._target, header=True)
        for tag, value in pairs:
            message.append_pair(tag, value, header=tag == 43)  # PossDupFlag belongs there
        self._socket.sendall(message.encode())

    def messages(self) -> Any:
        """Yield messages as dicts tag -> text, answering heartbeats; ends when the peer closes."""
        while True:
            message = self._parser.get_message()
            if message is not None:
                fields = {tag.decode(): value.decode() for tag, value in message.pairs}
                if fields["35"] == "1":
                    self.send("0", [(112, fields.get("112", ""))])
                yield fields
                continue
            try:
                chunk = self._socket.recv(65_536)
            except TimeoutError:
                self.send("0", [])
                continue
            if not chunk:
                return
            self._parser.append_buffer(chunk)


def order(args: argparse.Namespace) -> list[tuple[int, str]]:
    """NewOrderSingle of the command line."""
    now = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())
    pairs = [(11, args.cl_ord_id), (21, "1"), (55, args.symbol), (54, args.side), (60, args.start or now), (38, str(args.qty))]
    pairs += [(40, "2"), (44, args.price)] if args.price else [(40, "1")]
    pairs += [(59, "0"), (847, str(args.strategy))]
    pairs += [(168, args.start)] if args.start else []
    pairs += [(126, args.end)] if args.end else []
    if args.param:
        pairs.append((957, str(len(args.param))))
        for param in args.param:
            name, _, value = param.partition("=")
            pairs += [(958, name), (960, value)]
    return pairs


def words(fields: dict[str, str]) -> str:
    """A report as a person reads it: PartiallyFilled 300 of 2000 at 197.93: 100 at 197.95 on XLIT1."""
    said = f"{ORD_STATUS.get(fields['39'], fields['39'])} {fields.get('14', '0')} of {fields.get('38', '?')}"
    said += f" at {fields['6']}" if float(fields.get("6", 0)) else ""
    if fields["150"] == "F":
        said += f": {fields.get('32', '?')} at {fields.get('31', '?')}" + (f" on {fields['30']}" if "30" in fields else "")
    return f"{EXEC_TYPE[fields['150']]}, {said}" if fields["150"] in EXEC_TYPE else said


def strategy(text: str) -> int:
    """Number or name of a strategy. Any number is sent: whether it is known is the server's to say."""
    return STRATEGIES[text.upper()] if text.upper() in STRATEGIES else int(text)


def main() -> int:
    """Trade one order. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="algoserver.oms",
        description="Send one parent order over FIX 4.4 and print its reports, one JSON object a line.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="where the server listens (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=9880, help="its port for clients (default 9880)")
    parser.add_argument("--sender", default="CLIENT1", help="our CompID (default CLIENT1), a FIX 4.4 session of the server")
    parser.add_argument("--cl-ord-id", default="", help="ClOrdID (11); without it one of its own")
    parser.add_argument("--symbol", default="AAPL", help="Symbol (55), default AAPL")
    parser.add_argument("--side", default="1", choices=("1", "2", "5"), help="1 buy (default), 2 sell, 5 sell short")
    parser.add_argument("--qty", type=int, default=1000, help="OrderQty (38), default 1000")
    parser.add_argument("--price", default="", help="limit; without it a market order")
    known = ", ".join(f"{number} {name}" for name, number in STRATEGIES.items())
    parser.add_argument("--strategy", type=strategy, default=1, help=f"TargetStrategy (847), number or name, default VWAP: {known}")
    parser.add_argument("--start", default="", help="YYYYMMDD-HH:MM:SS UTC, market time")
    parser.add_argument("--end", default="", help="YYYYMMDD-HH:MM:SS UTC, market time")
    parser.add_argument("--minutes", type=float, default=0, help="instead of --end: so many minutes from now, in real time")
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="strategy parameter, for example MaxPctVol=0.15")
    args = parser.parse_args()
    args.cl_ord_id = args.cl_ord_id or f"OMS-{time.time_ns() // 1_000_000}"
    if args.minutes:
        args.end = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime(time.time() + 60 * args.minutes))
    try:
        session = Session(args.host, args.port, args.sender, "ALGO")
        for fields in session.messages():
            if fields["35"] == "A":
                session.send("D", order(args))
            elif fields["35"] in ("3", "j", "5"):
                print(json.dumps({"says": MSG_TYPE[fields["35"]], "msg_type": fields["35"], "text": fields.get("58", "")}), flush=True)
                return 2
            elif fields["35"] == "8":
                print(json.dumps({"says": words(fields)} | {name: fields[tag] for tag, name in NAMES.items() if tag in fields}), flush=True)
                if fields["39"] in FINAL:
                    session.send("5", [])
                    return FINAL[fields["39"]]
        say = f"the server closed the session of CompID {args.sender}; is that a session of sessions/clients.cfg, and not logged on already?"
    except ConnectionRefusedError:
        say = "nobody listens there; start `algoserver serve`, or name its --host and --port"
    except OSError as error:
        say = str(error)
    print(f"algoserver.oms: {args.host}:{args.port}: {say}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
