"""What the reports of one order must say of each other, whatever the scenario.

Rule: a problem is a sentence with what came and what the standard says.
"""

from decimal import Decimal, InvalidOperation

from algoserver.certify.session import Message

OPEN = set("016AE9")  # new, partially filled, pending cancel, pending new, pending replace, suspended
FINAL = set("2348C")
REQUIRED = {
    37: "OrderID", 11: "ClOrdID", 17: "ExecID", 150: "ExecType", 39: "OrdStatus", 55: "Symbol", 54: "Side", 38: "OrderQty", 14: "CumQty",
    151: "LeavesQty", 6: "AvgPx", 60: "TransactTime",
}  # fmt: skip
TRADE, CANCELED, REPLACED, RESTATED, BUST, CORRECT = "F", "4", "5", "D", "H", "G"
AVG_PX_TOLERANCE = Decimal("0.000001")  # of the price: AvgPx is rounded by whoever prints it


class Book:
    """One order as its reports have told it. cl_ord_id: under which it lives, the new one once it is replaced."""

    def __init__(self, cl_ord_id: str, symbol: str, side: str, order_qty: str) -> None:
        self.cl_ord_id = cl_ord_id
        self.order_id = self.status = ""
        self.cum_qty = self.money = Decimal(0)
        # What can't be traded in whole shares need not be told back as it came.
        sent_qty = number(order_qty)
        self.order_qty = sent_qty if sent_qty is not None and sent_qty == int(sent_qty) else None
        self.symbol, self.side = symbol, side

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def leaves_qty(self) -> Decimal:
        return max(Decimal(0), (self.order_qty or Decimal(0)) - self.cum_qty) if self.status not in FINAL else Decimal(0)

    def take(self, m: Message) -> list[str]:
        """Book an ExecutionReport. Returns what is wrong with it."""
        wrong = incomplete(m)
        if wrong:
            return wrong
        exec_type, order_qty, cum_qty = m.get(150), number(m.get(38)), number(m.get(14))
        assert order_qty is not None
        assert cum_qty is not None
        if self.order_id and m.get(37) != self.order_id:
            wrong.append(f"OrderID (37) is {m.get(37)}, but was {self.order_id} in the order's first report")
        for tag, name, sent in ((55, "Symbol", self.symbol), (54, "Side", self.side)):
            if m.get(tag) != sent:
                wrong.append(f"{name} ({tag}) is {m.get(tag)}, but the order says {sent}")
        if exec_type in (REPLACED, RESTATED):
            self.order_qty = order_qty
        elif self.order_qty is not None and order_qty != self.order_qty:
            wrong.append(f"OrderQty (38) is {order_qty}, but the order's is {self.order_qty}")
        wrong += self._quantities(m, cum_qty)
        if exec_type == REPLACED:
            self.cl_ord_id = m.get(11)
        self.order_id = self.order_id or m.get(37)
        self.cum_qty, self.status = cum_qty, m.get(39)
        return wrong

    def _quantities(self, m: Message, cum_qty: Decimal) -> list[str]:
        """CumQty is the sum of the trades and AvgPx their money over it."""
        wrong = []
        last_qty, last_px = number(m.get(32)) or Decimal(0), number(m.get(31)) or Decimal(0)
        if m.get(150) == TRADE:
            if last_qty <= 0 or last_px <= 0:
                wrong.append(f"a trade needs LastQty (32) and LastPx (31) above 0, they are {m.get(32) or 'missing'} and {m.get(31) or 'missing'}")
            if m.get(11) != self.cl_ord_id:
                wrong.append(f"ClOrdID (11) of a trade is {m.get(11)}, but the order lives as {self.cl_ord_id}")
            if cum_qty != self.cum_qty + last_qty:
                wrong.append(f"CumQty (14) is {cum_qty}, but was {self.cum_qty} before this trade of {last_qty}")
            self.money += last_qty * last_px
        elif m.get(150) in (BUST, CORRECT):
            self.money = (number(m.get(6)) or Decimal(0)) * cum_qty
        else:
            if cum_qty != self.cum_qty:
                wrong.append(f"CumQty (14) is {cum_qty}, but the trades so far sum to {self.cum_qty}")
            if last_qty:
                wrong.append(f"LastQty (32) is {last_qty} in a report that is no trade (150={m.get(150)})")
        avg_px = number(m.get(6)) or Decimal(0)
        due = self.money / cum_qty if cum_qty else Decimal(0)
        if abs(avg_px - due) > AVG_PX_TOLERANCE * max(Decimal(1), due):
            wrong.append(f"AvgPx (6) is {avg_px}, but the trades' money over CumQty is {due:.6f}")
        return wrong


def incomplete(m: Message) -> list[str]:
    """What any ExecutionReport needs, alone: its fields, and quantities that fit its OrdStatus."""
    missing = [f"{name} ({tag}) is missing" for tag, name in REQUIRED.items() if not m.get(tag)]
    if missing:
        return missing
    amounts = {tag: number(m.get(tag)) for tag in (38, 14, 151, 6)}
    odd = [f"{REQUIRED[tag]} ({tag}) {m.get(tag)} is no number of 0 or more" for tag, amount in amounts.items() if amount is None or amount < 0]
    if odd:
        return odd
    order_qty, cum_qty, leaves_qty = amounts[38], amounts[14], amounts[151]
    assert order_qty is not None
    assert cum_qty is not None
    status = m.get(39)
    if status not in OPEN | FINAL:
        return [f"OrdStatus (39) {status} is none of the standard's"]
    if status in FINAL and leaves_qty:
        return [f"LeavesQty (151) is {leaves_qty}, but an order with 39={status} is over: 0"]
    if status in OPEN and cum_qty + (leaves_qty or 0) != order_qty:
        return [f"CumQty (14) {cum_qty} and LeavesQty (151) {leaves_qty} are not OrderQty (38) {order_qty} while the order is open"]
    if status == "2" and cum_qty < order_qty:
        return [f"OrdStatus (39) is 2 filled, but CumQty (14) is {cum_qty} of {order_qty}"]
    if status == "1" and not 0 < cum_qty < order_qty:
        return [f"OrdStatus (39) is 1 partially filled, but CumQty (14) is {cum_qty} of {order_qty}"]
    return []


def number(text: str) -> Decimal | None:
    """A decimal number, or None."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None
