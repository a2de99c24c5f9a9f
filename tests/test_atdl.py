"""The export read back by itself: valid, equal to the declarations, and enough to send an order that is understood."""

import operator
import os
import random
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import pytest
from lxml import etree

from algoserver.atdl import EDITS, export
from algoserver.domain.commands import ReportParent
from algoserver.domain.events import ParentRequested
from algoserver.domain.params import BY_NAME, PARAMS, USES
from algoserver.domain.types import MINUTE, ExecType, Instrument, Strategy, utc, utc_text
from algoserver.fix.codec import decode_client
from tests.core.day import AAPL, OPEN_TS, Day

# The schema's licence allows no changed copies, and this project carries none: whoever has it names its folder here.
SCHEMA = os.environ.get("ALGOSERVER_FIXATDL_SCHEMA", "")
CORE, VAL, LAY = (f"{{http://www.fixprotocol.org/FIXatdl-1-1/{name}}}" for name in ("Core", "Validation", "Layout"))
TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
TYPES = {
    "time": "UTCTimestamp_t", "share": "Percentage_t", "int": "Int_t", "price": "Price_t", "qty": "Qty_t", "flag": "Boolean_t",
    "choice": "String_t",
}  # fmt: skip
INSTRUMENTS: dict[str, Instrument] = {"AAPL": AAPL}
Values = dict[str, str]


@pytest.fixture(scope="module")
def root() -> ElementTree.Element:
    """The export, parsed."""
    return ElementTree.fromstring(export())


def strategy_of(root: ElementTree.Element, strategy: Strategy) -> ElementTree.Element:
    """The element of a strategy, by what goes over the wire."""
    [found] = [e for e in root.iter(f"{CORE}Strategy") if e.get("wireValue") == str(int(strategy))]
    return found


@pytest.mark.skipif(not SCHEMA, reason="ALGOSERVER_FIXATDL_SCHEMA names no folder with the schema of FIXatdl 1.1")
def test_the_export_is_valid_by_the_schema():
    """fixatdl-core-1-1.xsd and the five that it imports."""
    schema = etree.XMLSchema(etree.parse(str(Path(SCHEMA) / "fixatdl-core-1-1.xsd")))
    schema.assertValid(etree.fromstring(export().encode()))


def test_every_strategy_is_there_once(root):
    """By name and TargetStrategy (847), as USES has them; parameters without a tag need the group 957."""
    found = [(e.get("name"), e.get("wireValue")) for e in root.iter(f"{CORE}Strategy")]
    assert found == [(s.name, str(int(s))) for s in USES]
    assert (root.get("strategyIdentifierTag"), root.get("tag957Support"), root.get("changeStrategyOnCxlRpl")) == ("847", "true", "false")


@pytest.mark.parametrize("strategy", USES)
def test_every_parameter_is_as_it_is_declared(root, strategy):
    """Name, type, tag, use, range and choices."""
    use = USES[strategy]
    element = strategy_of(root, strategy)
    assert [e.get("name") for e in element.iter(f"{CORE}Parameter")] == [p.name for p in PARAMS if p.name in use.takes]
    for found in element.iter(f"{CORE}Parameter"):
        param = BY_NAME[found.get("name", "")]
        assert found.get(TYPE) == TYPES[param.kind]
        assert (int(found.get("fixTag", "0")) in param.tags) == bool(param.tags)
        assert found.get("use") == ("required" if param.name in use.needs else "optional")
        assert found.get("mutableOnCxlRpl") == ("true" if param.is_mutable else "false")
        assert tuple(e.get("wireValue") for e in found.iter(f"{CORE}EnumPair")) == param.choices
        if param.kind in ("share", "int"):
            unit = 1_000_000 if param.kind == "share" else 1
            assert [Decimal(found.get(name, "")) * unit for name in ("minValue", "maxValue")] == [param.least, param.most]


