"""Solutions of the pages through mouse and keyboard, by what stands in the page. Models never see what they read."""

from qwen2vl_agent.envs.miniwob.oracles import clicking, dragging, forms, reading, shapes, social
from qwen2vl_agent.envs.miniwob.oracles.registry import ORACLES

__all__ = ["ORACLES", "clicking", "dragging", "forms", "reading", "shapes", "social"]
