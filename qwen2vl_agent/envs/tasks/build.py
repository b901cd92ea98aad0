"""Makes tasks of templates: a seed decides the phone, the target and the wording, in every process alike."""

from random import Random

from qwen2vl_agent.envs.tasks.task import Params, Task, Template
from qwen2vl_agent.envs.virtual_phone.locales import translator
from qwen2vl_agent.envs.virtual_phone.state import PhoneState, random_state
from qwen2vl_agent.envs.virtual_phone.words import Words, is_held_out
from qwen2vl_agent.schema.trajectory import Split

MAX_DRAWS = 100
"""Phones tried before a template counts as impossible; most fit at the first try."""
SPARE_STEPS = 4
PATH = " > "
"""Between the pages that lead to a setting."""


def build_task(template: Template, seed: int, split: Split) -> Task:
    """The task of `template` for `seed`; phones that do not suit it, or on which it is solved already, are redrawn."""
    words = Words.of(split, seed)
    for draw in range(MAX_DRAWS):
        rng = Random(f"{template.id}/{split}/{seed}/{draw}")
        state = random_state(rng.randrange(1 << 31), words, template.edition)
        params = template.draw(rng, state, words)
        if params is None:
            continue
        params = _said(params, state)
        task = Task(
            id=template.id,
            seed=seed,
            goal=rng.choice(template.goals).format(**params),
            params=params,
            unseen=_unseen(template, params),
            max_steps=2 * template.steps + SPARE_STEPS,
            start=state,
            template=template,
        )
        if not template.solved(task, state, None):
            return task
    raise AssertionError(f"{template.id} finds no suitable phone for seed {seed} in {MAX_DRAWS} draws")


def _said(params: Params, state: PhoneState) -> Params:
    """The parameters with the phone's own words in its language, as its owner reads them off the screen."""
    say = translator(state)
    return {
        name: PATH.join(map(say, value.split(PATH))) if isinstance(value, str) else value
        for name, value in params.items()
    }


def _unseen(template: Template, params: Params) -> bool:
    return any(is_held_out(str(params[name])) for name in template.targets)
