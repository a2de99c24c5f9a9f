"""What the configuration does not have any more, or never had: orders there can be taken back all the same."""

from algoserver.door import call
from tests.e2e.test_foreign import STRANGER, wait_for_foreign
from tests.e2e.venue import Scripted, refused_start

RESTING = ((957, 2), (958, "MaxPctVol"), (960, "1"), (958, "DisplayQty"), (960, "100"))


def without(text: str, header: str, name: str) -> str:
    """The file without the entry of this name."""
    entries = text.split(header)[1:]
    whole = next(entry for entry in entries if name in entry)
    return text.replace(header + whole.partition("\n[")[0], "")


def test_an_order_of_a_symbol_that_is_not_in_the_instruments_can_be_taken_back(tmp_path):
    """A stranger's, by an operator; and our own child, after a restart without its symbol. Without its venue or client nothing starts."""
    scripted = Scripted(tmp_path)
    client = scripted.client()
    scripted.venue.report({**STRANGER, "55": "ELSE"}, "0", "0", 0, 500)
    wait_for_foreign(scripted, ["ELSE"], "0")
    done = call(scripted.state, {"verb": "venue.cancel", "venue": "XLIT1", "target": "WHO1", "reason": "not ours"})
    assert done["target"] == "XLIT1 WHO1", done
    cancel = scripted.venue.next("F")
    assert (cancel["41"], cancel["55"]) == ("WHO1", "ELSE")

    client.order("A", *RESTING, t38=100, t847=1004, t40=2, t44=200)
    order_id = client.next()["37"]
    scripted.venue.trade(20_000, "200.01")
    child = scripted.venue.next("D", order_id)
    scripted.venue.report(child, "0", "0", 0, 100)
    scripted.server.kill()
    client.close()
    serve = scripted.server.command[3:]
    for file, name, lost, said in (
        ("cfg/server.toml", "[[venues]]", f'"{child["56"]}"', f"venues: {child['56']!r} is missing, and child {child['11']} is open there"),
        ("sessions/clients.cfg", "[SESSION]", "=CLIENT1\n", f"clients: no session has TargetCompID 'CLIENT1', whose order {order_id} is open"),
    ):
        path, whole = tmp_path / file, (tmp_path / file).read_text()
        path.write_text(without(whole, name, lost))
        assert said in refused_start(*serve)
        path.write_text(whole)
    instruments = tmp_path / "cfg" / "instruments.toml"
    instruments.write_text(without(instruments.read_text(), "[[instruments]]", '"AAPL"'))
    scripted.server.start()
    assert scripted.venue.next("H", order_id)["11"] == child["11"]
    scripted.venue.report(child, "I", "0", 0, 100)
    cancel = scripted.venue.next("F", order_id)
    assert (cancel["41"], cancel["38"]) == (child["11"], "100")
    scripted.venue.report(cancel, "4", "4", 0, 0, 0, (41, child["11"]))
    assert scripted.close() == 0
