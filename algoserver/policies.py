"""The policy's file to RiskPolicy, and what changes between two: cfg/policy.toml.

The file's top level is the firm; [[desks]], [[clients]], [[symbols]], [[algos]] and [[venues]] are its layers, each entry by name.

Rule 1: an error names file, layer and key. A layer that is looser than what it stands under is one: it would promise what never holds.
Rule 2: a change is a raise if anything that was refused may pass by it. Raises need two persons, the rest one.
"""

import hashlib
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from algoserver.domain.limits import LAYERS, LIMITS, UNSET, Limit, Limits
from algoserver.domain.policy import Layer, Permits, RiskPolicy
from algoserver.domain.types import PPM_ONE, PX_ONE, SECOND, Strategy, ppm, ppm_text, px_text
from algoserver.settings import BadConfig, Entry, convert

FIRM = "firm"
KINDS = {"desks": "desk", "clients": "client", "symbols": "symbol", "algos": "algo", "venues": "venue"}
# Without these the gate could let anything pass: a firm must set them.
REQUIRED = (
    "parent_qty_max", "parent_value_max", "parent_adv_max", "parents_per_second_max", "child_qty_max", "child_value_max",
    "children_open_max", "collar", "collar_ticks",
)  # fmt: skip
# Ways to behave, each from the loosest to the tightest.
MODES = {"short_sale": ("allowed", "locate", "refused"), "on_disconnect": ("keep", "pause", "cancel"), "self_match": ("off", "firm")}
ALLOWED = {field: f"allow_{field}" for field in ("algos", "symbols", "venues", "venue_kinds", "ord_types")}
KNOWN = {"algos": tuple(s.name for s in Strategy), "venue_kinds": ("lit", "dark"), "ord_types": ("LIMIT", "MARKET")}
# The firm's alone: key in the file, field, how many of the field's units one of the file's is, and whether more of it lets more pass.
FIRM_ALONE = (
    ("duplicate_window_s", "duplicate_window_ns", SECOND, False),
    ("reference_age_s_max", "reference_age_ns_max", SECOND, True),
    ("venue_messages_per_second_max", "venue_messages_per_second_max", 1, True),
    ("venue_messages_per_day_max", "venue_messages_per_day_max", 1, True),
    ("confirm_window_s", "confirm_window_ns", SECOND, True),
    ("repeats_window_s", "repeats_window_ns", SECOND, False),
    ("traded_window_s", "traded_window_ns", SECOND, True),
    ("order_to_trade_min", "order_to_trade_min", 1, True),
)


def _texts() -> Any:
    return msgspec.field(default_factory=list)


_OF_A_LAYER: list[Any] = [
    *((limit.key, (str if limit.unit == "share" else int) | None, None) for limit in LIMITS),
    *((key, list[str], _texts()) for key in ALLOWED.values()),
    ("restricted", list[str], _texts()),
    ("short_sale", str, ""),
    ("on_disconnect", str, ""),
    ("active", bool, True),
]
# Made from the one table of limits, so that the file can't know another set of them.
LayerEntry: Any = msgspec.defstruct(
    "LayerEntry", [("name", str), ("clients", list[str], _texts()), *_OF_A_LAYER], bases=(Entry,), frozen=True, kw_only=True
)
PolicyFile: Any = msgspec.defstruct(
    "PolicyFile",
    [
        ("name", str), *_OF_A_LAYER, *((key, int) for key, *_ in FIRM_ALONE), ("traded_free", str, "0.0002"), ("self_match", str, "firm"),
        *((key, list[LayerEntry], _texts()) for key in KINDS),
    ],
    bases=(Entry,), frozen=True, kw_only=True,
)  # fmt: skip


class Names(NamedTuple):
    """What a policy may speak of: clients, symbols and venues that are configured."""

    clients: tuple[str, ...]
    symbols: tuple[str, ...]
    venues: tuple[str, ...]


class Change(NamedTuple):
    """One difference. where: firm, client:X and so on; key: the file's; old, new: as text, "" for none."""

    where: str
    key: str
    old: str
    new: str
    is_raise: bool


def digest_of(text: bytes) -> str:
    """The version of a policy: sha256 of its file."""
    return hashlib.sha256(text).hexdigest()


def load_policy(path: Path, names: Names | None = None) -> RiskPolicy:
    """Read a policy's file. Raises BadConfig."""
    try:
        return parse_policy(path.read_bytes(), str(path), names)
    except OSError as e:
        raise BadConfig(f"{path}: {e.strerror}") from e


def parse_policy(text: bytes, source: str, names: Names | None = None) -> RiskPolicy:
    """A policy from its file's text. source: what an error calls it. names: what it may speak of, None: anything. Raises BadConfig."""
    try:
        raw = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise BadConfig(f"{source}: {e}") from e
    file = convert(raw, PolicyFile, source)
    try:
        policy = _policy(file)
        _check_layers(policy)
        if names is not None:
            check_names(policy, names)
    except ValueError as e:
        raise BadConfig(f"{source}: {e}") from e
    return policy


