"""Pictures are carried beside a model as long as they are few and small."""

from pathlib import Path

from conveyor_exporter.pictures import MOST_BYTES, MOST_PICTURES, carry_pictures


def test_what_fits_is_carried(tmp_path: Path) -> None:
    source, version = tmp_path / "pictures", tmp_path / "1"
    version.mkdir()
    assert carry_pictures(None, version) == carry_pictures(source, version) == 0
    source.mkdir()
    (source / "a.png").write_bytes(b"a")
    (source / "b.png").write_bytes(bytes(MOST_BYTES))
    (source / "c.png").write_bytes(b"c")
    (source / "notes.txt").write_text("no picture")
    (source / "d.png").symlink_to("/etc/passwd")
    assert carry_pictures(source, version) == 2
    assert sorted(path.name for path in (version / "report").iterdir()) == ["a.png", "c.png"]


def test_there_is_a_most(tmp_path: Path) -> None:
    for index in range(MOST_PICTURES + 5):
        (tmp_path / f"{index:03}.png").write_bytes(b"x")
    (tmp_path / "1").mkdir()
    assert carry_pictures(tmp_path, tmp_path / "1") == MOST_PICTURES
