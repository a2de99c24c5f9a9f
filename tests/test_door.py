"""The operator's door: who is let in, and what a bad peer can't do."""

import json
import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from algoserver import door
from algoserver.door import Door, Unreachable, call


@contextmanager
def opened(state_dir: Path, ask: Any = None) -> Iterator[Door]:
    """An open door; without `ask` it answers what it was asked, and by whom."""
    state_dir.mkdir(parents=True, exist_ok=True)
    it = Door(state_dir, ask or (lambda request, caller: {"request": request, "caller": caller}))
    it.start()
    try:
        yield it
    finally:
        it.stop()


def raw(state_dir: Path, sent: bytes, is_over: bool = False) -> dict[str, Any]:
    """What the door says to these bytes."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(60)
        peer.connect(str(state_dir / "control.sock"))
        try:
            peer.sendall(sent)
            if is_over:
                peer.shutdown(socket.SHUT_WR)
        except BrokenPipeError:
            pass
        return json.loads(peer.makefile().readline())


def test_a_question_crosses_the_socket_with_the_askers_name(tmp_path):
    """The name is the kernel's word, not the peer's."""
    import pwd

    with opened(tmp_path):
        got = call(tmp_path, {"verb": "status", "token": "t"}, 5)
    assert got == {"request": {"verb": "status"}, "caller": [os.geteuid(), pwd.getpwuid(os.geteuid()).pw_name, "t"]}
    assert not (tmp_path / "control.sock").exists()


def test_the_socket_is_for_its_owner_whatever_the_umask(tmp_path):
    """Mode 0600, and the process's umask is as it was."""
    before = os.umask(0)
    try:
        with opened(tmp_path):
            assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) == 0o600
            assert os.umask(0) == 0
    finally:
        os.umask(before)


def test_a_group_may_be_let_in(tmp_path, monkeypatch):
    """Then the socket is its own, mode 0660, and who comes is for others to judge; a group that is none is an error."""
    import grp

    group = grp.getgrgid(os.getegid()).gr_name
    monkeypatch.setattr(door, "peer_of", lambda peer: door.Caller(4_000_000_001, "eve"))
    it = Door(tmp_path, lambda request, caller: {"user": caller.user}, group)
    it.start()
    found = (tmp_path / "control.sock").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, os.getegid())
    assert call(tmp_path, {"verb": "status"}, 60) == {"user": "eve"}
    it.stop()
    with pytest.raises(OSError, match="control group 'nobody-here' is no group"):
        Door(tmp_path, lambda request, caller: {}, "nobody-here").start()


def test_a_long_path_is_no_matter(tmp_path):
    """Far beyond the 107 bytes of a socket's name."""
    far = tmp_path / ("d" * 120) / ("e" * 120)
    with opened(far):
        assert call(far, {"verb": "status"}, 60)["request"] == {"verb": "status"}


