"""What several tests of the learning side start from: the recorded volumes, and one model trained on them."""

from pathlib import Path

import pytest

from algoserver.learn.store import Manifest
from algoserver.learn.train import train_volume
from algoserver.learn.volumes import Volumes, read_volumes
from algoserver.recorded import VOLUME_DIR


@pytest.fixture(scope="session")
def recorded() -> list[Volumes]:
    return read_volumes(VOLUME_DIR)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """Directory and manifest of a model trained on everything recorded, measured on its last days only."""
    store_dir = tmp_path_factory.mktemp("models")
    manifest = train_volume(VOLUME_DIR, store_dir, created_at="2019-06-29T00:00:00Z", scored_days=8)
    return store_dir / manifest.name, manifest
