"""People in the loop: asked, pausing, taking over, stopping; through the graph's interrupts and without it."""

import io
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from corridor import FRAME, Corridor, Says, call
from rich.console import Console

from qwen2vl_agent.agent.checkpoints import CHECKPOINTS
from qwen2vl_agent.agent.episode import drive_plainly, run_episode
from qwen2vl_agent.agent.graph import checkpoint_bytes, open_question
from qwen2vl_agent.agent.person import Answer, Controls, Question, fits
from qwen2vl_agent.agent.policy import scripted_policy
from qwen2vl_agent.agent.rules_file import rules_from
from qwen2vl_agent.agent.settings import AgentConfig, EpisodePlan
from qwen2vl_agent.agent.terminal import TerminalPerson, understood
from qwen2vl_agent.schema.geometry import Frame
from qwen2vl_agent.schema.observation import Observation
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import Reply
from qwen2vl_agent.trajectory.store import read_episode

ON, DONE = call("tap", '{"point": [750, 500]}'), call("done")
ASK_TAPS = rules_from({"rule": [{"function": "tap", "then": "ask", "reason": "taps are asked about"}]})
DRIVES = pytest.mark.parametrize("drive", [None, drive_plainly], ids=["graph", "plain"])
GO_ON = ToolCall("tap", {"point": [750, 500]})


