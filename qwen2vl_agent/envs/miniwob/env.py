"""MiniWoB++ as an environment."""

from functools import partial
from typing import Any

from qwen2vl_agent.envs.miniwob.device import SCALE, MiniWoBDevice
from qwen2vl_agent.envs.miniwob.tasks import MiniWoBTasks
from qwen2vl_agent.envs.register import screen_env
from qwen2vl_agent.schema.actions import DESKTOP_ACTIONS


def miniwob_env(
    *, protocol: str = "all", scale: int = SCALE, headless: bool = True, tell: bool = False, **options: Any
) -> Any:
    """A page of MiniWoB++ in a Chromium of its own; without a task, one of the protocol's pages drawn by the seed.

    Args:
        protocol: decides which pages there are, how many steps they allow and what counts as success.
        scale: screenshot pixels for each CSS pixel; a page has 160x210 of those.
        tell: whether solutions say what stands on the page, and where, before what they do.

    Raises:
        ConfigError: no such protocol, or Chromium or the extra is not installed.
        DeviceLost: the browser does not start.
    """
    from qwen2vl_agent.envs.miniwob.pages import protocol as find

    find(protocol)
    device = MiniWoBDevice(scale=scale, headless=headless)
    tasks = partial(MiniWoBTasks, protocol_name=protocol, tell=tell)
    try:
        return screen_env(device, tasks=tasks, tools=DESKTOP_ACTIONS, **options)
    except BaseException:
        device.close()
        raise
