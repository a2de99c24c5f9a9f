"""The texts of policies that were in force, under their digests: STATE/policies/<sha256>.toml.

Rule 1: a text is durable before the event that applies it is fed, so that what the journal names can be shown and applied again.
Rule 2: what an operator's request needs of them is read, written and parsed on his own thread: the core waits for no file and no parser.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from algoserver.door import error
from algoserver.journal.snapshots import fsync_directory
from algoserver.policies import TEXT_BYTES_MAX, digest_of
from algoserver.policy_desk import parsed

Answer = dict[str, Any]
Ask = Callable[[Answer, str], Answer]


class PolicyTexts:
    """The folder, which is made when the first is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, text: bytes) -> None:
        """Write it, durably; once is enough. Raises OSError."""
        path = self._path(digest_of(text))
        if self._read(path) == text:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        fsync_directory(self._folder.parent)
        # Two who keep the same text at once must not meet in one unfinished file.
        unfinished = path.with_suffix(f".{threading.get_ident()}.tmp")
        try:
            with unfinished.open("wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        fsync_directory(self._folder)

    def text(self, digest: str) -> str:
        """What is kept under a digest; "" if nothing is."""
        return self._read(self._path(digest)).decode(errors="replace") if digest.isalnum() else ""

    def ask(self, request: Answer, operator: str, ask: Ask) -> Answer:
        """Put a request to the core; with the text that it names, or when the text that it brings is kept."""
        verb = request.get("verb")
        if verb in ("policy.show", "policy.rollback"):
            shown = ask({"verb": "policy.show", "target": request.get("target", "")}, operator)
            if "error" in shown:
                return shown
            request = {**request, "target": shown["digest"], "text": self.text(shown["digest"])}
        if isinstance(request.get("text"), str):
            parsed(request["text"])
        if verb == "policy.apply" and request.get("dry_run") is not True:
            judged = ask({**request, "dry_run": True}, operator)
            if "error" in judged:
                return judged
            try:
                self.keep(request["text"].encode())
            except OSError as broken:
                return error("failed", f"the policy can't be kept, so it is not applied: {broken}")
        return ask(request, operator)

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.toml"

    def _read(self, path: Path) -> bytes:
        try:
            with path.open("rb") as file:
                return file.read(TEXT_BYTES_MAX + 1)
        except OSError:
            return b""
