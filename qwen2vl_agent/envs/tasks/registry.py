"""All templates by id."""

from qwen2vl_agent.envs.tasks import clock, contacts, launcher, notes, settings
from qwen2vl_agent.envs.tasks.task import Template

TEMPLATES: dict[str, Template] = {
    template.id: template for module in (launcher, settings, clock, contacts, notes) for template in module.TEMPLATES
}
