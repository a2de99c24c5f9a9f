"""The cost model: nothing that grows makes it cheaper, no round trip earns, and a fit finds what executions have in them."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algoserver.learn.cost import BETA, DELTA, FACTOR_RANGE, PUBLISHED, PUBLISHED_MODEL, CostModel, Terms, loads, loads_after, memory, risk
from algoserver.learn.cost_fit import MODEL_FILE, calibration, deciles, fit, load_impact, packed, ready, train
from algoserver.learn.executions import Execution
from algoserver.learn.store import ModelDamaged, save_model

EVEN = np.full(20, 1 / 20)
TRUE = np.array([0.5, 0.4, 0.25, 0.6])
sizes = st.floats(1e-4, 0.3)
spans = st.floats(0.01, 1.0)
weights = st.lists(st.floats(0.0, 1.0), min_size=20, max_size=20).map(lambda w: np.array(w) + 1e-3).map(lambda w: w / w.sum())


def terms(size: float = 0.02, span: float = 0.2, profile: np.ndarray = EVEN, sigma: float = 0.02, spread: float = 2e-4, at: float = 0.3) -> Terms:
    return Terms(size, span, profile, sigma, spread, at)


def orders(
    seed: int, days: int = 40, each: int = 8, coefficients: np.ndarray = TRUE, noise: float = 1.0, bend: float = 0.0, is_told: bool = False
) -> list[Execution]:  # fmt: skip
    """Executions of a market with these coefficients and a Brownian price. bend: what orders above 10 % of volume cost besides, a share.

    is_told: what the price did by itself is known, but for a tenth of it.
    """
    chance, found = np.random.default_rng(seed), []
    for day in range(days):
        for _ in range(each):
            span = float(np.exp(chance.uniform(np.log(0.02), np.log(0.5))))
            share = float(np.exp(chance.uniform(np.log(0.01), np.log(0.3))))
            ramp = np.linspace(1.0, chance.uniform(0.2, 1.0), 20)
            of = terms(share * span, span, ramp / ramp.sum(), float(chance.uniform(0.01, 0.03)), float(chance.uniform(1e-4, 1e-3)))
            steps = chance.normal(0, noise * of.sigma * np.sqrt(span / 20), 20)
            left = 1 - np.cumsum(of.profile) + of.profile / 2
            later = chance.normal(0, noise * of.sigma * np.sqrt(0.02))
            factor = 1 + bend * (share > 0.1)
            moved = float(loads_after(of, 0.02) @ coefficients + steps.sum() + later)
            cost = float(loads(of) @ coefficients * factor + steps @ left)
            drift, drifts = 0.9 * float(steps @ left), (0.9 * float(steps.sum() + later),)
            known = (drift, drifts) if is_told else (None, ())
            found.append(Execution(f"day-{day:03d}", "AAPL", 1, of, cost, 1.0, ((0.02, moved),), *known))
    return found


@given(sizes, spans, weights, st.floats(0.005, 0.05), st.floats(0, 0.005), st.floats(1.0, 3.0))
def test_nothing_that_grows_makes_an_order_cheaper(size: float, span: float, profile: np.ndarray, sigma: float, spread: float, by: float):
    """More size in the same window, more volatility, a wider spread; and the same size in less volume, by what was published."""
    model = CostModel(TRUE)
    own = model.expected(terms(size, span, profile, sigma, spread))

    assert model.expected(terms(size * by, span, profile, sigma, spread)) >= own
    assert model.expected(terms(size, span, profile, sigma * by, spread)) >= own
    assert model.expected(terms(size, span, profile, sigma, spread * by)) >= own
    assert model.expected(terms(size, span / by, profile, sigma, spread)) >= own * (1 - 1e-12)


def test_the_published_model_is_the_paper_s():
    """An even plan costs J of Almgren et al. for 200 shares outstanding a share traded, and no spread."""
    assert PUBLISHED_MODEL.expected(terms(0.1, 0.2, sigma=0.0157)) == pytest.approx(0.0157 * (0.314 * 200**0.25 * 0.1 / 2 + 0.142 * 0.5**0.6))


def round_trip(model: CostModel, trades: np.ndarray, width: float, sigma: float, half_spread: float) -> float:
    """Cost of signed trades (days' volume) in steps of `width` (the same) by the backbone's terms, a fraction of a day's volume at the price."""
    size = float(np.abs(trades).sum())
    if size == 0:
        return 0.0
    spread, permanent, temporary, transient = model.coefficients
    at = np.arange(trades.size) * width
    held = np.cumsum(trades) - trades / 2
    rates = np.abs(trades) / width
    kernel = 0.5 * trades @ memory(at[:, None] - at[None, :]) @ trades
    path = spread * half_spread * size + sigma * (permanent * trades @ held + temporary * np.sum(np.abs(trades) * rates**BETA))
    return float(path + sigma * transient * size ** (DELTA - 1) * kernel)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30), st.floats(1e-4, 0.1), st.tuples(*[st.floats(0, 3)] * 4))
@settings(max_examples=100)
def test_no_round_trip_earns(path: list[float], width: float, coefficients: tuple[float, ...]):
    """Whatever is bought and sold again, at whatever pace and coefficients that a fit may find."""
    trades = np.array([*path, -sum(path)]) / 10

    assert round_trip(CostModel(np.array(coefficients)), trades, width, 0.02, 1e-4) >= -1e-12


def test_buying_slowly_and_selling_fast_does_not_earn_where_a_concave_permanent_impact_pays():
    """Gatheral's example, for the part that remembers alone."""
    slow_then_fast = np.array([*[0.001] * 100, -0.05, -0.05])

    assert round_trip(CostModel(np.array([0.0, 0.0, 0.0, 1.0])), slow_then_fast, 0.01, 0.02, 0.0) > 0


