"""The journal's steps, and its values as an export writes them."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from algoserver.domain import commands as c
from algoserver.domain import events as e
from algoserver.domain.params import PARAMS, AlgoParams, given
from algoserver.domain.types import SECOND, px_text, utc_text
from algoserver.journal import Record

Row = dict[str, Any]
Step = tuple[e.Event, list[tuple[int, c.Command]]]


def steps(records: Iterable[Record], is_running: bool) -> Iterator[Step]:
    """Each event with its numbered commands. is_running: the last event's may not all be there, so it is left out."""
    event: e.Event | None = None
    said: list[tuple[int, c.Command]] = []
    for record in records:
        if record.kind == "I" and isinstance(record.payload, e.Event):
            if event is not None:
                yield event, said
            event, said = record.payload, []
        elif record.kind == "O" and isinstance(record.payload, c.Command):
            assert event is not None, f"output of event {record.seq} before any event"
            assert record.seq == event.seq, f"output of event {record.seq} behind event {event.seq}"
            said.append((record.n, record.payload))
    if event is not None and not is_running:
        yield event, said


def shown(row: Row) -> Row:
    """A row without what only we need of it."""
    return {name: value for name, value in row.items() if not name.startswith("_")}


def nano_text(ts: int) -> str:
    """UTC with nanoseconds."""
    return f"{utc_text(ts).partition('.')[0]}.{ts % SECOND:09d}"


def px(value: int) -> str:
    """A price; empty where there is none."""
    return px_text(value) if value else ""


def reason(code: int) -> int | str:
    """A code of FIX; empty where there is none."""
    return code if code >= 0 else ""


def params(params: AlgoParams, named: Iterable[str] = ()) -> str:
    """Parameters that are given, by FIX's names, as a JSON object."""
    fields = {*(p.field for p in given(params)), *named}
    said = {p.field: p.name for p in PARAMS if p.field in fields}
    values = {name: getattr(params, field) for field, name in said.items()}
    return msgspec.json.encode(values).decode() if values else ""
