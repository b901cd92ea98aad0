"""Another project's agent drives a phone with our model behind `serve`: smolagents, its own loop, client and parser."""

import pytest

from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.schema.actions import PressKey

smolagents = pytest.importorskip("smolagents", reason="smolagents is not installed: pip install 'smolagents[openai]'")


class PhoneKey(smolagents.Tool):
    """One of the phone's actions as a tool of smolagents."""

    name = "press_key"
    description = "Press a key of the device."
    inputs = {"name": {"type": "string", "enum": ["home", "back"], "description": "which key"}}  # noqa: RUF012
    output_type = "string"

    def __init__(self, env):
        super().__init__()
        self.env, self.pressed = env, []

    def forward(self, name):
        self.env.step(PressKey(name=name))
        self.pressed.append(name)
        return "done"


def test_a_peers_agent_makes_calls_through_serve_and_acts_on_them(url):
    env = make_env("virtual-phone", seed=1, size=(540, 1200))
    env.reset(seed=1, options={"task": "settings.toggle"})
    key = PhoneKey(env)
    model = smolagents.OpenAIServerModel(model_id="tiny", api_base=f"{url}/v1", api_key="none", max_tokens=200)
    agent = smolagents.ToolCallingAgent(tools=[key], model=model, max_steps=3, verbosity_level=0)
    agent.run(env.goal, images=[env.observation.image])
    env.close()
    steps = [step for step in agent.memory.steps if isinstance(step, smolagents.ActionStep)]
    called = [call for step in steps for call in step.tool_calls or ()]
    assert called, [str(step.error) for step in steps]
    assert {call.name for call in called} <= {"press_key", "final_answer"}
    assert key.pressed == [call.arguments["name"] for call in called if call.name == "press_key"]
    assert set(key.pressed) <= {"home", "back"}