@pytest.mark.parametrize("strategy", USES)
def test_every_parameter_has_its_control(root, strategy):
    """One each, with label and tooltip; the items of a list are the choices of its parameter."""
    element = strategy_of(root, strategy)
    controls = {e.get("parameterRef"): e for e in element.iter(f"{LAY}Control")}
    parameters = {e.get("name"): e for e in element.iter(f"{CORE}Parameter")}
    assert controls.keys() == parameters.keys()
    assert len(list(element.iter(f"{LAY}Control"))) == len(controls)
    for name, control in controls.items():
        assert control.get("label")
        assert control.get("tooltip")
        enums = [e.get("enumID") for e in parameters[name].iter(f"{CORE}EnumPair")]
        assert [e.get("enumID") for e in control.iter(f"{LAY}ListItem")] == enums


def test_display_qty_goes_out_as_a_tag_of_fix_44(root):
    """1138 came with 5.0."""
    tags = {e.get("fixTag") for e in root.iter(f"{CORE}Parameter") if e.get("name") == "DisplayQty"}
    assert tags == {"210"}


# ---- an EMS that knows nothing but the file


def legal(parameter: ElementTree.Element, rng: random.Random) -> str:
    """A value as it goes over the wire, by type, range and choices of the file."""

    def between(scale: int) -> Decimal:
        least, most = (int(Decimal(parameter.get(name, "")) * scale) for name in ("minValue", "maxValue"))
        return Decimal(rng.randint(least, most)) / scale

    enums = [e.get("wireValue", "") for e in parameter.iter(f"{CORE}EnumPair")]
    if enums:
        return rng.choice(enums)
    of_type: dict[str, Callable[[], str]] = {
        "UTCTimestamp_t": lambda: utc_text(OPEN_TS + rng.randint(1, 300) * MINUTE),
        "Percentage_t": lambda: f"{between(1_000_000):f}",
        "Int_t": lambda: f"{between(1):f}",
        "Price_t": lambda: f"{Decimal(rng.randint(19_500, 20_500)) / 100:f}",
        "Qty_t": lambda: str(rng.randint(1, 9) * 100),
        "Boolean_t": lambda: rng.choice([parameter.get("trueWireValue", ""), parameter.get("falseWireValue", "")]),
    }
    return of_type[parameter.get(TYPE, "")]()


COMPARE = {"EQ": operator.eq, "NE": operator.ne, "LT": operator.lt, "LE": operator.le, "GT": operator.gt, "GE": operator.ge}


def holds(edit: ElementTree.Element, values: Values) -> bool:
    """Evaluate an Edit, from left to right and no further than needed, as the standard says."""
    parts = (holds(e, values) for e in edit.findall(f"{VAL}Edit"))
    if edit.get("logicOperator"):
        return {"AND": all, "OR": any}[edit.get("logicOperator", "")](parts)
    field, how = edit.get("field", ""), edit.get("operator", "")
    if how in ("EX", "NX"):
        return (field in values) == (how == "EX")
    other = values[edit.get("field2", "")] if edit.get("field2") else edit.get("value", "")
    return bool(COMPARE[how](as_number(values[field]), as_number(other)))


def as_number(text: str) -> Decimal:
    """Times compare as numbers too, Y as 1."""
    return Decimal({"Y": "1", "N": "0"}.get(text) or (re.sub(r"[-:]", "", text) if ":" in text else text))


def broken(strategy: ElementTree.Element, values: Values) -> list[str]:
    """Messages of the edits that do not hold."""
    return [e.get("errorMessage", "") for e in strategy.iter(f"{VAL}StrategyEdit") if not holds(e.find(f"{VAL}Edit"), values)]


STANDARD = {"FIX_OrdType": "2", "FIX_Price": "200"}


def tickets(strategy: ElementTree.Element, seed: int) -> Iterator[Values]:
    """Every parameter set to something legal by itself."""
    rng = random.Random(seed)
    while True:
        yield {e.get("name", ""): legal(e, rng) for e in strategy.iter(f"{CORE}Parameter")}


