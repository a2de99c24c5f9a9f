"""One life of an order in every FIX version, over sockets: what each version calls its states, and nothing that it does not have."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import quickfix as fix

from tests.e2e.venue import RawClient, Scripted, now

SESSIONS = Path(__file__).resolve().parents[2] / "sessions"
DICTIONARIES = {"CLIENT42": "FIX42.xml", "CLIENT1": "FIX44.xml", "CLIENT50": "FIX50SP2.xml"}
# What an ExecutionReport says of the same moment: 20, 150, 39.
SAYS = {
    "CLIENT42": {
        "new": ("0", "0", "0"), "trade": ("0", "1", "1"), "pending": ("0", "E", "E"), "replaced": ("0", "5", "1"), "waiting": ("0", "5", "5"),
        "status": ("3", "1", "1"), "bust": ("1", "5", "5"), "correct": ("2", "1", "1"), "canceled": ("0", "4", "4"),
    },
    "CLIENT1": {
        "new": ("", "0", "0"), "trade": ("", "F", "1"), "pending": ("", "E", "E"), "replaced": ("", "5", "1"), "waiting": ("", "5", "0"),
        "status": ("", "I", "1"), "bust": ("", "H", "0"), "correct": ("", "G", "1"), "canceled": ("", "4", "4"),
    },
}  # fmt: skip
SAYS["CLIENT50"] = SAYS["CLIENT1"]


@pytest.fixture(scope="module")
def street(tmp_path_factory) -> Iterator[Scripted]:
    """One server for all versions."""
    scripted = Scripted(tmp_path_factory.mktemp("versions") / "street")
    scripted.client().close()
    yield scripted
    assert scripted.close() == 0


@pytest.mark.parametrize("name", DICTIONARIES)
def test_a_life_of_an_order_in_every_version(street, name: str):
    """New, amended while it waits, traded, corrected, asked about, amended, canceled; refusals in the version's own reasons."""
    client, says = RawClient(street.port, name), SAYS[name]
    dictionary = fix.DataDictionary(str(SESSIONS / DICTIONARIES[name]))
    heard = []

    def report(moment: str, **fields: str) -> dict[str, str]:
        found = client.next()
        heard.append(found)
        assert found["35"] == "8", found
        assert (found.get("20", ""), found["150"], found["39"]) == says[moment], (moment, found)
        assert {tag: found[tag[1:]] for tag in fields} == fields
        return found

    # MaxPctVol and IWouldPrice make one child of the whole, which takes what is shown.
    group = ((957, 2), (958, "MaxPctVol"), (960, "1"), (958, "IWouldPrice"), (960, "300"))
    client.order("V1", *group, t38=1_000, t168=now(2), t126=now(900))
    new = report("new", t11="V1", t38="1000")
    assert "TWAP" in new["58"]
    same = ((55, "AAPL"), (54, 1), (40, 1), (21, 1))
    client.peer.send("G", (11, "V2"), (41, "V1"), (38, 900), (60, now()), *same)
    report("pending", t11="V2", t41="V1", t38="1000")
    report("waiting", t11="V2", t41="V1", t38="900")
    child = {}
    while not child:  # its start is two seconds away; the cap lets out what the market trades from then on
        street.venue.trade(20_000, "200.01")
        child = street.venue.next_or_none("D", new["37"])
    street.venue.report(child, "0", "0", 0, 900)
    street.venue.report(child, "F", "1", 100, 800, 100, exec_id=f"{name}-1")
    trade = report("trade", t11="V2", t14="100", t151="800", t32="100")
    assert ("851" in trade) is False
    street.venue.report(child, "G", "1", 150, 750, 150, (19, f"{name}-1"), exec_id=f"{name}-2")
    report("correct", t14="150", t19=trade["17"])
    street.venue.report(child, "H", "0", 0, 900, 150, (19, f"{name}-2"), exec_id=f"{name}-3")
    bust = client.next()
    heard.append(bust)
    assert (bust.get("20", ""), bust["14"]) == (says["bust"][0], "0")
    street.venue.report(child, "F", "1", 200, 700, 200, exec_id=f"{name}-4")
    report("trade", t14="200")
    client.peer.send("H", (11, "V2"), (55, "AAPL"), (54, 1), *(((790, "S1"),) if name != "CLIENT42" else ()))
    status = report("status", t14="200")
    assert status.get("790", "") == ("S1" if name != "CLIENT42" else "")
    client.peer.send("F", (11, "V3"), (41, "nothing"), (60, now()), (55, "AAPL"), (54, 1), (38, 900))
    client.peer.send("F", (11, "V1"), (41, "V2"), (60, now()), (55, "AAPL"), (54, 1), (38, 900))
    refused = [client.next() for _ in range(2)]
    heard += refused
    assert [(r["35"], r["102"]) for r in refused] == [("9", "1"), ("9", "6" if name != "CLIENT42" else "2")]
    client.order("V4", t55="NOPE")
    client.order("V5", t38=0)
    rejects = [client.next() for _ in range(2)]
    heard += rejects
    assert [r["103"] for r in rejects] == ["1", "13" if name != "CLIENT42" else "0"]
    street.venue.report(child, "4", "4", 200, 0)
    client.peer.send("F", (11, "V6"), (41, "V2"), (60, now()), (55, "AAPL"), (54, 1), (38, 900))
    assert client.next()["150"] == "6"
    report("canceled", t11="V6", t41="V2", t14="200", t151="0")
    for message in heard:
        _validate(dictionary, client.peer.begin_string, message)
    client.close()


def _validate(dictionary: "fix.DataDictionary", begin_string: str, fields: dict[str, str]) -> None:
    """Every tag belongs to this message in this version, and its value is one that the version has."""
    for tag, value in fields.items():
        if tag in ("8", "9", "10", "34", "35", "49", "52", "56", "43", "97", "122"):
            continue
        assert dictionary.isMsgField(fields["35"], int(tag)), f"{tag} is not in {fields['35']} of {begin_string}"
        if dictionary.hasFieldValue(int(tag)):
            assert dictionary.isFieldValue(int(tag), value), f"{tag}={value} is unknown to {begin_string}"
