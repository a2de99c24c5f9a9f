"""FIXatdl 1.1 of every strategy: the file from which an order ticket is drawn, checked and sent.

Rule 1: no parameter is declared here; names, tags, ranges and choices are those of domain/params, of what is built.
Rule 2: a kind of parameter has one type on the wire, one control on the ticket and one place there.
Rule 3: an EDIT repeats a rule of the server, so that the trader hears it before the order leaves.
Source: FIXatdl 1.1 with Errata 20101221.
"""

import re
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from algoserver import __version__
from algoserver.domain.params import BY_NAME, NO_PARAMS, USES, Param, Use
from algoserver.domain.types import OrdType, Strategy, ppm_text

SPACE = "http://www.fixprotocol.org/FIXatdl-1-1"
TARGET_STRATEGY = "847"
# FIX 4.4 ends at 956. DisplayQty so goes out as MaxShow (210), which 5.0 has still, and not as 1138, which 4.4 has not.
FIX_44_TAG_MAX = 956


class Kind(NamedTuple):
    """How a kind of parameter travels and looks: type on the wire, control, panel of the ticket, attributes of the control."""

    wire: str
    control: str
    panel: str
    attributes: tuple[tuple[str, str], ...] = ()


# A spinner of shares has neither increment nor first value: tickets differ in whether they show 0.15 or 15.
KINDS = {
    "time": Kind("UTCTimestamp_t", "Clock_t", "Times"),
    "share": Kind("Percentage_t", "SingleSpinner_t", "Participation"),
    "int": Kind("Int_t", "SingleSpinner_t", "Participation", (("increment", "1"),)),
    "price": Kind("Price_t", "SingleSpinner_t", "Price and size", (("incrementPolicy", "Tick"),)),
    "qty": Kind("Qty_t", "SingleSpinner_t", "Price and size", (("incrementPolicy", "LotSize"),)),
    "choice": Kind("String_t", "DropDownList_t", "Completion"),
    "flag": Kind("Boolean_t", "CheckBox_t", "Completion"),
}


class Rule(NamedTuple):
    """`name` must stand to `other` as `operator` says, where both are given. EX: `name` needs `other`; NX: Y does not go with it."""

    name: str
    operator: str
    other: str
    message: str


EDITS = (
    Rule("EndTime", "GT", "StartTime", "EndTime must be after StartTime."),
    Rule("MinPctVol", "LE", "MaxPctVol", "MinPctVol must not exceed MaxPctVol."),
    Rule("TargetPctVol", "LE", "MaxPctVol", "TargetPctVol must not exceed MaxPctVol."),
    Rule("IWouldPct", "EX", "IWouldPrice", "IWouldPct is the share that IWouldPrice completes: give IWouldPrice too."),
    Rule("OpenAuction", "NX", "StartTime", "OpenAuction begins with the open: leave StartTime out."),
    Rule("CloseAuction", "NX", "EndTime", "CloseAuction goes on to the close: leave EndTime out."),
)


def export() -> str:
    """The FIXatdl document, for every strategy in USES."""
    root = Element("Strategies", {
        "xmlns": f"{SPACE}/Core", "xmlns:val": f"{SPACE}/Validation", "xmlns:lay": f"{SPACE}/Layout",
        "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance", "xsi:schemaLocation": f"{SPACE}/Core fixatdl-core-1-1.xsd",
        "strategyIdentifierTag": TARGET_STRATEGY, "changeStrategyOnCxlRpl": "false", "tag957Support": "true",
    })  # fmt: skip
    for strategy, use in USES.items():
        _strategy(root, strategy, use)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def exported(use: Use) -> list[Param]:
    """The parameters that a strategy takes and that are built, in the order of their declaration."""
    return [p for p in BY_NAME.values() if p.name in use.takes]


def wire_tag(param: Param) -> int:
    """The tag that carries a parameter in FIX 4.4 and 5.0 alike; 0 for one that goes by name in the group 957."""
    return next((tag for tag in param.tags if tag <= FIX_44_TAG_MAX), 0)


