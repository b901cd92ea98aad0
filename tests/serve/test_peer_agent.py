"""Another project's client asks our model behind `serve`, and its tools do what the model calls: smolagents."""

import json

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


def test_a_peers_client_gets_calls_from_serve_that_its_tools_can_do(url):
    env = make_env("virtual-phone", seed=1, size=(540, 1200))
    env.reset(seed=1, options={"task": "settings.toggle"})
    key = PhoneKey(env)
    model = smolagents.OpenAIServerModel(model_id="tiny", api_base=f"{url}/v1", api_key="none")
    shown = {"type": "image", "image": env.observation.image}
    asked = smolagents.ChatMessage(role="user", content=[{"type": "text", "text": f"{env.goal}\n"}, shown])
    said = model.generate([asked], tools_to_call_from=[key])
    (call,) = said.tool_calls
    arguments = json.loads(call.function.arguments)
    assert call.function.name == "press_key"
    assert key(**arguments) == "done"
    env.close()
    assert key.pressed == [arguments["name"]]
    assert said.token_usage.output_tokens > 0
