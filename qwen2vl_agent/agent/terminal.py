"""The person at the terminal: questions are lines, answers are words."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from rich.console import Console

from qwen2vl_agent.agent.person import Answer, Question, Request, fits
from qwen2vl_agent.schema.tools import ToolCall

HELP = {
    "approve": "y yes · n [why] no · t take over · s stop",
    "unsure": "y yes · n [why] no · t take over · s stop",
    "answer": "your answer · t take over · s stop (a single letter: write a blank before it)",
    "paused": "Enter go on · t take over · s stop",
    "take_over": "tap X Y · press X Y · swipe X1 Y1 X2 Y2 · type TEXT · key NAME · open APP · wait · b hand back · "
    "h I touched the device itself, hand back · s stop      (X and Y from 0 to 999)",
}


class TerminalPerson:
    """A `Person` who reads and types; Ctrl-C asks for a pause, once more it interrupts."""

    present = True

    def __init__(
        self,
        console: Console,
        aside: Callable[[], AbstractContextManager[Any]] = nullcontext,
        read: Callable[[str], str] = input,
    ) -> None:
        """`aside` clears the view away while a question is asked."""
        self._console = console
        self._aside = aside
        self._read = read
        self._wanted: Request | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While it lasts, a first Ctrl-C asks for a pause instead of ending the run."""
        usual = signal.getsignal(signal.SIGINT)

        def interrupted(number: int, frame: Any) -> None:
            if self._wanted is not None:
                raise KeyboardInterrupt
            self._wanted = "pause"
            self._say("pausing before the next action; Ctrl-C again stops at once")

        signal.signal(signal.SIGINT, interrupted)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, usual)

    def request(self) -> Request | None:
        """See `Person`."""
        wanted, self._wanted = self._wanted, None
        return wanted

    def stopping(self) -> bool:
        """A second Ctrl-C interrupts by itself."""
        return False

    def answer(self, question: Question) -> Answer:
        """See `Person`. Where the input ends, calls are denied and all else stops."""
        with self._aside():
            self._say(asked(question))
            while True:
                self._say(f"  {HELP[question.kind]}")
                try:
                    answer = understood(question, self._read("> "))
                except EOFError:
                    return (
                        Answer("deny", "nobody is there") if question.kind in ("approve", "unsure") else Answer("stop")
                    )
                if answer is not None and fits(question, answer):
                    return answer

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def asked(question: Question) -> str:
    """A question in a line."""
    call = written_call(question.call)
    match question.kind:
        case "approve":
            return f"May it {call}?" + (f" ({question.text})" if question.text else "")
        case "unsure":
            return f"It is {question.confidence or 0.0:.0%} sure of {call}. May it?"
        case "answer":
            return f"It asks: {question.text}"
        case "paused":
            return f"Paused before {call}." if call else "Paused."
    return question.text or "The device is yours."


def written_call(call: ToolCall | None) -> str:
    """`tap [348, 291]`: a call as people read it."""
    if call is None:
        return ""
    return " ".join([call.name, *(json.dumps(value, ensure_ascii=False) for value in call.arguments.values())])


def understood(question: Question, line: str) -> Answer | None:
    """What a line means; None where it means nothing."""
    word, _, rest = line.strip().partition(" ")
    if line.rstrip("\n") in ("s", "t"):
        return Answer("stop") if word == "s" else Answer("take_over")
    if question.kind == "answer":
        return Answer("reply", line.strip()) if line.strip() else None
    if question.kind == "paused":
        return Answer("resume") if not word else None
    if question.kind == "take_over":
        return {"b": Answer("hand_back"), "h": Answer("hand_back", by_hand=True)}.get(line.strip()) or _acted(
            word, rest
        )
    if word in ("y", "yes"):
        return Answer("approve")
    return Answer("deny", rest.strip()) if word in ("n", "no") else None


def _acted(word: str, rest: str) -> Answer | None:
    """A person's action: numbers for places, the rest of the line for a text."""
    numbers = [int(number) for number in rest.split() if number.isdecimal()]
    calls: dict[str, Callable[[], ToolCall]] = {
        "tap": lambda: ToolCall("tap", {"point": numbers[:2]}),
        "press": lambda: ToolCall("long_press", {"point": numbers[:2]}),
        "swipe": lambda: ToolCall("swipe", {"start": numbers[:2], "end": numbers[2:4]}),
        "type": lambda: ToolCall("type_text", {"text": rest}),
        "key": lambda: ToolCall("press_key", {"name": rest.strip()}),
        "open": lambda: ToolCall("open_app", {"name": rest.strip()}),
        "wait": lambda: ToolCall("wait", {}),
    }
    return Answer("act", call=calls[word]()) if word in calls else None
