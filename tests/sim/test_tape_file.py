"""Recordings as files: the format, what is mended and counted, what is refused, and the converters. See sim/tape_file.py, sim/tape_convert.py."""

import gzip
from pathlib import Path

import pytest
from typer.testing import CliRunner

from algoserver.cli import app
from algoserver.domain.types import SECOND, Instrument, Side, px
from algoserver.sim.config import InstrumentConfig, Scenario, TapeConfig
from algoserver.sim.exchange import Exchange
from algoserver.sim.reports import Trade, TradePrint
from algoserver.sim.tape import Tape
from algoserver.sim.tape_convert import Made, convert
from algoserver.sim.tape_file import BrokenTape, Diff, Print, read, write
from tests.sim.street import ONE, T0, new

SHARE = Instrument("XYZ", px("0.01"), 1, 100, 0, adv=0)
BUY, SELL = Side.BUY, Side.SELL
BOOK = "0,S,,,\n0,L,B,10.00,500\n0,L,B,9.99,500\n0,L,S,10.02,500\n0,L,S,10.03,500\n"


def tape(folder: Path, lines: str, book: str = BOOK) -> Path:
    path = folder / "one.tape"
    path.write_text("algoserver-tape,1\n" + book + lines)
    return path


def market(path: Path, **more: object) -> Exchange:
    """A market in XYZ that the file drives."""
    entry = InstrumentConfig(symbol="XYZ", tick="0.01", tape=TapeConfig(file=str(path), **more))
    exchange = Exchange(Scenario(seed=1, venues=ONE, instruments=[entry]))
    exchange.advance(T0)
    return exchange


def order(name: str, side: Side, quantity: int, price: str | None = None):
    return new(name, side, quantity, price, symbol="XYZ")


def top(exchange: Exchange):
    return [[(p / px("1"), q) for p, q in side] for side in exchange.book("XLIT1", "XYZ")]


def test_a_tape_drives_the_book_by_the_nanosecond_and_what_a_client_takes_is_gone(tmp_path):
    """Changes and trades at their own times; a fill of 300 leaves 200 of 500 until the recording adds."""
    path = tape(tmp_path, "1500000001,T,B,10.02,100\n1500000001,L,S,10.02,400\n3000000000,L,B,10.01,200\n4000000000,L,S,10.02,900\n")
    exchange = market(path)
    got = exchange.submit(T0 + SECOND, order("A", BUY, 300, "10.02"))
    assert [(a.last_qty, a.last_px) for a in got if isinstance(a, Trade)] == [(300, px("10.02"))]
    assert top(exchange)[1][0] == (10.02, 200)
    [print_] = [a for a in exchange.advance(T0 + 2 * SECOND) if isinstance(a, TradePrint)]
    assert (print_.ts, print_.qty, print_.side) == (T0 + 1_500_000_001, 100, BUY)
    assert top(exchange)[1][0] == (10.02, 100)
    exchange.advance(T0 + 3 * SECOND)
    assert top(exchange)[0][0] == (10.01, 200)
    assert exchange.next_ts() == T0 + 4 * SECOND


def test_what_is_written_is_read(tmp_path):
    events = [Diff(5, [["10.00", "5"]], [["10.02", "7"]]), Print(7, -1, "10.00", "2"), Diff(9, [["10.00", "3"]], [])]
    for name in ("a.tape", "a.tape.gz"):
        write(tmp_path / name, events)
        again, repairs = read(tmp_path / name, SHARE)
        assert (again, repairs.changes, repairs.trades) == (events, 2, 1)


def test_tpf_1_a_line_a_little_late_is_put_right_and_counted_and_one_much_too_late_is_refused(tmp_path):
    """TPF-1."""
    events, repairs = read(tape(tmp_path, "5000000000,T,B,10.02,1\n4500000000,T,B,10.02,2\n"), SHARE)
    assert ([e.ts for e in events], repairs.late) == ([0, 5_000_000_000, 5_000_000_000], 1)
    with pytest.raises(BrokenTape, match=r"line 8: is 1\.500 s older"):
        read(tape(tmp_path, "5000000000,T,B,10.02,1\n3500000000,T,B,10.02,2\n"), SHARE)


