"""Which module builds which app of the full edition; the others are those of the first."""

from collections.abc import Callable

from qwen2vl_agent.envs.virtual_phone.full import (
    browser,
    calendar,
    camera,
    expenses,
    files,
    gallery,
    home,
    mail,
    maps,
    music,
    shop,
    todo,
)
from qwen2vl_agent.envs.virtual_phone.scene import Scene
from qwen2vl_agent.envs.virtual_phone.state import PhoneState

FULL_BUILDERS: dict[str, Callable[[PhoneState], Scene]] = {
    "launcher": home.build,
    "files": files.build,
    "camera": camera.build,
    "gallery": gallery.build,
    "music": music.build,
    "browser": browser.build,
    "maps": maps.build,
    "shop": shop.build,
    "todo": todo.build,
    "expenses": expenses.build,
    "mail": mail.build,
    "calendar": calendar.build,
}
