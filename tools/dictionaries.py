"""Write sessions/FIX*.xml: QuickFIX's own dictionaries with what an algo server needs besides.

In D, G and 8: TargetStrategy (847), its parameters (957: 958, 959, 960) and rate (849), and DisplayQty (1138), where a version has
them not. The values of 847, Side, OrdType and TimeInForce are open: an unknown one reaches us, and is answered with an
ExecutionReport that says what to change instead of a session reject.
"""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STOCK = Path(sys.prefix) / "share" / "quickfix"
SESSIONS = ROOT / "sessions"
ADAPTED = ("FIX42", "FIX44", "FIX50SP2")
CARRIED = ("FIXT11",)
MESSAGES = {"NewOrderSingle", "OrderCancelReplaceRequest", "ExecutionReport"}
OPEN = ("TargetStrategy", "Side", "OrdType", "TimeInForce", "IOIQty")
FIELDS = {
    "TargetStrategy": (847, "INT"), "ParticipationRate": (849, "PERCENTAGE"), "NoStrategyParameters": (957, "NUMINGROUP"),
    "StrategyParameterName": (958, "STRING"), "StrategyParameterType": (959, "INT"), "StrategyParameterValue": (960, "STRING"),
    "DisplayQty": (1138, "QTY"), "MassStatusReqID": (584, "STRING"),
}  # fmt: skip
GROUP = """   <group name='NoStrategyParameters' required='N'>
    <field name='StrategyParameterName' required='Y' />
    <field name='StrategyParameterType' required='N' />
    <field name='StrategyParameterValue' required='N' />
   </group>
"""
HEAD = "<!-- %s as QuickFIX ships it (its licence: https://www.quickfixengine.org/license), with ours added by tools/dictionaries.py. -->\n"


def adapted(name: str) -> str:
    """The text of sessions/`name`.xml."""
    text = (STOCK / f"{name}.xml").read_text()
    text = re.sub(r"(<message [^>]*?name='(\w+)'.*?)(  </message>)", _with_ours, text, flags=re.DOTALL)
    for field in OPEN:
        text = re.sub(rf"(<field number='\d+' name='{field}' type='\w+')>.*?</field>", r"\1 />", text, flags=re.DOTALL)
    missing = [f"  <field number='{number}' name='{n}' type='{kind}' />\n" for n, (number, kind) in FIELDS.items() if f"name='{n}' type=" not in text]
    return HEAD % name + text.replace(" </fields>", "".join(missing) + " </fields>")


def _with_ours(found: "re.Match[str]") -> str:
    text, name, end = found.groups()
    if name not in MESSAGES:
        return found.group(0)
    for field in ("TargetStrategy", "ParticipationRate"):
        if f"'{field}'" not in text:
            text += f"   <field name='{field}' required='N' />\n"
    # FIX 5.0 has these two as components.
    if "StrategyParametersGrp" not in text:
        text += GROUP
    if "DisplayInstruction" not in text:
        text += "   <field name='DisplayQty' required='N' />\n"
    if name == "ExecutionReport" and "MassStatusReqID" not in text:
        text += "   <field name='MassStatusReqID' required='N' />\n"
    return text + end


def main() -> None:
    """Write them all, or with --check say which differ (exit 1)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    texts = {name: adapted(name) for name in ADAPTED} | {name: (STOCK / f"{name}.xml").read_text() for name in CARRIED}
    differing = [name for name, text in texts.items() if not (SESSIONS / f"{name}.xml").exists() or (SESSIONS / f"{name}.xml").read_text() != text]
    for name in differing:
        print(f"sessions/{name}.xml {'differs' if check else 'written'}")
        if not check:
            (SESSIONS / f"{name}.xml").write_text(texts[name])
    sys.exit(1 if check and differing else 0)


if __name__ == "__main__":
    main()
