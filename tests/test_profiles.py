"""What is agreed with a client: read from the configuration, applied to his orders, and refused where it can't be."""

from pathlib import Path

import msgspec
import pytest

from algoserver.config import load
from algoserver.domain.events import Garbled, ParentRequested, ReplaceRequested
from algoserver.domain.params import AlgoParams
from algoserver.domain.policy import ClientProfile
from algoserver.domain.types import MINUTE, PX_ONE, OrdStatus, Strategy, TimeInForce, utc
from algoserver.fix.codec import decode_client
from algoserver.settings import BadConfig
from tests.core.day import AAPL, OPEN_TS, Day, policy_loaded

ROOT = Path(__file__).resolve().parents[1]
ORDER = "35=D|34=2|11=K1|55=AAPL|54=1|38=1000|40=1|847=1001|"
NOON, ONE = "20190628-12:00:00", "20190628-13:00:00"


def configured(folder: Path, text: str, dialect: str = "") -> tuple[ClientProfile, ...]:
    """The profiles of a server.toml that ends with `text`, beside a dialect file of the test's own."""
    for name in ("policy.toml", "instruments.toml", "dialect-r.toml", "dialect-t.toml"):
        (folder / name).write_text((ROOT / "cfg" / name).read_text())
    (folder / "own.toml").write_text(dialect)
    (folder / "server.toml").write_text((ROOT / "cfg" / "server.toml").read_text() + text)
    return load(folder / "server.toml").setup.profiles


def decoded(profile: ClientProfile | None, *tags: str, order: str = ORDER):
    """The event of an order with these tags besides."""
    return decode_client((order + "".join(f"{tag}|" for tag in tags)).replace("|", "\x01"), "CLIENT1", {"AAPL": AAPL}, profile)


def params(profile: ClientProfile, *tags: str, order: str = ORDER) -> AlgoParams:
    """Its parameters."""
    event = decoded(profile, *tags, order=order)
    assert isinstance(event, ParentRequested | ReplaceRequested), event
    return event.params


@pytest.fixture(scope="module")
def broker_r(tmp_path_factory) -> ClientProfile:
    """The shipped example of broker R."""
    return configured(tmp_path_factory.mktemp("r"), '[[profiles]]\nclient = "CLIENT1"\ndialect = "dialect-r.toml"\n')[0]


@pytest.fixture(scope="module")
def broker_t(tmp_path_factory) -> ClientProfile:
    """The shipped example of broker T."""
    return configured(tmp_path_factory.mktemp("t"), '[[profiles]]\nclient = "CLIENT1"\ndialect = "dialect-t.toml"\n')[0]


def test_broker_rs_tags_are_our_parameters(broker_r):
    """Every tag of it that we can express, in one order; its constants are not looked at, its neutral values accepted."""
    tags = (
        f"6062={NOON}", f"6063={ONE}", "6064=15", "6067=2", "9110=10", "6065=3", "7927=199.5", "6066=300", "7903=NULL", "7901=Y",
        "7933=300", "6270=0", "7911=Arrival", "7995=None", "10067=N", "9207=EMS", "9681=1.2", "9682=7",
    )  # fmt: skip
    assert params(broker_r, *tags) == AlgoParams(
        start_ts=utc(NOON), end_ts=utc(ONE), max_pct_vol=150_000, min_pct_vol=20_000, target_pct_vol=100_000, urgency=5,
        i_would_price=199 * PX_ONE + PX_ONE // 2, display_qty=300, min_exec_qty=300,
        close_auction=True,
    )  # fmt: skip
    assert [params(broker_r, f"7903={v}").open_auction for v in ("Y", "N", "NULL")] == [True, False, False]
    assert [params(broker_r, f"6065={u}").urgency for u in "123"] == [1, 3, 5]
    assert [params(broker_r, f"6064={p}").max_pct_vol for p in (1, 100)] == [10_000, 1_000_000]


