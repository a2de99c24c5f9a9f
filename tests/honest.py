"""An honest FIX server in one file, for scripts that check servers: it answers as the standard says, until a lie is told for it.

Its market is what the scripts of certify need: a market order trades 100 at a time, a limit order rests, IOC and FOK at a limit end.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import simplefix

PX = ("10.00", "10.02", "10.05")
TYPES = {"1": "VWAP", "2": "POV", "3": "IS", "1001": "TWAP", "1004": "ICEBERG"}
Fields = dict[str, str]
# Takes what an honest server would say, MsgType included; gives what is said instead.
Lie = Callable[[Fields], list[Fields]]


@dataclass
class Order:
    """An order of the one client. cl_ord_id: under which it lives."""

    order_id: str
    cl_ord_id: str
    fields: Fields
    qty: int
    cum: int = 0
    money: Decimal = Decimal(0)
    status: str = "0"

    @property
    def is_open(self) -> bool:
        return self.status in "01"

    @property
    def trades(self) -> bool:
        return self.fields["40"] == "1"


class Honest:
    """A listening server. lie: set it before a client connects; close() ends it."""

    def __init__(self, lie: Lie | None = None) -> None:
        self.lie = lie or (lambda fields: [fields])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._orders: dict[str, Order] = {}
        self._execs = self._made = 0
        self._sent: dict[int, Fields] = {}
        self._next_in = 1
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                self._socket, _ = self._listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError):
                self._serve()
            self._socket.close()

    def _serve(self) -> None:
        parser = simplefix.FixParser()
        while chunk := self._socket.recv(65_536):
            parser.append_buffer(chunk)
            while (message := parser.get_message()) is not None:
                if not _is_whole(message):
                    continue
                f = {tag.decode(): value.decode() for tag, value in reversed(message.pairs)}
                f["names"] = ",".join(value.decode() for tag, value in message.pairs if tag == b"958")
                f["values"] = ",".join(value.decode() for tag, value in message.pairs if tag == b"960")
                if not self._session(f):
                    return

    # The session.

    def _session(self, f: Fields) -> bool:
        """Numbers and admin messages; False ends the connection."""
        if f["49"] == "STRANGER":
            return False
        if f["35"] == "A" and f.get("141") == "Y":
            self._sent, self._next_in = {}, 1
        seq = int(f["34"])
        if seq < self._next_in:
            if f.get("43") != "Y":
                self._say({"35": "5", "58": "MsgSeqNum too low"})
            return f.get("43") == "Y"
        if seq > self._next_in and f["35"] != "4":
            self._say({"35": "2", "7": str(self._next_in), "16": "0"})
            return True
        self._next_in = int(f["36"]) if f["35"] == "4" else seq + 1
        if f["35"] == "A":
            self._say({"35": "A", "98": "0", "108": f["108"], **({"141": "Y"} if f.get("141") else {})})
            if f["108"] == "1":
                self._say({"35": "0"})
        elif f["35"] == "1":
            self._say({"35": "0", "112": f["112"]})
        elif f["35"] == "2":
            self._resend(int(f["7"]))
        elif f["35"] == "5":
            self._say({"35": "5"})
            return False
        elif f["35"] not in ("0", "4"):
            self._business(f)
        return True

    def _resend(self, begin: int) -> None:
        last = max(self._sent)
        for seq in range(begin, last + 1):
            said = self._sent[seq]
            if said["35"] == "8":
                self._write({**said, "43": "Y", "122": "20260101-00:00:00"}, seq)
            else:
                self._write({"35": "4", "43": "Y", "123": "Y", "36": str(seq + 1)}, seq)

    def _say(self, fields: Fields) -> None:
        for told in self.lie(fields):
            seq = max(self._sent, default=0) + 1
            self._sent[seq] = told
            self._write(told, seq)

    def _write(self, fields: Fields, seq: int) -> None:
        message = simplefix.FixMessage()
        for tag, value in ((8, "FIX.4.4"), (35, fields["35"]), (34, seq), (49, "ALGO"), (56, "CLIENT1"), (52, "20260101-00:00:00")):
            message.append_pair(tag, value, header=True)
        for tag, value in fields.items():
            if tag != "35":
                message.append_pair(tag, value, header=tag in ("43", "122"))
        self._socket.sendall(message.encode())

    # Orders.

    def _business(self, f: Fields) -> None:
        handlers = {"D": self._new, "F": self._cancel, "G": self._replace, "H": self._status, "q": self._mass_cancel, "AF": self._mass_status}
        if f["35"] == "D" and not f["38"].isdecimal():
            self._say({"35": "3", "45": f["34"], "371": "38", "372": "D", "373": "6", "58": "Incorrect data format for value"})
        elif f["35"] in handlers:
            handlers[f["35"]](f)
        else:
            self._say({"35": "j", "45": f["34"], "372": f["35"], "380": "3", "58": "unsupported_message_type: use D, F, G, H, q or AF"})

    def _new(self, f: Fields) -> None:
        twin = self._orders.get(f["11"])
        if twin is not None and f.get("97") == "Y":
            self._report(twin, "I")
            return
        if twin is not None:
            self._report(twin, "8", **{"103": "6", "58": "duplicate_cl_ord_id: send a new ClOrdID (11)", "11": f["11"]})
            return
        self._made += 1
        order = self._orders[f["11"]] = Order(f"O{self._made}", f["11"], f, int(f["38"]))
        if f["55"] == "NOSUCH":
            order.status = "8"
            self._report(order, "8", **{"103": "1", "58": "unknown_symbol: NOSUCH is not traded here"})
            return
        self._report(order, "0", **{"58": f"{TYPES[f['847']]}: {f['38']}"})
        if f["59"] != "0" and not order.trades:
            order.status = "4"
            self._report(order, "4")
        while order.trades and order.is_open:
            self._trade(order)
            if order.qty >= 4000:  # a long one goes on with the next request
                break

    def _cancel(self, f: Fields) -> None:
        order = self._orders.get(f["41"])
        refused = self._refused(f, order, "1")
        if order is None or refused:
            return
        self._orders[f["11"]] = order
        before, order.status = order.status, "6"
        self._report(order, "6", **{"11": f["11"], "41": order.cl_ord_id})
        order.status = "4"
        assert before != "4"
        self._report(order, "4", **{"11": f["11"], "41": order.cl_ord_id})

    def _replace(self, f: Fields) -> None:
        order = self._orders.get(f["41"])
        if self._refused(f, order, "2") or order is None:
            return
        new = int(f["38"])
        if f["54"] != order.fields["54"] or f.get("847", order.fields["847"]) != order.fields["847"]:
            self._reject(f, order, "2", "99", "not_mutable: cancel (F) and send a new order (D)")
            return
        if f["names"] == "MaxPctVol" and f["values"] == "15":
            self._reject(f, order, "2", "99", "bad_parameter: MaxPctVol is a fraction")
            return
        old, before = order.cl_ord_id, order.status
        order.status = "E"
        self._report(order, "E", **{"11": f["11"], "41": old})
        self._orders[f["11"]] = order
        order.cl_ord_id, order.qty = f["11"], max(new, order.cum)
        order.status = "2" if order.qty == order.cum else before
        self._report(order, "5", **{"41": old})
        if order.trades and order.is_open:
            self._trade(order)

    def _status(self, f: Fields) -> None:
        order = self._orders.get(f["11"])
        extra = {"790": f["790"]} if "790" in f else {}
        if order is None:
            nobody = Order("NONE", f["11"], f, 0, status="8")
            self._report(nobody, "I", **{**extra, "103": "5", "58": "unknown_order: there is no such order"})
            return
        self._report(order, "I", **extra)
        if order.trades and order.is_open:
            self._trade(order)

    def _mass_cancel(self, f: Fields) -> None:
        self._made += 1
        unknown = f.get("55") == "NOSUCH"
        hit = [] if unknown else [o for o in self._unique() if o.is_open]
        answer = {"35": "r", "37": f"M{self._made}", "11": f["11"], "530": f["530"], "531": "0" if unknown else f["530"], "533": str(len(hit))}
        self._say({**answer, **({"532": "1"} if unknown else {})})
        for order in hit:
            order.status = "4"
            self._report(order, "4")

    def _mass_status(self, f: Fields) -> None:
        found = [o for o in self._unique() if o.is_open]
        for number, order in enumerate(found, 1):
            last = {"912": "Y" if number == len(found) else "N"}
            self._report(order, "I", **{"584": f["584"], "911": str(len(found)), **last})

    def _unique(self) -> list[Order]:
        return list({o.order_id: o for o in self._orders.values()}.values())

    def _refused(self, f: Fields, order: Order | None, response_to: str) -> bool:
        if order is None:
            self._reject(f, None, response_to, "1", "unknown_order: check OrigClOrdID (41)")
        elif f["11"] in self._orders:
            self._reject(f, order, response_to, "6", "duplicate_cl_ord_id: send a new ClOrdID (11)")
        elif not order.is_open:
            self._reject(f, order, response_to, "0", "too_late: the order is over")
        else:
            return False
        return True

    def _reject(self, f: Fields, order: Order | None, response_to: str, reason: str, text: str) -> None:
        known = {"37": order.order_id, "39": order.status} if order else {"37": "NONE", "39": "8"}
        self._say({"35": "9", **known, "11": f["11"], "41": f["41"], "434": response_to, "102": reason, "58": text})

    def _trade(self, order: Order) -> None:
        last, px = min(100, order.qty - order.cum), PX[self._execs % len(PX)]
        order.cum += last
        order.money += last * Decimal(px)
        order.status = "2" if order.cum == order.qty else "1"
        self._report(order, "F", **{"32": str(last), "31": px})

    def _report(self, order: Order, exec_type: str, **more: str) -> None:
        self._execs += 1
        leaves = 0 if order.status in "248" else order.qty - order.cum
        self._say({
            "35": "8", "37": order.order_id, "11": order.cl_ord_id, "17": f"E{self._execs}", "150": exec_type, "39": order.status,
            "55": order.fields["55"], "54": order.fields["54"], "38": str(order.qty), "14": str(order.cum), "151": str(leaves),
            "6": f"{order.money / order.cum:.8f}" if order.cum else "0", "60": "20260101-00:00:00", **more,
        })  # fmt: skip


def _is_whole(message: simplefix.FixMessage) -> bool:
    text = b"".join(b"%s=%s\x01" % pair for pair in message.pairs[:-1])
    return bool(message.pairs[-1][1] == b"%03d" % (sum(text) % 256))
