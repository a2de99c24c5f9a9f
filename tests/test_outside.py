"""Alerts and numbers outside of a real server's process: log, webhook, Prometheus, over a restart."""

import json
import shutil
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from algoserver.core.state import State
from algoserver.door import call
from algoserver.metrics import Metrics, MetricsConfig
from algoserver.settings import BadConfig, convert
from tests.core.day import Day
from tests.e2e.street import ROOT, Process, free_port
from tests.test_webhook import DEADLINE_S, Receiver


class Once:
    """What a receiver gets, each once: one that is late is told again."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver, self._seen = receiver, set()

    def next(self) -> dict[str, Any]:
        """The next that is new."""
        while True:
            found = self._receiver.got.get(timeout=DEADLINE_S)
            key = found["id"], found["state"], found["is_repeated"]
            if key not in self._seen:
                self._seen.add(key)
                return found


def scrape(port: int) -> dict[tuple[str, ...], float]:
    """The page's numbers, by name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=DEADLINE_S) as page:
        families = list(text_string_to_metric_families(page.read().decode()))
    return {(s.name, *s.labels.values()): s.value for f in families for s in f.samples}


def listens_at(port: int) -> set[str]:
    """Addresses that the port is open at, as the kernel writes them."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")}


def test_an_alert_reaches_log_webhook_and_metrics_and_outlives_the_process(tmp_path):
    """A kill is told everywhere, is still open after kill -9 and told again, and over with its release; the numbers are the core's own. That
    start finds a policy's file that can't be used, keeps the policy in force, and says so."""
    for folder in ("cfg", "sessions"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    config, port, state = tmp_path / "cfg" / "server.toml", free_port(), tmp_path / "server"
    with closing(Receiver(204)) as receiver:
        told_once = Once(receiver)
        text = config.read_text().replace('webhook = ""', f'webhook = "{receiver.url}"')
        config.write_text(text.replace("[metrics]\nport = 0", f"[metrics]\nport = {port}"))
        arguments = ["--config", str(config), "--state", str(state), "--port", str(free_port()), "--venue-port", str(free_port())]
        server = Process("serve", *arguments)
        assert call(state, {"verb": "kill", "target": "symbol:AAPL", "reason": "drill"})["target"] == "symbol:AAPL"
        unenforced, told = told_once.next(), told_once.next()
        assert (unenforced["code"], unenforced["owner"]) == ("manifest_not_enforced", "operator")
        assert (told["is_repeated"], told["code"], told["subject"], told["state"], told["owner"]) == (False, "killed", "symbol:AAPL", "open", "risk")
        numbers, status = scrape(port), call(state, {"verb": "status"})
        assert numbers["algoserver_alerts_total", "killed", "risk", "critical"] == 1
        assert numbers["algoserver_alerts_live", "risk", "critical", "open"] == 1
        assert (numbers["algoserver_stops",], numbers["algoserver_children_open",]) == (1, 0)
        assert 2 <= numbers["algoserver_events_total",] <= status["seq"]
        assert numbers["algoserver_session_up", "XLIT1"] == 0
        assert listens_at(port) == {"0100007F"}
        (tmp_path / "cfg" / "policy.toml").write_text("name = ")
        assert told_once.next()["code"] == "config_drifted"
        server.kill()

        server.start()
        again = [told_once.next() for _ in range(4)]
        assert [(x["id"], x["is_repeated"]) for x in again[:1]] == [(told["id"], True)]
        assert sorted((x["code"], x["is_repeated"]) for x in again) == [
            ("config_drifted", True), ("killed", True), ("manifest_not_enforced", True), ("policy_file_unusable", False),
        ]  # fmt: skip
        live = {a["code"]: a for a in call(state, {"verb": "alert.ls", "is_open": True})["alerts"] if a["severity"] != "info"}
        assert (set(live), "in force stays " in live["policy_file_unusable"]["text"]) == ({x["code"] for x in again}, True)
        alert = live["killed"]
        assert (alert["alert_id"], alert["state"], alert["text"].startswith("by ")) == (told["id"], "open", True)
        assert scrape(port)["algoserver_alerts_total", "killed", "risk", "critical"] == 1
        call(state, {"verb": "release", "target": "symbol:AAPL", "reason": "over"})
        over = told_once.next()
        assert (over["id"], over["state"]) == (told["id"], "over")
        assert server.stop() == 0
    lines = [json.loads(line) for line in (state / "log" / "server.jsonl").read_text().splitlines()]
    logged = [(x["event"], x["code"], x["level"]) for x in lines if x["event"].startswith("alert") and x["subject"] == "symbol:AAPL"]
    assert logged[0] == ("alert", "killed", "error")
    assert ("alert over", "killed", "info") in logged
    warned = {x.get("code", x["event"]) for x in lines if x["level"] == "warning"}
    assert warned == {"manifest_not_enforced", "config_drifted", "policy_file_unusable"}, "a start or stop in good order warns of nothing else"


def test_a_page_counts_what_the_state_has():
    """Parents, children, sessions, alerts by code and by who must look; what the shell counts stands beside it."""
    day = Day()
    child = day.resting()
    day.down("XLIT2")
    day.operator("ack", next(iter(day.state.alerts.live["critical"])))
    day.fill(child, 1_100)
    page = Metrics(MetricsConfig(), day.state, lambda: {"inbox_length": 7})
    found = {(s.name, *s.labels.values()): s.value for family in page.collect() for s in family.samples}
    assert found["algoserver_alerts_total", "overfill", "risk", "critical"] == 1
    assert found["algoserver_alerts_live", "operator", "critical", "acknowledged"] == 1
    assert found["algoserver_alerts_live", "risk", "critical", "open"] == 1
    assert (found["algoserver_session_up", "XLIT1"], found["algoserver_session_up", "XLIT2"]) == (1, 0)
    assert (found["algoserver_parents_total",], found["algoserver_children_total",], found["algoserver_inbox_length",]) == (1, 1, 7)
    assert found["algoserver_events_total",] == day.state.seq


def test_a_port_that_is_taken_or_none_is_refused():
    """Before anything trades; 0 opens nothing."""
    first = Metrics(MetricsConfig(port=free_port()), State(), dict)
    first.start()
    with pytest.raises(OSError, match="in use"):
        Metrics(first._config, State(), dict).start()
    first.stop()
    Metrics(MetricsConfig(), State(), dict).start()
    with pytest.raises(BadConfig, match="`port` is not a port"):
        convert({"port": 70_000}, MetricsConfig, "server.toml")
