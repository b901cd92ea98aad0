"""The pictures of the card games: cards with rank and suit, and a line of text, on a green table."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files

from PIL import Image, ImageDraw, ImageFont

SIDE = 300
"""Of the square picture, in pixels. Source: RL4VLM, gym-cards, `observation_space`."""
TABLE, PAPER, RED, BLACK, WHITE, BACK = "#35654d", "#fdfdfa", "#c0272d", "#15181c", "#ffffff", "#27408b"
RANKS = ("A", "2", "3", "4", "5", "6", "7", "8", "9", "10", "J", "Q", "K")
SUITS = ("spade", "heart", "diamond", "club")
FONTS = "qwen2vl_agent.envs.virtual_phone"
SUPERSAMPLING = 4


@dataclass(frozen=True, slots=True)
class Card:
    """A playing card."""

    rank: int
    """1 (the ace) to 13 (the king)."""
    suit: str

    @property
    def points(self) -> int:
        """What it counts: face cards are tens."""
        return min(self.rank, 10)

    @property
    def name(self) -> str:
        """What stands on it."""
        return RANKS[self.rank - 1]


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """The letters of cards and lines."""
    with as_file(files(FONTS) / "assets" / "Roboto-Medium.ttf") as path:
        return ImageFont.truetype(str(path), size)


def table(cards: Sequence[Card | None], texts: Sequence[tuple[str, float]], top: float = 0.5) -> Image.Image:
    """Cards side by side, their middle at `top` of the height, and lines of text, each at its share of the height.

    None is a card that lies face down.
    """
    image = Image.new("RGB", (SIDE, SIDE), TABLE)
    lay(image, cards, top, max(len(cards), 4))
    draw = ImageDraw.Draw(image)
    for text, height in texts:
        write(draw, text, height)
    return image


def write(draw: ImageDraw.ImageDraw, text: str, height: float, fill: str = WHITE) -> None:
    """A line of text, as large as fits."""
    size = next((size for size in (22, 19, 16, 13) if font(size).getlength(text) <= SIDE - 20), 11)
    draw.text((10, SIDE * height), text, fill=fill, font=font(size), anchor="lm")


def lay(image: Image.Image, cards: Sequence[Card | None], top: float, places: int) -> None:
    """Cards side by side from the left, so small that `places` of them fit."""
    width = int(SIDE / places * 0.88)
    height = int(width * 1.4)
    for place, card in enumerate(cards):
        x = int((place + 0.5) * SIDE / places - width / 2)
        image.paste(face(card, width, height), (x, int(SIDE * top - height / 2)))


@functools.lru_cache(1024)
def face(card: Card | None, width: int, height: int) -> Image.Image:
    """One card of this size."""
    times = SUPERSAMPLING
    image = Image.new("RGB", (width * times, height * times), TABLE)
    draw = ImageDraw.Draw(image)
    radius = width * times // 10
    box = (0, 0, width * times - 1, height * times - 1)
    draw.rounded_rectangle(box, radius, fill=PAPER, outline="#9a9a92", width=times)
    if card is None:
        inset = width * times // 12
        inner = (inset, inset, width * times - inset, height * times - inset)
        draw.rounded_rectangle(inner, radius, fill=BACK, outline=WHITE, width=times)
    else:
        colour = RED if card.suit in ("heart", "diamond") else BLACK
        size = int(height * times * 0.42)
        draw.text((width * times / 2, height * times * 0.3), card.name, colour, font(size), anchor="mm")
        draw_suit(draw, card.suit, width * times / 2, height * times * 0.72, width * times * 0.2, colour)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def draw_suit(draw: ImageDraw.ImageDraw, suit: str, x: float, y: float, r: float, fill: str) -> None:
    """A suit's sign, about `r` to each side of (x, y)."""
    if suit == "diamond":
        draw.polygon([(x, y - 1.2 * r), (x + 0.9 * r, y), (x, y + 1.2 * r), (x - 0.9 * r, y)], fill)
    elif suit == "heart":
        _disc(draw, x - r / 2, y - r / 3, r * 0.58, fill)
        _disc(draw, x + r / 2, y - r / 3, r * 0.58, fill)
        draw.polygon([(x - 1.03 * r, y - 0.1 * r), (x + 1.03 * r, y - 0.1 * r), (x, y + 1.15 * r)], fill)
    else:
        draw.polygon([(x, y), (x + 0.35 * r, y + 1.15 * r), (x - 0.35 * r, y + 1.15 * r)], fill)
        if suit == "spade":
            _disc(draw, x - r / 2, y + r / 4, r * 0.55, fill)
            _disc(draw, x + r / 2, y + r / 4, r * 0.55, fill)
            draw.polygon([(x - r, y + 0.1 * r), (x + r, y + 0.1 * r), (x, y - 1.2 * r)], fill)
        else:
            for dx, dy in ((-0.55, 0.2), (0.55, 0.2), (0, -0.6)):
                _disc(draw, x + dx * r, y + dy * r, r * 0.52, fill)


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, fill: str) -> None:
    draw.ellipse((x - r, y - r, x + r, y + r), fill)
