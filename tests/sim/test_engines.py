"""Two FIX engines that others wrote trade every order type on every kind of venue: every state is legal, every message is valid.

asyncfix keeps a state machine of its own for each order; fixcore validates what comes against the dictionary and rejects what does not fit.
"""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest
from asyncfix import AsyncFIXClient, FIXMessage, FMsg, FTag, Journaler
from asyncfix.connection import ConnectionState
from asyncfix.protocol import FIXNewOrderSingle, FIXProtocol44
from fixcore.application import Application
from fixcore.message.message import Message
from fixcore.session.session_settings import SessionSettings
from fixcore.store import MemoryStoreFactory
from fixcore.transport import SocketInitiator

from tests.sim.fixclient import PATIENCE_S, ROOT, Simulator

TOMORROW = f"{datetime.now(UTC) + timedelta(days=1):%Y%m%d-%H:%M:%S}"
# OrdType, side, quantity, price, other fields -> how it ends: trades (F, to the end), stands (and is canceled), refused, or over without a trade.
LIT = [
    ("1", "1", 100, 0, {59: "3"}, "trades"), ("1", "2", 300, 0, {59: "3"}, "trades"), ("2", "1", 100, 400, {59: "4"}, "trades"),
    ("2", "2", 100, 1, {59: "3", 110: "50"}, "trades"), ("2", "1", 100, 150, {59: "3"}, "over"), ("2", "1", 100, 150, {59: "0"}, "stands"),
    ("2", "1", 100, 150, {59: "1"}, "stands"), ("2", "1", 100, 150, {59: "6", 126: TOMORROW}, "stands"), ("3", "1", 100, 0, {99: "900"}, "stands"),
    ("4", "2", 100, 90, {99: "100"}, "stands"), ("3", "1", 100, 0, {99: "1"}, "trades"), ("4", "1", 100, 400, {99: "1", 59: "1"}, "trades"),
    ("2", "1", 500, 150, {111: "100"}, "stands"), ("2", "1", 500, 400, {1138: "100"}, "trades"), ("2", "1", 500, 150, {111: "0"}, "stands"),
    ("2", "1", 500, 150, {111: "0", 110: "200"}, "stands"), ("P", "1", 100, 0, {18: "R", 211: "-20"}, "stands"),
    ("P", "2", 100, 900, {18: "M"}, "stands"), ("2", "1", 100, 150, {18: "6"}, "stands"), ("2", "1", 100, 400, {18: "6"}, "refused"),
    ("2", "1", 100, 400, {59: "7"}, "refused"), ("2", "1", 100, 150.001, {}, "refused"),
]  # fmt: skip
DARK = [
    ("P", "1", 100, 0, {18: "M"}, "stands or trades"), ("P", "2", 100, 900, {18: "M", 110: "50"}, "stands"), ("2", "1", 100, 150, {}, "stands"),
    ("2", "1", 100, 150, {59: "1"}, "stands"), ("1", "1", 100, 0, {}, "refused"), ("2", "1", 100, 400, {59: "3"}, "trades or over"),
]  # fmt: skip
DEALER = [
    ("2", "1", 100, 400, {59: "4"}, "trades"), ("2", "2", 100, 1, {59: "3"}, "trades"), ("2", "1", 2_500, 400, {59: "3"}, "trades or over"),
    ("2", "1", 100, 1, {59: "4"}, "refused"), ("D", "1", 100, 400, {59: "4", 117: "never"}, "refused"), ("2", "1", 100, 400, {59: "0"}, "refused"),
]  # fmt: skip


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    simulator = Simulator(tmp_path_factory.mktemp("engines"), "cfg/sim-venues.toml")
    yield simulator
    assert simulator.stop() == 0


class Termed(FIXNewOrderSingle):
    """An order with fields of its own."""

    more: dict[int, str]

    def set_price_qty(self, ord_msg: FIXMessage, price: float, qty: float) -> None:
        ord_msg[FTag.OrderQty] = int(qty)
        if price:
            ord_msg[FTag.Price] = price
        for tag, value in self.more.items():
            ord_msg[tag] = value


