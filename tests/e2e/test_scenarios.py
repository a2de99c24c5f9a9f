"""The published scenarios over sockets: a raw client, the server as a process, a scripted venue."""

from collections.abc import Iterator

import pytest

from algoserver.domain.types import TimeInForce
from tests.e2e.venue import RawClient, Scripted
from tests.matrices.tables import SCENARIOS, Scenario, Step
from tests.matrices.test_core import NOT_OF_A_PARENT

SHOWN = 20_000  # at the best ask, as Scripted quotes it
TIMES_IN_FORCE = {"new": TimeInForce.DAY, "ioc": TimeInForce.IOC, "fok": TimeInForce.FOK}


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
        self._cum = 0

    def act(self, step: Step) -> None:
        """Do what the line says."""
        venue, child = self._scripted.venue, self._child
        if step.act in ("new", "ioc", "fok"):
            # IWouldPrice makes all of it one child that takes what is shown.
            group = ((957, 2), (958, "MaxPctVol"), (960, "1"), (958, "IWouldPrice"), (960, "300"))
            self._client.order(self._name("X"), *group, t38=step.number, t59=TIMES_IN_FORCE[step.act].value)
            self._new = self._client.next()
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
            self._cum += step.number
            status = "2" if self._cum == int(self._child["38"]) else "1"
            venue.report(self._child, "F", status, self._cum, int(self._child["38"]) - self._cum, step.number)
        elif step.act == "canceled":
            venue.report(self._child, "4", "4", self._cum, 0)
        else:
            assert step.act == "refuse", child  # the fill before it was the answer

    def _await_child(self) -> None:
        # The cap lets out what the market trades once the order has begun.
        self._scripted.venue.trade(SHOWN, "200.01")
        self._child = self._scripted.venue.next("D", self._new["37"])
        self._scripted.venue.report(self._child, "0", "0", 0, int(self._child["38"]))

    def heard(self, is_cancel_reject: bool) -> tuple[str, ...]:
        """The client's next message in the terms of the table."""
        f, self._new = self._new or self._client.next(), {}
        if is_cancel_reject:
            return f["35"], f["39"], f["11"], f["41"]
        return f["35"], f["150"], f["39"], f["14"], f["151"], f["11"], f.get("41", "")

    def expected(self, step: Step) -> tuple[str, ...]:
        """The line's report in the same terms."""
        assert step.ord_status is not None
        ids = tuple(self._name(i) if i else "" for i in (step.cl_ord_id, step.orig_cl_ord_id))
        if step.exec_type is None:
            return ("9", step.ord_status.value, *ids)
        return ("8", step.exec_type.value, step.ord_status.value, str(step.cum_qty), str(step.leaves_qty), *ids)

    def _name(self, letter: str) -> str:
        return f"{self._id}-{letter}"
