"""The tables of docs/rules-of-engagement.md that domain/params knows better than a writer: parameters, and who takes them.

A table stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->`; the rest of the document is written by hand.
"""

from collections.abc import Callable, Mapping, Sequence

from algoserver.domain.params import PARAMS, USES, Param, Use, bounds

TYPES = {
    "time": "UTCTimestamp", "share": "fraction", "int": "whole number", "price": "price", "qty": "quantity", "flag": "Y or N", "choice": "choice",
}  # fmt: skip


class NoPlace(Exception):
    """The document has no place for a table; the text says which."""


def render(document: str, tables: Mapping[str, Callable[[], str]] | None = None) -> str:
    """A document with its tables as the declarations say today. tables: those of the rules of engagement. Raises NoPlace."""
    for name, table in (TABLES if tables is None else tables).items():
        document = placed(document, name, table())
    return document


def placed(document: str, name: str, table: str) -> str:
    """The document with one table in its place. Raises NoPlace."""
    begin, end = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->"
    head, has_begin, rest = document.partition(begin)
    _, has_end, tail = rest.partition(end)
    if not (has_begin and has_end):
        raise NoPlace(f"no lines {begin.strip()} and {end}")
    return head + begin + table + end + tail


def parameters() -> str:
    """Every parameter: how it is sent, what may be sent, what it means."""
    rows = [(p.name, _tags(p), TYPES[p.kind], bounds(p) or "-", p.default, _amendable(p), p.meaning) for p in PARAMS]
    return table(("parameter (958)", "or tag", "type", "range", "default", "G may change it", "meaning"), rows)


def strategies() -> str:
    """Which strategy takes which parameter: R required, o optional, - refused."""
    rows = [(p.name, *(_use(use, p.name) for use in USES.values())) for p in PARAMS]
    rows.append(("Price (44)", *("R" if use.needs_limit else "o" for use in USES.values())))
    return table(("", *(f"{s.name} {int(s)}" for s in USES)), rows)


TABLES: dict[str, Callable[[], str]] = {"parameters": parameters, "strategies": strategies}


def _tags(param: Param) -> str:
    return ", ".join(str(tag) for tag in param.tags) or "-"


def _amendable(param: Param) -> str:
    return "yes" if param.is_mutable else "no"


def _use(use: Use, name: str) -> str:
    if name in use.needs:
        return "R"
    return "o" if name in use.takes else "-"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