def test_a_dead_servers_socket_is_replaced_and_a_living_ones_is_not(tmp_path):
    """A file that is no socket is left alone too."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control.sock"))
    with opened(tmp_path):
        with pytest.raises(OSError, match="another server listens"):
            Door(tmp_path, lambda request, operator: {}).start()
        assert "request" in call(tmp_path, {"verb": "status"}, 60)
    (tmp_path / "control.sock").write_text("mine")
    with pytest.raises(OSError, match="is no socket"):
        Door(tmp_path, lambda request, operator: {}).start()
    assert (tmp_path / "control.sock").read_text() == "mine"


def test_another_user_is_denied_and_not_heard(tmp_path, monkeypatch):
    """Denied before a byte of his is read."""
    asked = []
    monkeypatch.setattr(door, "peer_of", lambda peer: door.Caller(4_000_000_001, "eve"))
    with opened(tmp_path, lambda request, operator: asked.append(request) or {}):
        assert call(tmp_path, {"verb": "kill"}, 5)["error"]["code"] == "denied"
        assert raw(tmp_path, b"x" * 100_000)["error"]["code"] == "denied"
    assert asked == []


@pytest.mark.parametrize(("uid", "name"), [(0, "root"), (4_000_000_001, "4000000001"), (None, None)])
def test_a_caller_is_the_kernels_word(uid, name):
    """By SO_PEERCRED: pid, uid, gid. A user without a name is his number."""
    import pwd
    import struct

    class Peer(socket.socket):
        def getsockopt(self, *_: int) -> bytes:
            return struct.pack("3I", 1, os.geteuid() if uid is None else uid, 0)

    with Peer(socket.AF_UNIX) as peer:
        assert door.peer_of(peer).user == (pwd.getpwuid(os.geteuid()).pw_name if name is None else name)


@pytest.mark.parametrize("sent", [b"\n", b"{\n", b"[]\n", b"\xff\xfe\n", b'"status"\n', b"[" * 60_000 + b"\n", b'{"a":' * 10_000 + b"\n"])
def test_garbage_is_answered(tmp_path, sent):
    """One line that says what is expected; the next peer is served."""
    with opened(tmp_path):
        assert raw(tmp_path, sent)["error"]["code"] == "usage"
        assert raw(tmp_path, b'{"verb": "x"', is_over=True)["error"]["code"] == "usage"
        assert "request" in raw(tmp_path, b'{"verb": "status"}\n')


def test_a_request_of_64_kib_is_heard_and_a_longer_one_is_not(tmp_path):
    """The bound holds at equality; the newline does not count."""
    empty = b'{"verb": ""}'
    fits = b'{"verb": "' + b"x" * (door.REQUEST_BYTES_MAX - len(empty)) + b'"}'
    with opened(tmp_path):
        assert "request" in raw(tmp_path, fits + b"\n")
        assert raw(tmp_path, fits + b" \n")["error"]["code"] == "usage"
        assert raw(tmp_path, b"x" * 1_000_000)["error"]["code"] == "usage"


def test_slow_peers_cost_their_own_time(tmp_path, monkeypatch):
    """Sixteen silent peers, and one that sends a byte now and then for as long as it may: each is put out, and the next is answered."""
    monkeypatch.setattr(door, "PEER_TIMEOUT_S", 0.5)
    with opened(tmp_path):
        silent = [socket.socket(socket.AF_UNIX) for _ in range(door.PEERS_MAX)]
        for peer in silent:
            peer.connect(str(tmp_path / "control.sock"))
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.05):
                try:
                    silent[0].send(b" ")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        assert "request" in call(tmp_path, {"verb": "kill"}, 60)
        for peer in silent:
            peer.settimeout(60)  # one who drips would be heard for ever if each byte gave him time anew
            assert json.loads(peer.makefile().readline())["error"]["code"] == "timeout"
        stop.set()
        dripping.join()
        for peer in silent:
            peer.close()


def test_a_peer_that_leaves_or_an_ask_that_fails_costs_nothing(tmp_path):
    """More often than there are places."""

    def ask(request: dict[str, Any], operator: str) -> dict[str, Any]:
        if request["verb"] == "fail":
            raise ValueError("no")
        return {"ok": True}

    with opened(tmp_path, ask):
        for _ in range(door.PEERS_MAX + 4):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(tmp_path / "control.sock"))
        for _ in range(door.PEERS_MAX + 1):
            with pytest.raises(Unreachable, match="did not answer"):
                call(tmp_path, {"verb": "fail"}, 60)
        assert call(tmp_path, {"verb": "status"}, 60) == {"ok": True}


def test_a_core_that_is_slow_is_a_timeout_and_no_server_is_unreachable(tmp_path):
    """A command that timed out may have been done: the text says so."""
    with pytest.raises(Unreachable, match="no server is running"):
        call(tmp_path, {"verb": "status"}, 1)
    with pytest.raises(Unreachable, match="no server is running"):
        call(tmp_path / "nowhere", {"verb": "status"}, 1)
    has_left = threading.Event()
    with opened(tmp_path, lambda request, operator: {"waited": has_left.wait(60)}):
        refusal = call(tmp_path, {"verb": "kill"}, 0.1)["error"]
        has_left.set()
    assert refusal["code"] == "timeout"
    assert "not known" in refusal["text"]
