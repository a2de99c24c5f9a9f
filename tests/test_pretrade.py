"""`algoctl estimate`: what the core says at once, what a model makes of it elsewhere, and what is refused."""

import json
import threading
from typing import Any

import pytest

from algoserver.control import QUESTIONS, answer
from algoserver.core.state import dump
from algoserver.domain.events import ForecastReady
from algoserver.domain.types import MINUTE, Strategy
from algoserver.operators import ROLES, VERBS
from algoserver.pretrade import Pricer
from tests.core.day import FLAT_26, OPEN_TS, Day, policy_loaded

SAID = {"Symbol": "AAPL", "Side": "BUY", "OrderQty": "300000"}
PRICER = Pricer("published", policy_loaded())


def _day() -> Day:
    day = Day()
    day.quote()
    return day


def _asked(day: Day, **values: str) -> dict[str, Any]:
    """What the core says, and that it changes nothing by it."""
    before = dump(day.state)
    said, event = answer(day.state, {"verb": "estimate", "values": {**SAID, **values}}, "vic", now=day.now)
    assert (event, dump(day.state)) == (None, before)
    return said


def _estimate(day: Day, **values: str) -> dict[str, Any]:
    """As it arrives at the other end."""
    return json.loads(json.dumps(PRICER.ask(lambda: _asked(day, **values))))


def test_all_algos_that_would_take_the_order_are_compared():
    """A row each, IS by each Urgency; the best is the one with the least P90; a viewer may ask."""
    said = _estimate(_day(), Minutes="120")
    rows = said["algos"]

    assert [(r["algo"], r["urgency"]) for r in rows] == [
        ("VWAP", ""), ("TWAP", ""), ("POV", ""), *(("IS", str(u)) for u in range(1, 6)), ("CLOSE", ""), ("LIQUIDITY", ""),
    ]  # fmt: skip
    best = min(rows, key=lambda r: float(r["p90_bp"]))
    assert said["best"] == f"{best['algo']} {best['urgency']}".strip()
    assert (said["model"], said["spread_bp"], said["order_qty"]) == ("published", "1.0", "300000")
    assert all(float(r["p10_bp"]) < float(r["cost_bp"]) < float(r["p90_bp"]) for r in rows)
    assert rows[0]["volume_pct"] == "3.3"  # of 30 million, 8 bins of 26
    costs = [float(r["cost_bp"]) for r in rows if r["algo"] == "IS"]
    assert costs == sorted(costs)
    assert VERBS["estimate"] == ROLES
    assert "estimate" in QUESTIONS


def test_more_quantity_in_less_time_costs_more_and_is_done_less_likely():
    small, large = (_estimate(_day(), Strategy="VWAP", OrderQty=q, Minutes=m)["algos"][0] for q, m in (("30000", "60"), ("600000", "20")))
    assert float(small["cost_bp"]) < float(large["cost_bp"])
    assert float(small["complete_pct"]) > float(large["complete_pct"])
    assert float(large["volume_pct"]) > 20


def test_parameters_count_as_a_client_would_send_them():
    """MaxPctVol bounds what can be done, TargetPctVol is POV's pace, EndTime its end."""
    loose, tight = (_estimate(_day(), Strategy="VWAP", Minutes="60", MaxPctVol=cap)["algos"][0] for cap in ("0.5", "0.02"))
    assert float(loose["complete_pct"]) > 90 > 10 > float(tight["complete_pct"])
    pov = _estimate(_day(), Strategy="POV", TargetPctVol="0.1")["algos"][0]
    assert pov["volume_pct"] == "10.0"
    ends = _estimate(_day(), Strategy="TWAP", EndTime="20190628-14:30:00")["algos"][0]
    assert ends["end"] == "20190628-14:30:00.000"