class Trader(AsyncFIXClient):
    """ALGO at one venue. Each report must be a legal step of its order."""

    def __init__(self, port: int, venue: str) -> None:
        super().__init__(FIXProtocol44(), "ALGO", venue, Journaler(), "127.0.0.1", port, logger=logging.getLogger("asyncfix"))
        self.orders: dict[str, Termed] = {}
        self.looked_away: set[str] = set()  # orders that a dealer refused at his last look
        self.news: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.is_up = asyncio.Event()

    async def on_connect(self) -> None:
        await self.reset_seq_num()
        await self.send_msg(FIXMessage(FMsg.LOGON, {FTag.EncryptMethod: 0, FTag.HeartBtInt: 30, FTag.ResetSeqNumFlag: "Y"}))

    async def on_logon(self, is_healthy: bool) -> None:
        assert is_healthy
        self.is_up.set()

    async def on_message(self, msg: FIXMessage) -> None:
        root = FIXNewOrderSingle.clord_root(msg[FTag.ClOrdID])
        try:
            order = self.orders[root]
            is_report = msg.msg_type == FMsg.EXECUTIONREPORT
            if "last look" in msg.get(FTag.Text, ""):
                self.looked_away.add(root)
            if msg[FTag.OrdStatus] == order.status == "A":
                await self.news.put((root, "A"))  # asyncfix calls it pending from the sending on, and knows no word of the venue for it
                return
            order.change_status(order.status, msg.msg_type, msg[FTag.ExecType] if is_report else 0, msg[FTag.OrdStatus])
            (order.process_execution_report if is_report else order.process_cancel_rej_report)(msg)
            await self.news.put((root, msg[FTag.ExecType] if is_report else "9"))
        except Exception as e:
            await self.news.put((root, f"illegal: {e!r} {msg}"))

    async def hears(self, name: str) -> str:
        """The next word about an order."""
        while True:
            root, heard = await asyncio.wait_for(self.news.get(), PATIENCE_S)
            assert not heard.startswith("illegal"), heard
            if root == name:
                return heard


async def _trade(simulator: Simulator, venue: str, rows: list[tuple]) -> None:
    trader = Trader(simulator.port, venue)
    await trader.connect()
    await asyncio.wait_for(trader.is_up.wait(), PATIENCE_S)
    for n, (kind, side, qty, price, more, end) in enumerate(rows):
        for name in (f"E{n}", f"E{n}b", f"E{n}c", f"E{n}d"):  # while a dealer looks the market may move: then he is asked again
            order = trader.orders[name] = Termed(name, "AAPL", side, price, qty, ord_type=kind)
            order.more = more
            await trader.send_msg(order.new_req())
            said = [await trader.hears(name)]
            while not order.is_finished() and "stands" not in end:
                said.append(await trader.hears(name))
            if end != "trades" or name not in trader.looked_away:
                break
        if not order.is_finished():
            assert "stands" in end, (venue, rows[n], said)
            assert order.leaves_qty + order.cum_qty == qty
            await trader.send_msg(order.replace_req(qty=qty - 10))
            while not {"5", "9"}.intersection(said):
                said.append(await trader.hears(name))
            if not order.is_finished():
                await trader.send_msg(order.cancel_req())
            while not order.is_finished():
                said.append(await trader.hears(name))
        assert order.leaves_qty == 0, (rows[n], said)
        if end == "trades":
            assert (order.status, order.cum_qty) == ("2", qty), (venue, rows[n], said)
        elif end == "refused":
            assert order.status == "8", (venue, rows[n], said)
        elif end == "over":
            assert (order.status, order.cum_qty) == ("4", 0), (venue, rows[n], said)
    await trader.disconnect(ConnectionState.DISCONNECTED_WCONN_TODAY)


@pytest.mark.parametrize(("venue", "rows"), [("XLIT1", LIT), ("XLIT2", LIT[:8]), ("XDARK1", DARK), ("XDEAL1", DEALER)])
def test_asyncfix_finds_every_state_of_every_order_type_legal(simulator, venue, rows):
    asyncio.run(_trade(simulator, venue, rows))


