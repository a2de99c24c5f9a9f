"""What a failing test leaves behind ends with the run."""

from collections.abc import Iterator

import pytest

from tests.e2e.street import Process


@pytest.fixture(autouse=True, scope="session")
def _no_process_outlives_the_tests() -> Iterator[None]:
    yield
    for process in Process.started:
        if process.poll() is None:
            process.kill()
