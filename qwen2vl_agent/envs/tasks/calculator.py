"""Tasks on the calculator."""

from random import Random

from qwen2vl_agent.envs.tasks.answers import says
from qwen2vl_agent.envs.tasks.hand import Hand
from qwen2vl_agent.envs.tasks.task import Decision, Params, Screen, Task, Template
from qwen2vl_agent.envs.virtual_phone.apps.arithmetic import evaluate
from qwen2vl_agent.envs.virtual_phone.apps.calculator import NAMES, OPERATORS
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.words import Words

APP = "calculator"


def _draw(rng: Random, state: PhoneState, words: Words) -> Params:
    """Two numbers and a sign; a division comes out even."""
    sign = rng.choice(OPERATORS)
    left, right = rng.randint(11, 99), rng.randint(11, 99)
    if sign == "−":
        left, right = max(left, right), min(left, right)
    elif sign == "×":
        right = rng.randint(2, 9)
    elif sign == "÷":
        right = rng.randint(2, 9)
        left = right * rng.randint(6, 49)
    return {"left": left, "right": right, "sign": sign, "keys": f"{left}{sign}{right}"}


def _draw_question(rng: Random, state: PhoneState, words: Words) -> Params:
    params = _draw(rng, state, words)
    return {**params, "answer": evaluate(params["keys"])}


def _computed(task: Task, state: PhoneState, answer: str | None) -> bool:
    shown, keys = state.calculator, task.params["keys"]
    return shown.expression == keys and shown.result == evaluate(keys)


def _answered(task: Task, state: PhoneState, answer: str | None) -> bool:
    return says(answer, task.params["answer"]) and _computed(task, state, answer)


def _compute(task: Task, screen: Screen) -> Decision:
    """Go on with what stands on the display where that fits, else clear it."""
    hand = Hand(screen)
    way = hand.in_app(APP)
    if way:
        return way
    if _computed(task, screen.state, None):
        return hand.answer(task.params["answer"], task.params["keys"]) if "answer" in task.params else hand.done()
    shown, keys = screen.state.calculator, task.params["keys"]
    if shown.result or not keys.startswith(shown.expression):
        return _press(hand, "C")
    return _press(hand, keys[len(shown.expression)] if shown.expression != keys else "=")


def _press(hand: Hand, key: str) -> Decision:
    return hand.press(f"calculator:key.{NAMES.get(key, key)}")


TEMPLATES = (
    Template(
        id="calculator.compute",
        goals=(
            "Compute {left} {sign} {right} with the calculator.",
            "Use the calculator to work out {left} {sign} {right}.",
            "Calculate {left} {sign} {right} on this phone.",
            "Show the result of {left} {sign} {right} on the calculator.",
            "Type {left} {sign} {right} into the calculator and press =.",
        ),
        draw=_draw, solved=_computed, decide=_compute, steps=8,
    ),
    Template(
        id="calculator.answer",
        goals=(
            "What is {left} {sign} {right}? Use the calculator.",
            "Work out {left} {sign} {right} on the calculator and answer.",
            "Tell me the result of {left} {sign} {right} from the calculator.",
            "How much is {left} {sign} {right}, says the calculator?",
            "Use the calculator and answer: {left} {sign} {right}.",
        ),
        draw=_draw_question, solved=_answered, decide=_compute, steps=9,
    ),
)  # fmt: skip
