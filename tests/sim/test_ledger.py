"""The ledger after a kill: whole lines count, a torn one never happened."""

import pytest

from algoserver.domain.types import Side
from algoserver.sim.ledger import BrokenLedger, Ledger, Line
from tests.sim.street import T0, cancel, new, quiet


def some_reports():
    exchange = quiet()
    return [
        *exchange.submit(T0, new("A", Side.BUY, 100, "50")),
        *exchange.submit(T0, new("A", Side.BUY, 100, "50")),
        *exchange.submit(T0, cancel("B", "A")),
        *exchange.submit(T0, cancel("C", "nothing")),
    ]


def test_everything_written_is_read_back(tmp_path):
    reports = some_reports()
    ledger = Ledger(tmp_path / "ledger", "p-")
    assert ledger.is_new
    ledger.write([Line(session="S", seq=4, reports=reports[:2]), Line(session="S", seq=5, reports=reports[2:]), Line(session="T", seq=9)])
    again = Ledger(tmp_path / "ledger", "q-")
    assert (again.is_new, again.prefix, again.reports, again.last_seq) == (False, "p-", reports, {"S": 5, "T": 9})


def test_only_the_last_write_is_unconfirmed_and_debts_last_until_paid(tmp_path):
    """What the write before contained has left; what a session is owed stays owed until a line says otherwise."""
    a, b, c, _ = some_reports()
    path = tmp_path / "ledger"
    ledger = Ledger(path, "p-")
    ledger.write([Line(reports=[a])])
    ledger.write([Line(reports=[b]), Line(session="S", owed=[a.exec_id]), Line(reports=[c])])
    after = Ledger(path, "q-")
    assert (after.unconfirmed, after.owed, after.last_seq) == ([b.exec_id, c.exec_id], {"S": [a.exec_id]}, {})
    after.write([Line(session="S", owed=[])])
    assert (Ledger(path, "q-").unconfirmed, Ledger(path, "q-").owed) == ([], {"S": []})


def test_a_line_torn_at_any_byte_never_happened(tmp_path):
    """Whatever part of the last line reached the disk, the lines before count and the next write is sound."""
    path = tmp_path / "ledger"
    reports = some_reports()
    ledger = Ledger(path, "p-")
    ledger.write([Line(session="S", seq=4, reports=reports[:1])])
    whole = path.read_bytes()
    ledger.write([Line(session="S", seq=5, reports=reports[1:2])])
    torn = path.read_bytes()
    for size in range(len(whole), len(torn)):
        path.write_bytes(torn[:size])
        after = Ledger(path, "q-")
        assert (after.last_seq, after.reports) == ({"S": 4}, reports[:1])
        after.write([Line(session="S", seq=6)])
        after.close()
        assert Ledger(path, "q-").last_seq == {"S": 6}


def test_a_broken_line_before_the_last_is_refused(tmp_path):
    path = tmp_path / "ledger"
    Ledger(path, "p-").write([Line(session="S", seq=4)])
    path.write_bytes(path.read_bytes().replace(b'"seq":4', b'"seq":x') + b"{}\n")
    with pytest.raises(BrokenLedger, match="line 2"):
        Ledger(path, "q-")
