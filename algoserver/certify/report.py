"""What a certification found: lines for a terminal, JSON for a machine, one HTML page for a file."""

import html
import json
from dataclasses import asdict, dataclass

from algoserver.certify.play import Played


@dataclass
class Result:
    """One scenario after the run."""

    chapter: str
    id: str
    title: str
    steps: list[Played]
    seconds: float

    @property
    def is_passed(self) -> bool:
        return all(step.state == "passed" for step in self.steps)


@dataclass
class Report:
    """A whole run. at: UTC when it began."""

    host: str
    port: int
    sender: str
    target: str
    fix: str
    symbol: str
    at: str
    results: list[Result]

    @property
    def failed(self) -> list[Result]:
        return [r for r in self.results if not r.is_passed]

    @property
    def is_passed(self) -> bool:
        return bool(self.results) and not self.failed


LEGEND = """Each step is one line of the script, above the message as it was on the wire: > we send, < the server must answer, ? it may,
! we do something else. A letter or digit is the MsgType (35), X and Y are orders; 58~TWAP: Text contains TWAP, 141=-: the tag is absent,
code=wrong_lot: Text begins with this code."""


def line(result: Result) -> str:
    """One scenario for a terminal; of a failed one the line that failed and every problem."""
    head = f"{'passed' if result.is_passed else 'FAILED'}  {result.id:18} {result.title}"
    failed = [step for step in result.steps if step.state == "failed"]
    return "\n".join([head, *(f"        {step.line}\n" + _indented(step.problem) for step in failed)])


def summary(report: Report) -> str:
    """The last line for a terminal."""
    passed, failed = len(report.results) - len(report.failed), len(report.failed)
    verdict = "certified" if report.is_passed else f"{failed} failed: {', '.join(r.id for r in report.failed)}"
    return f"{passed} of {len(report.results)} scenarios passed in {sum(r.seconds for r in report.results):.0f} s; {verdict}"


def to_json(report: Report) -> str:
    """The whole run as one object; `passed` of run and scenario are true or false."""
    raw = asdict(report)
    raw["passed"] = report.is_passed
    for result, of in zip(raw["results"], report.results, strict=True):
        result["passed"] = of.is_passed
    return json.dumps(raw, indent=1)


def to_html(report: Report) -> str:
    """One page that needs nothing else. What failed is open, what passed is folded."""
    chapters: dict[str, list[Result]] = {}
    for result in report.results:
        chapters.setdefault(result.chapter, []).append(result)
    title = f"FIX {report.fix} certification of {report.target}"
    verdict = "passed" if report.is_passed else "failed"
    facts = f"{report.sender} at {report.host}:{report.port}, {report.symbol}, {report.at} UTC"
    parts = [
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"/><title>{_text(title)}</title><style>{STYLE}</style></head><body>',
        f'<h1>{_text(title)}</h1><p class="verdict {verdict}">{_text(summary(report))}</p><p>{_text(facts)}</p><p><small>{_text(LEGEND)}</small></p>',
    ]
    for chapter, results in chapters.items():
        passed = sum(r.is_passed for r in results)
        parts.append(f"<h2>{_text(chapter)} <small>{passed} of {len(results)}</small></h2>")
        parts += [_scenario(result) for result in results]
    return "".join([*parts, "</body></html>\n"])


def _scenario(result: Result) -> str:
    state = "passed" if result.is_passed else "failed"
    opened = "" if result.is_passed else ' open="open"'
    name = f"<code>{_text(result.id)}</code> {_text(result.title)} <small>{result.seconds:.1f} s</small>"
    head = f'<summary><b class="{state}">{state}</b> {name}</summary>'
    return f"<details{opened}>{head}<table>{''.join(_step(step) for step in result.steps)}</table></details>"


def _step(step: Played) -> str:
    problem = f'<p class="problem">{_text(step.problem)}</p>' if step.problem else ""
    wire = f'<pre class="wire">{_text(step.wire)}</pre>' if step.wire else ""
    return f'<tr class="{step.state.replace(" ", "-")}"><td>{_text(step.state)}</td><td><code>{_text(step.line)}</code>{problem}{wire}</td></tr>'


def _text(text: str) -> str:
    # XML has no control characters, and a server may send any.
    return html.escape("".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text))


def _indented(text: str) -> str:
    return "\n".join(f"          {part}" for part in text.splitlines())


STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1c2430; background: #fff; }
h1 { font-size: 1.5rem; margin-bottom: .3rem; } h2 { font-size: 1.1rem; margin: 1.8rem 0 .4rem; } small { color: #68727f; font-weight: normal; }
.verdict { font-weight: 600; padding: .5rem .8rem; border-left: .3rem solid; } .verdict.passed { background: #eaf6ee; border-color: #1d7a3d; }
.verdict.failed { background: #fcebea; border-color: #b3261e; }
details { border-top: 1px solid #e1e5ea; padding: .35rem 0; } summary { cursor: pointer; }
b.passed { color: #1d7a3d; } b.failed { color: #b3261e; }
table { border-collapse: collapse; width: 100%; margin: .4rem 0 .6rem; table-layout: fixed; }
td { vertical-align: top; padding: .25rem .5rem; overflow-wrap: anywhere; } td:first-child { width: 6.5rem; color: #68727f; }
tr.failed { background: #fcebea; } tr.not-reached { opacity: .55; } .problem { color: #b3261e; margin: .2rem 0; white-space: pre-line; }
.wire { font-size: 12px; color: #45505d; white-space: pre-wrap; overflow-wrap: anywhere; margin: .15rem 0; } code { font-size: 13px; }
"""
