"""Two FIX engines that others wrote, as clients: they log on, trade, amend and cancel, and find everything legal.

asyncfix keeps an order's state machine of its own and says which report may follow which; fixcore validates what comes against
the dictionary of FIX 5.0 SP2 and rejects what does not fit.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asyncfix import AsyncFIXClient, FIXMessage, FMsg, FTag, Journaler
from asyncfix.connection import ConnectionState
from asyncfix.protocol import FIXNewOrderSingle, FIXProtocol44
from fixcore.application import Application
from fixcore.message.message import Message
from fixcore.session.session_settings import SessionSettings
from fixcore.store import MemoryStoreFactory
from fixcore.transport import SocketInitiator

from tests.e2e.venue import MESSAGE_S_MAX, Scripted, now

SESSIONS = Path(__file__).resolve().parents[2] / "sessions"


@pytest.fixture(scope="module")
def street(tmp_path_factory) -> Iterator[Scripted]:
    """One server for both."""
    scripted = Scripted(tmp_path_factory.mktemp("engines") / "street")
    scripted.client("CLIENT2").close()
    yield scripted
    assert scripted.close() == 0


def fill(street: Scripted, order_id: str, leaves: int) -> int:
    """The venue accepts the order's next child and trades all of it; what is left of the order."""
    street.venue.trade(50_000, "200.01")
    child = street.venue.next("D", order_id)
    quantity = int(child["38"])
    street.venue.report(child, "0", "0", 0, quantity)
    street.venue.report(child, "F", "2", quantity, 0, quantity)
    return leaves - quantity


# ---- asyncfix, FIX 4.4


class Iceberg(FIXNewOrderSingle):
    """Its orders are plain limit orders; the strategy and its parameters are added where it lets a broker's own be added."""

    def set_price_qty(self, ord_msg: FIXMessage, price: float, qty: float) -> None:
        super().set_price_qty(ord_msg, price, qty)
        ord_msg[FTag.TargetStrategy] = 1004
        ord_msg[1138] = 1_000
        ord_msg[FTag.ExpireTime] = now(900)


class AsyncfixClient(AsyncFIXClient):
    """CLIENT1. Each report must be a legal step of its order, or asyncfix raises."""

    def __init__(self, port: int) -> None:
        quiet = logging.getLogger("asyncfix")
        super().__init__(FIXProtocol44(), "CLIENT1", "ALGO", Journaler(), "127.0.0.1", port, logger=quiet)
        self.orders: dict[str, FIXNewOrderSingle] = {}
        self.news: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue()
        self.is_up = asyncio.Event()

    async def on_connect(self) -> None:
        await self.reset_seq_num()
        await self.send_msg(FIXMessage(FMsg.LOGON, {FTag.EncryptMethod: 0, FTag.HeartBtInt: 30, FTag.ResetSeqNumFlag: "Y"}))

    async def on_logon(self, is_healthy: bool) -> None:
        assert is_healthy
        self.is_up.set()

    async def on_message(self, msg: FIXMessage) -> None:
        try:
            order = self.orders[FIXNewOrderSingle.clord_root(msg[FTag.ClOrdID])]
            is_report = msg.msg_type == FMsg.EXECUTIONREPORT
            exec_type = msg[FTag.ExecType] if is_report else "9"
            order.change_status(order.status, msg.msg_type, exec_type if is_report else 0, msg[FTag.OrdStatus])
            (order.process_execution_report if is_report else order.process_cancel_rej_report)(msg)
            await self.news.put((exec_type, msg[FTag.OrdStatus], msg[FTag.ClOrdID]))
        except Exception as e:
            await self.news.put(("illegal", repr(e), str(msg)))

    async def order(self, name: str, price: float, qty: float) -> FIXNewOrderSingle:
        order = self.orders[name] = Iceberg(name, "AAPL", "1", price, qty)
        await self.send_msg(order.new_req())
        return order

    async def hears(self, *exec_types: str) -> None:
        """Reports of these types, in this order, and no other."""
        for exec_type in exec_types:
            heard = await asyncio.wait_for(self.news.get(), MESSAGE_S_MAX)
            assert heard[0] == exec_type, heard


async def _asyncfix(street: Scripted) -> None:
    client = AsyncfixClient(street.port)
    await client.connect()
    await asyncio.wait_for(client.is_up.wait(), MESSAGE_S_MAX)

    order = await client.order("AF1", 200.00, 1_000)
    await client.hears("0")
    left = await asyncio.to_thread(fill, street, order.order_id, 1_000)
    await client.hears("F")
    assert (order.leaves_qty, order.cum_qty) == (left, 1_000 - left)
    if left:
        assert order.can_replace()
        await client.send_msg(order.replace_req(price=200.01, qty=1_500))
        await client.hears("E", "5")
        assert (order.qty, order.leaves_qty) == (1_500, left + 500)
        left += 500
    while left:
        left = await asyncio.to_thread(fill, street, order.order_id, left)
        await client.hears("F")
    assert order.is_finished()
    assert (order.cum_qty, order.avg_px > 0) == (order.qty, True)

    order = await client.order("AF2", 199.00, 2_000)
    await client.hears("0")
    await client.send_msg(order.replace_req(qty=1_800))
    await client.hears("E", "5")
    await client.send_msg(order.cancel_req())
    await client.hears("6", "4")
    assert order.is_finished()
    assert (order.leaves_qty, order.cum_qty) == (0, 0)

    refused = await client.order("AF3", 200.00, 10.5)
    await client.hears("8")
    assert refused.is_finished()
    await client.disconnect(ConnectionState.DISCONNECTED_WCONN_TODAY)


