"""docs/export.md, made from export/columns: `.venv/bin/python -m algoserver.export.page > docs/export.md`."""

from algoserver.export.columns import TABLES, Table

HEAD = """# The export: what surveillance and a regulator ask for

Made from `algoserver/export/columns.py` by `.venv/bin/python -m algoserver.export.page`; a test compares.

```sh
algoserver export --state state/server --out export                           # all of the journal
algoserver export --state state/server --out day --from 20190628 --to 20190629   # a day; or times, 20190628-13:30:00
```

It reads the journal and the audit of a state directory and writes nothing there; the server may run. `--from` is in the range, `--to` is not. The
folder appears when it is whole, with each table as JSON lines and as CSV (the same rows in the same order), and `export.json`: the range, the
journal's extent, the rows and sha256 of each file, the audit's head and whether its chain holds, the build that wrote it.

- A table of happenings has the rows of the range. `parents` and `children` have every order that a row of the range names, also where it
  came earlier, so that no id leads nowhere. Their last columns say how each stood at the end of the range.
- `id` is the same for the same journal, whatever the range. `order_id` joins all tables, `child_id` children with their events and executions.
- A command that was refused is no event: it is in the range by its wall time. The others are by their event's.
- A running server's last event may still lack its answers on disk, so it is left out; the next export has it.
- What is in the journal is exported, not what it should be: `algoserver replay` proves that each answer is the one that its event must have.
  A power failure can take the answers to the last event and leave the event; the next start sends them, and no file has them.
- A damaged journal ends it with the file, byte and line, exit status 1, and no folder; so does a damaged audit. `--until-damage` writes what is
  before the damage, says so in `export.json`, and exits with 6.

Kinds: `ns` is an integer, nanoseconds since 1970 UTC; `price` and `qty` are decimal text; `flag` is true or false; an empty text is nothing said.
"""


def page() -> str:
    """The whole document."""
    return HEAD + "".join(_section(table) for table in TABLES)


def _section(table: Table) -> str:
    rows = "".join(f"| `{c.name}` | {c.kind} | {c.meaning} |\n" for c in table.columns)
    return f"\n## {table.name}\n\nA row is {table.of}.\n\n| column | kind | meaning |\n|---|---|---|\n{rows}"


if __name__ == "__main__":
    print(page(), end="")