def test_broker_ts_tags_are_our_parameters(broker_t):
    """The same for the other broker; one tag speaks of both auctions, its urgency has five names."""
    tags = (
        f"7113={NOON}", f"7114={ONE}", "7126=20", "7172=12.5", "7129=198", "7149=40", "7147=500", "7130=C", "7158=200", "7119=NO", "7148=NEUTRAL",
        "7128=0", "7157=Shares",
    )  # fmt: skip
    assert params(broker_t, *tags) == AlgoParams(
        start_ts=utc(NOON), end_ts=utc(ONE), max_pct_vol=200_000, target_pct_vol=125_000, i_would_price=198 * PX_ONE, i_would_pct=400_000,
        display_qty=500, min_exec_qty=200, close_auction=True,
    )  # fmt: skip
    auctions = {value: params(broker_t, f"7130={value}") for value in "YOCN"}
    assert {v: (p.open_auction, p.close_auction) for v, p in auctions.items()} == {
        "Y": (True, True), "O": (True, False), "C": (False, True), "N": (False, False)
    }  # fmt: skip
    names = ("VERY_LOW", "LOW", "MEDIUM", "HIGH", "VERY_HIGH")
    assert [params(broker_t, f"7174={name}").urgency for name in names] == [1, 2, 3, 4, 5]


REFUSED = [
    ("r", "6064=0", "bad_parameter", "MaxPctVol (6064): 0 is not within 0.0001 and 100 per cent"),
    ("r", "6064=101", "bad_parameter", "MaxPctVol (6064): 101 is not within 0.0001 and 100 per cent"),
    ("r", "6064=1e1", "bad_parameter", "MaxPctVol (6064): not a number: '1e1'"),
    ("r", "6065=B", "bad_parameter", "Urgency (6065): 'B' is not one of 1, 2, 3"),
    ("r", "7903=O", "bad_parameter", "PartOnOpen (7903): 'O' is not one of NULL, N, Y"),
    ("r", "6732=work it", "unsupported_tag", "Instructions (6732) is not supported; leave it out"),
    ("r", "7911=Open", "unsupported_tag", "Benchmark (7911) is not supported; send Arrival, or leave it out"),
    ("r", "7126=10", "unknown_tag", "tag 7126 is not agreed for CLIENT1; leave it out"),
    ("t", "7130=X", "bad_parameter", "Auction (7130): 'X' is not one of Y, O, C, N"),
    ("t", "7113=08:00:00", "bad_parameter", "StartTime: not a UTC timestamp YYYYMMDD-HH:MM:SS: '08:00:00'"),
    ("t", "7148=STRICT", "unsupported_tag", "Style (7148) is not supported; send NEUTRAL, or leave it out"),
    ("t", "6064=10", "unknown_tag", "tag 6064 is not agreed for CLIENT1; leave it out"),
]


@pytest.mark.parametrize(("broker", "tag", "code", "text"), REFUSED, ids=lambda v: v if "=" in v else "")
def test_what_a_tag_can_not_say_is_refused(broker, tag, code, text, broker_r, broker_t):
    """By its name and number, in a D and in a G; nothing that may have been a cap is lost."""
    for order in (ORDER, ORDER.replace("35=D", "35=G") + "41=K0|"):
        event = decoded(broker_r if broker == "r" else broker_t, tag, order=order)
        assert isinstance(event, Garbled)
        assert (event.code, event.text, event.reject_reason) == (code, text, 11 if code.startswith("unsupported") else 99)


@pytest.mark.parametrize(("broker", "tag"), [("r", "7903=Y"), ("t", "7130=O"), ("t", "7130=Y")])
def test_a_brokers_tag_for_the_open_sends_an_order_at_the_open(broker, tag, broker_r, broker_t):
    """From his message to our child."""
    day = Day(now=OPEN_TS - 5 * MINUTE)
    event = decoded(broker_r if broker == "r" else broker_t, tag, order=ORDER.replace("38=1000", "38=100000"))
    day.feed(event)
    assert [c.time_in_force for c in day.sent()] == [TimeInForce.AT_OPEN]


