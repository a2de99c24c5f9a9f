"""docs/controls.md: the table of controls, written from domain/controls and domain/limits, so that it can't say what is not so."""

from algoserver.domain.controls import CONTROLS, LEVELS, Control
from algoserver.domain.limits import LIMITS

HEAD = """# Controls

Written by `algoserver controls` from `domain/controls.py` and `domain/limits.py`; a test compares, and looks whether each named test
exists and whether each code of the gates is here. The software supports a firm's controls; it does not make it compliant.

A child's way out: algo, placement, router, **gate** (`core/risk.py`) and its books (`core/exposure.py`), journal, the wall's rate
(`dispatch.py`), wire. Levels: {levels}.

"""


def page() -> str:
    """The whole document."""
    levels = ", ".join(f"{letter} {name}" for letter, name in LEVELS.items())
    return HEAD.format(levels=levels) + "".join(_section(control) for control in CONTROLS) + _limits()


def _section(control: Control) -> str:
    lines = [f"## {control.number}. {control.name} ({', '.join(control.levels)})\n"]
    if control.does:
        lines.append(f"{control.does}\n")
    limits = [limit.key for limit in LIMITS if limit.control == control.number]
    for what, names in (("where", control.rooms), ("says", control.codes), ("limits", limits), ("tests", control.tests)):
        if names:
            lines.append(f"- {what}: {', '.join(f'`{name}`' for name in names)}")
    if control.missing:
        lines.append(f"- not here: {control.missing}")
    return "\n".join(lines) + "\n\n"


def _limits() -> str:
    lines = ["## The limits\n", "| key | unit | layers | counted by each layer | control | meaning |", "|---|---|---|---|---|---|"]
    lines += [
        f"| `{x.key}` | {x.unit} | {', '.join(x.layers)} | {'yes' if x.is_summed else 'no: the tightest holds'} | {x.control} | {x.meaning} |"
        for x in LIMITS
    ]
    return "\n".join(lines) + "\n"
