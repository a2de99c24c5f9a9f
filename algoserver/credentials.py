"""Passwords as salted scrypt hashes, operators' tokens as plain ones: made once at a terminal, compared in constant time.

Rule: neither is ever written, logged or part of a message to anybody; only the hash stands in the configuration.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets

import msgspec

# RFC 7914's parameters for interactive use: 16 MiB and about 50 ms a try.
LOG2_N, R, P = 14, 8, 1
SALT_BYTES, HASH_BYTES = 16, 32
LOG2_N_MAX = 18
PASSWORD_CHARS_MAX = 256
# A token is 256 bits that nobody chose: there is nothing to guess, so its hash may be quick, and a kill does not wait for it.
TOKEN_BYTES = 32


class Credential(msgspec.Struct, frozen=True):
    """A user and the hash of his password, as hashed() wrote it. A ValueError where it is none."""

    username: str
    password_hash: str

    def __post_init__(self) -> None:
        _parts(self.password_hash)

    def is_right(self, username: str, password: str) -> bool:
        """Whether both are right. Takes as long whichever of them is wrong."""
        log2_n, r, p, salt, wanted = _parts(self.password_hash)
        found = _scrypt(password[:PASSWORD_CHARS_MAX], salt, log2_n, r, p)
        is_user = hmac.compare_digest(username.encode(errors="replace"), self.username.encode())
        return hmac.compare_digest(found, wanted) & is_user & (len(password) <= PASSWORD_CHARS_MAX)


def hashed(password: str, salt: bytes = b"") -> str:
    """A password's hash as the configuration holds it: scrypt$log2 N$r$p$salt$hash, the last two in base64."""
    salt = salt or os.urandom(SALT_BYTES)
    return f"scrypt${LOG2_N}${R}${P}${_text(salt)}${_text(_scrypt(password, salt, LOG2_N, R, P))}"


def problem(password: str) -> str:
    """Why this can't be a password of a FIX session; empty if it can."""
    if not 8 <= len(password) <= PASSWORD_CHARS_MAX:
        return f"a password has 8 to {PASSWORD_CHARS_MAX} characters"
    return "" if password.isascii() and password.isprintable() else "a password has printable ASCII characters alone"


def new_token() -> str:
    """A token for one operator."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> str:
    """A token's hash as cfg/operators.toml holds it."""
    return f"sha256${hashlib.sha256(token.encode(errors='replace')).hexdigest()}"


def is_token(token: str, wanted: str) -> bool:
    """Whether this is the token of that hash."""
    return hmac.compare_digest(token_hash(token), wanted)


def check_token_hash(text: str) -> None:
    """Raises ValueError where it is no hash of a token. The text itself may be somebody's token: it is not repeated."""
    if not re.fullmatch(r"sha256\$[0-9a-f]{64}", text):
        raise ValueError("`token` is no hash of one; `algoserver token` makes a token and prints what belongs here")


def _scrypt(password: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    n = 1 << log2_n
    return hashlib.scrypt(password.encode(errors="replace"), salt=salt, n=n, r=r, p=p, maxmem=129 * n * r * p + (1 << 20), dklen=HASH_BYTES)


def _parts(text: str) -> tuple[int, int, int, bytes, bytes]:
    fields = text.split("$")
    try:
        kind, log2_n, r, p = fields[0], *(int(number) for number in fields[1:4])
        salt, wanted = (base64.b64decode(part, validate=True) for part in fields[4:])
    except (ValueError, IndexError, binascii.Error):
        kind, log2_n, r, p, salt, wanted = "", 0, 0, 0, b"", b""
    if kind != "scrypt" or not LOG2_N <= log2_n <= LOG2_N_MAX or r != R or p != P or len(salt) < SALT_BYTES or len(wanted) != HASH_BYTES:
        # The text itself may be somebody's password: it is not repeated.
        raise ValueError("`password` is no hash of one; `algoserver password` asks for it and prints what belongs here")
    return log2_n, r, p, salt, wanted


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