def test_tpf_2_a_crossed_level_is_taken_out_and_counted_and_a_file_full_of_them_is_refused(tmp_path):
    """TPF-2: a bid at 10.02 means that nobody offers there; a change that clears the way itself is no repair."""
    events, repairs = read(tape(tmp_path, "1,L,B,10.02,300\n2,L,S,10.03,0\n2,L,B,10.03,5\n2,L,S,10.04,5\n"), SHARE)
    assert events[1] == Diff(1, [["10.02", "300"]], [["10.02", "0"]])
    assert repairs.crossed == 1
    exchange = market(tape(tmp_path, "1,L,B,10.02,300\n9000000000,L,B,9.99,1\n"))
    exchange.advance(T0 + SECOND)
    assert top(exchange)[0][0] == (10.02, 300)
    assert top(exchange)[1][0] == (10.03, 500)
    crossing = "".join(f"{n},L,{'B' if n % 2 else 'S'},10.02,5\n" for n in range(1, 60))
    with pytest.raises(BrokenTape, match="not the changes of one book"):
        read(tape(tmp_path, crossing), SHARE)


def test_tpf_3_trades_without_a_side_and_tpf_4_gaps_are_counted(tmp_path):
    """TPF-3 and TPF-4: near the offer a buyer, near the bid a seller, between them as before; two minutes of silence, the book stands."""
    lines = "1,T,,10.02,1\n2,T,,10.00,1\n3,T,,10.01,1\n120000000003,T,S,10.00,1\n"
    events, repairs = read(tape(tmp_path, lines), SHARE)
    assert [e.sign for e in events[1:]] == [1, -1, -1, -1]
    assert (repairs.unsided, repairs.gaps, repairs.gap_s) == (3, 1, 120.0)
    assert "3 trades without a side" in repairs.text()
    assert "longest 120 s" in repairs.text()


def test_a_snapshot_in_the_middle_clears_what_it_does_not_name(tmp_path):
    exchange = market(tape(tmp_path, "1000000000,S,,,\n1000000000,L,B,9.98,100\n1000000000,L,S,10.05,100\n9000000000,L,B,9.97,1\n"))
    exchange.advance(T0 + 2 * SECOND)
    assert top(exchange) == [[(9.98, 100)], [(10.05, 100)]]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("x,T,B,10.02,1\n", "line 7"),
        ("1,T,B,10.02\n", "line 7"),
        ("1,X,B,10.02,1\n", "kind is not"),
        ("1,L,,10.02,1\n", "side not B or S"),
        ("1,L,B,-10.02,1\n", "must be positive"),
        ("1,L,B,10.01,-1\n", "must be positive"),
        ("1,T,B,10.02,0\n", "must be positive"),
        ("1,T,B,10.02,nan\n", "line 7"),
        ("1,L,B,10.005,1\n", "multiple of the tick"),
        ("1,S,B,,\n", "no more than its time"),
    ],
)
def test_tpf_5_what_is_no_tape_is_refused_by_line(tmp_path, lines, said):
    """TPF-5."""
    with pytest.raises(BrokenTape, match=said):
        read(tape(tmp_path, lines), SHARE)


def test_a_tape_without_a_book_or_a_mark_is_refused(tmp_path):
    with pytest.raises(BrokenTape, match="before any level"):
        read(tape(tmp_path, "1,T,B,10.02,1\n", book=""), SHARE)
    with pytest.raises(BrokenTape, match="no level"):
        read(tape(tmp_path, "", book=""), SHARE)
    (tmp_path / "other").write_text("hello\n")
    with pytest.raises(BrokenTape, match="line 1"):
        read(tmp_path / "other", SHARE)
    with pytest.raises(BrokenTape, match="no recording"):
        market(tmp_path / "none")


# ---- the overlay


