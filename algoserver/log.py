"""Structured logs: one JSON object a line in a file, warnings and errors on stderr as well.

Nothing secret comes here: no Password (554), no RawData (96), no message text of a Logon.
"""

import logging
import sys
from pathlib import Path

import structlog


def open_log(path: Path) -> None:
    """Send every structlog line of this process to `path` as JSON, appended; warnings go to stderr too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    to_file = logging.FileHandler(path, encoding="utf-8")
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setLevel(logging.WARNING)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[to_file, to_terminal], force=True)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