def test_two_ways_with_two_values_are_contradictory(broker_r):
    """Own tag, standard tag and group: equal values are one, others are refused."""
    same = (f"6063={ONE}", f"126={ONE}", "957=1", "958=EndTime", f"960={ONE}")
    assert params(broker_r, *same).end_ts == utc(ONE)
    for other in ((f"6063={ONE}", f"126={NOON}"), ("6064=10", "957=1", "958=MaxPctVol", "960=0.2")):
        event = decoded(broker_r, *other)
        assert isinstance(event, Garbled)
        assert event.code == "contradictory_parameter"


def test_an_amend_speaks_the_dialect_and_takes_no_defaults(broker_r):
    """What a G leaves out stays as it is, whatever the profile's defaults are."""
    profile = msgspec.structs.replace(broker_r, defaults=(("Urgency", "5"),), strategy=int(Strategy.VWAP))
    event = decoded(profile, "6064=20", order=ORDER.replace("35=D", "35=G").replace("847=1001|", "") + "41=K0|")
    assert isinstance(event, ReplaceRequested)
    assert (event.given, event.params.max_pct_vol, event.strategy) == (("max_pct_vol",), 200_000, 0)


def test_defaults_stand_in_for_what_an_order_leaves_out():
    """Strategy and parameters; what the order says holds, even the common default, and a strategy gets what it takes."""
    defaults = (("MaxPctVol", "0.1"), ("Urgency", "5"), ("DisplayQty", "300"))
    profile = ClientProfile("CLIENT1", strategy=int(Strategy.VWAP), defaults=defaults)
    plain = ORDER.replace("847=1001|", "")
    event = decoded(profile, order=plain)
    assert isinstance(event, ParentRequested)
    assert (event.strategy, event.params) == (Strategy.VWAP, AlgoParams(max_pct_vol=100_000, urgency=5, display_qty=300))
    assert params(profile, "957=1", "958=Urgency", "960=3").urgency == 3
    assert params(profile, order=plain + "847=1004|") == AlgoParams(max_pct_vol=100_000, display_qty=300)
    assert isinstance(missing := decoded(ClientProfile("CLIENT1"), order=plain), Garbled)
    assert missing.code == "missing_field"


def test_only_agreed_strategies_are_accepted():
    """By name, with 103=11."""
    day = Day(policy_loaded(profiles=(ClientProfile("CLIENT1", algos=(1, 1004)),)))
    day.quote()
    (report,) = day.parent("P1")
    assert (report.ord_status, report.ord_rej_reason) == (OrdStatus.REJECTED, 11)
    assert report.text == "strategy_not_allowed: TargetStrategy (847) 1001 TWAP is not agreed for CLIENT1; use 1 VWAP, 1004 ICEBERG"
    assert day.parent("P2", strategy=Strategy.VWAP)[0].ord_status is OrdStatus.NEW
    assert day.parent("P1", session="CLIENT2")[0].ord_status is OrdStatus.NEW


def test_children_go_to_agreed_venues_alone():
    """Resting and crossing; where only the other venue shows a price, nothing leaves."""
    day = Day(policy_loaded(profiles=(ClientProfile("CLIENT1", venues=("XLIT2",)),)))
    for urgency in (1, 5):
        day.quote()
        day.parent(f"P{urgency}", 10_000, minutes=2, urgency=urgency, max_pct_vol=1_000_000)
        for _ in range(4):
            day.trade(100_000)
            day.wait(30_000_000_000)
            day.quote()
    assert {c.venue for c in day.sent()} == {"XLIT2"}


