"""The suites of MiniWoB++: all pages, and those of each published protocol."""

from qwen2vl_agent.envs.miniwob.pages import PREFIX, Protocol, example_of, protocols, task_id
from qwen2vl_agent.envs.suite import Suite

WHOLE = "miniwob"


def suites() -> dict[str, Suite]:
    """`miniwob` with all pages, and `miniwob-NAME` for each protocol that somebody has published."""
    named = {WHOLE if name == "all" else f"{WHOLE}-{name}": item for name, item in protocols().items()}
    return {name: _suite(name, item) for name, item in named.items()}


def _suite(name: str, protocol: Protocol) -> Suite:
    from qwen2vl_agent.envs.miniwob.oracles import ORACLES

    return Suite(
        name,
        tuple(map(task_id, protocol.pages)),
        example_goal,
        env="miniwob",
        env_kwargs={} if protocol.name == "all" else {"protocol": protocol.name, **protocol.env},
        without_oracle=frozenset(task_id(page) for page in protocol.pages if page not in ORACLES),
    )


def example_goal(task: str) -> str:
    """An instruction that the task may give, as data: the pages themselves ask in a browser only."""
    return example_of(task.removeprefix(PREFIX))
