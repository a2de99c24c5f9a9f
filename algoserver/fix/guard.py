"""A last stop for what QuickFIX 1.16 forgets to catch: the connection that broke it ends, and the process lives.

The first message of a connection is looked into before its session is known (ThreadedSocketConnection::setSession), outside of
every try: a field whose tag is no number there ends the whole process, whoever sent it. So the C++ runtime's terminate handler
looks at what was thrown. An InvalidMessage can only be that one: its thread holds no lock, and ends without unwinding, which has
no way out. Its connection stays open and silent until the engine stops. Anything else is worse and ends the process as before.
"""

import ctypes
import platform
import sys
from typing import Any

INVALID_MESSAGE = b"N3FIX14InvalidMessageE"
# exit(2): of the calling thread alone. The kernel wakes who joins it.
EXIT_CALLS = {"x86_64": 60, "aarch64": 93}
SAID = "a connection whose first message has a field without a number is left alone"

_kept: list[Any] = []  # the runtime has a bare pointer to the handler: it must live as long as the process


def install() -> None:
    """Once per process, and only on Linux with GNU's C++ runtime: elsewhere nothing changes."""
    exit_call = EXIT_CALLS.get(platform.machine())
    if _kept or exit_call is None or not sys.platform.startswith("linux"):
        return
    try:
        runtime, kernel = ctypes.CDLL("libstdc++.so.6"), ctypes.CDLL(None)
        thrown, set_terminate = runtime.__cxa_current_exception_type, runtime._ZSt13set_terminatePFvvE
    except (OSError, AttributeError):
        return
    thrown.restype = ctypes.POINTER(ctypes.c_char_p)  # std::type_info: virtual table, name
    handler_type = ctypes.CFUNCTYPE(None)
    set_terminate.restype, set_terminate.argtypes = handler_type, [handler_type]

    def handler() -> None:
        kind = thrown()
        if kind and kind[1] == INVALID_MESSAGE:
            print(SAID, file=sys.stderr, flush=True)
            kernel.syscall(exit_call, 0)
        before()

    _kept.append(handler_type(handler))
    before = set_terminate(_kept[0])
