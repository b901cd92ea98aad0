"""The templates of the full edition by id: all of the first edition, on the new phone, and those of the new apps."""

from dataclasses import replace

from qwen2vl_agent.envs.tasks import registry as first
from qwen2vl_agent.envs.tasks.full import browser, entries, files, maps, multi, music, notices, photos, shop, todo
from qwen2vl_agent.envs.tasks.task import Template

PREFIX = "full."
MODULES = (notices, files, photos, music, browser, maps, shop, todo, entries, multi)

FULL_TEMPLATES: dict[str, Template] = {
    PREFIX + template.id: replace(template, id=PREFIX + template.id, edition="full")
    for template in (*first.TEMPLATES.values(), *(one for module in MODULES for one in module.TEMPLATES))
}
