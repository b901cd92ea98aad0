"""What was done on a phone, said as a task: for episodes that missed their own, but did something else well.

Only what a bundled task can check counts, and only where it is all that changed: one switch, choice or level of the
settings.
"""

from dataclasses import replace
from random import Random

from qwen2vl_agent.envs.tasks.settings import TEMPLATES
from qwen2vl_agent.envs.tasks.task import Params, Task
from qwen2vl_agent.envs.virtual_phone.settings_catalogue import ITEMS, Choice, Level, Toggle, path_to
from qwen2vl_agent.envs.virtual_phone.state import PhoneState

KINDS: tuple[tuple[type, str], ...] = (
    (Toggle, "settings.toggle"),
    (Choice, "settings.choose"),
    (Level, "settings.level"),
)


def achieved(task: Task, state: PhoneState) -> Task | None:
    """The task that is solved in `state` and was not at the start, on the same phone; None where none can be told."""
    changed = [item for item, value in state.settings.items() if value != task.start.settings[item]]
    if len(changed) != 1:
        return None
    item = ITEMS[changed[0]]
    kind = next((name for group, name in KINDS if isinstance(item, group)), None)
    if kind is None:
        return None
    template = next(template for template in TEMPLATES if template.id == kind)
    value = state.settings[item.id]
    params: Params = {
        "settings": {item.id: value},
        "label": item.title,
        "place": " > ".join(group.title for group in path_to(item.id)[1:]),
        "value": ("on" if value else "off") if isinstance(item, Toggle) else value,
    }
    goal = Random(task.seed).choice(template.goals).format(**params)
    other = replace(task, id=kind, goal=goal, params=params, template=template)
    return other if other.score(state) == 1.0 else None
