"""The question whether a step did what it was meant to do, by the screens before and after it. Pure functions."""

import re
from dataclasses import dataclass

from qwen2vl_agent.dialogue.tool_call import neutral
from qwen2vl_agent.dialogue.tool_prompt import Language
from qwen2vl_agent.schema.messages import ImagePart, Message, TextPart

YES, NO = ("yes", "Yes"), ("no", "No")
"""The words between which a model decides, in both languages of the question."""

_TEXTS: dict[Language, tuple[str, str, str]] = {
    "en": (
        "The screen before:\n",
        "\nThe screen after:\n",
        '\nThe task is: {goal}\nBetween the two screens this was done: "{said}". Does the screen after show that it '
        "had the effect that was wanted? Answer yes or no.",
    ),
    "zh": (
        "之前的屏幕：\n",
        "\n之后的屏幕：\n",
        "\n任务是：{goal}\n两个屏幕之间做了：“{said}”。之后的屏幕是否显示它达到了预期的效果？回答 yes 或 no。",
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SecondLook:
    """A step that was done."""

    goal: str
    said: str
    """Its thought and its call."""
    before: ImagePart
    after: ImagePart
    language: Language = "en"


def question(look: SecondLook) -> list[Message]:
    """The conversation that asks it; what is said first is the answer."""
    before, after, asked = _TEXTS[look.language]
    asked = asked.format(goal=neutral(look.goal), said=neutral(look.said))
    parts = (TextPart(before), look.before, TextPart(after), look.after, TextPart(asked))
    return [Message("user", parts)]


def read_answer(text: str) -> float | None:
    """1 for yes, 0 for no, None for anything else; thoughts before it are left out."""
    said = re.sub(r"(?s)<think>.*?</think>", "", text).strip(" \n*\"'.").casefold()
    found = re.match(r"(yes|no)\b", said)
    return None if found is None else float(found[1] == "yes")
