"""All templates by id."""

from qwen2vl_agent.envs.tasks import calculator, clock, contacts, launcher, lists, messages, multi, notes, settings
from qwen2vl_agent.envs.tasks.task import Template

MODULES = (launcher, settings, clock, contacts, messages, notes, calculator, lists, multi)

TEMPLATES: dict[str, Template] = {template.id: template for module in MODULES for template in module.TEMPLATES}
