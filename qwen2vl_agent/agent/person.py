"""The person beside the agent: what they may be asked, what they may say, and the seats from which they say it.

Questions and answers are plain JSON objects, because the graph keeps them: an episode that is killed while it waits is
found waiting. A question has a `kind`; an answer says what to `do`:

    kind        asked when                                      do
    approve     the rules say `ask` of the call at hand         approve · deny (with a `text`)
    unsure      the model's own probability is below a limit    approve · deny (with a `text`)
    answer      the model called `ask_user`                     reply (with a `text`)
    paused      the person asked for a pause                    resume
    take_over   the person has the device                       act (with a `call`) · hand_back (with `by_hand`)

`stop` and `take_over` answer every question.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from qwen2vl_agent.schema.tools import ToolCall

Kind = Literal["approve", "unsure", "answer", "paused", "take_over"]
Request = Literal["pause", "take_over", "stop"]
STOPPED = "stopped by the person"


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked."""

    kind: Kind
    index: int
    """Of the step under way."""
    call: ToolCall | None = None
    """The call that is about to be done."""
    text: str = ""
    """The reason, or the model's own question."""
    confidence: float | None = None

    def to_json(self) -> dict[str, Any]:
        """For the graph's state."""
        call = None if self.call is None else {"name": self.call.name, "arguments": self.call.arguments}
        values = {"kind": self.kind, "index": self.index, "call": call, "text": self.text}
        return values | {"confidence": self.confidence}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Question":
        """What `to_json` gave."""
        call = None if values["call"] is None else ToolCall(**values["call"])
        return cls(values["kind"], values["index"], call, values["text"], values["confidence"])


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person says."""

    do: Literal["approve", "deny", "reply", "resume", "stop", "take_over", "act", "hand_back"]
    text: str = ""
    call: ToolCall | None = None
    """Of `act`: what the person does on the device."""
    by_hand: bool = False
    """Of `hand_back`: whether the person touched the device itself."""

    def to_json(self) -> dict[str, Any]:
        """For the graph's state."""
        call = None if self.call is None else {"name": self.call.name, "arguments": self.call.arguments}
        return {"do": self.do, "text": self.text, "call": call, "by_hand": self.by_hand}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Answer":
        """What `to_json` gave."""
        call = None if values["call"] is None else ToolCall(**values["call"])
        return cls(values["do"], values["text"], call, values["by_hand"])


FITTING: dict[Kind, tuple[str, ...]] = {
    "approve": ("approve", "deny"),
    "unsure": ("approve", "deny"),
    "answer": ("reply",),
    "paused": ("resume",),
    "take_over": ("act", "hand_back"),
}
"""What may be answered, beside `stop` and `take_over`."""


def fits(question: Question, answer: Answer) -> bool:
    """Whether an answer is one to this question."""
    if answer.do == "act" and answer.call is None:
        return False
    anywhere = ("stop",) if question.kind == "take_over" else ("stop", "take_over")
    return answer.do in FITTING[question.kind] or answer.do in anywhere


class Person(Protocol):
    """A seat beside the agent."""

    present: bool
    """Whether anyone sits there; questions are asked only if so."""

    def request(self) -> Request | None:
        """What the person wants, asked before each action and taken back by the asking; never waits."""
        ...

    def stopping(self) -> bool:
        """Whether the person wants to stop at once; asked while the model writes."""
        ...

    def answer(self, question: Question) -> Answer:
        """Their answer; waits for it."""
        ...


class Nobody:
    """An empty seat."""

    present = False

    def request(self) -> Request | None:
        """Nothing."""
        return None

    def stopping(self) -> bool:
        """Never."""
        return False

    def answer(self, question: Question) -> Answer:
        """Nobody is asked."""
        raise AssertionError("a question was put to nobody")


@dataclass(slots=True)
class Controls:
    """The seat that is worked by buttons, from any thread: of a page, of another program, of a test.

    `question` tells what is waited for; `pause`, `take_over` and `stop` may be called at any time and hold before the
    next action. The episode's own thread calls `request`, `stopping` and `answer`.
    """

    on_question: Callable[[Question | None], None] = lambda question: None
    """Told of each question when it is asked, and of None when it is answered; called on the episode's thread."""
    limit_s: float | None = None
    """How long an approval is waited for before it counts as denied; None: for ever."""
    present: bool = True
    question: Question | None = None
    """The one that waits for an answer."""
    _wanted: Request | None = None
    _answer: Answer | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)

    # Buttons ---------------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Wait before the next action."""
        self._want("pause")

    def stop(self) -> None:
        """End the episode as stopped: before the next action, or while the model writes."""
        with self._changed:
            if not self.say(Answer("stop")):
                self._want("stop")

    def take_over(self) -> None:
        """Give the device to the person, before the next action."""
        with self._changed:
            if not self.say(Answer("take_over")):
                self._want("take_over")

    def resume(self) -> bool:
        """Go on after a pause; before it has begun, take the wish back."""
        with self._changed:
            if self.question is None and self._wanted == "pause":
                self._wanted = None
                return True
        return self.say(Answer("resume"))

    def approve(self) -> bool:
        """Let the call be done."""
        return self.say(Answer("approve"))

    def deny(self, reason: str = "") -> bool:
        """Do not let the call be done; the model is told why."""
        return self.say(Answer("deny", reason))

    def reply(self, text: str) -> bool:
        """Answer the model's question."""
        return self.say(Answer("reply", text))

    def act(self, call: ToolCall) -> bool:
        """Do something on the device, after taking over; it is recorded as the person's."""
        return self.say(Answer("act", call=call))

    def hand_back(self, by_hand: bool = False) -> bool:
        """Give the device back to the agent; `by_hand`: the person touched the device itself."""
        return self.say(Answer("hand_back", by_hand=by_hand))

    def say(self, answer: Answer) -> bool:
        """Answer the question that waits; False where none waits or the answer does not fit it."""
        with self._changed:
            if self.question is None or self._answer is not None or not fits(self.question, answer):
                return False
            self._answer = answer
            self._changed.notify_all()
            return True

    def _want(self, request: Request) -> None:
        with self._changed:
            if self._wanted != "stop":
                self._wanted = request

    # The episode's side ----------------------------------------------------------------------------------------------

    def request(self) -> Request | None:
        """See `Person`."""
        with self._changed:
            wanted, self._wanted = self._wanted, None
            return wanted

    def stopping(self) -> bool:
        """See `Person`."""
        return self._wanted == "stop"

    def answer(self, question: Question) -> Answer:
        """See `Person`."""
        with self._changed:
            self.question, self._answer = question, self._wish_as_answer(question)
        self.on_question(question)
        limit_s = self.limit_s if question.kind in ("approve", "unsure") else None
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._answer is not None, limit_s)
                answer = self._answer or Answer("deny", "nobody answered in time")
        finally:
            self.question = None
            self.on_question(None)
        return answer

    def _wish_as_answer(self, question: Question) -> Answer | None:
        """A wish that came between the last look at the wishes and this question."""
        wishes: dict[Request | None, Answer] = {"stop": Answer("stop"), "take_over": Answer("take_over")}
        answer = wishes.get(self._wanted)
        if answer is None or not fits(question, answer):
            return None
        self._wanted = None
        return answer