def test_an_estimate_expects_the_volume_of_its_own_day():
    """By a forecast of today half the share of twice the volume; yesterday's changes nothing."""
    shares = []
    for date in ("2019-06-27", "2019-06-28"):
        day, twice = _day(), (2 * 30_000_000 // 26,) * 26
        day.feed(
            ForecastReady(
                symbol="AAPL", date=date, model="m", curve=FLAT_26, trained_through="2019-06-26", volume=twice, volume_p10=twice, volume_p90=twice
            )
        )
        shares.append(_estimate(day, Strategy="VWAP", Minutes="120")["algos"][0]["volume_pct"])
    assert shares == ["3.3", "1.6"]


@pytest.mark.parametrize(
    ("values", "code", "said"),
    [
        ({"Symbol": "MSFT"}, "not_found", "MSFT"),
        ({"Side": "LONG"}, "usage", "Side is one of"),
        ({"OrderQty": "x"}, "usage", "not a number"),
        ({"OrderQty": "0"}, "usage", "above 0"),
        ({"OrderQty": "1e30"}, "usage", "OrderQty: not a number"),
        ({"OrderQty": str(9 * 10**18)}, "usage", "10 average days' volume of 30000000"),
        ({"Minutes": "60", "EndTime": "20190628-15:00:00"}, "usage", "Minutes and EndTime"),
        ({"StartTime": "99991231-00:00:00"}, "usage", "StartTime is more than 7 days ahead"),
        ({"EndTime": "99991231-00:00:00"}, "usage", "EndTime is more than 7 days ahead"),
        ({"Strategy": "ICEBERG"}, "usage", "Strategy is one of"),
        ({"Minutes": "-5"}, "usage", "Minutes"),
        ({"MaxPctVol": "15"}, "usage", "MaxPctVol: 15 is not within"),
        ({"Colour": "red"}, "usage", "'Colour' is no parameter"),
        ({"Strategy": "VWAP", "TargetPctVol": "0.1"}, "refused", "contradictory_parameter"),
        ({"Strategy": "VWAP", "EndTime": "20190628-10:00:00"}, "refused", "end_in_the_past"),
    ],
)
def test_what_could_not_be_sent_is_refused_by_name(values, code, said):
    found = _estimate(_day(), **values)["error"]
    assert (found["code"], said in found["text"]) == (code, True), found


def test_the_core_waits_for_no_model():
    """While a model computes, the core answers others; its own part is facts alone."""
    day, is_loading, may_go = _day(), threading.Event(), threading.Event()

    class Slow(Pricer):
        def model(self):
            is_loading.set()
            assert may_go.wait(60)
            return super().model()

    found: list[dict[str, Any]] = []
    asker = threading.Thread(target=lambda: found.append(Slow("published", policy_loaded()).ask(lambda: _asked(day))))
    asker.start()
    assert is_loading.wait(60)
    assert answer(day.state, {"verb": "status"}, "vic")[0]["parents"] == 0
    may_go.set()
    asker.join(60)
    assert len(found[0]["algos"]) == 10


def test_a_model_that_does_not_load_leaves_the_published_one_and_says_so(tmp_path):
    said = Pricer(str(tmp_path / "none"), policy_loaded()).ask(lambda: _asked(_day()))
    assert (said["model"], said["text"].startswith("the model does not load")) == ("published", True)


def test_a_model_that_fails_is_an_answer_to_who_asks_and_no_costs_to_the_forecast(monkeypatch):
    """What it raises ends no thread: neither the asker's, nor the one that brings the day's forecasts."""
    monkeypatch.setattr(Pricer, "model", lambda self: None)
    pricer = Pricer("published", policy_loaded())
    found = pricer.ask(lambda: _asked(_day()))["error"]
    assert (found["code"], "AttributeError" in found["text"]) == ("failed", True)
    assert pricer.table("AAPL") is None


def test_without_a_model_nothing_is_estimated():
    pricer = Pricer("", policy_loaded())
    assert pricer.ask(lambda: _asked(_day()))["error"]["code"] == "refused"
    assert pricer.table("AAPL") is None
    assert PRICER.table("MSFT") is None


def test_after_the_close_there_is_no_window():
    """A reason that names the session."""
    day = _day()
    day.wait(OPEN_TS + 400 * MINUTE - day.now)
    day.quote()
    assert "the session is" in _estimate(day)["error"]["text"]


def test_the_order_that_was_asked_about_is_told_the_same():
    """The text of the report reads the table, the door asks the model: the same within the table's straight lines."""
    day = _day()
    day.feed(ForecastReady(symbol="AAPL", date="2019-06-28", model="m", curve=FLAT_26, trained_through="2019-06-27", costs=PRICER.table("AAPL")))
    row = _estimate(day, Strategy="VWAP", Minutes="60")["algos"][0]
    (new,) = (c for c in day.parent("P1", 300_000, Strategy.VWAP, minutes=60) if getattr(c, "text", ""))
    assert float(new.text.partition("Expected cost ")[2].split()[0]) == pytest.approx(float(row["cost_bp"]), rel=0.05)