def order(root: ElementTree.Element, strategy: ElementTree.Element, values: Values) -> str:
    """NewOrderSingle of a ticket: parameters with a tag in their tag, the others by name in the group 957."""
    pairs = [("35", "D"), ("11", "X"), ("55", "AAPL"), ("54", "1"), ("38", "1000"), ("40", "2"), ("44", "200")]
    pairs.append((root.get("strategyIdentifierTag", ""), strategy.get("wireValue", "")))
    grouped = []
    for parameter in strategy.iter(f"{CORE}Parameter"):
        name = parameter.get("name", "")
        if name in values and parameter.get("fixTag"):
            pairs.append((parameter.get("fixTag", ""), values[name]))
        elif name in values:
            grouped += [("958", name), ("960", values[name])]
    pairs += [("957", str(len(grouped) // 2)), *grouped] if grouped else []
    return "".join(f"{tag}={value}\x01" for tag, value in pairs)


def meant(wire_type: str, text: str) -> object:
    """What a wire value is in AlgoParams."""
    return {
        "UTCTimestamp_t": utc, "Percentage_t": lambda v: int(Decimal(v) * 10**6), "Price_t": lambda v: int(Decimal(v) * 10**8),
        "Int_t": int, "Qty_t": int, "Boolean_t": lambda v: v == "Y", "String_t": str,
    }[wire_type](text)  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("strategy", USES)
def test_an_order_from_the_file_alone_is_understood_and_taken(root, strategy, seed):
    """Every parameter set: the event has its value; the core admits what no edit objects to."""
    element = strategy_of(root, strategy)
    values = next(t for t in tickets(element, seed) if not broken(element, t | STANDARD))
    event = decode_client(order(root, element, values), "CLIENT1", INSTRUMENTS)
    assert isinstance(event, ParentRequested), event
    assert event.strategy == strategy
    for parameter in element.iter(f"{CORE}Parameter"):
        name = parameter.get("name", "")
        assert getattr(event.params, BY_NAME[name].field) == meant(parameter.get(TYPE, ""), values[name]), name
    assert answer(event).exec_type is ExecType.NEW, answer(event).text


def answer(event: ParentRequested) -> ReportParent:
    """The first report that the order gets some minutes before the open."""
    day = Day(now=OPEN_TS - 5 * MINUTE)
    day.quote()
    return next(c for c in day.feed(event) if isinstance(c, ReportParent))


# An IWouldPct without its price is idle, not wrong: there the ticket is stricter than the server.
@pytest.mark.parametrize("rule", [r for r in EDITS if r.operator != "EX"], ids=lambda r: r.name)
def test_what_an_edit_forbids_the_server_refuses(root, rule):
    """For every strategy that has both parameters, and nothing else wrong with the order."""
    tried = 0
    for strategy in USES:
        element = strategy_of(root, strategy)
        if rule.message not in [e.get("errorMessage") for e in element.iter(f"{VAL}StrategyEdit")]:
            continue
        values = next(t for t in tickets(element, 1) if broken(element, t | STANDARD) == [rule.message])
        event = decode_client(order(root, element, values), "CLIENT1", INSTRUMENTS)
        assert isinstance(event, ParentRequested)
        assert answer(event).exec_type is ExecType.REJECTED
        tried += 1
    assert tried


def test_edits_speak_of_parameters_that_exist():
    """And each is in the file of a strategy that takes both."""
    assert {name for r in EDITS for name in (r.name, r.other)} <= BY_NAME.keys()
    assert all(r.message in export() for r in EDITS)


@pytest.mark.parametrize("strategy", [s for s in USES if USES[s].needs_limit])
def test_a_strategy_that_needs_a_limit_says_so(root, strategy):
    """OrdType and Price are not parameters: an edit is the only place."""
    element = strategy_of(root, strategy)
    values = next(t for t in tickets(element, 1) if not broken(element, t | STANDARD))
    assert broken(element, values | {"FIX_OrdType": "1"}) == ["A limit order is needed: OrdType 2 with a Price."]
