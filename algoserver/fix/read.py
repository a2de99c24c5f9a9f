"""One field of a client's message as a value, or what is wrong with it.

Rule: a refusal has a machine-readable code and a sentence that says what to change.
"""

from collections.abc import Mapping
from typing import TypeVar

from algoserver.domain import types
from algoserver.domain.params import Param, parse
from algoserver.domain.types import OnHalt, OrdType, Side, TimeInForce
from algoserver.fix import tags as t

UNKNOWN_SYMBOL, UNSUPPORTED_CHARACTERISTIC, INCORRECT_QTY, OTHER = 1, 11, 13, 99
ID_CHARS_MAX = 64
# By text, as they come; several times the speed of asking the enum.
SIDES = {s.value: s for s in Side}
ORD_TYPES = {o.value: o for o in (OrdType.MARKET, OrdType.LIMIT)}
TIMES_IN_FORCE = {i.value: i for i in TimeInForce if not i.is_auction}  # a parent takes part in auctions by its parameters
E = TypeVar("E")

Fields = Mapping[str, str]


class Unusable(Exception):
    """A message that can't be acted on: code, sentence, reason (103 or 380)."""

    def __init__(self, code: str, text: str, reason: int = OTHER) -> None:
        super().__init__(text)
        self.code, self.text, self.reason = code, text, reason


def need(f: Fields, tag: str, name: str) -> str:
    """A field that must be there and not be empty."""
    value = f.get(tag, "")
    if not value:
        raise Unusable("missing_field", f"{name} ({tag}) is missing")
    return value


def identifier(f: Fields, tag: str, name: str) -> str:
    """A ClOrdID or the like: printable, and no longer than we keep."""
    value = need(f, tag, name)
    # U+FFFD stands for bytes that were no text: two ids would be one.
    if len(value) > ID_CHARS_MAX or not value.isprintable() or "\ufffd" in value:
        raise Unusable("bad_id", f"{name} ({tag}) has more than {ID_CHARS_MAX} characters or some that can't be printed")
    return value


def choice(kind: Mapping[str, E], f: Fields, tag: str, name: str, allowed: str, default: str = "") -> E:
    """One of the values of `kind`, by its text. allowed: what a person may send instead."""
    value = f.get(tag, default) or need(f, tag, name)
    found = kind.get(value)
    if found is None:
        raise Unusable(f"unknown_{name.lower()}", f"{name} ({tag}) {value[:16]} is not supported; use {allowed}", UNSUPPORTED_CHARACTERISTIC)
    return found


def number(what: str, text: str, decimals: int, reason: int) -> int:
    """Decimal text to units of 10**-decimals."""
    try:
        return types.qty(text, decimals)
    except ValueError as e:
        code = "wrong_lot" if reason == INCORRECT_QTY else "bad_number"
        raise Unusable(code, f"{what}: {e}", reason) from e


def positive(what: str, text: str, decimals: int, reason: int) -> int:
    """A number where 0 would mean that it was left out."""
    found = number(what, text, decimals, reason)
    if found <= 0:
        raise Unusable("wrong_lot" if reason == INCORRECT_QTY else "bad_number", f"{what}: {text} is not above 0; leave it out or send more", reason)
    return found


def on_halt(f: Fields) -> OnHalt:
    """J or K of ExecInst (18), whose other values are not read."""
    found = [OnHalt(v) for v in f.get(t.EXEC_INST, "").split() if v in ("J", "K")] if t.EXEC_INST in f else []
    if len(set(found)) > 1:
        raise Unusable("contradictory_parameter", "ExecInst (18) has J (reinstate on a halt) and K (cancel on a halt); send one")
    return found[0] if found else OnHalt.WAIT


def whole(what: str, text: str) -> int:
    """A number without decimals."""
    return number(what, text, 0, OTHER)


def parameter(param: Param, text: str, decimals: int) -> int | str | bool:
    """An algo parameter's value; quantities have `decimals`."""
    try:
        return parse(param, text, decimals)
    except ValueError as e:
        raise Unusable("bad_parameter", f"{param.name}: {e}") from e
