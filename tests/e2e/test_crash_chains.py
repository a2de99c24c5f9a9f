"""Kill -9, cut wires and lost messages while an order is amended again and again and then canceled: all three views agree at the end."""

import random
import time

import pytest

from tests.e2e.street import END, START, Street, ask, replay

SECONDS_MAX = 900
QTY = 160_000
REPLACED_MIN = 5


class Chain:
    """A client that amends its order K1 as K2, K3 ... whenever the last answer is in, and cancels it at last."""

    def __init__(self, street: Street, rng: random.Random) -> None:
        self._street, self._rng = street, rng
        self.id, self.qty, self.cancel_id = "K1", QTY, ""
        self.qty_max = QTY
        self._asked: dict[str, int] = {}  # ClOrdID of a replace -> its quantity
        self._read_other = 0
        self.pending = ""
        self.replaced = 0

    def read(self) -> None:
        """Take in what the client was told."""
        self._street.client.read(0.02)
        for report in list(self._street.client.reports.values()):
            if report["150"] == "5" and report["11"] in self._asked and report["41"] == self.id:
                self.id, self.qty = report["11"], int(report["38"])
                self.replaced += 1
                self.pending = ""
        refused = self._street.client.other[self._read_other :]
        self._read_other += len(refused)
        for f in refused:
            assert f["35"] == "9", f
            if f["11"] == self.pending:
                self.pending = ""

    def amend(self) -> None:
        """Ask for another quantity; between a half and all of the first one."""
        number = len(self._asked) + 2
        wanted = self._rng.randrange(QTY // 2, QTY, 100)
        self.pending = f"K{number}"
        self._asked[self.pending] = wanted
        self._street.client.send(
            f"35=G|11={self.pending}|41={self.id}|21=1|55=AAPL|54=1|60={START}|38={wanted}|40=1|126={END}"
        )

    def cancel(self) -> None:
        """Ask for the end."""
        self.cancel_id = "C1"
        self._street.client.send(f"35=F|11=C1|41={self.id}|55=AAPL|54=1|60={START}|38={QTY}")


@pytest.mark.parametrize(("seed", "blows"), [(11, 25), (12, 25)], ids=["first-25-points", "second-25-points"])
def test_amend_and_cancel_chains_survive(tmp_path, seed: int, blows: int):
    """Server killed or both venue sessions cut at 25 random moments of a chain: client = venues = journal, and the quantities agree.

    Where a machine is so slow that no amend is answered between two blows, a blow waits for one.
    """
    rng = random.Random(seed)
    street = Street(tmp_path / "street", speed=10, is_cuttable=True)
    street.order(QTY)
    chain = Chain(street, rng)
    begun = time.monotonic()
    struck, next_blow, next_ask = 0, begun + 4, begun + 3
    while street.client.final() is None and time.monotonic() - begun < SECONDS_MAX:
        chain.read()
        now = time.monotonic()
        if now >= next_ask and not chain.pending and not chain.cancel_id:
            if struck >= blows and chain.replaced >= REPLACED_MIN:
                chain.cancel()
            else:
                chain.amend()
            next_ask = now + rng.uniform(0.1, 1.0)
        if struck < blows and now >= next_blow and chain.replaced >= struck * REPLACED_MIN // blows:
            struck += 1
            if rng.random() < 0.8:
                street.server.kill()
                street.server.start()
            else:
                street.proxy.cut()
            next_blow = time.monotonic() + rng.uniform(0.05, 0.6)
    final = street.client.final()
    street.client.read(1)
    assert final is not None, f"seed {seed}: the order did not end"
    shown = ask(street.folder / "server", {"verb": "order.show", "target": final["37"]})
    assert street.close() == [0, 0]
    assert struck == blows, f"seed {seed}: the order was over after {struck} blows"
    assert chain.replaced >= REPLACED_MIN, f"seed {seed}: only {chain.replaced} replaces took effect"
    assert street.client.told_twice == []
    assert int(final["14"]) == street.client.filled() == street.venue_filled() == street.journal_filled()
    assert (final["38"], final["11" if final["39"] == "2" else "41"]) == (str(chain.qty), chain.id)
    assert (shown["order_qty"], shown["cum_qty"]) == (final["38"], final["14"])
    assert street.exposure_max() <= QTY
    assert replay(street.folder / "server", "0") == replay(street.folder / "server", "1")