def moving(folder: Path) -> Path:
    """Ten minutes in which the price goes up and down by two ticks, with trades on both sides and a book that comes back."""
    lines = []
    for n in range(1, 600):
        away = (n // 20) % 3 - 1
        ts = n * SECOND
        lines.append(f"{ts},S,,,\n")
        lines += [f"{ts},L,B,{(1000 + away - k) / 100:.2f},500000\n{ts},L,S,{(1002 + away + k) / 100:.2f},500000\n" for k in range(5)]
        lines.append(f"{ts},T,{'BS'[n % 2]},{(1002 + away) / 100 if n % 2 == 0 else (1000 + away) / 100:.2f},100\n")
    return tape(folder, "".join(lines))


def mids(exchange: Exchange, bought: int) -> list[float]:
    """Every half minute, while a client buys for five minutes."""
    seen = []
    for second in range(5, 590, 5):
        if bought and second < 300:
            exchange.submit(T0 + second * SECOND, order(f"A{second}", BUY, bought, "20"))
        exchange.advance(T0 + (second + 2) * SECOND)
        (bid, _), (ask, _) = (side[0] for side in top(exchange))
        seen.append((bid + ask) / 2)
    return seen


def test_what_clients_trade_moves_what_follows_and_is_forgotten(tmp_path):
    """Less the same tape without him: up while he buys, more for more, back by half five minutes later; without `impact` not at all."""
    path = moving(tmp_path)
    without = mids(market(path, impact=3.0), 0)

    def by(bought: int, impact: float = 3.0) -> list[float]:
        return [round(m - w, 4) for m, w in zip(mids(market(path, impact=impact), bought), without, strict=True)]

    little, much = by(200), by(2_000)
    at_end = 58
    assert 0 < little[at_end] < much[at_end]
    assert 0 < much[-1] < 0.8 * much[at_end]
    assert set(by(200, impact=0.0)[60:]) == {0.0}


def test_a_moved_book_keeps_what_is_left_and_trades_with_clients_that_it_crosses(tmp_path):
    """The same shape at every moment but for what clients took; a client's offer above the market is met when the price is driven to it."""
    exchange = market(moving(tmp_path), impact=3.0)
    exchange.submit(T0 + SECOND, order("S", SELL, 700, "10.06"))
    sold = 0
    for second in range(5, 300, 5):
        out = exchange.submit(T0 + second * SECOND, order(f"A{second}", BUY, 2_000, "20"))
        out += exchange.advance(T0 + (second + 4) * SECOND)
        sold += sum(a.last_qty for a in out if isinstance(a, Trade) and a.cl_ord_id == "S")
        bids, asks = exchange.book("XLIT1", "XYZ")
        assert bids[0][0] < asks[0][0]
        assert all(quantity <= 500_000 + 700 for _, quantity in (*bids, *asks))
    assert sold == 700


# ---- converters


LOBSTER_MESSAGES = """34200.004241176,1,16113575,18,5853300,1
34200.025551909,4,16120456,10,5859400,-1
34200.201720929,5,0,30,5856000,1
34200.300000000,3,16113575,18,5853300,1
34200.400000000,7,0,0,-1,-1
34260.400000001,1,16113599,50,5854000,1
"""
LOBSTER_BOOK = """5859400,200,5853300,18,5859800,200,5853000,150
5859400,190,5853300,18,5859800,200,5853000,150
5859400,190,5853300,18,5859800,200,5853000,150
5859400,190,5853000,150,5859800,200,5851000,5
5859400,190,5853000,150,5859800,200,5851000,5
5859400,190,5854000,50,5859800,200,5853000,150
"""


def test_cnv_1_and_cnv_2_lobster_files_become_the_book_that_they_record(tmp_path):
    """A visible sale's other side bought; a hidden one is a print; a halt is counted; a level that leaves the range stands."""
    messages, book, out = tmp_path / "m.csv", tmp_path / "b.csv", tmp_path / "out.tape.gz"
    messages.write_text(LOBSTER_MESSAGES)
    book.write_text(LOBSTER_BOOK)
    done = CliRunner().invoke(app, ["tape", "convert", str(messages), str(book), "--from", "lobster", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "2 trades" in done.output
    assert "1 halts" in done.output
    assert "1 gaps" in done.output
    events, repairs = read(out, SHARE)
    assert [e for e in events if isinstance(e, Print)] == [
        Print(34_200_025_551_909, 1, "585.9400", "10"),
        Print(34_200_201_720_929, -1, "585.6000", "30"),
    ]
    assert (repairs.late, repairs.crossed) == (0, 0)
    exchange = market(out)
    exchange.advance(T0 + 2 * SECOND)
    assert top(exchange) == [[(585.3, 150), (585.1, 5)], [(585.94, 190), (585.98, 200)]]
    checked = CliRunner().invoke(app, ["tape", "check", str(out)])
    assert checked.exit_code == 0, checked.output
    assert "60 s;" in checked.output
    book.write_text(LOBSTER_BOOK.splitlines()[0] + "\n")
    done = CliRunner().invoke(app, ["tape", "convert", str(messages), str(book), "--from", "lobster", "--out", str(out)])
    assert (done.exit_code, "line 2: b.csv has fewer lines" in done.output) == (2, True)


MS = "1700000000000 1700000000500 1700000061000"
BINANCE = {
    "trades": ("{0},{1},{2},5,{3},{4},True", MS),
    "aggTrades": ("7{0},{1},{2},{0},{0},{3},{4},true", MS),
    "us": ("{0},{1},{2},5,{3},{4},True", " ".join(f"{ms}000" for ms in MS.split())),
}


@pytest.mark.parametrize("kind", BINANCE)
def test_cnv_3_binances_trades_are_replayed_in_a_book_that_is_made_up(tmp_path, kind):
    """Times in ms or us, side by who was the maker, two numbers missing, one gap; each trade meets the touch of its side."""
    path, coin = tmp_path / "t.csv", Instrument("BTCUSDT", px("0.01"), 1, 1, 5, adv=0)
    line, times = BINANCE[kind]
    rows = zip(("10", "11", "14"), ("100.00", "100.01", "100.03"), ("0.5", "0.2", "0.2"), times.split(), ("True", "False", "False"), strict=True)
    text = "".join(line.format(*row) + "\n" for row in rows)
    path.write_text(text)
    events, repairs = convert("binance", [path], coin, Made(spread=1, depth=100_000))
    assert [(e.ts, e.sign, e.px, e.qty) for e in events if isinstance(e, Print)] == [
        (1_700_000_000_000_000_000, -1, "100", "0.5"), (1_700_000_000_500_000_000, 1, "100.01", "0.2"),
        (1_700_000_061_000_000_000, 1, "100.03", "0.2"),
    ]  # fmt: skip
    assert (repairs.missing, repairs.gaps, repairs.crossed) == (2, 1, 0)
    book = Tape(coin, events, "XLIT1", TapeConfig(file=""))
    book.start(0)
    prints = []
    while book.next_ts() < 1 << 60:
        is_last = book._at == len(events) - 1
        if is_last:
            bids, asks = book.books["XLIT1"].top(5)
            assert (bids[0][0], asks[0][0], len(bids), len(asks)) == (px("100.02"), px("100.03"), 5, 5)
        prints += [f for match in book.step() for f in match.fills]
    assert sum(f.qty for f in prints) == 90_000
    path.write_text(text + text)
    with pytest.raises(BrokenTape, match="line 4: trade 10 comes after trade 14"):
        convert("binance", [path], coin, Made())


def test_cnv_4_a_bar_trades_its_volume_between_its_low_and_its_high(tmp_path):
    path = tmp_path / "bars.csv"
    path.write_text(
        "time,open,high,low,close,volume\n2024-01-02T14:30:00Z,10.00,10.10,9.95,10.05,1205\n2024-01-02T14:31:00+00:00,10.05,10.06,9.90,9.92,600\n"
    )
    events, repairs = convert("bars", [path], SHARE, Made(spread=2))
    prints = [e for e in events if isinstance(e, Print)]
    assert sum(int(p.qty) for p in prints) == 1_805
    for first, low, high, last, part in ((10.0, 9.95, 10.1, 10.05, prints[:12]), (10.05, 9.9, 10.06, 9.92, prints[12:])):
        prices = [float(p.px) for p in part]
        assert (prices[0], prices[-1]) == (first, last)
        assert min(prices) >= low
        assert max(prices) <= high
        assert max(prices) - min(prices) > 0.6 * (high - low)
    assert prints[12].ts - prints[0].ts == 60 * SECOND
    assert (repairs.crossed, repairs.late, repairs.gaps) == (0, 0, 0)
    path.write_text("time,open,high,low,close,volume\n1704205800,10.00,9.90,9.95,10.05,1205\n")
    with pytest.raises(BrokenTape, match="line 2"):
        convert("bars", [path], SHARE, Made())
    path.write_text("time,open\n")
    with pytest.raises(BrokenTape, match="lacks close, high, low, volume"):
        convert("bars", [path], SHARE, Made())


def ran(*arguments: object) -> tuple[int, str]:
    """`algoserver tape`: its exit status and what it says. What escapes it fails the test."""
    done = CliRunner().invoke(app, ["tape", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


@pytest.mark.parametrize("lines", ["0,S,,,\n1,T,B,10.02,1\n", "0,S,,,\n0,L,B,10.00,0\n1,T,S,10.00,1\n"])
def test_a_book_without_a_quantity_is_no_book(tmp_path, lines):
    with pytest.raises(BrokenTape, match="a trade before any level of the book"):
        read(tape(tmp_path, lines, book=""), SHARE)


def test_a_broken_file_is_named_by_every_command(tmp_path):
    """Compressed badly, cut off, no gzip, no text."""
    whole = gzip.compress(tape(tmp_path, "".join(f"{n},T,B,10.02,{n}\n" for n in range(1, 500))).read_bytes())
    for name, data in (("bad", whole[:100] + b"\xff\xff\xff" + whole[103:]), ("cut", whole[:-200]), ("none", b"x" * 99)):
        path = tmp_path / f"{name}.tape.gz"
        path.write_bytes(data)
        for status, text in (ran("check", path), ran("fit", path), ran("convert", "--from", "bars", "--out", tmp_path / "o", path)):
            assert (status, f"{name}.tape.gz: " in text.replace("\n", "")) == (2, True), text
    (tmp_path / "bytes.tape").write_bytes(b"\xff\xfe\x00")
    assert ran("check", tmp_path / "bytes.tape")[0] == 2
    assert ran("check", tape(tmp_path, ""), "--tick", "0")[0] == 2


def test_times_that_nobody_has_recorded_are_refused_and_long_ones_are_not_fitted(tmp_path):
    assert "no time in nanoseconds" in ran("check", tape(tmp_path, f"{10**30},T,B,10.02,1\n"))[1]
    assert "10000 days" in ran("fit", tape(tmp_path, f"{10_000 * 86_400 * SECOND},T,B,10.02,1\n"))[1].replace("\n", " ")


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("binance", "1,10.00,-5,50,1700000000000,true,true\n", "line 1: price, quantity"),
        ("binance", f"1,10.00,5,50,{10**30},true,true\n", "line 1: price, quantity, time"),
        ("binance", "1,10.00,0.5,50,1700000000000,true,true\n", "no trade of a whole unit"),
        ("bars", "time,open,high,low,close,volume\n2024-01-02T14:30:00,10\n", "more or fewer cells"),
        ("bars", "time,open,high,low,close,volume\n2024-01-02T14:30:00,10,11,9,10,5,6\n", "more or fewer cells"),
        ("bars", "time,open,high,low,close,volume,Volume\n2024-01-02T14:30:00,10,11,9,10,5,6\n", "twice"),
        ("bars", f"time,open,high,low,close,volume\n{10**30},10,11,9,10,5\n", "no time in seconds"),
    ],
)
def test_a_recording_that_makes_no_sense_is_refused_by_line_and_no_recording_is_written_over(tmp_path, kind, text, said):
    path, out = tmp_path / "a.csv", tmp_path / "o.tape"
    path.write_text(text)
    status, told = ran("convert", "--from", kind, "--out", out, path)
    assert (status, out.exists()) == (2, False)
    assert said in told.replace("\n", " ")
    status, told = ran("convert", "--from", kind, "--out", path, path)
    assert (status, path.read_text()) == (2, text)


@pytest.mark.parametrize("cell", ["inf", "1e300", "x", "9" * 200_000])
def test_volumes_that_are_none_are_refused_and_days_that_are_alike_remember_nothing(tmp_path, cell):
    path = tmp_path / "v.csv"
    path.write_text("bin" + ",d" * 12 + "\n" + ("x" + f",{cell}" * 12 + "\n") * 5)
    status, told = ran("fit", "--volume", path)
    assert (status, "v.csv" in told.replace("\n", "")) == (2, True)
    path.write_text("bin" + ",d" * 12 + "\n" + ("x" + ",5" * 12 + "\n") * 5)
    status, told = ran("fit", "--volume", path)
    assert (status, "nan" in told) == (0, False)
