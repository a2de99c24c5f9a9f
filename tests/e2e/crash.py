"""An order that works while processes are killed and wires are cut, again and again: the books are right, nothing is lost, nothing is done twice."""

import random
import time
from pathlib import Path

from tests.e2e.street import Street, replay

SECONDS_MAX = 500
WINDOW_S = 1_800  # of the order, market time
# While a session is down the market goes on unseen, and the slower the machine, the more of it. A fifth of what the order may take of the half
# hour is soon made up for, so that it can be asked to be filled whole.
QTY = 40_000


def survive(folder: Path, victim: str, blows: int, speed: int, seed: int) -> None:
    """Client's fills = venues' = journal's; no ExecID is told twice; never more than order_qty filled and open; it finishes. Moments by seed."""
    rng = random.Random(seed)
    street = Street(folder, speed, is_cuttable=victim == "wire")
    street.order(QTY)
    begun = time.monotonic()
    struck, next_blow = 0, begun + 4 + rng.uniform(0, 1)
    while street.client.final() is None and time.monotonic() - begun < SECONDS_MAX:
        street.client.read(0.02)
        if struck < blows and time.monotonic() >= next_blow:
            struck += 1
            _strike(street, victim)
            # The window is of market time and does not wait for a slow machine: by its half all blows have fallen, as far as the machine
            # can start again so fast, and what they held up can be made up for in the other.
            left = max(0.0, 1 - 2 * (time.monotonic() - begun) / (WINDOW_S / speed))
            next_blow = time.monotonic() + rng.uniform(0.05, 1.5 if victim == "server" else 3.0) * left
    final = street.client.final()
    street.client.read(1)
    assert street.close() == [0, 0]
    assert struck == blows, f"seed {seed}: the order was over after {struck} blows"
    assert final is not None, f"seed {seed}: the order did not finish"
    assert (final["39"], final["14"], street.client.told_twice) == ("2", str(QTY), [])
    assert street.client.filled() == street.venue_filled() == street.journal_filled() == QTY
    assert street.exposure_max() <= QTY
    assert replay(street.folder / "server", "0") == replay(street.folder / "server", "1")


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
