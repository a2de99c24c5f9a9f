"""The operator's door: a Unix socket; one JSON line in, one JSON line out.

Rule 1: who stands there is the kernel's word (SO_PEERCRED). Mode 0600 and our own user or root alone, or the members of a group.
Rule 2: a peer that is slow or speaks garbage costs its own thread and nothing else.
Rule 3: nothing here knows what is asked. The operator's client comes through here, and need not load the core to kill the firm.
"""

import contextlib
import grp
import os
import pwd
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import structlog

SOCKET_NAME = "control.sock"
REQUEST_BYTES_MAX = 262_144  # a policy of 100 kB, every character of it escaped or a few bytes long
ANSWER_BYTES_MAX = 16 * 1024 * 1024  # a thousand orders are half a megabyte
PEERS_MAX = 16
PEERS_WAITING_MAX = 64
PEER_TIMEOUT_S = 5.0
CALL_TIMEOUT_S = 12.0  # a free place and the core's answer may take five seconds each

Answer = dict[str, Any]


class Caller(NamedTuple):
    """Who asks: the kernel's word on uid and its user, and the token that he brought."""

    uid: int
    user: str
    token: str = ""


class Unreachable(Exception):
    """No server answers at this state directory."""


class Door:
    """Listens at state_dir/control.sock. ask: (request, caller) -> answer, called on a thread of each peer's own.

    group: its members may come too, if the directory lets them; "": nobody else.
    """

    def __init__(self, state_dir: Path, ask: Callable[[Answer, Caller], Answer], group: str = "") -> None:
        self._path = state_dir / SOCKET_NAME
        self._ask = ask
        self._group = group
        self._places = threading.Semaphore(PEERS_MAX)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._is_open = False
        self._log = structlog.get_logger()

    def start(self) -> None:
        """Begin to listen. Replaces the socket of a server that died; raises OSError if one that lives has it, or the group is none."""
        try:
            gid = grp.getgrnam(self._group).gr_gid if self._group else -1
        except KeyError as none:
            raise OSError(f"control group {self._group!r} is no group of this machine") from none
        with _short(self._path.parent) as folder:
            _clear(f"{folder}/{SOCKET_NAME}", self._path)
            # The name inherits the open socket's mode: 0600 from its first moment, and the umask, which belongs to
            # every thread of the process, is left alone.
            os.fchmod(self._socket.fileno(), 0o600)
            self._socket.bind(f"{folder}/{SOCKET_NAME}")
            if self._group:
                os.chown(f"{folder}/{SOCKET_NAME}", -1, gid)
                os.chmod(f"{folder}/{SOCKET_NAME}", 0o660)
        self._socket.listen(PEERS_WAITING_MAX)
        self._is_open = True
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def stop(self) -> None:
        """Close the door, if it is open; who is inside gets his answer."""
        if self._is_open:
            self._is_open = False
            self._path.unlink(missing_ok=True)
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept(); close() alone would not
        self._socket.close()

    def _accept(self) -> None:
        while True:
            self._places.acquire()  # who comes when all places are taken waits in the kernel's queue
            try:
                peer, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(peer,), name="control peer", daemon=True).start()
            except (OSError, RuntimeError) as error:
                self._places.release()
                if not self._is_open:
                    return
                self._log.warning("operator's door", error=str(error))
                time.sleep(0.1)  # no file or thread is to be had: others must give back theirs first

    def _serve(self, peer: socket.socket) -> None:
        try:
            with peer:
                said = msgspec.json.encode(self._said(peer)) + b"\n"
                peer.settimeout(PEER_TIMEOUT_S)
                peer.sendall(said)
        except OSError:
            pass  # the peer has gone; it has nothing to be told any more
        except Exception as failure:
            self._log.error("an operator's request failed", failure=repr(failure))
        finally:
            self._places.release()

    def _said(self, peer: socket.socket) -> Answer:
        caller = peer_of(peer)
        if not self._group and caller.uid not in (0, os.geteuid()):
            return error("denied", "this socket is for the server's own user")
        try:
            request = msgspec.json.decode(_line(peer, REQUEST_BYTES_MAX, PEER_TIMEOUT_S), type=dict[str, Any])
        except TimeoutError:
            return error("timeout", f"no request came within {PEER_TIMEOUT_S:g} s")
        except (ValueError, RecursionError) as wrong:
            return error("usage", f"one JSON object on one line of at most {REQUEST_BYTES_MAX} bytes is expected: {wrong}")
        token = request.pop("token", "")
        if not isinstance(token, str):
            return error("usage", "a token is text")
        return self._ask(request, caller._replace(token=token))


def call(state_dir: Path, request: Answer, timeout_s: float = CALL_TIMEOUT_S) -> Answer:
    """Ask the server of `state_dir`; an {"error": ...} is its answer too. Raises Unreachable."""
    unknown = "whether it was done is not known: ask for the status"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer, _short(state_dir) as folder:
            peer.settimeout(timeout_s)
            peer.connect(f"{folder}/{SOCKET_NAME}")
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused unread; the answer says why
                peer.sendall(msgspec.json.encode(request) + b"\n")
            line = _line(peer, ANSWER_BYTES_MAX, timeout_s)
    except TimeoutError:
        return error("timeout", f"no answer within {timeout_s:g} s; {unknown}")
    except PermissionError:
        return error("denied", f"the server of {state_dir} belongs to another user")
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as missing:
        raise Unreachable(f"no server is running on {state_dir}") from missing
    except (OSError, ValueError) as broken:
        raise Unreachable(f"the server of {state_dir} did not answer: {broken}; {unknown}") from broken
    return msgspec.json.decode(line, type=dict[str, Any])


def error(code: str, text: str) -> Answer:
    """A refusal: code for the machine, text for a person."""
    return {"error": {"code": code, "text": text}}


def peer_of(peer: socket.socket) -> Caller:
    """Who is at the other end, by the kernel's word."""
    _, uid, _ = struct.unpack("3I", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3I")))
    try:
        return Caller(uid, pwd.getpwuid(uid).pw_name)
    except KeyError:
        return Caller(uid, str(uid))


def _line(peer: socket.socket, bytes_max: int, timeout_s: float) -> bytes:
    """The first line. All of it has to come in time: who sends a byte a second is slow too."""
    deadline, got = time.monotonic() + timeout_s, bytearray()
    while (end := got.find(b"\n")) < 0:
        if len(got) > bytes_max:
            raise ValueError(f"more than {bytes_max} bytes")
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        peer.settimeout(left_s)
        chunk = peer.recv(65_536)
        if not chunk:
            raise ValueError("the line ends before its end")
        got += chunk
    if end > bytes_max:
        raise ValueError(f"more than {bytes_max} bytes")
    return bytes(got[:end])


def _clear(short: str, path: Path) -> None:
    """Remove a dead server's socket, and nothing else."""
    if not os.path.lexists(short):
        return
    if not path.is_socket():
        raise OSError(f"{path} is in the way and is no socket; move it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(short)
        except ConnectionRefusedError:
            os.unlink(short)
            return
        except OSError:
            pass  # it answers, if only by a full queue
    raise OSError(f"{path}: another server listens here")


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """A path to a folder that is short whatever the folder's is: a socket's name has at most 107 bytes."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)