def test_asyncfix_finds_every_state_legal(street):
    """A life with fills and a replace, one that is canceled, and one that is refused."""
    asyncio.run(_asyncfix(street))


# ---- fixcore, FIX 5.0 SP2


class FixcoreClient(Application):
    """CLIENT50. What it would reject, it does before from_app."""

    def __init__(self) -> None:
        self.news: asyncio.Queue[Message] = asyncio.Queue()
        self.is_up = asyncio.Event()
        self.rejected: list[str] = []

    def on_logon(self, session_id: object) -> None:
        self.is_up.set()

    def to_admin(self, message: Message, session_id: object) -> None:
        if message.msg_type == "3":
            self.rejected.append(repr(message))

    def from_app(self, message: Message, session_id: object) -> None:
        self.news.put_nowait(message)

    async def hears(self, **wanted: str) -> Message:
        """A message with these fields ("t35")."""
        message = await asyncio.wait_for(self.news.get(), MESSAGE_S_MAX)
        assert {t: message.msg_type if t == "t35" else message.get(int(t[1:])) for t in wanted} == wanted, (message, self.rejected)
        return message


@asynccontextmanager
async def fixcore(port: int) -> AsyncIterator[tuple[FixcoreClient, object]]:
    """A client that is logged on, and its session."""
    settings = SessionSettings.from_string(
        "[DEFAULT]\nConnectionType=initiator\nReconnectInterval=1\nHeartBtInt=30\nResetOnLogon=Y\n"
        "[SESSION]\nBeginString=FIXT.1.1\nSenderCompID=CLIENT50\nTargetCompID=ALGO\nDefaultApplVerID=FIX.5.0SP2\n"
        f"SocketConnectHost=127.0.0.1\nSocketConnectPort={port}\nUseDataDictionary=Y\nValidateFieldsOutOfRange=Y\n"
        f"TransportDataDictionary={SESSIONS / 'FIXT11.xml'}\nAppDataDictionary={SESSIONS / 'FIX50SP2.xml'}\n"
    )
    application = FixcoreClient()
    initiator = SocketInitiator(settings, application, MemoryStoreFactory())
    async with initiator:
        await asyncio.wait_for(application.is_up.wait(), MESSAGE_S_MAX)
        yield application, next(iter(initiator.sessions.values()))
        await initiator.logout()


def _message(msg_type: str, **fields: object) -> Message:
    message = Message()
    message.header.set(35, msg_type)
    for tag, value in fields.items():
        message[int(tag[1:])] = str(value)
    return message


async def _fixcore(street: Scripted) -> None:
    async with fixcore(street.port) as (client, session):
        same = {"t55": "AAPL", "t54": 1, "t60": now(), "t40": 2}
        more = {"t59": 0, "t847": 1004, "t1138": 1_000, "t126": now(900)}
        await session.send_app(_message("D", t11="FC1", t38=1_000, t44="200.00", **same, **more))
        new = await client.hears(t35="8", t150="0", t39="0", t151="1000")
        left = await asyncio.to_thread(fill, street, new[37], 1_000)
        await client.hears(t35="8", t150="F", t39="1" if left else "2", t151=str(left))
        await session.send_app(_message("D", t11="FC2", t38=2_000, t44="199.00", **same, **more))
        await client.hears(t150="0", t11="FC2")
        await session.send_app(_message("G", t11="FC3", t41="FC2", t38=1_900, t44="199.00", **same))
        await client.hears(t150="E", t11="FC3", t41="FC2")
        await client.hears(t150="5", t11="FC3", t41="FC2", t38="1900")
        await session.send_app(_message("H", t11="FC3", t55="AAPL", t54=1, t790="S1"))
        await client.hears(t150="I", t790="S1", t39="0")
        await session.send_app(_message("F", t11="FC4", t41="nothing", t55="AAPL", t54=1, t60=now()))
        await client.hears(t35="9", t102="1", t37="NONE")
        await session.send_app(_message("F", t11="FC5", t41="FC3", t55="AAPL", t54=1, t60=now(), t38=1_900))
        await client.hears(t150="6", t39="6", t11="FC5")
        await client.hears(t150="4", t39="4", t151="0")
        await session.send_app(_message("q", t11="FC6", t530=7, t60=now()))
        await client.hears(t35="r", t11="FC6", t531="7")
        assert client.rejected == []


def test_fixcore_rejects_nothing(street):
    """Trades, a replace, a status, a refusal, a cancel and a mass cancel, each valid by the dictionary."""
    asyncio.run(_fixcore(street))
