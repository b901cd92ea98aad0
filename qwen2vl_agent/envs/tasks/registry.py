"""All templates by id."""

from qwen2vl_agent.envs.tasks import launcher, settings
from qwen2vl_agent.envs.tasks.task import Template

TEMPLATES: dict[str, Template] = {
    template.id: template for module in (launcher, settings) for template in module.TEMPLATES
}
