"""What may be wrong with a bar, as SQL over the table `typed`; each rule gives rule, source, row, symbol, ts, text.

Rule 1: a fault makes a row unusable: it is refused, or left out where the person says so. A remark is to be known, and the row stays.
Rule 2: a rule looks at the bars that the rules before it have left: what is no number is not also a price that is too high.
"""

# Shares, not money: a close that leaves its neighbours by more than this and comes back at once was never traded.
SPIKE, BACK = 0.2, 0.05
# From one day's last close to the next day's first: a split, a merger, or another unit.
JUMP = 1.8
# Beyond it nothing has a price or a volume, and sums of it would be no numbers.
MOST = 1e15

_PRICES = ("open", "high", "low", "close")
_BAD_PRICE = " OR ".join(f"{p} <= 0 OR {p} > {MOST} OR isnan({p})" for p in (*_PRICES, "bid", "ask"))
_TEXT = "symbol || ' ' || strftime(ts, '%Y-%m-%d %H:%M:%S')"
_CLOSES = "lag(close) OVER w AS before, lead(close) OVER w AS after"

# Name -> what to say of a row, and the rows it is said of.
FAULTS: dict[str, tuple[str, str]] = {
    "unreadable": (
        "problem",
        "SELECT * FROM typed WHERE problem <> ''",
    ),
    "bad_tick": (
        "'a price that is not above 0, a volume below 0, one above 1e15, or no number'",
        f"SELECT * FROM kept WHERE {_BAD_PRICE} OR volume < 0 OR volume > {MOST} OR isnan(volume)",
    ),
    "crossed": (
        "'low, open, close, high or bid and ask are not in this order'",
        "SELECT * FROM kept WHERE low > high OR open > high OR open < low OR close > high OR close < low OR bid > ask",
    ),
    "clock": (
        "'its time is in the future, before 1970, or no multiple of the length of a bar'",
        "SELECT * FROM kept WHERE ts > $now OR ts < TIMESTAMP '1970-01-01' OR epoch(ts) % $bar_s <> 0 OR microsecond(ts) % 1000000 <> 0",
    ),
    "duplicate": (
        "'this bar was there before'",
        "SELECT * FROM kept QUALIFY row_number() OVER (PARTITION BY symbol, ts ORDER BY number) > 1",
    ),
    "spike": (
        "'its close leaves those beside it by more than a fifth, and the next is back'",
        f"SELECT * FROM (SELECT *, {_CLOSES} FROM kept WINDOW w AS (PARTITION BY symbol ORDER BY ts)) "
        f"WHERE abs(ln(close / before)) > {SPIKE} AND abs(ln(close / after)) > {SPIKE} AND abs(ln(after / before)) < {BACK}",
    ),
}
_DAYS = (
    "SELECT symbol, ts::DATE AS day, min(ts) AS ts, min(source) AS source, min(row) AS row, count(*) AS bars, first(close ORDER BY ts) AS opened, "
    "last(close ORDER BY ts) AS closed, min(low) AS low, max(high) AS high, min(volume) AS least, max(volume) AS most FROM kept GROUP BY symbol, day"
)
REMARKS: dict[str, tuple[str, str]] = {
    "gap": (
        "missing || ' bars are missing before it'",
        "SELECT *, (epoch(ts - before) / $bar_s)::BIGINT - 1 AS missing FROM (SELECT *, lag(ts) OVER "
        "(PARTITION BY symbol, ts::DATE ORDER BY ts) AS before FROM kept) WHERE epoch(ts - before) > $bar_s",
    ),
    "day_missing": (
        "'it has no bar on ' || day || ', on which others have'",
        "SELECT s.symbol, d.day, d.day::TIMESTAMP AS ts, s.source, s.row FROM (SELECT symbol, min(ts)::DATE AS first, max(ts)::DATE AS last, "
        "min(source) AS source, min(row) AS row FROM kept GROUP BY symbol) s JOIN (SELECT DISTINCT ts::DATE AS day FROM kept) d "
        "ON d.day BETWEEN s.first AND s.last ANTI JOIN (SELECT DISTINCT symbol, ts::DATE AS day FROM kept) k "
        "ON k.symbol = s.symbol AND k.day = d.day",
    ),
    "jump": (
        "'it opens at ' || round(opened / before, 3) || ' times the close before: a split?'",
        f"SELECT * FROM (SELECT *, lag(closed) OVER (PARTITION BY symbol ORDER BY day) AS before FROM ({_DAYS})) "
        f"WHERE opened / before >= {JUMP} OR before / opened >= {JUMP}",
    ),
    "constant": (
        "'neither price nor volume moves all day'",
        f"SELECT * FROM ({_DAYS}) WHERE bars > 1 AND least = most AND (low IS NULL OR low = high)",
    ),
    "no_volume": (
        "'nothing traded all day'",
        f"SELECT * FROM ({_DAYS}) WHERE most = 0",
    ),
}


def found(name: str, of: tuple[str, str]) -> str:
    """The rule as a query; of a fault with the number of its row among all."""
    text, rows = of
    number = "number, " if name in FAULTS else ""
    said = f"{_TEXT} || ': ' || {text}" if name != "unreadable" else text
    return f"SELECT {number}'{name}' AS rule, source, row, symbol, ts, {said} AS text FROM ({rows})"
