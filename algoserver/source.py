"""What a piece of our own source is, by its bytes."""

import hashlib
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
LEARN = PACKAGE / "learn"


def source_hash(package: Path) -> str:
    """sha256 over a package's own source, file by file in the order of their names."""
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py"), key=lambda p: p.relative_to(package).as_posix()):
        total.update(f"{path.relative_to(package).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()
