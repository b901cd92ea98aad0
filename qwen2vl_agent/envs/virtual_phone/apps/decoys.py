"""Simple pages of the apps that no task needs."""

from qwen2vl_agent.envs.virtual_phone.app_list import APP_BY_ID
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.envs.virtual_phone.widgets import AppBar


def build(state: PhoneState) -> Scene:
    """The page of a decoy app."""
    app = APP_BY_ID[state.foreground]
    return Scene(header=[AppBar(app.id, app.label)])
