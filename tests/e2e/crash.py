"""An order that works while processes are killed and wires are cut, again and again: the books are right, nothing is lost, nothing is done twice.

The market goes on while a session is down, and the slower the machine, the more of it is missed. So nothing here has to be done by an hour:
blows wait for the order, and the order has more to do than there is time; it is made smaller, or canceled, when the blows are over.
"""

import random
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.street import END, START, Street, replay

SPEED = 10
QTY = 600_000
LEFT = 20_000  # that is done after the last blow, if it is not canceled
PATIENCE_S = 400


def survive(folder: Path, victim: str, blows: int, seed: int, order: str, is_canceled: bool) -> None:
    """Client's fills = venues' = journal's; no ExecID is told twice; never more than order_qty filled and open; it finishes. Moments by seed.

    order: what the order is beside symbol, quantity and times. is_canceled: it ends by the client's cancel after it has traded again, else it is
    amended then to what is done and LEFT, and ends by its last fill.
    """
    rng = random.Random(seed)
    street = Street(folder, SPEED, is_cuttable=victim == "wire")
    street.await_market()
    street.client.send(f"35=D|11=K1|21=1|55=AAPL|54=1|60={START}|40=1|59=0|168={START}|126={END}|38={QTY}|{order}")
    _await(street, lambda: street.client.filled() > 0, "fill")
    for n in range(1, blows + 1):
        street.client.read(rng.uniform(0.05, 1.5))
        assert street.client.final() is None, f"seed {seed}: the order was over after {n - 1} blows"
        _strike(street, victim)
    done = street.client.filled()
    _await(street, lambda: street.client.filled() > done, "fill after the last blow")
    if is_canceled:
        street.client.send(f"35=F|11=C1|41=K1|55=AAPL|54=1|60={START}|38={QTY}")
    else:
        street.client.send(f"35=G|11=K2|41=K1|21=1|55=AAPL|54=1|60={START}|40=1|126={END}|38={street.client.filled() + LEFT}")
    _await(street, lambda: street.client.final() is not None, "end of the order")
    final = street.client.final()
    street.client.read(1)
    assert street.close() == [0, 0]
    assert final is not None
    assert (final["39"], street.client.told_twice) == ("4" if is_canceled else "2", [])
    assert street.client.filled() == street.venue_filled() == street.journal_filled() == int(final["14"])
    assert is_canceled or final["14"] == final["38"]
    assert street.exposure_max() <= QTY
    assert replay(street.folder / "server", "0") == replay(street.folder / "server", "1")


def _await(street: Street, holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"no {what} came"
        street.client.read(0.05)


def _strike(street: Street, victim: str) -> None:
    if victim == "wire":
        assert street.proxy is not None
        street.proxy.cut()
        return
    killed = {"server": [street.server], "simulator": [street.sim], "both": [street.server, street.sim]}[victim]
    for process in killed:
        process.kill()
    for process in reversed(killed):
        process.start()