def _strategy(root: Element, strategy: Strategy, use: Use) -> None:
    element = SubElement(root, "Strategy", {
        "name": strategy.name, "uiRep": strategy.name, "wireValue": str(int(strategy)), "version": __version__, "fixMsgType": "D",
    })  # fmt: skip
    params = exported(use)
    for param in params:
        _parameter(element, param, is_required=param.name in use.needs)
    # The schema wants this order: parameters, layout, edits.
    _layout(element, params)
    _edits(element, {p.name for p in params}, use)


def _parameter(strategy: Element, param: Param, is_required: bool) -> None:
    element = SubElement(strategy, "Parameter", {"name": param.name, "xsi:type": KINDS[param.kind].wire})
    tag = wire_tag(param)
    if tag:
        element.set("fixTag", str(tag))
        element.set("definedByFIX", "true")
    element.set("use", "required" if is_required else "optional")
    element.set("mutableOnCxlRpl", "true" if param.is_mutable else "false")
    if param.kind in ("share", "int"):
        show = ppm_text if param.kind == "share" else str
        element.set("minValue", show(param.least))
        element.set("maxValue", show(param.most))
    if param.kind == "flag":
        element.set("trueWireValue", "Y")
        element.set("falseWireValue", "N")
    SubElement(element, "Description").text = f"{param.meaning}; default: {param.default}"
    for choice in param.choices:
        SubElement(element, "EnumPair", {"enumID": choice, "wireValue": choice})


def _layout(strategy: Element, params: list[Param]) -> None:
    ticket = SubElement(SubElement(strategy, "lay:StrategyLayout"), "lay:StrategyPanel", {"orientation": "VERTICAL"})
    panels: dict[str, Element] = {}
    for param in params:
        title = _panel(param)
        if title not in panels:
            panels[title] = SubElement(ticket, "lay:StrategyPanel", {"title": title, "orientation": "VERTICAL", "border": "Line"})
        _control(panels[title], param)


def _panel(param: Param) -> str:
    # The one share that is not of the market's volume stands beside the price that it belongs to.
    return KINDS["price" if param.name == "IWouldPct" else param.kind].panel


def _control(panel: Element, param: Param) -> None:
    kind = KINDS[param.kind]
    element = SubElement(panel, "lay:Control", {
        "ID": f"c_{param.name}", "xsi:type": f"lay:{kind.control}", "parameterRef": param.name, "label": _label(param),
        "tooltip": f"{param.meaning}; default: {param.default}", **dict(kind.attributes),
    })  # fmt: skip
    # Only where the default is a value: "now", "the close" and "none" are said by leaving the control empty.
    default = getattr(NO_PARAMS, param.field)
    if param.kind == "flag":
        element.set("initValue", "true" if default else "false")
    elif param.kind in ("int", "choice"):
        element.set("initValue", str(default))
    for choice in param.choices:
        SubElement(element, "lay:ListItem", {"enumID": choice, "uiRep": choice.capitalize()})


def _label(param: Param) -> str:
    """MaxPctVol: "Max % Vol"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", param.name).replace("Pct", "%")


def _edits(strategy: Element, names: set[str], use: Use) -> None:
    for rule in EDITS:
        if {rule.name, rule.other} <= names:
            either = SubElement(_edit(strategy, rule.message), "val:Edit", {"logicOperator": "OR"})
            SubElement(either, "val:Edit", {"field": rule.name, "operator": "NX"})
            if rule.operator in ("EX", "NX"):
                SubElement(either, "val:Edit", {"field": rule.other, "operator": rule.operator})
                if rule.operator == "NX":
                    SubElement(either, "val:Edit", {"field": rule.name, "operator": "NE", "value": "Y"})
            else:
                SubElement(either, "val:Edit", {"field": rule.other, "operator": "NX"})
                SubElement(either, "val:Edit", {"field": rule.name, "operator": rule.operator, "field2": rule.other})
    if use.needs_limit:
        both = SubElement(_edit(strategy, "A limit order is needed: OrdType 2 with a Price."), "val:Edit", {"logicOperator": "AND"})
        SubElement(both, "val:Edit", {"field": "FIX_OrdType", "operator": "EQ", "value": OrdType.LIMIT})
        SubElement(both, "val:Edit", {"field": "FIX_Price", "operator": "EX"})


def _edit(strategy: Element, message: str) -> Element:
    return SubElement(strategy, "val:StrategyEdit", {"errorMessage": message})
