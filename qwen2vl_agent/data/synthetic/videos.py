"""Short films in which figures appear and go, with questions about what appears, when, and in which order.

The same films, longer and with a single event, ask whether a model finds one event among many minutes.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from PIL import Image, ImageDraw

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.synthetic.canvas import to_grid
from qwen2vl_agent.data.synthetic.figures import COLOURS, Box, Rgb, draw_figure
from qwen2vl_agent.data.synthetic.reading import box_text, dialogue
from qwen2vl_agent.schema.messages import VideoPart

FPS = 2.0
"""Pictures a second, the rate at which the model looks."""
SHOWN_FIGURES = ("circle", "square", "triangle", "cross")
SHOWN_COLOURS = ("red", "green", "blue", "yellow", "black", "pink")
WHAT, WHICH_COLOUR = "What appears?", "Which colour appears?"
NAMES = tuple(f"{colour} {figure}" for colour in SHOWN_COLOURS for figure in SHOWN_FIGURES)
"""Everything that can appear."""


@dataclass(frozen=True, slots=True)
class Event:
    """A figure that is on show from one second to before another, in one place."""

    colour: str
    figure: str
    begin_s: float
    end_s: float
    box: Box
    """In pixels."""

    @property
    def name(self) -> str:
        return f"{self.colour} {self.figure}"


@dataclass(frozen=True)
class Film:
    """A film of square pictures: an uneven ground on which a spot wanders, and the events."""

    seconds: float
    side: int
    """Pixels."""
    ground: Rgb
    seed: int
    """Of the spot's way."""
    events: tuple[Event, ...]
    """In the order in which they begin; no two at a time."""

    def pictures(self, fps: float = FPS) -> Iterator[Image.Image]:
        """What is on show at 0, 1/fps, 2/fps … seconds."""
        for number in range(round(self.seconds * fps)):
            yield self.picture(number / fps)

    def picture(self, second: float) -> Image.Image:
        """What is on show at this second."""
        image = self._ground.copy()
        draw = ImageDraw.Draw(image)
        rng = random.Random(self.seed * 1_000_003 + int(second))
        x, y = (rng.uniform(0.1, 0.8) * self.side for _ in range(2))
        draw.rectangle((x, y, x + self.side * 0.1, y + self.side * 0.1), fill=_shade(self.ground, 0.85))
        for event in self.events:
            if event.begin_s <= second < event.end_s:
                draw_figure(draw, event.figure, event.box, COLOURS[event.colour])
        return image

    @cached_property
    def _ground(self) -> Image.Image:
        image = Image.new("RGB", (self.side, self.side), self.ground)
        half = (0, self.side // 2, self.side, self.side)
        ImageDraw.Draw(image).rectangle(half, fill=_shade(self.ground, 0.93))
        return image


def random_film(rng: random.Random, seconds: int, side: int, events: int) -> Film:
    """A film of whole seconds with so many different events, each within its own stretch.

    Worked example: 12 seconds and 3 events are stretches of 4 seconds, in each of which one figure is on show for 1 to
    3 seconds.
    """
    ground = tuple(rng.randint(150, 235) for _ in range(3))
    span = seconds / events
    made = []
    for number, name in enumerate(rng.sample(NAMES, events)):
        lasts = rng.randint(1, max(1, min(3, int(span) - 1)))
        begin = rng.randint(round(number * span), max(round(number * span), int((number + 1) * span) - lasts))
        made.append(_event(rng, name, begin, begin + lasts, side))
    return Film(seconds, side, ground, rng.randrange(2**20), tuple(made))  # type: ignore[arg-type]


def film_with_event(rng: random.Random, seconds: int, side: int, at: float) -> Film:
    """A film with one event of 2 seconds that begins at a part of its length, 0 to 1."""
    ground = tuple(rng.randint(150, 235) for _ in range(3))
    begin = round(at * (seconds - 2))
    event = _event(rng, rng.choice(NAMES), begin, begin + 2, side)
    return Film(seconds, side, ground, rng.randrange(2**20), (event,))  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoSource:
    """Films of several events, with questions about each."""

    name: str = "videos"
    seed: int = 0
    side: int = 112
    """Pixels of a picture's sides."""
    seconds: tuple[int, int] = (8, 20)
    """Length of a film, from and to."""
    events: tuple[int, int] = (1, 4)
    questions: int = 4

    def example(self, index: int) -> Example:
        rng = random.Random(f"{self.seed}/{self.name}/{index}")
        film = random_film(rng, rng.randint(*self.seconds), self.side, rng.randint(*self.events))
        turns = questions(film)
        chosen = rng.sample(turns, min(self.questions, len(turns)))
        return dialogue(VideoPart(list(film.pictures()), FPS), chosen, self.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class EventSource:
    """Films of any length in which one figure appears for two seconds, and the question of which colour it is."""

    name: str = "event"
    seed: int = 0
    side: int = 28
    seconds: tuple[int, ...] = (20, 60, 180)
    """Lengths, each as frequent as the others."""

    def example(self, index: int) -> Example:
        rng = random.Random(f"{self.seed}/{self.name}/{index}")
        film = film_with_event(rng, rng.choice(self.seconds), self.side, rng.random())
        return dialogue(VideoPart(list(film.pictures()), FPS), [(WHICH_COLOUR, film.events[0].colour)], self.name)


def questions(film: Film) -> list[tuple[str, str]]:
    """All questions about a film that have one answer."""
    events, size = film.events, (film.side, film.side)
    turns = [
        (WHAT, ", ".join(event.name for event in events)),
        ("How many figures appear?", str(len(events))),
        ("What appears first?", events[0].name),
        ("What appears last?", events[-1].name),
    ]
    for event in events:
        turns += [
            (f"When does the {event.name} appear?", f"{event.begin_s:g} s"),
            (f"For how long is the {event.name} on show?", f"{event.end_s - event.begin_s:g} s"),
            (f"Where is the {event.name}?", box_text(to_grid(event.box, size))),
        ]
    turns += [(f"What follows the {one.name}?", next_.name) for one, next_ in pairwise(events)]
    return turns


def _event(rng: random.Random, name: str, begin_s: float, end_s: float, side: int) -> Event:
    size = rng.uniform(0.45, 0.7) * side
    x, y = (rng.uniform(0, side - size) for _ in range(2))
    colour, figure = name.split()
    return Event(colour, figure, begin_s, end_s, (x, y, x + size, y + size))


def _shade(colour: Rgb, part: float) -> Rgb:
    red, green, blue = (int(value * part) for value in colour)
    return red, green, blue
