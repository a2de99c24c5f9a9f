"""The client side's door before it opens: entries that can't be met are named."""

import queue
import shutil

import msgspec
import pytest

from algoserver.config import load
from algoserver.desks import open_desks
from algoserver.settings import BadConfig
from tests.test_profiles import ROOT, configured

AGREED = """
[[drop_copies]]
session = "DROP1"
clients = ["CLIENT2"]
"""


def test_a_drop_copy_without_a_session_does_not_start(tmp_path):
    """Nor one of a client that is none: the entry is named, and what there is instead."""
    configured(tmp_path, AGREED)
    config = load(tmp_path / "server.toml")
    clients = msgspec.structs.replace(config.server.clients, sessions=str(ROOT / "sessions" / "clients.cfg"))
    config = msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, clients=clients))
    with pytest.raises(BadConfig, match=r"drop_copies 'DROP1' session: no session of .*clients.cfg has TargetCompID 'DROP1'; use CLIENT1, CLIENT2"):
        open_desks(config, tmp_path / "state", 0, queue.SimpleQueue())


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('session = "D1"\nclients = ["D1"]', "drop_copies 'D1' clients: 'D1' is a drop copy itself"),
        ('session = "D1"\n[[drop_copies]]\nsession = "D1"', "drop_copies 'D1' session: each session is one drop copy"),
        ('session = "D1"\nchild = true', "drop_copies 'D1' : Object contains unknown field `child`; known here: session, clients, children"),
    ],
)
def test_a_bad_entry_is_named(tmp_path, entry: str, said: str):
    """Entry and key."""
    with pytest.raises(BadConfig) as found:
        configured(tmp_path, f"[[drop_copies]]\n{entry}\n")
    assert said.replace(" :", ":") in str(found.value)


@pytest.mark.parametrize(
    ("session", "said"),
    [
        ("TargetCompID=CLIENT1\nBeginString=FIX.4.2\nDataDictionary=FIX42.xml", "has two sessions with TargetCompID 'CLIENT1'"),
        ("TargetCompID=XLIT1", "has a client TargetCompID 'XLIT1', and a venue has that name"),
        ("TargetCompID=XLIT1.md", "TargetCompID 'XLIT1.md' ends with .md or .dc, as the names of venues' other sessions do"),
        ("TargetCompID=CLIENT1 A", "TargetCompID 'CLIENT1 A' has a space"),
    ],
)
def test_a_name_is_one_peers(tmp_path, session: str, said: str):
    """By its CompID everything is kept and sent: two peers of one name would share orders, numbers and reports."""
    configured(tmp_path, "")
    shutil.copytree(ROOT / "sessions", tmp_path / "sessions")
    sessions = tmp_path / "sessions" / "clients.cfg"
    sessions.write_text(f"{sessions.read_text()}\n[SESSION]\n{session}\n")
    config = load(tmp_path / "server.toml")
    clients = msgspec.structs.replace(config.server.clients, sessions=str(sessions))
    config = msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, clients=clients))
    with pytest.raises(BadConfig) as found:
        open_desks(config, tmp_path / "state", 0, queue.SimpleQueue())
    assert said in str(found.value)
