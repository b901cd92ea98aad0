"""The templates of the full edition by id: all of the first edition, on the new phone, and those of the new apps."""

from dataclasses import replace

from qwen2vl_agent.envs.tasks import registry as first
from qwen2vl_agent.envs.tasks.full import browser, entries, files, maps, multi, music, notices, photos, shop, todo
from qwen2vl_agent.envs.tasks.task import Template
from qwen2vl_agent.envs.virtual_phone.app_list import FULL
from qwen2vl_agent.envs.virtual_phone.locales import LOCALES

PREFIX = "full."
MODULES = (notices, files, photos, music, browser, maps, shop, todo, entries, multi)

MORE_STEPS = 1
"""What a task of the first edition takes longer at most: the drawer and the lists have more in them."""


def _full(template: Template, steps: int) -> Template:
    return replace(template, id=PREFIX + template.id, edition=FULL, steps=steps)


FULL_TEMPLATES: dict[str, Template] = {
    PREFIX + template.id: _full(template, template.steps + MORE_STEPS) for template in first.TEMPLATES.values()
} | {PREFIX + template.id: _full(template, template.steps) for module in MODULES for template in module.TEMPLATES}

LOCALE_TEMPLATES: dict[str, dict[str, Template]] = {
    code: {
        id: replace(template, id=id, edition=f"{FULL}-{code}")
        for template in FULL_TEMPLATES.values()
        for id in (f"{code}.{template.id.removeprefix(PREFIX)}",)
    }
    for code in LOCALES
}
"""All of them by language and id, on phones that speak it."""
