"""Recorded markets that ship with the server: files and where they are, no code.

Rule 1: recordings are never edited; NOTICE.md names their source and licence.
"""

from pathlib import Path

_HERE = Path(__file__).resolve().parent

# One file a symbol, `<symbol>_*.csv`: rows are the 26 bins of 15 minutes, columns the 124 days of 2019H1.
VOLUME_DIR = _HERE / "volume"

# 345 s of Binance spot BTCUSDT, gzip, lines of `<receive time ns> <json>`: depth differences, book ticker, trades.
TAPE = _HERE / "tape" / "binance_spot_btcusdt_20240808_345s.gz"
