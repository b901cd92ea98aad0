"""Makes the README's picture of the virtual phone: `python docs/make_images.py`.

Six phones side by side, each with another seed's contents and looks, led to a screen by touching it.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.state import random_state
from qwen2vl_agent.envs.virtual_phone.words import Words

OUT = Path(__file__).parent / "images" / "virtual-phone.png"
DRAWN = (1080, 2400)
SHOWN = (270, 600)
GAP = 14
COLOURS = 160
"""Of the palette: flat interfaces and wallpapers look the same, at a quarter of the file's size."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A phone, light or dark, and how to get to the screen."""

    dark: bool
    lead: Callable[[VirtualPhone], None]


def touch(phone: VirtualPhone, resource_id: str) -> None:
    """Tap the first visible element whose id begins so."""
    found = next(element for element in phone.elements() if element.resource_id.startswith(resource_id))
    phone.tap(*found.centre)


def launcher(phone: VirtualPhone) -> None:
    """The first screen."""


def settings(phone: VirtualPhone) -> None:
    """A page of switches and choices."""
    phone.launch("com.android.settings", "display")


def chat(phone: VirtualPhone) -> None:
    """A conversation while something is being written."""
    phone.launch("com.android.messaging")
    touch(phone, "messages:row")
    touch(phone, "messages:text")
    phone.type_text("On my way")


def clock(phone: VirtualPhone) -> None:
    """The alarms."""
    phone.launch("com.android.deskclock")


def calculator(phone: VirtualPhone) -> None:
    """A sum."""
    phone.launch("com.android.calculator2")
    for key in ("4", "8", "plus", "1", "5", "equals"):
        touch(phone, f"calculator:key.{key}")


def quick_settings(phone: VirtualPhone) -> None:
    """The shade that is pulled down from the status bar."""
    width, height = phone.size
    phone.swipe(width // 2, 5, width // 2, height // 2, 0.3)


SHOTS = (
    Shot(False, launcher),
    Shot(True, settings),
    Shot(False, chat),
    Shot(True, clock),
    Shot(False, calculator),
    Shot(True, quick_settings),
)


def screen(shot: Shot, first_seed: int) -> tuple[Image.Image, int]:
    """The screen on the first phone from this seed on that has the right theme, and that phone's seed."""
    for seed in itertools.count(first_seed):
        phone = VirtualPhone(random_state(seed, Words.test()), DRAWN)
        if bool(phone.state.settings["display.dark_theme"]) == shot.dark:
            shot.lead(phone)
            return phone.image().resize(SHOWN, Image.Resampling.LANCZOS), seed
    raise AssertionError("a theme that no seed has")


def main() -> None:
    """Draw, put side by side, and write."""
    width = len(SHOTS) * (SHOWN[0] + GAP) - GAP
    picture, seed = Image.new("RGB", (width, SHOWN[1]), "white"), 0
    for place, shot in enumerate(SHOTS):
        image, seed = screen(shot, seed + 1)
        picture.paste(image, (place * (SHOWN[0] + GAP), 0))
    OUT.parent.mkdir(exist_ok=True)
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(OUT, optimize=True)
    print(f"{OUT}: {picture.width} x {picture.height}, {OUT.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
