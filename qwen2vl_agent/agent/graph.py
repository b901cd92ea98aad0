"""The agent's graph: observe -> think -> act, and round again until there is an outcome. The only file with langgraph.

Its state is the `Progress` of an episode, which names frames and steps and never holds them; what takes part in the
episode (environment, policy, recorder) comes as the run's context.
"""

from functools import cache
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from qwen2vl_agent.agent import nodes
from qwen2vl_agent.agent.nodes import Episode, Progress


def drive(episode: Episode, progress: Progress) -> Progress:
    """Run an episode to its end through the graph; where it ended."""
    remaining = episode.max_steps - progress["index"]
    config: Any = {"recursion_limit": 3 * remaining + 3}
    return compiled().invoke(progress, config, context=episode)


@cache
def compiled() -> Any:
    """The graph, made once."""
    graph = StateGraph(Progress, context_schema=Episode)
    graph.add_node("observe", observe)
    graph.add_node("think", think)
    graph.add_node("act", act)
    graph.add_edge(START, "observe")
    graph.add_edge("observe", "think")
    graph.add_edge("think", "act")
    graph.add_conditional_edges("act", next_node, ["observe", END])
    return graph.compile()


def observe(state: Progress, runtime: Runtime[Episode]) -> dict[str, Any]:
    """See `nodes.observe`."""
    return nodes.observe(runtime.context, state)


def think(state: Progress, runtime: Runtime[Episode]) -> dict[str, Any]:
    """See `nodes.think`."""
    return nodes.think(runtime.context, state)


def act(state: Progress, runtime: Runtime[Episode]) -> dict[str, Any]:
    """See `nodes.act`."""
    return nodes.act(runtime.context, state)


def next_node(state: Progress) -> str:
    """Where to go after acting."""
    return END if state["outcome"] is not None else "observe"
