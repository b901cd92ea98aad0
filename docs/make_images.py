"""Makes the pictures of the virtual phone: `python docs/make_images.py`.

Six phones side by side, each with another seed's contents and looks, led to a screen by touching it; phones of other
shapes, one of which has names in many scripts; and phones that speak Chinese, Japanese and Arabic.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.state import random_state
from qwen2vl_agent.envs.virtual_phone.words import Words

IMAGES = Path(__file__).parent / "images"
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


NAMES = (
    *("Ada Lovelace", "王小明", "佐藤 さくら", "김민준", "محمد أحمد", "דוד כהן", "Ελένη Παππά"),
    *("Ольга Иванова", "आदित्य शर्मा", "สมชาย ใจดี", "გიორგი ბერიძე", "Đặng Thị Hà"),
)


def many_scripts(phone: VirtualPhone) -> None:
    """Contacts with names of all over the world."""
    for contact, name in zip(phone.state.contacts, NAMES, strict=False):
        contact.name = name
    del phone.state.contacts[len(NAMES) :]
    phone.launch("com.android.contacts")


def note(phone: VirtualPhone) -> None:
    """A note in two directions."""
    phone.launch("notes")
    touch(phone, "notes:add")
    touch(phone, "notes:title")
    phone.type_text("购物清单 groceries")
    touch(phone, "notes:body")
    phone.type_text("牛奶、鸡蛋和面包。明天下午三点钟在图书馆见面。\nپنجشنبه ساعت 12:30 جلسه")


SHAPES = (
    ((800, 1280), (375, 600), many_scripts),
    ((2400, 1080), (1008, 454), calculator),
    (DRAWN, SHOWN, note),
)
"""Size in pixels, size in the picture, and what is shown: a tablet, a phone on its side, an upright one."""


def shapes() -> Image.Image:
    """Phones of several shapes, their lower edges in line."""
    width = sum(shown[0] + GAP for _, shown, _ in SHAPES) - GAP
    picture, left = Image.new("RGB", (width, SHOWN[1]), "white"), 0
    for seed, (drawn, shown, lead) in enumerate(SHAPES, 40):
        phone = VirtualPhone(random_state(seed, Words.test(), "full"), drawn)
        phone.state.extra.mirrored = False
        lead(phone)
        picture.paste(phone.image().resize(shown, Image.Resampling.LANCZOS), (left, SHOWN[1] - shown[1]))
        left += shown[0] + GAP
    return picture


def notifications(phone: VirtualPhone) -> None:
    """The quick settings and what has come in."""
    phone.swipe(DRAWN[0] // 2, 10, DRAWN[0] // 2, DRAWN[1] // 2)


def shop(phone: VirtualPhone) -> None:
    """Things to buy."""
    phone.launch("org.virtualphone.shop")


LOCALE_SHOTS = (
    ("zh", launcher),
    ("zh", settings),
    ("ja", notifications),
    ("ja", clock),
    ("ar", settings),
    ("ar", shop),
)


def locales() -> Image.Image:
    """Phones in other languages."""
    width = len(LOCALE_SHOTS) * (SHOWN[0] + GAP) - GAP
    picture = Image.new("RGB", (width, SHOWN[1]), "white")
    for place, (code, lead) in enumerate(LOCALE_SHOTS):
        phone = VirtualPhone(random_state(60 + place, Words.test(), f"full-{code}"), DRAWN)
        lead(phone)
        picture.paste(phone.image().resize(SHOWN, Image.Resampling.LANCZOS), (place * (SHOWN[0] + GAP), 0))
    return picture


def six() -> Image.Image:
    """The six phones."""
    width = len(SHOTS) * (SHOWN[0] + GAP) - GAP
    picture, seed = Image.new("RGB", (width, SHOWN[1]), "white"), 0
    for place, shot in enumerate(SHOTS):
        image, seed = screen(shot, seed + 1)
        picture.paste(image, (place * (SHOWN[0] + GAP), 0))
    return picture


def main() -> None:
    """Draw, put side by side, and write."""
    IMAGES.mkdir(exist_ok=True)
    for name, picture in (("virtual-phone", six()), ("phone-shapes", shapes()), ("phone-locales", locales())):
        out = IMAGES / f"{name}.png"
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(out, optimize=True)
        print(f"{out}: {picture.width} x {picture.height}, {out.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
