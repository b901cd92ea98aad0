"""Functions made of gymnasium's action spaces, and the names that environments give."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from gymnasium import spaces

from qwen2vl_agent.dialogue.constrain import Constrainer
from qwen2vl_agent.dialogue.tool_call import render_call
from qwen2vl_agent.envs.action_space import ActionSpace
from qwen2vl_agent.envs.gym.control import MOST_ARGUMENTS, control_of, quantised
from qwen2vl_agent.envs.gym.words import about, labels, slug
from qwen2vl_agent.recipes.spelled_vocabulary import spelled_tokenizer
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.tools import to_action, to_call, tool_spec


class Silent:
    metadata = {}  # noqa: RUF012
    spec = None

    def __init__(self, space):
        self.action_space = space
        self.unwrapped = self


class Named(Silent):
    """A world.

    ## Action Space

    - 0: noop (nothing)
    - 1: Fire Left
    - 2: done
    """


class Tabled(Silent):
    """An arm.

    ## Action Space

    | Num | Action                | Min | Max | Name (in the file) |
    |-----|-----------------------|-----|-----|--------------------|
    | 0   | Torque of the [elbow](http://a) | -1  | 1   | elbow     |
    | 1   | Torque of the wrist   | -1  | 1   | wrist              |
    """


SPACES = {
    "discrete": spaces.Discrete(5, start=2),
    "multi_discrete": spaces.MultiDiscrete([3, 4]),
    "two_dimensions": spaces.MultiDiscrete(np.array([[2, 3], [4, 5]])),
    "multi_binary": spaces.MultiBinary(3),
    "box": spaces.Box(np.array([-1, 0], np.float32), np.array([2, 0.4], np.float32)),
    "whole_box": spaces.Box(0, 9, (2, 2), np.int32),
    "half_open": spaces.Box(np.array([1.0, -np.inf], np.float32), np.array([np.inf, np.inf], np.float32)),
    "text": spaces.Text(8, charset="ab "),
    "nested": spaces.Dict(
        {
            "arm": spaces.Box(-1, 1, (2,)),
            "mode": spaces.Discrete(3),
            "pair": spaces.Tuple([spaces.MultiBinary(1), spaces.Discrete(2)]),
        }
    ),
}


@pytest.mark.parametrize("name", SPACES)
def test_every_call_of_a_drawn_action_gives_what_the_space_takes(name):
    space = SPACES[name]
    control = control_of(Silent(space))
    drawn = ActionSpace(control.tools, seed=1)
    for _ in range(50):
        action = drawn.sample()
        written = json.loads(json.dumps(to_call(action).arguments))
        assert written == to_call(action).arguments
        again = to_action(to_call(action), control.tools)
        if name != "text":
            assert space.contains(control.to_raw(again)), action
    if name != "text":
        assert space.contains(control.to_raw(control.noop))


@pytest.mark.parametrize("name", [name for name in SPACES if name not in ("text", "half_open")])
def test_what_a_space_takes_can_be_asked_for(name):
    space = SPACES[name]
    space.seed(3)
    control = control_of(Silent(space))
    for _ in range(20):
        raw = space.sample()
        found = control.to_raw(control.from_raw(raw))
        for one, other in zip(_flat(raw), _flat(found), strict=True):
            assert one == pytest.approx(other, abs=1e-4)


@pytest.mark.parametrize("form", ["keyword", "tool_call"])
@pytest.mark.parametrize("name", SPACES)
def test_the_grammar_of_constrained_replies_takes_every_call(name, form, constrainer):
    control = control_of(Silent(SPACES[name]))
    drawn = ActionSpace(control.tools, seed=2)
    for _ in range(5):
        constraint = constrainer[1](tuple(map(tool_spec, control.tools)), form, 64)
        for token in constrainer[0].encode(render_call("So.", to_call(drawn.sample()), form)):
            constraint.accept(token)
        assert constraint.finished


@pytest.fixture(scope="module")
def constrainer():
    tokenizer = spelled_tokenizer()
    return tokenizer, Constrainer(tokenizer)


def _flat(raw):
    if isinstance(raw, dict):
        return [value for part in raw.values() for value in _flat(part)]
    if isinstance(raw, tuple):
        return [value for part in raw for value in _flat(part)]
    return list(np.asarray(raw).ravel())


def test_named_actions_become_functions_with_the_environments_words():
    control = control_of(Named(spaces.Discrete(3)))
    specs = [tool_spec(tool) for tool in control.tools]
    assert [spec.name for spec in specs] == ["noop", "fire_left", "do_done"]  # `done` ends a dialogue
    assert specs[0].description == "Noop (nothing)."
    assert [control.to_raw(control.from_raw(number)) for number in range(3)] == [0, 1, 2]
    assert type(control.noop) is control.tools[0]


def test_a_table_gives_numbers_their_names():
    spec = tool_spec(control_of(Tabled(spaces.Box(-1, 1, (2,)))).tools[0])
    assert list(spec.parameters["properties"]) == ["elbow", "wrist"]
    elbow = spec.parameters["properties"]["elbow"]
    assert elbow == {"type": "number", "description": "Torque of the elbow", "minimum": -1.0, "maximum": 1.0}


def test_actions_without_names_are_chosen_by_number():
    spec = tool_spec(control_of(Silent(spaces.Discrete(4))).tools[0])
    assert spec.parameters["properties"]["action"] == {
        "type": "integer", "description": "which action", "minimum": 0, "maximum": 3,
    }  # fmt: skip


def test_many_named_actions_are_choices_of_one_function():
    env = Silent(spaces.Discrete(13))
    env.get_action_meanings = lambda: [f"KEY{number}" for number in range(13)]
    spec = tool_spec(control_of(env).tools[0])
    assert spec.parameters["properties"]["action"]["enum"][:2] == ["KEY0", "KEY1"]


def test_a_list_of_the_wrong_length_names_nothing():
    assert labels(Named(spaces.Discrete(4)), 4) is None


@pytest.mark.parametrize(
    ("low", "high", "level", "value"),
    [(-0.5, 1.0, 10, 1.0), (-0.5, 1.0, 0, 0.0), (-0.5, 1.0, -5, -0.25), (0.0, 2.0, 5, 1.0), (1.0, 3.0, 0, 1.0)],
)
def test_whole_numbers_stand_for_shares_of_the_limits(low, high, level, value):
    argument = quantised("x", "", low, high, 10)
    assert argument.decode(level) == pytest.approx(value)
    assert argument.encode(value) == level


def test_levels_make_whole_numbers():
    spec = tool_spec(control_of(Silent(spaces.Box(-1, 1, (1,))), levels=7).tools[0])
    assert spec.parameters["properties"]["value"]["minimum"] == -7


@pytest.mark.parametrize(
    ("space", "why"),
    [
        (spaces.Sequence(spaces.Discrete(2)), "kind Sequence cannot"),
        (spaces.Box(-1, 1, (MOST_ARGUMENTS + 1,)), f"{MOST_ARGUMENTS + 1} numbers"),
        (spaces.Dict({}), "without any number"),
    ],
)
def test_a_space_that_cannot_be_called_is_refused_with_the_reason(space, why):
    with pytest.raises(ConfigError, match=why):
        control_of(Silent(space))


@pytest.mark.parametrize(
    ("text", "name"),
    [("Push cart to the left", "push_cart_to_the_left"), ("NOOP", "noop"), ("+", ""), ("2x", "n2x"),
     ("class", "class_"),     ("apply -1 torque", "apply_minus_1_torque"), ("robot0:A_WRJ1", "robot0_a_wrj1")],
)  # fmt: skip
def test_words_become_names(text, name):
    assert slug(text) == name


def test_sentences_about_papers_are_left_out_of_what_an_environment_is_about():
    class Pole(Silent):
        """
        ## Description

        This environment was introduced by P. Sutton in ["Learning to Stand"](http://a.b). A pole stands on a cart.
        Keep it up.
        """

    assert about(Pole(None)) == "A pole stands on a cart. Keep it up."


def test_an_enumeration_of_actions_is_read():
    import enum

    env = Silent(spaces.Discrete(2))
    env.actions = enum.IntEnum("Actions", ["up", "down"])
    assert [label.name for label in labels(env, 2)] == ["up", "down"]
    env.actions = SimpleNamespace()
    assert labels(env, 2) is None
