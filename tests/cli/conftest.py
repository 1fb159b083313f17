"""What the commands' tests share: image files, a model file and the scripted server."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.clients.conftest import server, silent_address
from tests.models import write_tiny_model

__all__ = ["server", "silent_address"]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of four images, one of them in a folder of its own, beside a file that is no image."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in ("b.png", "a.png", "c,d.PNG", "more/e.png"):
        Image.fromarray(random.integers(0, 256, (8, 8), np.uint8)).save(folder / name, format="PNG")
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "repository")