def diff(old: RiskPolicy, new: RiskPolicy) -> list[Change]:
    """What changes from one policy to another, the firm first."""
    before, after = _rows(old), _rows(new)
    changes = []
    for where, key in dict.fromkeys((*before, *after)):
        a, b = before.get((where, key), _NOTHING), after.get((where, key), _NOTHING)
        if a.text != b.text:
            changes.append(Change(where, key, a.text, b.text, bool(_is_raise(a, b))))
    return changes


def value_text(limit: Limit, value: int) -> str:
    """A limit's value as the file has it; "" where it is not set."""
    if value == UNSET:
        return ""
    return {"value": px_text, "share": ppm_text}.get(limit.unit, str)(value)


class _Row(NamedTuple):
    """One setting: as text, as something to compare, and how. more: larger is looser; less: smaller is; allow, deny: sets; any: each change is."""

    text: str = ""
    value: Any = None
    kind: str = "any"


_NOTHING = _Row()


def _rows(policy: RiskPolicy) -> dict[tuple[str, str], _Row]:
    rows: dict[tuple[str, str], _Row] = {}
    for key, field, unit, is_looser in FIRM_ALONE:
        value = getattr(policy, field) // unit
        rows[FIRM, key] = _Row(str(value), value, "more" if is_looser else "less")
    rows[FIRM, "traded_free"] = _Row(ppm_text(policy.traded_free_ppm), policy.traded_free_ppm, "more")
    rows[FIRM, "self_match"] = _Row(policy.self_match, -MODES["self_match"].index(policy.self_match), "more")
    for where, limits, permits, clients in (
        (FIRM, policy, policy.permits, ()), *((x.scope, x.limits, x.permits, x.clients) for x in policy.layers)
    ):  # fmt: skip
        for limit in LIMITS:
            value = getattr(limits, limit.field)
            if value != UNSET:
                rows[where, limit.key] = _Row(value_text(limit, value), value, "more")
        for field, key in ALLOWED.items():
            if getattr(permits, field):
                rows[where, key] = _Row(", ".join(getattr(permits, field)), set(getattr(permits, field)), "allow")
        if permits.restricted:
            rows[where, "restricted"] = _Row(", ".join(permits.restricted), set(permits.restricted), "deny")
        for key in ("short_sale", "on_disconnect"):
            if getattr(permits, key):
                rows[where, key] = _Row(getattr(permits, key), -MODES[key].index(getattr(permits, key)), "more")
        if not permits.is_active:
            rows[where, "active"] = _Row("false", {1}, "deny")
        if clients:
            rows[where, "clients"] = _Row(", ".join(clients))
    return rows


def _is_raise(a: _Row, b: _Row) -> bool:
    """Whether b lets pass what a refused. A limit that is taken away does; one that is new does not."""
    kind = a.kind if a.text else b.kind
    if kind == "any":
        return True
    if kind == "deny":
        return not (a.value or set()) <= (b.value or set())
    if not a.text:
        return False
    if not b.text:
        return True
    if kind == "allow":
        return not b.value <= a.value
    return bool(b.value > a.value if kind == "more" else b.value < a.value)


def _policy(file: Any) -> RiskPolicy:
    missing = [key for key in REQUIRED if getattr(file, key) is None]
    if missing:
        raise ValueError(f"`{missing[0]}` is missing: the firm must set it")
    own = {}
    for key, field, unit, _ in FIRM_ALONE:
        value = getattr(file, key)
        if value < 0:
            raise ValueError(f"`{key}` is negative")
        own[field] = value * unit
    if file.self_match not in MODES["self_match"]:
        raise ValueError(f"`self_match` is one of {', '.join(MODES['self_match'])}")
    layers = []
    for plural, kind in KINDS.items():
        for entry in getattr(file, plural):
            where = f"{plural} {entry.name!r} "
            clients = tuple(entry.clients)
            layers.append(Layer(kind=kind, name=entry.name, limits=_limits(entry, where, kind), permits=_permits(entry, where), clients=clients))
    limits = _limits(file, "", FIRM)
    return RiskPolicy(
        name=file.name, **own, traded_free_ppm=_share("", "traded_free", file.traded_free), self_match=file.self_match,
        permits=_permits(file, ""), layers=tuple(layers), **{f: getattr(limits, f) for f in Limits.__struct_fields__},
    )  # fmt: skip


def _limits(entry: Any, where: str, kind: str) -> Limits:
    values = {}
    for limit in LIMITS:
        given = getattr(entry, limit.key)
        if given is None:
            continue
        if kind not in limit.layers:
            raise ValueError(f"{where}`{limit.key}` can't be set for a {kind}; it is for {', '.join(limit.layers)}")
        if limit.unit == "share":
            values[limit.field] = _share(where, limit.key, given)
        elif given < 0:
            raise ValueError(f"{where}`{limit.key}` is negative")
        else:
            values[limit.field] = given * PX_ONE if limit.unit == "value" else given
    return Limits(**values)


