"""The published scenarios over sockets: a raw client, the server as a process, a scripted venue."""

import itertools
from collections.abc import Iterator

import pytest

from algoserver.door import call
from tests.e2e.venue import RawClient, Scripted, now
from tests.matrices.scenario import NEW, ON_HALT, Scenario, Step
from tests.matrices.tables import SCENARIOS
from tests.matrices.test_core import NOT_OF_A_PARENT

SHOWN = 20_000  # at the best ask, as Scripted quotes it


@pytest.fixture(scope="module")
def street(tmp_path_factory) -> Iterator[tuple[Scripted, RawClient]]:
    """One server for all: each scenario has ClOrdIDs of its own."""
    scripted = Scripted(tmp_path_factory.mktemp("scenarios") / "street")
    client = scripted.client()
    yield scripted, client
    client.close()
    assert scripted.close() == 0


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS.values() if s.id not in NOT_OF_A_PARENT], ids=lambda s: s.id)
def test_a_client_hears_the_published_reports_over_sockets(street, scenario: Scenario):
    """Each line's report, ids and quantities included; the venue's lines are acts of the one child."""
    scripted, client = street
    played = Played(scripted, client, scenario)
    for step in scenario.steps:
        played.act(step)
        if step.ord_status is not None:
            assert played.heard(step.is_cancel_reject) == played.expected(step), step.line


class Played:
    """One scenario under way: its ids carry its name, its one child is known once the venue has it."""

    def __init__(self, scripted: Scripted, client: RawClient, scenario: Scenario) -> None:
        self._scripted, self._client, self._id = scripted, client, scenario.id
        self._child: dict[str, str] = {}
        self._new: dict[str, str] = {}
        self._order_id = ""
        self._fills: list[tuple[int, str]] = []  # of the child: quantity, ExecID
        self._numbers = itertools.count()
        self._is_replaced = True

    def act(self, step: Step) -> None:
        """Do what the line says."""
        venue, child = self._scripted.venue, self._child
        if step.act in NEW:
            # IWouldPrice makes all of it one child that takes what is shown.
            group = ((957, 2), (958, "MaxPctVol"), (960, "1"), (958, "IWouldPrice"), (960, "300"))
            exec_inst = {"t18": ON_HALT[step.act].value} if step.act in ON_HALT else {}
            self._client.order(self._name("X"), *group, t38=step.number, t59=NEW[step.act].value, **exec_inst)
            self._new = self._client.next()
            self._order_id = self._new["37"]
            self._await_child()
        elif step.act in ("again", "resend", "resendY"):
            resend = () if step.act == "again" else ((97, "Y"),)
            self._client.order(self._name("Y" if step.act == "resendY" else "X"), *resend, t38=step.number)
        elif step.act == "cancel":
            pairs = ((11, self._name("Y")), (41, self._name("X")), (55, "AAPL"), (54, 1), (60, "20260101-00:00:00"))
            self._client.peer.send("F", *pairs)
        elif step.act in ("status", "statusY"):
            self._client.peer.send("H", (11, self._name("Y" if step.act == "statusY" else "X")), (55, "AAPL"), (54, 1))
        elif step.act == "trade":
            self._fills.append((step.number, f"{self._id}-{next(self._numbers)}"))
            self._report("F", *self._fills[-1])
        elif step.act == "canceled":
            venue.report(child, "4", "4", self._cum, 0)
        elif step.act in ("replace", "misreplace"):
            pairs = ((11, self._name(step.cl_ord_id)), (41, self._name(step.orig_cl_ord_id)), (55, "AAPL"), (54, 1), (40, 1), (38, step.number))
            self._client.peer.send("G", *pairs, (60, now()), *(((847, 77),) if step.act == "misreplace" else ()))
            self._is_replaced = step.number > int(child["38"])
        elif step.act == "replaced":
            if not self._is_replaced:  # the child is in the way: it ends, and the next one has the new size
                venue.report(child, "4", "4", self._cum, 0)
                self._new = self._client.next()
                if step.leaves_qty:
                    self._fills = []
                    self._await_child()
        elif step.act == "phoned":
            call(self._scripted.state, {"verb": "order.cancel", "target": self._order_id, "reason": "by phone", "is_verbal": True})
        elif step.act == "restated":
            amend = {"values": {"OrderQty": str(step.number)}, "is_verbal": step.exec_restatement_reason == 2}
            assert "error" not in call(self._scripted.state, {"verb": "order.amend", "target": self._order_id, **amend})
            if step.number < int(child["38"]):  # the child is in the way: it ends, and the next one has the new size
                venue.report(child, "4", "4", self._cum, 0)
                self._new = self._client.next()
                self._await_child()
        elif step.act in ("halted", "resumed"):
            self._scripted.halt(step.act == "halted")
        elif step.act in ("bust", "correct"):
            quantity, ref = self._fills.pop(0)
            exec_id = f"{ref}-{step.act}"
            if step.act == "correct":
                self._fills.append((step.number, exec_id))
            self._report("G" if step.act == "correct" else "H", step.number or quantity, exec_id, (19, ref))
        else:
            assert step.act == "refuse", child  # the fill before it was the answer

    def _await_child(self) -> None:
        # The cap lets out what the market trades once the order has begun.
        self._scripted.venue.trade(SHOWN, "200.01")
        self._child = self._scripted.venue.next("D", self._order_id)
        self._scripted.venue.report(self._child, "0", "0", 0, int(self._child["38"]))

    @property
    def _cum(self) -> int:
        return sum(quantity for quantity, _ in self._fills)

    def _report(self, exec_type: str, last: int, exec_id: str, *more: tuple[int, object]) -> None:
        """A trade of the child, or what became of one; `_fills` has it already."""
        left = int(self._child["38"]) - self._cum
        self._scripted.venue.report(self._child, exec_type, "2" if not left else "1", self._cum, left, last, *more, exec_id=exec_id)

    def heard(self, is_cancel_reject: bool) -> tuple[str, ...]:
        """The client's next message in the terms of the table."""
        f, self._new = self._new or self._client.next(), {}
        if is_cancel_reject:
            return f["35"], f["39"], f["11"], f["41"]
        return f["35"], f["150"], f["39"], f["14"], f["151"], f["11"], f.get("41", ""), f.get("378", "-1")

    def expected(self, step: Step) -> tuple[str, ...]:
        """The line's report in the same terms."""
        assert step.ord_status is not None
        ids = tuple(self._name(i) if i else "" for i in (step.cl_ord_id, step.orig_cl_ord_id))
        if step.exec_type is None:
            return ("9", step.ord_status.value, *ids)
        return ("8", step.exec_type.value, step.ord_status.value, str(step.cum_qty), str(step.leaves_qty), *ids, str(step.exec_restatement_reason))

    def _name(self, letter: str) -> str:
        return f"{self._id}-{letter}"
