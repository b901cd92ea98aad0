"""Questions about a picture, and the conversation that they make: many to one, since the picture costs most."""

import random

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.synthetic.canvas import Item
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart

SYSTEM = "Read."
READ = ""
"""To transcribe is what is asked where nothing else is."""


def point_text(item: Item) -> str:
    """A point as the published models write it. Source: technical report §2.2 (visual grounding)."""
    x, y = item.centre
    return f"<|box_start|>({x},{y})<|box_end|>"


def read(items: tuple[Item, ...]) -> tuple[str, str]:
    return READ, "\n".join(item.text for item in items)


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
