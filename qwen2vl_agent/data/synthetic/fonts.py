"""Fonts to draw with: those that come with the package and with matplotlib, and for other scripts the machine's own."""

import random
from functools import cache
from importlib import resources
from pathlib import Path

from PIL import ImageFont

from qwen2vl_agent.data.synthetic.scripts import SCRIPTS
from qwen2vl_agent.schema.bidi import as_seen
from qwen2vl_agent.schema.errors import ConfigError

ROBOTO = ("Roboto-Regular.ttf", "Roboto-Medium.ttf")
DEJAVU = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf", "DejaVuSansMono.ttf")
LOOSE = ("Symbol", "D050000L", "Emoji", "LastResort")
"""Parts of names of fonts that put pictures where letters belong."""
SAMPLE = 400
"""Words in which practically every form of every letter occurs."""


@cache
def font(path: str, size: int) -> ImageFont.FreeTypeFont:
    """A font of a size in pixels, laid out letter by letter: the same on every machine."""
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


@cache
def bundled() -> tuple[str, ...]:
    """Fonts that every installation has."""
    import matplotlib

    phone = resources.files("qwen2vl_agent") / "envs" / "virtual_phone" / "assets"
    plots = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return (*(str(phone / name) for name in ROBOTO), *(str(plots / name) for name in DEJAVU))


@cache
def fonts_of(script: str) -> tuple[str, ...]:
    """Fonts with all letters of a script: of the bundled ones, and of those that this machine has.

    Raises:
        ConfigError: there is none.
    """
    rng = random.Random(0)
    words = (SCRIPTS[script].word(rng) for _ in range(SAMPLE))
    wanted = {ord(letter) for word in words for letter in as_seen(word)}
    found = tuple(path for path in (*bundled(), *_system()) if wanted <= _characters(path))
    if not found:
        needed = "apt install fonts-noto-core fonts-noto-cjk"
        raise ConfigError(f"no font here has the letters of {script}; on Debian: {needed}")
    return found


@cache
def writable() -> tuple[str, ...]:
    """Scripts that some font here can write, in the order of `SCRIPTS`."""
    made = []
    for script in SCRIPTS:
        try:
            fonts_of(script)
        except ConfigError:
            continue
        made.append(script)
    return tuple(made)


@cache
def _system() -> tuple[str, ...]:
    from matplotlib import font_manager

    paths = (Path(path) for path in font_manager.findSystemFonts())
    usable = (path for path in paths if not any(part in path.name for part in LOOSE))
    own = {Path(path).name for path in bundled()}
    return tuple(sorted(str(path) for path in usable if path.name not in own))


@cache
def _characters(path: str) -> frozenset[int]:
    """What a font can write."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (RuntimeError, OSError):  # a font without outlines, or a damaged one
        return frozenset()