class Watcher(Application):
    """ALGOMD. What it would reject, it does before from_app."""

    def __init__(self) -> None:
        self.news: asyncio.Queue[Message] = asyncio.Queue()
        self.up: asyncio.Queue[object] = asyncio.Queue()
        self.rejected: list[str] = []

    def on_logon(self, session_id: object) -> None:
        self.up.put_nowait(session_id)

    def to_admin(self, message: Message, session_id: object) -> None:
        if message.msg_type == "3":
            self.rejected.append(repr(message))

    def from_app(self, message: Message, session_id: object) -> None:
        self.news.put_nowait(message)

    async def hears(self, *msg_types: str) -> None:
        """At least one message of each of these types."""
        wanted = set(msg_types)
        while wanted:
            wanted.discard((await asyncio.wait_for(self.news.get(), PATIENCE_S)).msg_type)


def _message(msg_type: str, *fields: tuple[int, object]) -> Message:
    message = Message()
    message.header.set(35, msg_type)
    for tag, value in fields:
        message[tag] = str(value)
    return message


async def _watch(simulator: Simulator) -> None:
    venues = ("XLIT1", "XDEAL1", "XDARK1")
    settings = SessionSettings.from_string(
        "[DEFAULT]\nConnectionType=initiator\nReconnectInterval=1\nHeartBtInt=30\nResetOnLogon=Y\nBeginString=FIX.4.4\nSenderCompID=ALGOMD\n"
        f"SocketConnectHost=127.0.0.1\nSocketConnectPort={simulator.port}\nUseDataDictionary=Y\nValidateFieldsOutOfRange=Y\n"
        f"DataDictionary={ROOT / 'sessions' / 'FIX44.xml'}\n" + "".join(f"[SESSION]\nTargetCompID={venue}\n" for venue in venues)
    )
    watcher = Watcher()
    initiator = SocketInitiator(settings, watcher, MemoryStoreFactory())
    async with initiator:
        for _ in venues:
            await asyncio.wait_for(watcher.up.get(), PATIENCE_S)
        lit, dealer, dark = (next(s for i, s in initiator.sessions.items() if v in str(i)) for v in venues)
        now = f"{datetime.now(UTC):%Y%m%d-%H:%M:%S}"
        await lit.send_app(_message("e", (324, "s"), (55, "AAPL"), (263, 1)))
        await lit.send_app(_message("g", (335, "g"), (263, 1)))
        await watcher.hears("f", "h")
        for session, name, more in (
            (lit, "L", [(40, 2), (44, 400), (59, 3)]), (lit, "I", [(40, 2), (44, 150), (59, 6), (126, TOMORROW), (111, 100)]),
            (lit, "S", [(40, 3), (99, 1)]), (dark, "M", [(40, "P"), (18, "M"), (44, 150), (59, 1)]), (dealer, "Q", [(40, 2), (44, 400), (59, 4)]),
        ):  # fmt: skip
            await session.send_app(_message("D", (11, name), (55, "AAPL"), (54, 1), (60, now), (38, 500), *more))
            await watcher.hears("8")
        await lit.send_app(_message("F", (11, "N2"), (41, "never"), (55, "AAPL"), (54, 1), (60, now), (38, 1)))
        await watcher.hears("9")
        await dark.send_app(_message("6", (23, "i1"), (28, "N"), (55, "AAPL"), (54, 1), (27, 5000)))
        await dark.send_app(_message("6", (23, "i2"), (28, "N"), (55, "AAPL"), (54, 1), (27, "M")))
        await watcher.hears("j")
        await lit.send_app(_message("q", (11, "Q1"), (530, 7), (60, now)))
        await watcher.hears("r")
        assert watcher.rejected == []
        await initiator.logout()


def test_fixcore_rejects_nothing_that_a_venue_says(simulator):
    """Reports with terms and fees, refusals, statuses, mass cancels, each valid by the dictionary."""
    asyncio.run(_watch(simulator))
