"""What became of an action is noticed, recorded, and told to those who can read it."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from corridor import Corridor, Says, call
from PIL import Image

from qwen2vl_agent.agent.effects import Typed, screen_events, typed, unchanged
from qwen2vl_agent.agent.episode import run_episode
from qwen2vl_agent.agent.guards import LoopGuard, screen_key
from qwen2vl_agent.agent.settings import VERIFIED, AgentConfig, EpisodePlan, taught_settings
from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.actions import OpenApp, PressKey, Tap, TypeText, Wait
from qwen2vl_agent.schema.geometry import Frame, Point
from qwen2vl_agent.schema.observation import Element, Observation
from qwen2vl_agent.schema.tools import ToolCall, to_call
from qwen2vl_agent.schema.trajectory import Reply, StoredFrame

ON, DONE = call("tap", '{"point": [750, 500]}'), call("done")


def run(out: Path, policy: Any, env: Any, verified: bool = True) -> Any:
    return run_episode(env, policy, EpisodePlan(out=out), AgentConfig(verified=verified))


@pytest.mark.parametrize("verified", [True, False])
def test_nothing_changed_is_recorded_always_and_told_where_it_can_be_read(tmp_path: Path, verified: bool) -> None:
    policy = Says(call("press_key", '{"name": "back"}'), call("wait"), ON, ON, ON, DONE)
    trajectory = run(tmp_path, policy, Corridor(), verified)
    assert [step.events for step in trajectory.steps] == [("unchanged",), *[()] * 5]
    told = [context.observation.text for context in policy.contexts]
    assert told == ["", "Nothing on the screen changed." if verified else "", "", "", "", ""]


def test_what_is_told_is_told_again_when_the_episode_goes_on(tmp_path: Path) -> None:
    env = Corridor(interrupt_at=1)
    run(tmp_path, Says(call("press_key", '{"name": "back"}'), ON), env)
    policy = Says(ON, ON, ON, ON, DONE)
    run_episode(Corridor(), policy, EpisodePlan(out=tmp_path, resume="continue"))
    assert policy.contexts[0].observation.text == "Nothing on the screen changed."


def test_a_clock_that_ticks_is_no_change_and_a_letter_is_one() -> None:
    before = Image.new("RGB", (540, 1200), "white")
    ticked, typed_on, faint = before.copy(), before.copy(), before.copy()
    ticked.paste("black", (20, 10, 60, 40))
    typed_on.paste("black", (200, 600, 210, 620))
    faint.paste((252, 252, 252), (0, 300, 540, 600))
    assert unchanged(before, ticked, Tap(point=Point(1, 1, Frame("device", 540, 1200))))
    assert not unchanged(before, typed_on, PressKey(name="back"))
    assert not unchanged(before, before.rotate(90, expand=True), PressKey(name="back"))
    assert not unchanged(before, before, Wait())
    assert screen_key(before) == screen_key(ticked) == screen_key(faint) != screen_key(typed_on)


def field(text: str) -> Element:
    return Element(text, "field", (0, 0, 10, 10), focused=True)


@pytest.mark.parametrize(
    ("before", "text", "clear", "now", "found"),
    [
        ("", "cat", False, "cat", Typed(True)),
        ("my ", "cat", False, "my cat", Typed(True)),
        ("a hint", "cat", False, "cat", Typed(True)),
        ("", "cat", False, "", Typed(False, "", TypeText(text="cat"))),
        ("my ", "cat", False, "my c", Typed(False, "my c", TypeText(text="my cat", clear_first=True))),
        ("old", "cat", True, "ca", Typed(False, "ca", TypeText(text="cat", clear_first=True))),
        ("a hint", "cat", False, "c", Typed(False, "c", TypeText(text="cat", clear_first=True))),
        ("a hint", "cat", False, "dog", Typed(False, "dog")),
        ("", "secret", False, "••••••", Typed(True)),
        ("", "two\nlines", False, "two", Typed(True)),
    ],
)
def test_typed_text_is_read_back(before: str, text: str, clear: bool, now: str, found: Typed) -> None:
    assert typed(TypeText(text=text, clear_first=clear), field(before), field(now)) == found


def test_a_field_that_cannot_be_read_is_believed() -> None:
    assert typed(TypeText(text="cat"), None, field("")) == Typed(True)
    assert typed(TypeText(text="cat"), field(""), None) == Typed(True)


class Loses:
    """A device that loses some of what is typed."""

    def __init__(self, device: Any, kept: list[int]) -> None:
        self._device, self._kept, self.typed = device, kept, []

    def perform(self, action: Any) -> Any:
        if isinstance(action, TypeText):
            self.typed.append((action.text, action.clear_first))
            kept = action.text[: self._kept.pop(0)] if self._kept else action.text
            self._device.perform(TypeText(text=kept, clear_first=action.clear_first))
            return {"action": "type_text", "text": action.text}
        return self._device.perform(action)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)


@pytest.mark.parametrize(
    ("kept", "events", "sent", "told"),
    [
        ([], (), [("hello", False)], ""),
        ([0], ("retyped",), [("hello", False), ("hello", False)], ""),
        ([2], ("retyped",), [("hello", False), ("hello", True)], ""),
        ([2, 4], ("retyped", "mistyped"), [("hello", False), ("hello", True)], 'The field now holds "hell".'),
    ],
)
def test_lost_letters_are_typed_once_more_and_what_stays_wrong_is_told(
    tmp_path: Path, kept: list[int], events: tuple[str, ...], sent: list[Any], told: str
) -> None:
    env = make_env("virtual-phone", seed=3, size=(540, 1200))
    env.device = device = Loses(env.device, kept)

    class Types:
        name = "model"
        texts: list[str] = []  # noqa: RUF012

        def begin(self, seed: Any) -> None:
            pass

        def reply(self, context: Any) -> Reply:
            self.texts.append(context.observation.text)
            search = [element for element in device.elements() if element.resource_id.endswith(":search")]
            actions = [
                lambda: OpenApp(name="Settings"),
                lambda: Tap(point=Point(*search[0].centre, device.frame)),
                lambda: TypeText(text="hello"),
            ]
            said = to_call(actions[context.index]()) if context.index < 3 else ToolCall("done")
            return Reply(call(said.name, _json(said.arguments)))

    policy = Types()
    policy.texts = []
    trajectory = run(tmp_path, policy, env)
    assert device.typed == sent
    assert trajectory.steps[2].events == events
    assert policy.texts[3] == told


def _json(arguments: Any) -> str:
    import json

    return json.dumps(arguments)


def look(colour: str, size: tuple[int, int] = (40, 80)) -> Observation:
    return Observation(Image.new("RGB", size, colour), Frame("screenshot", *size))


def test_kinds_of_screens_are_events(tmp_path: Path) -> None:
    env = SimpleNamespace(device=SimpleNamespace(condition=lambda: "secure"))
    assert screen_events(env, look("white"), [], False) == ([], "")
    assert screen_events(env, look("black"), [], False) == (["black", "secure"], "")
    events, text = screen_events(env, look("white"), [], True)
    assert (events, "forbids pictures" in text) == (["secure"], True)
    before: Any = [SimpleNamespace(frame=StoredFrame("", 40, 80))]
    assert screen_events(SimpleNamespace(), look("white", (80, 40)), before, True) == (
        ["rotated"],
        "The screen was turned.",
    )
    assert screen_events(SimpleNamespace(), look("white"), before, True) == ([], "")


def test_calls_that_were_made_too_often_are_to_be_avoided(tmp_path: Path) -> None:
    home = ToolCall("press_key", {"name": "home"})
    guard = LoopGuard(2, 9, 3)
    for _ in range(3):
        assert guard.worn_out("a") == ()
        guard.note("a", home)
    assert guard.worn_out("a") == (home,)
    assert guard.worn_out("b") == ()
    policy = Says(call(home.name, json.dumps(home.arguments)))
    run_episode(Corridor(), policy, EpisodePlan(out=tmp_path), AgentConfig(other_after=3, stop_after=5, hint_after=2))
    assert [context.avoid for context in policy.contexts] == [(), (), (), (home,), (home,)]


def test_waiting_for_a_slow_page_is_never_to_be_avoided() -> None:
    guard = LoopGuard(2, 9, 3)
    for _ in range(5):
        guard.note("loading", ToolCall("wait", {"seconds": 1}))
    assert guard.worn_out("loading") == ()


def test_only_models_that_state_no_settings_are_told(tmp_path: Path) -> None:
    assert taught_settings(str(tmp_path)) == VERIFIED
    (tmp_path / "agent_config.json").write_text("{}")
    assert taught_settings(str(tmp_path)).verified is False
    assert taught_settings("").verified is False
