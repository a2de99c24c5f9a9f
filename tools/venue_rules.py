"""Write the rules of docs/simulator.md: what the simulator's rooms say of themselves, by id.

A rule is a paragraph of a room's docstring that begins with its id ("STOP-1: ..."). tests/sim/test_rules.py looks for a test of each.
"""

import argparse
import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "simulator.md"
ROOMS = ROOT / "algoserver" / "sim"
MARK = "<!-- rules: tools/venue_rules.py writes what follows -->\n"
RULE = re.compile(r"^([A-Z]+-\d+)(?: ([a-z_]+))?: ", re.MULTILINE)


def rules() -> dict[str, dict[str, str]]:
    """By room, then by id: the rule in one line."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(ROOMS.glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        starts = [*RULE.finditer(text)]
        for start, following in zip(starts, [*starts[1:], None][: len(starts)], strict=True):
            body = text[start.end() : following.start() if following else len(text)]
            body = re.split(r"\n(?=Rule \d+:|\n)", body)[0]
            name = f"`{start[2]}`: " if start[2] else ""
            found.setdefault(path.stem, {})[start[1]] = name + " ".join(body.split())
    return found


def page() -> str:
    """The whole text of the page, its rules anew."""
    head = PAGE.read_text().partition(MARK)[0]
    tables = []
    for room, said in rules().items():
        rows = "\n".join(f"| {number} | {text.replace('|', '/')} |" for number, text in said.items())
        tables.append(f"### [{room}.py](../algoserver/sim/{room}.py)\n\n| id | rule |\n|---|---|\n{rows}\n")
    return head + MARK + "\n" + "\n".join(tables)


def main() -> None:
    """Write the page, or with --check say whether it differs (exit 1)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    text = page()
    differs = PAGE.read_text() != text
    if differs:
        print(f"docs/simulator.md {'differs' if check else 'written'}")
    if differs and not check:
        PAGE.write_text(text)
    sys.exit(1 if check and differs else 0)


if __name__ == "__main__":
    main()
