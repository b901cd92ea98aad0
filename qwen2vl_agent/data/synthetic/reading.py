"""Reading and pointing on pictures of text: many questions to one picture, since the picture costs most."""

import random
from dataclasses import dataclass

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.synthetic.canvas import Canvas, Item, text_canvas
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart

SYSTEM = "Read."
READ = ""
"""To transcribe is what is asked where nothing else is."""
READ_PLACES = "Read with places."


def point_text(item: Item) -> str:
    """A point as the published models write it. Source: technical report §2.2 (visual grounding)."""
    x, y = item.centre
    return f"<|box_start|>({x},{y})<|box_end|>"


def read(items: tuple[Item, ...]) -> tuple[str, str]:
    return READ, "\n".join(item.text for item in items)


def read_places(items: tuple[Item, ...]) -> tuple[str, str]:
    return READ_PLACES, "\n".join(f"{item.text} {point_text(item)}" for item in items)


def find(item: Item) -> tuple[str, str]:
    return f'Where is "{item.text}"?', point_text(item)


def name(item: Item, rng: random.Random) -> tuple[str, str]:
    """Asks what stands at a random point of the item's box."""
    left, top, right, bottom = item.box
    x, y = rng.randint(left, max(left, right - 1)), rng.randint(top, max(top, bottom - 1))
    return f"What is at ({x},{y})?", item.text


def conversation(image: object, turns: list[tuple[str, str]], source: str) -> Example:
    """A dialogue about one picture; every answer is a target.

    The system message is one word: the usual one would be half of an example that reads three letters.
    """
    messages = [Message("system", (TextPart(SYSTEM),))]
    for index, (question, answer) in enumerate(turns):
        asked = (TextPart(question),) if question != READ else ()
        parts = (ImagePart(image), *asked) if index == 0 else asked
        messages += [Message("user", parts), Message("assistant", (TextPart(answer, target=True),))]
    return Example(messages, source)


def interleaved(canvases: list[Canvas], source: str) -> Example:
    """A document of pictures, each followed by what is written on it: one turn, so that most tokens teach."""
    parts: list[ImagePart | TextPart] = []
    for canvas in canvases:
        _, text = read(canvas.items)
        parts += [ImagePart(canvas.image), TextPart(f"{text}\n", target=True)]
    return Example([Message("system", (TextPart(SYSTEM),)), Message("assistant", tuple(parts))], source)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingSource:
    """Random canvases with transcription, pointing and naming questions."""

    name: str
    seed: int = 0
    columns: tuple[int, int] = (2, 8)
    """Smallest and largest width in model tokens."""
    rows: tuple[int, int] = (1, 2)
    """Smallest and largest height in model tokens."""
    max_items: int = 3
    longest: int | None = None
    """Letters of the longest line; None: as long as it fits."""
    places: float = 0.0
    """Share of canvases whose transcription tells the places too."""
    questions: int = 0
    """Pointing and naming questions to a canvas, half of each."""
    pictures: int = 1
    """Canvases in an example. Several make an interleaved document, each followed by its transcription."""
    transcribe: float = 1.0
    """Share of canvases that are transcribed as a whole."""

    def example(self, index: int) -> Example:
        rng = random.Random(f"{self.seed}/{self.name}/{index}")
        if self.pictures > 1:
            return interleaved([self._canvas(rng) for _ in range(self.pictures)], self.name)
        canvas = self._canvas(rng)
        return conversation(canvas.image, self._turns(canvas, rng), self.name)

    def _canvas(self, rng: random.Random) -> Canvas:
        while True:
            canvas = text_canvas(
                rng,
                columns=rng.randint(*self.columns),
                rows=rng.randint(*self.rows),
                max_items=self.max_items,
                longest=self.longest,
            )
            if canvas.items:
                return canvas

    def _turns(self, canvas: Canvas, rng: random.Random) -> list[tuple[str, str]]:
        turns = []
        if rng.random() < self.transcribe or not self.questions:
            turns.append(read_places(canvas.items) if rng.random() < self.places else read(canvas.items))
        texts = [item.text for item in canvas.items]
        unique = [item for item in canvas.items if texts.count(item.text) == 1] or list(canvas.items)
        for number in range(self.questions):
            item = rng.choice(unique)
            turns.append(find(item) if number % 2 == 0 else name(item, rng))
        return turns
