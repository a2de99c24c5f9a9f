"""A socket that QuickFIX 1.16 closes keeps its number until no thread of the engine looks at that any more.

A connection's thread that ends its session (a Logout is answered, a Logon refused, a heartbeat missed) closes the socket, tells
the application, and looks at the number once more (ThreadedSocketConnection::read). Who has connected in between has got that
number: two threads read from one socket, the wrong session takes the Logon, resets its own numbers by it, and the client hears
nothing. The engine shuts a socket down before it closes it, so where the number is not given away that last look finds the end.

So the engine's calls of close() come here, by its library's own table of functions in others (ELF's global offset table), and
the socket is closed a little later. Where that table can't be found nothing changes.
"""

import ctypes
import itertools
import mmap
import os
import platform
import struct
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

# poll() of the last look waits a second at most; the rest is for who waits for Python's lock before it.
LATE_S = 5.0
# A flood of connections must not take every descriptor: beyond this the oldest is closed before its time.
WAITING_MAX = 256
JUMP_SLOTS = {"x86_64": 7, "aarch64": 1026}  # relocation types of a function in another library, by ELF's supplements
ELF64, LITTLE, RELA = 2, 1, 4
SECTION, SYMBOL, RELOCATION = struct.Struct("<IIQQQQIIQQ"), struct.Struct("<IBBHQQ"), struct.Struct("<QQq")

_kept: list[Any] = []  # the library has a bare pointer to the function: it must live as long as the process


class Waiting:
    """Sockets that are closed when their time has come, with the next one after that. now: seconds; close: the system's."""

    def __init__(self, now: Callable[[], float] = time.monotonic, close: Callable[[int], None] = os.close) -> None:
        self._now, self._close = now, close
        self._due: OrderedDict[int, float] = OrderedDict()
        self._lock = threading.Lock()

    def close(self, number: int) -> int:
        """In the place of close(): what is closed twice waits once."""
        now = self._now()
        with self._lock:
            self._due.setdefault(number, now + LATE_S)
            over = [n for n, due in self._due.items() if due <= now]
            spare = itertools.islice(self._due, max(0, len(self._due) - WAITING_MAX))
            for old in dict.fromkeys((*over, *spare)):
                del self._due[old]
                with suppress(OSError):
                    self._close(old)
        return 0


def install(library: Path) -> bool:
    """Once per process, before the first engine; whether `library`, which is loaded, closes here now."""
    jump_slot = JUMP_SLOTS.get(platform.machine())
    if _kept or jump_slot is None or not sys.platform.startswith("linux"):
        return bool(_kept)
    offset, start = _offset(library.read_bytes(), jump_slot), _start(library)
    if not offset or not start:
        return False
    function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(Waiting().close)
    page = (start + offset) // mmap.PAGESIZE * mmap.PAGESIZE
    # A library that was linked with -z now has its table in a page for reading.
    if ctypes.CDLL(None).mprotect(ctypes.c_void_p(page), mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE) != 0:
        return False
    _kept.append(function)
    ctypes.c_void_p.from_address(start + offset).value = ctypes.cast(function, ctypes.c_void_p).value
    return True


def _offset(elf: bytes, jump_slot: int) -> int:
    """Where the library keeps the address of close(), from its start; 0 if it does not say."""
    if elf[:6] != b"\x7fELF" + bytes((ELF64, LITTLE)):
        return 0
    (table,), (size, count) = struct.unpack_from("<Q", elf, 0x28), struct.unpack_from("<HH", elf, 0x3A)
    sections = [SECTION.unpack_from(elf, table + n * size) for n in range(count)]
    for _, kind, _, _, begin, length, link, _, _, _ in sections:
        if kind != RELA:
            continue
        symbols, names = sections[link][4], sections[sections[link][6]][4]
        for offset, info, _ in RELOCATION.iter_unpack(elf[begin : begin + length]):
            if info & 0xFFFF_FFFF == jump_slot:
                name = names + SYMBOL.unpack_from(elf, symbols + (info >> 32) * SYMBOL.size)[0]
                if elf[name : name + 6] == b"close\0":
                    return int(offset)
    return 0


def _start(library: Path) -> int:
    """Where the library begins in memory; 0 if it is not there."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] == str(library) and int(fields[2], 16) == 0:
            return int(fields[0].partition("-")[0], 16)
    return 0
