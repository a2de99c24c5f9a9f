"""Execute docs/from-data-to-model.ipynb and keep what its cells say in it. tests/test_notebook.py executes it in the same way, and compares.

Rule: kept is what a reader sees. When a cell ran, how long it took and by which Python it was is left out: it would change each time.
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "from-data-to-model.ipynb"
CELL_S_MAX = 300  # the slowest needs 15 on a core of its own


def executed(extra: str = "", **environment: str) -> NotebookNode:
    """A copy, executed by this Python. extra: the source of one more cell. Raises CellExecutionError where a cell fails."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    if extra:
        notebook.cells.append(nbformat.v4.new_code_cell(extra))
    with TemporaryDirectory(prefix="notebook-") as place:
        # Sockets of files, no ports: nobody else on the machine can talk to it. And no history in the home directory.
        kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", connection_file=f"{place}/kernel.json")
        client = NotebookClient(
            notebook, km=kernel, timeout=CELL_S_MAX, record_timing=False, coalesce_streams=True,
            resources={"metadata": {"path": str(NOTEBOOK.parent)}},
        )  # fmt: skip
        client.execute(cleanup_kc=True, env=os.environ | {"IPYTHONDIR": place} | environment)
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


if __name__ == "__main__":
    nbformat.write(executed(), NOTEBOOK)
    print(f"{NOTEBOOK.name}: {NOTEBOOK.stat().st_size // 1000} KB", file=sys.stderr)
