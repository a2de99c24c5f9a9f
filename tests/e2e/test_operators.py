"""One hostile person with every role at the door of a real server: no order that policy forbids reaches a venue, each try is in the audit."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from algoserver.credentials import new_token, token_hash
from algoserver.ctl import app
from algoserver.door import call
from algoserver.operators import ROLES
from tests.e2e.street import ask
from tests.e2e.venue import MESSAGE_S_MAX, RawClient, Scripted

TOKENS = {name: new_token() for name in ("ann", "bob", "eve")}
HAVE = {"ann": ["risk"], "bob": ["risk", "operator"], "eve": list(ROLES)}
OPERATORS = "".join(
    f'[[operators]]\nname = "{name}"\nroles = {json.dumps(roles)}\ntoken = "{token_hash(TOKENS[name])}"\n' for name, roles in HAVE.items()
)
LOW = {"parent_qty_max": "2_000", "child_qty_max": "2_000"}
LAYERS = """
[[clients]]
name = "CLIENT1"
restricted = ["GE"]
[[venues]]
name = "XLIT2"
active = false
"""
NOW = {"t59": 3}  # what is let in is a child at once
# What policy and stops forbid, and by which word each is refused.
FORBIDDEN: dict[str, dict[str, object]] = {
    "parent_qty_max": {"t38": 2_001},
    "restricted": {"t38": 100, "t55": "GE"},
    "killed": {"t38": 100, "t55": "ADBE"},
    "price_collar": {"t38": 100, "t40": 2, "t44": "230.00"},
}


class Hostile:
    """Eve, and who looks over her shoulder: the venues' bytes, the client's answers, the audit's lines."""

    def __init__(self, street: Scripted, client: RawClient) -> None:
        self.street, self.client = street, client
        self.tried: list[tuple[str, str, str]] = []
        self._orders = 0

    def say(self, name: str, verb: str, token: str | None = None, **more: object) -> dict[str, Any]:
        """A person's request as bytes at the door, whatever algoctl would let him say."""
        shown = TOKENS.get(name, "") if token is None else token
        answer = call(self.street.state, {"verb": verb, "reason": "test", **more, **({"token": shown} if shown else {})})
        self.tried.append((name if name in TOKENS and token is None else "", verb, answer["error"]["code"] if "error" in answer else "done"))
        return answer

    def ctl(self, *arguments: str) -> tuple[int, str]:
        """Eve's algoctl: exit status, and what it says."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ALGOCTL_TOKEN", TOKENS["eve"])
            done = CliRunner().invoke(app, ["--state", str(self.street.state), *arguments])
        code = "done" if not done.exit_code else done.stderr.split("algoctl: ")[-1].partition(":")[0]
        self.tried.append(("eve", ".".join(arguments[: 1 if arguments[0] == "release" else 2]), code))
        return done.exit_code, done.stdout + done.stderr

    def proposal(self) -> str:
        """What waits for a second person since last."""
        return ask(self.street.state, {"verb": "approval.ls", "token": TOKENS["ann"]})["approvals"][-1]["id"]

    def order(self, **changes: object) -> str:
        """Text of the answer to an order of CLIENT1; "" if it was let in."""
        self._orders += 1
        self.client.order(f"E{self._orders}", **changes)
        answer = self.client.next()
        return answer["58"] if answer["150"] == "8" else ""

    def nothing_leaves(self, why: str) -> None:
        """Each forbidden order is refused by its word still."""
        for word, order in FORBIDDEN.items():
            assert self.order(**{**NOW, **order}).startswith(f"{word}: "), (why, word)

    def children(self) -> list[str]:
        """Symbols of the orders that have reached a venue."""
        return [m["55"] for m in self.street.venue.received if m["35"] == "D"]


def texts(policy: str) -> dict[str, str]:
    """Policies that let something pass, each in a way of its own."""
    wider = policy.replace("parent_qty_max = 2_000", "parent_qty_max = 2_000_000").replace("child_qty_max = 2_000", "child_qty_max = 1_999")
    return {
        "a limit is raised, another one lowered beside it": wider,
        "a list is shorter": policy.replace('restricted = ["GE"]', "restricted = []"),
        "a layer is gone": policy.replace('[[clients]]\nname = "CLIENT1"\nrestricted = ["GE"]\n', ""),
        "a layer has another name": policy.replace('name = "CLIENT1"\nrestricted', 'name = "CLIENT2"\nrestricted'),
        "a width": policy.replace('collar = "0.05"', 'collar = "0.5"').replace("collar_ticks = 5 ", "collar_ticks = 100_000 "),
        "a venue is switched on": policy.replace("active = false", "active = true"),
        "a window": policy.replace("repeats_window_s = 60", "repeats_window_s = 1"),
    }


def test_a_hostile_operator_gets_no_forbidden_order_out_and_every_try_is_audited(tmp_path: Path):
    """Releases, raises, overrides, amends and words that no door has, alone: bytes at the venues say that none left. Two persons open it."""
    street = Scripted(tmp_path / "street", policy=LOW, layers=LAYERS, operators=OPERATORS, token=TOKENS["ann"], fills_at_once=True)
    for symbol in ("GE", "ADBE"):
        street.venue.quote("200.00", "200.02", 20_000, symbol)
    eve = Hostile(street, street.client())
    eve.say("ann", "kill", target="symbol:ADBE")
    eve.say("ann", "kill", target="algo:POV")
    assert eve.order(**NOW, t38=100) == ""
    assert street.venue.next("D")["38"] == "100"
    while eve.client.next()["39"] != "2":
        pass
    assert eve.order(t38=1_000, t40=2, t44="150.00") == ""
    eve.nothing_leaves("before")
    policy = (tmp_path / "street" / "cfg" / "policy.toml").read_text()
    file = tmp_path / "hers.toml"

    for scope in ("symbol:ADBE", "algo:POV"):
        assert eve.ctl("release", "--scope", scope, "--yes")[0] == 0
        assert eve.ctl("approval", "approve", eve.proposal())[0] == 4
        assert eve.ctl("release", "--scope", scope, "--yes")[0] == 5
        assert eve.ctl("risk", "re-enable", scope, "--yes")[0] == 5
        eve.nothing_leaves(scope)
    for why, text in texts(policy).items():
        assert text != policy, why
        file.write_text(text)
        exit_code, said = eve.ctl("policy", "apply", str(file), "--reason", "mine", "--yes")
        assert (exit_code, "another person must approve" in said) == (0, True), (why, said)
        assert eve.ctl("approval", "approve", eve.proposal())[0] == 4
        eve.nothing_leaves(why)
    first = ask(street.state, {"verb": "policy.history", "token": TOKENS["ann"]})["policies"][0]["digest"]
    file.write_text(policy.replace("child_qty_max = 2_000", "child_qty_max = 1_000"))  # she may tighten, and not go back
    assert '"is_applied": true' in eve.ctl("policy", "apply", str(file), "--reason", "mine", "--yes")[1]
    assert '"is_applied": false' in eve.ctl("policy", "rollback", first, "--reason", "mine", "--yes")[1]
    assert eve.ctl("approval", "approve", eve.proposal())[0] == 4
    for symbol, qty in (("AAPL", "3000"), ("GE", "100"), ("ADBE", "100")):
        terms = ("--client", "CLIENT1", "--symbol", symbol, "--side", "buy", "--qty", qty, "--minutes", "60", "--reason", "mine")
        assert eve.ctl("risk", "override", *terms)[0] == 0
        assert eve.ctl("approval", "approve", eve.proposal())[0] == 4
        eve.nothing_leaves(f"override {symbol}")
    (working,) = [o["order_id"] for o in ask(street.state, {"verb": "order.ls", "is_open": True, "token": TOKENS["ann"]})["orders"]]
    assert eve.ctl("order", "amend", working, "OrderQty=5000", "--yes", "--reason", "mine")[0] == 5
    assert eve.ctl("order", "amend", working, "Price=230", "--yes", "--reason", "mine")[0] == 5
    # What no algoctl says.
    mine = eve.proposal()
    for verb, more in (
        ("release", {"target": "symbol:ADBE", "is_enough": True}), ("release", {"target": "symbol:ADBE", "operator": "ann"}),
        ("approve", {"target": mine}), ("stop", {}), ("approval.approve", {"target": mine, "operator": "ann"}),
        ("policy.apply", {"text": policy, "proposal": mine}), ("venue.adopt", {"target": "none", "venue": "XLIT2"}), ("order.release", {}),
    ):  # fmt: skip
        assert "error" in eve.say("eve", verb, **more), verb
    for token in ("", new_token(), TOKENS["ann"].swapcase()):
        assert eve.say("eve", "approval.approve", token=token, target=mine)["error"]["code"] == "denied"
    (tmp_path / "street" / "cfg" / "policy.toml").write_text(texts(policy)["a width"])
    (tmp_path / "street" / "cfg" / "operators.toml").write_text("")
    eve.say("eve", "release", target="algo:POV")
    eve.nothing_leaves("files on disk")
    assert eve.children() == ["AAPL"]

    # Two persons open it: what has not left could have.
    (proposal,) = [a["id"] for a in ask(street.state, {"verb": "approval.ls", "token": TOKENS["ann"]})["approvals"] if a["target"] == "symbol:ADBE"]
    eve.say("ann", "approval.approve", target=proposal)
    assert eve.order(**NOW, **FORBIDDEN["killed"]) == ""
    assert street.venue.next("D")["55"] == "ADBE"
    winds_down(eve)
    lines = [json.loads(line) for line in (street.state / "audit.jsonl").read_text().splitlines()]
    assert [(x["person"], x["verb"], x["result"]) for x in lines] == eve.tried
    street.venue.close()


def winds_down(eve: Hostile) -> None:
    """A kill of the firm whose release is approved while the server stops: the kill is lifted, and nothing leaves."""
    street = eve.street
    street.venue.fills_at_once = False
    assert eve.order(**NOW, t38=100) == ""
    resting = street.venue.next("D")
    street.venue.report(resting, "0", "0", 0, 100)
    eve.say("ann", "kill", target="firm")
    assert street.venue.next("F")["41"] == resting["11"]
    eve.say("eve", "release", target="firm")
    left = eve.children()
    street.server.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + MESSAGE_S_MAX
    while "stopping" not in {a["code"] for a in ask(street.state, {"verb": "alert.ls", "token": TOKENS["ann"]})["alerts"]}:
        assert time.monotonic() < deadline, "the server does not stop"
    assert "error" not in eve.say("bob", "approval.approve", target=eve.proposal())
    assert ask(street.state, {"verb": "status", "token": TOKENS["ann"]})["killed"] == "server stopping"
    while not (said := eve.order(**NOW, t38=100)):
        pass
    assert said.startswith("killed: the firm is stopped")
    eve.client.close()
    street.venue.report(resting, "4", "4", 0, 0)
    assert street.server.process.wait(MESSAGE_S_MAX) == 0
    assert eve.children() == left