# What a profile of CLIENT1 says, what own.toml does, and three parts of the error.
BAD = [
    ('venue = "XLIT1"', "", "profiles 'CLIENT1'", "unknown field `venue`", "known here: client, strategy"),
    ('venues = ["XDARK"]', "", "profiles 'CLIENT1' venues", "'XDARK' is no venue here", "XLIT1, XLIT2"),
    ('algos = ["OPEN"]', "", "profiles 'CLIENT1'", "'OPEN' is no strategy that is built", "VWAP, POV"),
    ('strategy = "POV"\nalgos = ["VWAP"]', "", "profiles 'CLIENT1'", "not among `algos`", "add it"),
    ('fills_ms = -1', "", "profiles 'CLIENT1'", "`fills_ms`", "0 and 3600000"),
    ('[profiles.defaults]\nMaxPct = "0.1"', "", "profiles 'CLIENT1'", "'MaxPct' is no parameter", "MaxPctVol"),
    ('[profiles.defaults]\nMaxPctVol = "15"', "", "profiles 'CLIENT1'", "15 is not within", "0.15 is 15 %"),
    ('[profiles.defaults]\nOpenAuction = "yes"', "", "profiles 'CLIENT1'", "OpenAuction", "is not Y or N"),
    ('[profiles.defaults]\nEndTime = "20190628-12:00:00"', "", "profiles 'CLIENT1'", "EndTime", "leave it out"),
    ('[[profiles]]\nclient = "CLIENT1"', "", "profiles 'CLIENT1' client", "one profile", "together"),
    ('dialect = "none.toml"', "", "none.toml", "No such file", ""),
    ('dialect = "own.toml"', 'tags = [{ tag = 6001, name = "X", parameter = "Y" }]', "own.toml: tags 'X'", "'Y' is no", "MaxPct"),
    ('dialect = "own.toml"', 'tags = [{ tag = 44, name = "X" }]', "own.toml: tags 'X'", "`tag` is below 5000", ""),
    ('dialect = "own.toml"', 'tags = [{ tag = 6001, name = "X", percent = true }]', "own.toml: tags 'X'", "`percent`", ""),
    (
        'dialect = "own.toml"', 'tags = [{ tag = 6001, name = "X", parameter = "Urgency", values = { A = "9" } }]',
        "own.toml: tags 'X'", "`values` A: Urgency: 9 is not within", "1 and 5",
    ),
    ('dialect = "own.toml"', 'tags = [{ tag = 6001, name = "X" }]\nignored = [6001]', "own.toml", "6001 is there more", "once"),
    ('dialect = "own.toml"', 'tags = [{ tag = 6001, nam = "X" }]', "own.toml: tags 6001", "unknown field `nam`", "known here"),
]  # fmt: skip


@pytest.mark.parametrize(("profile", "dialect", "where", "what", "instead"), BAD, ids=lambda v: "")
def test_a_bad_profile_is_named(tmp_path, profile, dialect, where, what, instead):
    """File, entry, key and what would be right."""
    with pytest.raises(BadConfig) as found:
        configured(tmp_path, f'[[profiles]]\nclient = "CLIENT1"\n{profile}\n', dialect)
    assert all(part in str(found.value) for part in (where, what, instead)), found.value


def test_the_example_in_the_shipped_configuration_is_right(tmp_path):
    """The lines that are commented out there work when they are not."""
    text = (ROOT / "cfg" / "server.toml").read_text()
    example = text[text.index("# [[profiles]]") :].split("\n\n")[0]
    (profile,) = configured(tmp_path, "\n" + "\n".join(line[2:] for line in example.splitlines()))
    assert (profile.client, profile.strategy, profile.algos, profile.venues) == ("CLIENT1", 1, (1, 1001), ("XLIT1",))
    assert profile.defaults == (("MaxPctVol", "0.15"),)
    assert profile.has_dialect


def test_a_dialect_is_part_of_the_configurations_digest(tmp_path):
    """A journal says by which tags it was written."""
    entry = '[[profiles]]\nclient = "CLIENT1"\ndialect = "own.toml"\n'
    digests = set()
    for tag in (6001, 6002):
        configured(tmp_path, entry, f'tags = [{{ tag = {tag}, name = "X" }}]')
        digests.add(load(tmp_path / "server.toml").setup.digest)
    assert len(digests) == 2
