"""docs/alerts.md, made from domain/alerts: `.venv/bin/python -m algoserver.alerts_page > docs/alerts.md`."""

from algoserver.domain.alerts import ALERTS, Ending, Kind, Owner, Severity

HEAD = """# Alerts

Made from `algoserver/domain/alerts.py` by `.venv/bin/python -m algoserver.alerts_page`; a test compares.

An alert has an id, a code, a subject (an order, a venue, a symbol, a scope), an owner (the function of the desk that must look) and a state:
**open**, **acknowledged** (a person knows; it is silent from then on) or **over** (what it said holds no more).
The same code on the same subject is one alert as long as it is open: it counts up (`times`) and is told once a minute of market time at most. One
that is over and comes back within a minute is the same alert, told at once up to three times a minute.
Alerts are journaled, so a restart keeps them.

    algoctl alert ls --owner risk
    algoctl alert ack ID --reason "called the venue"

They are lines of `log/server.jsonl` (`"event": "alert"`, and `"alert over"`); critical ones and warnings also appear on the server's terminal, go to
`[alerts] webhook` of `cfg/server.toml` as one JSON object each, and are counted by `[metrics]`. A start tells the webhook again what is open and not
acknowledged, and what was over in the last minute (`"is_repeated": true`, with the same id): a killed process may not have told it.

"""
WORDS = {
    Severity.CRITICAL: "Money or control is at risk now.",
    Severity.WARNING: "A person must look.",
    Severity.INFO: "To be known; without an end it is over as soon as it is told.",
}


def page() -> str:
    """The whole page."""
    owners = "".join(f"- `{owner.value}`: {OWNERS[owner]}\n" for owner in Owner)
    return HEAD + owners + "".join(_part(severity) for severity in Severity)


OWNERS = {
    Owner.TRADER: "who works the orders",
    Owner.RISK: "who answers for limits, stops and positions",
    Owner.OPERATOR: "who runs the server and its venues",
    Owner.FIX_DESK: "who talks with clients and venues about messages",
}


def _part(severity: Severity) -> str:
    rows = [_row(k) for k in ALERTS.values() if k.severity is severity]
    head = "| code | owner | means | what to do | is over when |\n|---|---|---|---|---|\n"
    return f"\n## {severity.value}\n\n{WORDS[severity]}\n\n{head}{''.join(rows)}"


def _row(k: Kind) -> str:
    enders = [f"`{e.code}`" for e in ALERTS.values() if k.code in e.ends]
    over = " or ".join([*enders, *([k.ending.value] if k.ending is not Ending.NOTHING else [])])
    return f"| `{k.code}` | {k.owner.value} | {k.meaning} | {k.to_do} | {over or '-'} |\n"


if __name__ == "__main__":
    print(page(), end="")
