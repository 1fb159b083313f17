"""Fonts for the classes' names: matplotlib's own has no Chinese, Japanese or Korean letters, and lacks others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress

from matplotlib import rc_context, rcParams
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font


@contextmanager
def written(labels: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """While pictures are drawn: the names as they can be written, by fallback fonts where the machine has some; else
    `class N`, the number being the label's place."""
    families = _fallbacks(_missing(labels))
    known = _own_letters().union(*families.values())
    names = tuple(label if known.issuperset(map(ord, label)) else f"class {n}" for n, label in enumerate(labels))
    # A name is no formula, though it may hold two dollars.
    with rc_context({"font.family": [*rcParams["font.family"], *families], "text.parse_math": False}):
        yield names


def need_other_fonts(labels: Sequence[str]) -> bool:
    """Whether the pictures of another machine may say `class N` of some of the names."""
    return bool(_missing(labels))


def _missing(labels: Sequence[str]) -> set[int]:
    return {ord(letter) for label in labels for letter in label} - _own_letters()


def _own_letters() -> set[int]:
    return set(get_font(findfont(FontProperties())).get_charmap())


def _fallbacks(missing: Collection[int]) -> dict[str, set[int]]:
    """Installed fonts that have the letters, as many as are needed, in the order of their names; with what each has."""
    left, families = set(missing), dict[str, set[int]]()
    for name, path in sorted(_installed().items()) if left else ():
        with suppress(OSError, RuntimeError):  # damaged, or of pictures of one size only, which cannot be drawn
            font = get_font(path)
            font.set_size(10, 100)
            if found := left.intersection(font.get_charmap()):
                families[name] = found
                left -= found
        if not left:
            break
    return families


def _installed() -> dict[str, str]:
    """Families and their files. "Last Resort" has a box for every letter there is."""
    return {font.name: font.fname for font in fontManager.ttflist if not font.name.startswith("Last Resort")}
