"""What a venue asks for an execution.

FEE-1: who added liquidity pays `maker_fee`, who removed it `taker_fee`, each side of an auction `auction_fee`; a negative fee is a rebate.
FEE-2: fee = rate times whole quantity, in price units, rounded once per fill to the nearest, halves away from zero.
FEE-3: a fill reports it in NoMiscFees (136): MiscFeeAmt (137), MiscFeeCurr (138) USD, MiscFeeType (139) 4. A fill without a fee has none.
FEE-4: a bust gives the fee back, a correction asks for what the corrected fill would have cost: neither is told apart, the rate is known.
"""

from algoserver.domain.types import Instrument, px
from algoserver.sim.config import Scenario

NEITHER, ADDED, REMOVED = 0, 1, 2  # LastLiquidityInd (851); FIX 4.4 has no word for an auction


class Fees:
    """Every venue's rates."""

    def __init__(self, config: Scenario, instruments: dict[str, Instrument]):
        self._rates = {v.name: {NEITHER: px(v.auction_fee), ADDED: px(v.maker_fee), REMOVED: px(v.taker_fee)} for v in config.venues}
        self._units: dict[str, int] = {symbol: 10**i.qty_decimals for symbol, i in instruments.items()}

    def of(self, venue: str, symbol: str, qty: int, last_liquidity_ind: int) -> int:
        """Money for a fill of `qty`, in price units; negative: the client gets it."""
        rate = self._rates[venue][last_liquidity_ind]
        if not rate:
            return 0
        unit: int = self._units[symbol]
        return (abs(rate) * qty + unit // 2) // unit * (1 if rate > 0 else -1)