class Scripted(Controls):
    """Answers each question with the next of some answers, as a page would: from another thread."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__()
        self.asked: list[Question] = []
        self._answers = list(answers)
        self.on_question = self._told

    def _told(self, question: Question | None) -> None:
        if question is not None:
            self.asked.append(question)
            answer = self._answers.pop(0)
            threading.Thread(target=lambda: self.say(answer)).start()


def run(out: Path, policy: Any, person: Any, env: Any = None, drive: Any = None, **given: Any) -> Any:
    config = given.pop("config", None)
    plan = EpisodePlan(out=out, **given)
    return run_episode(env or Corridor(), policy, plan, config, drive=drive, person=person)


@DRIVES
def test_an_approved_call_is_done_and_a_denied_one_is_told(tmp_path: Path, drive: Any) -> None:
    env = Corridor()
    person = Scripted(Answer("approve"), Answer("deny", "not there"), *[Answer("approve")] * 2)
    trajectory = run(tmp_path, Says(ON, ON, ON, ON, DONE), person, env, drive, rules=ASK_TAPS)
    assert trajectory.header.outcome == "success"
    assert [type(action).__name__ for action in env.received] == ["Tap", "Tap", "Tap", "Done"]
    assert [step.events for step in trajectory.steps] == [("approved",), ("denied",), ("approved",), ("approved",), ()]
    assert trajectory.steps[1].error.startswith("this call is not allowed: the user does not want it: not there")
    assert person.asked[0] == Question("approve", 0, GO_ON, "taps are asked about")


@DRIVES
def test_the_models_question_is_answered_and_the_answer_is_told_and_kept(tmp_path: Path, drive: Any) -> None:
    env, policy = Corridor(), Says(call("ask_user", '{"question": "Which way?"}'), ON, ON, ON, DONE)
    person = Scripted(Answer("reply", "To the right."))
    trajectory = run(tmp_path, policy, person, env, drive)
    assert trajectory.header.outcome == "success"
    assert person.asked == [Question("answer", 0, ToolCall("ask_user", {"question": "Which way?"}), "Which way?")]
    assert policy.contexts[1].observation.text == "The user says: To the right."
    assert policy.contexts[2].observation.text == ""
    assert trajectory.steps[0].performed == {"action": "ask_user", "answer": "To the right."}
    assert len(env.received) == 4


@pytest.mark.parametrize("way", ["replay", "continue"])
def test_an_answer_is_not_asked_for_again_when_the_episode_goes_on(tmp_path: Path, way: Any) -> None:
    policy = Says(call("ask_user", '{"question": "Which way?"}'), ON, ON, ON, DONE)
    run(tmp_path, policy, Scripted(Answer("reply", "Right.")), Corridor(interrupt_at=0))
    assert len(read_episode(tmp_path).steps) == 1
    again = Says(ON, ON, ON, ON, DONE)
    trajectory = run(tmp_path, again, None, resume=way)
    assert again.contexts[0].observation.text == "The user says: Right."
    assert trajectory.header.outcome == "success"


@DRIVES
def test_a_pause_waits_before_the_next_action_and_goes_on(tmp_path: Path, drive: Any) -> None:
    person = Scripted(Answer("resume"))
    person.pause()
    trajectory = run(tmp_path, Says(ON, ON, ON, DONE), person, drive=drive)
    assert [question.kind for question in person.asked] == ["paused"]
    assert trajectory.header.outcome == "success"
    assert len(trajectory.steps) == 4


def test_rules_hold_after_a_pause_too(tmp_path: Path) -> None:
    person = Scripted(Answer("resume"), Answer("deny"), *[Answer("approve")] * 3)
    person.pause()
    run(tmp_path, Says(ON, ON, ON, ON, DONE), person, rules=ASK_TAPS)
    assert [question.kind for question in person.asked] == ["paused", *["approve"] * 4]


@DRIVES
def test_a_person_takes_over_acts_and_hands_back(tmp_path: Path, drive: Any) -> None:
    env, policy = Corridor(), Says(call("wait"), call("wait"), ON, ON, DONE)
    person = Scripted(Answer("take_over"), Answer("act", call=GO_ON), Answer("hand_back"))
    person.pause()
    trajectory = run(tmp_path, policy, person, env, drive)
    assert [question.kind for question in person.asked] == ["paused", "take_over", "take_over"]
    assert [step.by for step in trajectory.steps] == ["person", *["policy"] * 4]
    assert trajectory.steps[0].call == GO_ON
    assert trajectory.steps[0].reply.target is True
    assert [type(action).__name__ for action in env.received] == ["Tap", "Wait", "Tap", "Tap", "Done"]
    assert trajectory.header.outcome == "success"
    assert read_episode(tmp_path) == trajectory


def test_a_persons_action_that_is_no_call_is_told_to_them(tmp_path: Path) -> None:
    person = Scripted(Answer("act", call=ToolCall("fly")), Answer("hand_back"))
    person.take_over()
    trajectory = run(tmp_path, scripted_policy("oracle"), person)
    assert "unknown function 'fly'" in person.asked[1].text
    assert {step.by for step in trajectory.steps} == {"policy"}


class Touched(Corridor):
    """A corridor that may be walked by hand, and can be looked at again."""

    def look_again(self) -> Observation:
        self._seen = super().observation
        return self._seen

    def reset(self, *given: Any, **more: Any) -> None:
        super().reset(*given, **more)
        self.look_again()

    def step(self, action: Any) -> Any:
        done = super().step(action)
        self.look_again()
        return done

    @property
    def observation(self) -> Observation:
        return self._seen

    def walk(self) -> None:
        self._place += 1


def test_what_was_done_by_hand_is_recorded_as_a_wait_that_nobody_learns(tmp_path: Path) -> None:
    env = Touched()
    person = Scripted(Answer("hand_back"))
    tell = person.on_question
    person.on_question = lambda question: (question and env.walk(), tell(question))[1]
    person.take_over()
    policy = Says(ON, ON, ON, DONE)
    trajectory = run(tmp_path, policy, person, env)
    first = trajectory.steps[0]
    assert (first.by, first.events, first.reply.target) == ("person", ("by_hand",), False)
    assert policy.contexts[1].observation.text == "The user acted on the device; go on from this screen."
    assert trajectory.header.outcome == "success"
    assert len(env.received) == 3


def test_a_screen_that_changed_while_a_person_was_asked_is_looked_at_again(tmp_path: Path) -> None:
    env = Touched()
    person = Scripted(*[Answer("approve")] * 4)
    tell, moved = person.on_question, []

    def told(question: Question | None) -> None:
        if question is not None and not moved:
            moved.append(env.walk())
        tell(question)

    person.on_question = told
    trajectory = run(tmp_path, Says(ON, ON, ON, DONE), person, env, rules=ASK_TAPS)
    assert trajectory.steps[0].events == ("stale", "approved")
    assert "the screen changed" in trajectory.steps[0].error
    assert trajectory.header.outcome == "success"
    assert len(env.received) == 3


@DRIVES
@pytest.mark.parametrize("when", ["before", "asked"])
def test_stop_ends_the_episode_and_it_can_go_on(tmp_path: Path, drive: Any, when: str) -> None:
    person = Scripted(Answer("stop")) if when == "asked" else Controls()
    if when == "before":
        person.stop()
    stopped = run(tmp_path, Says(ON), person, drive=drive, rules=ASK_TAPS, seed=1)
    assert (stopped.header.outcome, stopped.header.message) == ("stopped", "stopped by the person")
    assert stopped.steps == []
    person = Scripted(*[Answer("approve")] * 3)
    assert run(tmp_path, Says(ON, ON, ON, DONE), person, seed=1, resume="replay").header.outcome == "success"


def test_stop_holds_while_the_model_writes(tmp_path: Path) -> None:
    person = Controls()

    class Slow(Says):
        def reply(self, context: Any) -> Reply:
            person.stop()
            context.on_text("Hm")
            raise AssertionError("it wrote on")

    assert run(tmp_path, Slow(ON), person).header.outcome == "stopped"


def test_a_model_that_is_unsure_asks(tmp_path: Path) -> None:
    class Unsure(Says):
        def reply(self, context: Any) -> Reply:
            return Reply(super().reply(context).text, confidence=0.4 if context.index == 1 else 0.9)

    person = Scripted(Answer("approve"))
    trajectory = run(tmp_path, Unsure(ON, ON, ON, DONE), person, config=AgentConfig(ask_below=0.5))
    assert [(question.kind, question.index, question.confidence) for question in person.asked] == [("unsure", 1, 0.4)]
    assert trajectory.steps[1].events == ("approved",)


def test_a_question_waits_on_disk_when_the_process_ends(tmp_path: Path) -> None:
    class Gone(Controls):
        def answer(self, question: Question) -> Answer:
            raise SystemExit

    with pytest.raises(SystemExit):
        run(tmp_path, Says(ON), Gone(), rules=ASK_TAPS)
    assert open_question(tmp_path) == Question("approve", 0, GO_ON, "taps are asked about")
    trajectory = run(tmp_path, Says(ON, ON, ON, DONE), Scripted(*[Answer("approve")] * 3), resume="replay")
    assert trajectory.header.outcome == "success"
    assert open_question(tmp_path) is None
    assert not list(tmp_path.glob(f"{CHECKPOINTS}*"))


class Endless(Corridor):
    """A corridor without an end, for long episodes."""

    max_steps = 1000

    @property
    def observation(self) -> Observation:
        image = super().observation.image
        image.putpixel((len(self.received) % FRAME.width, len(self.received) // FRAME.width), (255, 255, 255))
        return Observation(image, Frame("screenshot", FRAME.width, FRAME.height), "x" * 200)


def test_checkpoints_stay_small_and_flat_over_two_hundred_steps(tmp_path: Path) -> None:
    person = Controls()

    class Stops(Says):
        def reply(self, context: Any) -> Reply:
            if context.index == 200:
                person.stop()
            return super().reply(context)

    run(tmp_path, Stops(ON), person, Endless(), config=AgentConfig(stop_after=0, hint_after=0))
    sizes = checkpoint_bytes(tmp_path / CHECKPOINTS)[1:200]
    assert len(sizes) == 199
    assert max(sizes) <= 20_000
    assert max(sizes[150:]) <= 1.05 * max(sizes[:50])


def test_controls_refuse_what_does_not_fit(tmp_path: Path) -> None:
    controls = Controls()
    assert not controls.approve()
    assert not controls.reply("x")
    thread = threading.Thread(target=controls.answer, args=(Question("approve", 0, GO_ON),))
    thread.start()
    end = time.monotonic() + 60
    while controls.question is None and time.monotonic() < end:
        time.sleep(0.001)
    assert not controls.resume()
    assert not controls.act(GO_ON)
    assert controls.approve()
    thread.join()
    assert not fits(Question("take_over", 0), Answer("act"))


def test_a_wish_between_two_looks_is_not_lost() -> None:
    controls = Controls()
    controls.stop()
    assert controls.answer(Question("approve", 0, GO_ON)) == Answer("stop")
    assert controls.request() is None
    controls.pause()
    assert controls.resume()
    assert controls.request() is None


def test_an_approval_that_nobody_gives_in_time_is_a_denial(tmp_path: Path) -> None:
    person = Controls(limit_s=0.01)
    trajectory = run(tmp_path, Says(ON, call("done", '{"status": "failure"}')), person, rules=ASK_TAPS)
    assert "nobody answered in time" in trajectory.steps[0].error


TAKE = Question("take_over", 0)
MAY = Question("approve", 0, GO_ON)


@pytest.mark.parametrize(
    ("question", "line", "answer"),
    [
        (MAY, "y", Answer("approve")),
        (MAY, "n too far", Answer("deny", "too far")),
        (MAY, "what?", None),
        (MAY, "t", Answer("take_over")),
        (MAY, "s", Answer("stop")),
        (Question("answer", 0), "the left one", Answer("reply", "the left one")),
        (Question("answer", 0), " s", Answer("reply", "s")),
        (Question("paused", 0), "", Answer("resume")),
        (TAKE, "tap 10 20", Answer("act", call=ToolCall("tap", {"point": [10, 20]}))),
        (TAKE, "type hello there", Answer("act", call=ToolCall("type_text", {"text": "hello there"}))),
        (TAKE, "key back", Answer("act", call=ToolCall("press_key", {"name": "back"}))),
        (TAKE, "swipe 1 2 3 4", Answer("act", call=ToolCall("swipe", {"start": [1, 2], "end": [3, 4]}))),
        (TAKE, "open Clock", Answer("act", call=ToolCall("open_app", {"name": "Clock"}))),
        (TAKE, "b", Answer("hand_back")),
        (TAKE, "h", Answer("hand_back", by_hand=True)),
        (TAKE, "sing", None),
    ],
)
def test_lines_at_the_terminal_mean_answers(question: Question, line: str, answer: Answer | None) -> None:
    assert understood(question, line) == answer


def test_the_terminal_asks_until_it_understands(tmp_path: Path) -> None:
    lines = iter(["maybe", "y", "n", "y", "y"])
    console = Console(record=True, width=100, file=io.StringIO())
    person = TerminalPerson(console, read=lambda prompt: next(lines))
    trajectory = run(tmp_path / "e", Says(ON, ON, ON, ON, DONE), person, rules=ASK_TAPS)
    assert trajectory.header.outcome == "success"
    shown = console.export_text()
    assert "May it tap [750, 500]? (taps are asked about)" in shown
    assert shown.count("y yes") == 5


def test_where_the_input_ends_calls_are_denied(tmp_path: Path) -> None:
    def ends(prompt: str) -> str:
        raise EOFError

    person = TerminalPerson(Console(quiet=True), read=ends)
    trajectory = run(tmp_path, Says(ON, call("done", '{"status": "failure"}')), person, rules=ASK_TAPS)
    assert "nobody is there" in trajectory.steps[0].error
    assert person.answer(Question("paused", 0)) == Answer("stop")
