"""Pictures of a run, carried beside its model for people to look at: optional, bounded, trusted by nobody."""

import shutil
from pathlib import Path

FOLDER = "report"
MOST_PICTURES = 40
MOST_BYTES = 8_000_000  # of all pictures together


def carry_pictures(source: Path | None, version_folder: Path) -> int:
    """Copies the PNG files of `source` into VERSION/report, by name, as long as they fit; returns how many."""
    if source is None or not source.is_dir():
        return 0
    room, copied = MOST_BYTES, 0
    for picture in sorted(source.glob("*.png"))[:MOST_PICTURES]:
        size = picture.stat().st_size
        if picture.is_symlink() or not picture.is_file() or size > room:
            continue
        (version_folder / FOLDER).mkdir(exist_ok=True)
        shutil.copyfile(picture, version_folder / FOLDER / picture.name)
        room, copied = room - size, copied + 1
    return copied