def test_one_way_the_round_trip_s_arithmetic_is_the_order_s():
    """The same cost per share as of an order with that profile."""
    of, model = terms(0.05, 0.4), CostModel(TRUE)

    assert round_trip(model, of.size * of.profile, of.span / 20, of.sigma, of.half_spread) / of.size == pytest.approx(model.expected(of))


def test_an_impact_decays_and_what_is_permanent_stays():
    """About by the root of the volume since: a fourth of it is left after sixteen times as long."""
    assert memory(np.array([0.01]))[0] / memory(np.array([0.16]))[0] == pytest.approx(4, rel=0.25)
    assert loads_after(terms(), 100.0) @ np.array([1.0, 1, 1, 1]) == pytest.approx(loads_after(terms(), 100.0)[1])


def test_the_risk_of_an_even_plan_is_sigma_root_t_third():
    assert risk(terms(span=0.3, sigma=0.02)) == pytest.approx(0.02 * (0.3 / 3) ** 0.5, rel=0.01)


def test_a_fit_finds_what_is_in_the_executions():
    """With half of the usual noise and 800 orders: the cost of ordinary orders within a tenth, whatever the parts are."""
    model = fit([ready(one) for one in orders(1, days=100, noise=0.5)], has_correction=False)

    for share, span in ((0.02, 0.1), (0.1, 0.1), (0.2, 0.3), (0.05, 0.5)):
        of = terms(share * span, span)
        assert model.expected(of) == pytest.approx(CostModel(TRUE).expected(of), rel=0.1)


def test_where_the_market_tells_its_own_moves_fifty_orders_teach_what_thousands_would():
    """The same noise, of which nine tenths are known."""
    told, untold = (fit([ready(one) for one in orders(11, days=10, each=5, is_told=known)], has_correction=False) for known in (True, False))

    for share, span in ((0.1, 0.1), (0.2, 0.3)):
        of = terms(share * span, span)
        right = CostModel(TRUE).expected(of)
        assert told.expected(of) == pytest.approx(right, rel=0.15)
        assert abs(told.expected(of) - right) < abs(untold.expected(of) - right)


def test_few_orders_keep_what_was_published():
    """Ten orders of a loud market move each coefficient by less than a prior's deviation."""
    model = fit([ready(one) for one in orders(2, days=2, each=5)], has_correction=False)

    assert np.abs(model.coefficients - PUBLISHED) == pytest.approx(np.zeros(4), abs=1.0)
    assert model.expected(terms()) == pytest.approx(PUBLISHED_MODEL.expected(terms()), rel=0.8)


def test_the_interval_holds_on_days_that_the_model_has_not_seen():
    """Eighty days teach, a hundred others are judged: eight of ten inside, and the calibration's slope is one."""
    model, metrics = train(orders(3, days=80, each=6))
    others = orders(4, days=100, each=6)
    costs = [model.cost(one.terms) for one in others]
    inside = np.mean([c.p10 <= one.cost <= c.p90 for one, c in zip(others, costs, strict=True)])

    assert 0.76 <= inside <= 0.84
    assert 76 <= metrics["coverage"] <= 84
    realised, expected = np.array([one.cost for one in others]), np.array([c.expected for c in costs])
    assert 0.75 <= calibration(realised, expected, np.array([risk(one.terms) for one in others])) <= 1.25
    assert all(c.low <= c.expected <= c.high for c in costs)
    assert [round(d[0], 12) for d in deciles(realised, expected)] == sorted(round(d[0], 12) for d in deciles(realised, expected))


def test_a_correction_stays_only_where_it_helps_and_is_monotone():
    """Where large orders cost twice what the backbone can say it stays, and more participation still never costs less; else it goes."""
    bent, straight = train(orders(5, days=60, noise=0.05, bend=1.0))[0], train(orders(6, days=60))[0]
    assert bent.correction is not None
    assert straight.correction is None

    curve = [c.expected for c in bent.curve(terms(span=0.1), np.geomspace(0.001, 0.5, 60))]
    assert curve == sorted(curve)
    factors = [bent.factor(terms(p * 0.1, 0.1)) for p in (0.01, 0.05, 0.2, 0.3)]
    assert factors[-1] > factors[0]
    assert all(FACTOR_RANGE[0] <= f <= FACTOR_RANGE[1] for f in factors)


def test_a_model_is_read_back_to_the_bit(tmp_path):
    """Text files under their hash; one changed byte is refused."""
    found = orders(7, days=30, noise=0.05, bend=1.0)
    model, metrics = train(found)
    manifest = save_model(tmp_path, *packed(model, metrics, found))
    again = load_impact(tmp_path / manifest.name)

    assert (again.version, again.trained_through, again.orders) == (manifest.version, "day-029", 240)
    assert again.cost(terms()) == model.cost(terms())
    assert save_model(tmp_path, *packed(*train(found), found)).version == manifest.version
    path = tmp_path / manifest.name / MODEL_FILE
    path.write_text(path.read_text().replace("0", "1", 1))
    with pytest.raises(ModelDamaged, match="changed after training"):
        load_impact(tmp_path / manifest.name)


def test_another_kind_of_model_is_refused(tmp_path):
    """A volume model says nothing of cost."""
    found = orders(8, days=20)
    manifest, files = packed(*train(found), found)
    saved = save_model(tmp_path, msgspec.structs.replace(manifest, kind="volume"), files)
    with pytest.raises(ValueError, match="'impact' is needed"):
        load_impact(tmp_path / saved.name)


def test_too_few_orders_are_refused():
    """With the number that is needed; nothing is made of them."""
    with pytest.raises(ValueError, match="100 of 10 are needed"):
        train(orders(9, days=4))
