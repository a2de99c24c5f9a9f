"""What a drill hands in: what had to hold and whether it did, and what was measured."""

import json
import time
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from algoserver.domain.types import utc_text
from algoserver.source import PACKAGE, source_hash


class Finding(msgspec.Struct, frozen=True):
    """One thing that must hold, and how it was found."""

    must_hold: str
    is_met: bool
    found: str


class Report(msgspec.Struct):
    """drill: its name. story: what was done. measured: name with its unit last -> figure. build: sha256 of the source that ran; begun: UTC."""

    drill: str
    story: str
    findings: list[Finding] = []
    measured: dict[str, Any] = {}
    wall_s: float = 0.0
    build: str = msgspec.field(default_factory=lambda: source_hash(PACKAGE))
    begun: str = msgspec.field(default_factory=lambda: utc_text(time.time_ns()))

    @property
    def is_passed(self) -> bool:
        """Whether all held; a drill that looked at nothing has not passed."""
        return bool(self.findings) and all(f.is_met for f in self.findings)

    def check(self, must_hold: str, is_met: bool, found: Any = "") -> None:
        """Note one finding."""
        self.findings.append(Finding(must_hold, bool(is_met), str(found)))

    def books(self, client: int, server: int, venue: int) -> None:
        """The three books must be one, and not of nothing."""
        text = f"client {client:,}, server {server:,}, venue {venue:,} shares"
        self.check("books of client, server and venue agree", client == server == venue > 0, text)


def show(report: Report, is_json: bool) -> int:
    """Print it; returns the exit status: 0 passed, 1 failed."""
    if is_json:
        print(json.dumps({"is_passed": report.is_passed, **msgspec.to_builtins(report)}, indent=2))
    else:
        console = Console()
        table = Table(title=f"drill {report.drill}: {'passed' if report.is_passed else 'FAILED'} in {report.wall_s:.1f} s", title_justify="left")
        for name in ("must hold", "", "found"):
            table.add_column(name, overflow="fold")
        for finding in report.findings:
            mark = Text("yes", style="green") if finding.is_met else Text("NO", style="red")
            table.add_row(Text(finding.must_hold), mark, Text(finding.found))
        console.print(Text(report.story))
        console.print(table)
        figures = Table(show_header=False)
        for name, value in report.measured.items():
            figures.add_row(name, Text(str(value)))
        console.print(figures)
    return 0 if report.is_passed else 1