def _share(where: str, key: str, text: str) -> int:
    try:
        share = ppm(text)
    except ValueError:
        share = 0
    if not 0 < share <= PPM_ONE:
        # A per cent that was meant as a fraction is a limit that never holds: "25" is 2,500 %.
        raise ValueError(f'{where}`{key}` is {text!r}; it must be a fraction above 0 to 1, as text: "0.05" is 5 %')
    return share


def _permits(entry: Any, where: str) -> Permits:
    for key in ("short_sale", "on_disconnect"):
        if getattr(entry, key) not in ("", *MODES[key]):
            raise ValueError(f"{where}`{key}` is one of {', '.join(MODES[key])}")
    for field, known in KNOWN.items():
        strange = [name for name in getattr(entry, ALLOWED[field]) if name not in known]
        if strange:
            raise ValueError(f"{where}`{ALLOWED[field]}` has {strange[0]!r}; known are {', '.join(known)}")
    lists = {field: tuple(getattr(entry, key)) for field, key in ALLOWED.items()}
    return Permits(
        **lists, restricted=tuple(entry.restricted), short_sale=entry.short_sale, on_disconnect=entry.on_disconnect, is_active=entry.active
    )


def _check_layers(policy: RiskPolicy) -> None:
    """Names once, clients in one desk, children not above parents, nothing looser than what is above it."""
    scopes = [x.scope for x in policy.layers]
    twice = next((s for s in scopes if scopes.count(s) > 1 or s.endswith(":")), None)
    if twice:
        raise ValueError(f"{twice}: each layer needs a `name` of its own")
    unsayable = next((s for s in scopes if not s.isprintable()), None)
    if unsayable:  # a desk's name goes to venues: what separates FIX fields must not be in it
        raise ValueError(f"{unsayable!r}: a `name` has printable characters only")
    in_desks = [c for x in policy.layers for c in x.clients]
    shared = next((c for c in in_desks if in_desks.count(c) > 1), None)
    if shared:
        raise ValueError(f"client {shared} is in two `desks`")
    wrong = next((x for x in policy.layers if x.clients and x.kind != "desk"), None)
    if wrong is not None:
        raise ValueError(f"{wrong.scope}: `clients` are a desk's")
    for layer in sorted(policy.layers, key=lambda x: LAYERS.index(x.kind)):
        desk = policy.desk_of(layer.name) if layer.kind == "client" else None
        for above, limits, permits in ((FIRM, policy, policy.permits), *(((desk.scope, desk.limits, desk.permits),) if desk else ())):
            _check_tighter(layer, above, limits, permits)
    for where, limits in ((FIRM, policy), *((x.scope, x.limits) for x in policy.layers)):
        for child, parent in (("child_qty_max", "parent_qty_max"), ("child_value_max", "parent_value_max")):
            if getattr(limits, child) > getattr(limits, parent) != UNSET:
                raise ValueError(f"{where}: `{child}` is above `{parent}`: children are parts of parents")


def _check_tighter(layer: Layer, above: str, limits: Limits, permits: Permits) -> None:
    for limit in LIMITS:
        mine, theirs = getattr(layer.limits, limit.field), getattr(limits, limit.field)
        if mine > theirs != UNSET:
            text = f"{layer.scope}: `{limit.key}` {value_text(limit, mine)} is looser than {value_text(limit, theirs)} of {above}, which holds anyway"
            raise ValueError(f"{text}; lower it or leave it out")
    for key in ("short_sale", "on_disconnect"):
        own, given = getattr(layer.permits, key), getattr(permits, key)
        if key == "short_sale" and own and given and MODES[key].index(own) < MODES[key].index(given):
            raise ValueError(f"{layer.scope}: `{key}` {own} is looser than {given} of {above}")
    for field, key in ALLOWED.items():
        mine, theirs = set(getattr(layer.permits, field)), set(getattr(permits, field))
        if theirs and not mine <= theirs:
            raise ValueError(f"{layer.scope}: `{key}` has {', '.join(sorted(mine - theirs))}, which {above} does not allow")


def check_names(policy: RiskPolicy, names: Names) -> None:
    """Every client, symbol and venue that it speaks of is configured. Raises ValueError."""
    known = {"client": names.clients, "symbol": names.symbols, "venue": names.venues, "algo": KNOWN["algos"]}
    for layer in policy.layers:
        if layer.kind in known and layer.name not in known[layer.kind]:
            raise ValueError(f"{layer.scope}: no such {layer.kind}; there are {', '.join(known[layer.kind])}")
        strange = next((c for c in layer.clients if c not in names.clients), None)
        if strange:
            raise ValueError(f"{layer.scope}: `clients` has {strange!r}; there are {', '.join(names.clients)}")
    for where, permits in ((FIRM, policy.permits), *((x.scope, x.permits) for x in policy.layers)):
        for field, given in (("symbols", names.symbols), ("restricted", names.symbols), ("venues", names.venues)):
            strange = next((n for n in getattr(permits, field) if n not in given), None)
            if strange:
                raise ValueError(f"{where}: `{ALLOWED.get(field, field)}` has {strange!r}; there are {', '.join(given)}")
