"""Colours of a phone: Material-like roles derived from one hue, light or dark."""

import functools
import math
from dataclasses import dataclass

from qwen2vl_agent.envs.virtual_phone.state import PhoneState

Colour = tuple[int, int, int]
FONT_SCALES = {
    "Tiny": 0.88, "Small": 0.94, "Default": 1.0, "Medium": 1.04, "Large": 1.08, "Larger": 1.12, "Largest": 1.16,
}  # fmt: skip
"""What the setting `display.font_size` multiplies text by. Narrow, so that labels still fit."""
LARGEST_FONT = max(FONT_SCALES.values())


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours by what they are for, named as in Material 3."""

    dark: bool
    background: Colour
    surface: Colour
    """Cards, rows and dialogs."""
    surface_high: Colour
    """Fields, keys and menus."""
    text: Colour
    secondary_text: Colour
    outline: Colour
    primary: Colour
    on_primary: Colour
    container: Colour
    """A quieter accent: chosen tabs, FABs, own messages."""
    on_container: Colour
    error: Colour
    on_error: Colour


def theme_of(state: PhoneState) -> Theme:
    """The theme that the phone's look and settings ask for."""
    return make_theme(
        state.look.hue,
        dark=bool(state.settings.get("display.dark_theme", False)),
        contrast=bool(state.settings.get("accessibility.high_contrast", False)),
    )


def font_scale_of(state: PhoneState) -> float:
    """Factor on every text size."""
    return FONT_SCALES.get(str(state.settings.get("display.font_size", "Default")), 1.0)


@functools.lru_cache(maxsize=512)
def make_theme(hue: float, *, dark: bool, contrast: bool = False) -> Theme:
    """The theme of a hue (degrees of the Oklch circle)."""
    if dark:
        return Theme(
            dark=True,
            background=oklch(0.18, 0.02, hue),
            surface=oklch(0.25, 0.028, hue),
            surface_high=oklch(0.335, 0.034, hue),
            text=oklch(1.0 if contrast else 0.95, 0.008, hue),
            secondary_text=oklch(0.93 if contrast else 0.80, 0.02, hue),
            outline=oklch(0.50, 0.02, hue),
            primary=oklch(0.82, 0.11, hue),
            on_primary=oklch(0.26, 0.07, hue),
            container=oklch(0.41, 0.09, hue),
            on_container=oklch(0.94, 0.04, hue),
            error=oklch(0.75, 0.13, 25),
            on_error=oklch(0.25, 0.08, 25),
        )
    return Theme(
        dark=False,
        background=oklch(0.955, 0.014, hue),
        surface=oklch(0.992, 0.004, hue),
        surface_high=oklch(0.915, 0.024, hue),
        text=oklch(0.05 if contrast else 0.23, 0.02, hue),
        secondary_text=oklch(0.25 if contrast else 0.43, 0.03, hue),
        outline=oklch(0.70, 0.02, hue),
        primary=oklch(0.51, 0.14, hue),
        on_primary=oklch(1.0, 0.0, hue),
        container=oklch(0.885, 0.065, hue),
        on_container=oklch(0.30, 0.09, hue),
        error=oklch(0.53, 0.19, 25),
        on_error=oklch(1.0, 0.0, 25),
    )


@functools.lru_cache(maxsize=4096)
def oklch(lightness: float, chroma: float, hue: float) -> Colour:
    """The sRGB colour nearest to an Oklch colour (chroma is lowered until it fits the gamut).

    Source: Björn Ottosson, "A perceptual color space for image processing".
    """
    while chroma > 0:
        rgb = _linear_rgb(lightness, chroma, hue)
        if all(-0.002 <= value <= 1.002 for value in rgb):
            break
        chroma -= 0.01
    return tuple(_encode(value) for value in _linear_rgb(lightness, max(chroma, 0.0), hue))  # type: ignore[return-value]


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`first` with a share of `second` laid over it."""
    return tuple(round(a + (b - a) * share) for a, b in zip(first, second, strict=True))  # type: ignore[return-value]


def _linear_rgb(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )


def _encode(value: float) -> int:
    value = min(max(value, 0.0), 1.0)
    value = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return round(255 * value)
