"""What is agreed with clients, over sockets: a broker's tags, fills of an interval, defaults; and replayed."""

from collections.abc import Iterator

import pytest

from tests.e2e.street import replay
from tests.e2e.venue import RawClient, Scripted, now

AGREED = """
[[profiles]]
client = "CLIENT1"
strategy = "TWAP"
venues = ["XLIT1"]
fills_ms = 2000
dialect = "dialect-r.toml"
[profiles.defaults]
MaxPctVol = "1"

[[profiles]]
client = "CLIENT42"
dialect = "dialect-t.toml"

[[profiles]]
client = "CLIENT50"
dialect = "dialect-t.toml"
"""


@pytest.fixture(scope="module")
def street(tmp_path_factory) -> Iterator[Scripted]:
    """One server for all of these."""
    scripted = Scripted(tmp_path_factory.mktemp("profiles") / "street", agreed=AGREED)
    scripted.client().close()
    yield scripted
    assert scripted.close() == 0
    assert "all equal" in replay(scripted.state, "1")


def test_an_order_in_a_brokers_tags_is_worked_and_its_fills_are_summed(street):
    """No 847, times and I-would in own tags: the engine lets them in, and two fills are one report once the interval is over."""
    client = RawClient(street.port)
    client.order("R1", (6063, now(600)), (7927, "300"), (6064, 100), (9207, "EMS"), without=(847, 126))
    new = client.next()
    assert (new["150"], new["58"].partition(":")[0]) == ("0", "TWAP")
    child: dict[str, str] = {}
    while not child:
        street.venue.trade(20_000, "200.01")
        child = street.venue.next_or_none("D", new["37"])
    assert child["56"] == "XLIT1"
    street.venue.report(child, "0", "0", 0, 1_000)
    street.venue.report(child, "F", "1", 100, 900, 100)
    street.venue.report(child, "F", "1", 300, 700, 200)
    trade = client.next()
    assert (trade["150"], trade["32"], trade["14"], trade["30"]) == ("F", "300", "300", "XLIT1")
    street.venue.report(child, "F", "1", 400, 600, 100)
    street.venue.report(child, "F", "2", 1_000, 0, 600)
    filled = client.next()
    assert (filled["39"], filled["32"], filled["14"]) == ("2", "700", "1000")
    client.close()


@pytest.mark.parametrize("name", ["CLIENT42", "CLIENT50"])
def test_own_tags_pass_in_every_version(street, name: str):
    """The engine lets them in; what can't be said is refused by code, and 4.2 has 103=0 for what it does not name."""
    client = RawClient(street.port, name)
    client.order("T1", (7126, 20), (7148, "STRICT"))
    refused = client.next()
    assert (refused["150"], refused["103"], refused["58"].partition(":")[0]) == ("8", "0" if name == "CLIENT42" else "11", "unsupported_tag")
    client.order("T2", (7126, 20), (7114, now(600)), t168=now(300), without=(126,))
    assert "at most 20 % of volume" in client.next()["58"]
    client.peer.send("F", (11, "T3"), (41, "T2"), (55, "AAPL"), (54, 1), (60, now()), (6999, "x"))
    assert [client.next()["150"] for _ in range(2)] == ["6", "4"]
    client.close()


def test_a_client_without_tags_of_its_own_is_held_to_the_dictionary(street):
    """CLIENT2 has no profile: the engine refuses the tag, as before."""
    client = RawClient(street.port, "CLIENT2")
    client.order("X1", (6064, 100))
    refused = client.next()
    assert (refused["35"], refused["371"]) == ("3", "6064")
    client.close()
