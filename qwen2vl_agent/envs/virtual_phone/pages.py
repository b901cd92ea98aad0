"""Which page is in front: from a state to its scene."""

from collections.abc import Callable

from qwen2vl_agent.envs.virtual_phone import launcher
from qwen2vl_agent.envs.virtual_phone.app_list import is_full
from qwen2vl_agent.envs.virtual_phone.apps import calculator, clock, contacts, decoys, messages, notes, settings
from qwen2vl_agent.envs.virtual_phone.full.pages import FULL_BUILDERS
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState

BUILDERS: dict[str, Callable[[PhoneState], Scene]] = {
    "launcher": launcher.build,
    "recents": launcher.build_recents,
    "settings": settings.build,
    "contacts": contacts.build,
    "messages": messages.build,
    "clock": clock.build,
    "notes": notes.build,
    "calculator": calculator.build,
}


def build_scene(state: PhoneState) -> Scene:
    """The scene of the page in front. Pure."""
    if is_full(state.edition) and state.foreground in FULL_BUILDERS:
        return FULL_BUILDERS[state.foreground](state)
    return BUILDERS.get(state.foreground, decoys.build)(state)
