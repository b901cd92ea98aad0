"""Whether what an agent answered is what was asked for."""

import re


def says(answer: str | None, expected: str) -> bool:
    """Whether the answer is the expected text, but for case, spaces and outer signs."""
    return answer is not None and _plain(answer) == _plain(expected)


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip(" .!?°\"'“”").casefold()
