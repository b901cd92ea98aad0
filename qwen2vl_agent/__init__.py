"""Agents on phones, desktops, browsers and gymnasium environments around a from-scratch Qwen2-VL.

The names below are loaded on first use, so that importing the package stays cheap.
"""

import importlib
from typing import Any

__version__ = "0.1.0"
_HOMES = {
    "Agent": "qwen2vl_agent.agent.episode",
    "Processor": "qwen2vl_agent.dialogue.processor",
    "Qwen2VL": "qwen2vl_agent.model.qwen2vl",
    "StreamConfig": "qwen2vl_agent.dialogue.stream",
    "StreamSession": "qwen2vl_agent.dialogue.stream",
    "make_env": "qwen2vl_agent.envs.register",
}
__all__ = ["Agent", "Processor", "Qwen2VL", "StreamConfig", "StreamSession", "make_env"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
