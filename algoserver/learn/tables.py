"""A cost model as whole numbers: the table that travels to the core with a day's forecast (domain.model_events.CostTable).

Nodes are a factor of two apart: between two of them a straight line is within 6 % of the model.
"""

import numpy as np

from algoserver.core.algos.shortfall import E12, holdings
from algoserver.domain.model_events import CostTable
from algoserver.domain.types import PPM_ONE
from algoserver.learn.cost import CostModel, Terms, factors, features, loads, spread_of
from algoserver.learn.terms import STEPS

PPB_ONE = 10**9
SIZES = tuple(10_000 * 2**i for i in range(16))  # 1e-5 to a third of a day's volume
SPANS = tuple(1_000_000 * 2**i for i in range(11))  # a thousandth of a day's volume to all of it
HASTES = (0, 1_000_000, 4_000_000, 16_000_000, 64_000_000, 256_000_000)
# Of sigma: what the correction takes for the spread, which the table leaves out. About that of a liquid share.
SPREAD_OF_SIGMA = 0.01


def cost_table(model: CostModel, sigma: float) -> CostTable:
    """What a model says for a volatility, 1 a day."""
    profiles = [np.diff(1 - np.array(holdings(E12, STEPS, haste * PPM_ONE // STEPS**2)) / E12) for haste in HASTES]
    every = [
        [[Terms(size / PPB_ONE, span / PPB_ONE, profile, sigma, SPREAD_OF_SIGMA * sigma, 0.5) for span in SPANS] for size in SIZES]
        for profile in profiles
    ]
    flat = [one for by_size in every for by_span in by_size for one in by_span]
    cost = np.array([loads(one)[1:] for one in flat]) @ model.coefficients[1:]
    if model.correction is not None:
        cost *= factors(model.correction, np.array([features(one) for one in flat]))
    risks = [spread_of(one, model.floor) for by_size in every for one in by_size[0]]
    return CostTable(
        model=model.version, sizes=SIZES, spans=SPANS, hastes=HASTES, costs=tuple(round(float(c) * 1e8) for c in cost),
        risks=tuple(round(r * 1e8) for r in risks), spread_ppm=round(float(model.coefficients[0]) * PPM_ONE),
        z10=round(model.z10 * PPM_ONE), z90=round(model.z90 * PPM_ONE),
    )  # fmt: skip
