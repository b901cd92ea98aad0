"""The desktop as an environment."""

from typing import Any

from qwen2vl_agent.envs.desktop.device import SIZE, DesktopDevice
from qwen2vl_agent.envs.desktop.tasks import DesktopTasks
from qwen2vl_agent.envs.register import screen_env
from qwen2vl_agent.schema.actions import DESKTOP_ACTIONS


def desktop_env(
    *, virtual: bool = False, display: str = "", size: tuple[int, int] = SIZE, monitor: int = 0, **options: Any
) -> Any:
    """The user's own desktop, or a virtual one; the other options are `DesktopDevice`'s, and those of `make_env`.

    Raises:
        ConfigError: there is no desktop that a program may operate, or something is not installed.
        DeviceLost: it does not answer.
    """
    device = DesktopDevice(virtual=virtual, display=display, size=(int(size[0]), int(size[1])), monitor=monitor)
    try:
        return screen_env(device, tasks=DesktopTasks, tools=DESKTOP_ACTIONS, **options)
    except BaseException:
        device.close()
        raise
