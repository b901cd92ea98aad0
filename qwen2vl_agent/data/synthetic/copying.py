"""Texts to write down again: what a small model needs most to act, and learns slowly from screens alone."""

import random
from dataclasses import dataclass

from qwen2vl_agent.data.example import Example
from qwen2vl_agent.data.synthetic.reading import SYSTEM
from qwen2vl_agent.data.synthetic.strings import label
from qwen2vl_agent.schema.messages import Message, TextPart

MOST = 8
"""Texts of one example."""
FORMS = ('"{}" is here: tap it.', 'Type "{}".', 'Answer "{}".', '"{}" is not here: scroll down.')
"""What an agent's thoughts look like around a text of its goal."""
WHOLE = 0.5
"""Share of examples that are written down as a whole, from which copying is learned first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CopyingSource:
    """The user gives some texts, the assistant repeats or uses them in their order. No picture, so it costs little."""

    name: str
    seed: int = 0

    def example(self, index: int) -> Example:
        rng = random.Random(f"{self.seed}/{self.name}/{index}")
        texts = [label(rng) for _ in range(rng.randint(1, MOST))]
        if rng.random() < WHOLE:
            asked = written = " ".join(texts)
        else:
            form = rng.choice(FORMS)
            asked = " ".join(f'"{text}"' if rng.random() < 0.7 else text for text in texts)
            written = "\n".join(form.format(text) for text in texts)
        system, user = Message("system", (TextPart(SYSTEM),)), Message("user", (TextPart(asked),))
        return Example([system, user, Message("assistant", (TextPart(written, target=True),))], self.name)
