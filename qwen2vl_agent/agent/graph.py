"""The agent's graph: observe -> think -> decide -> act, and round again until there is an outcome.

Between deciding and acting a person may be consulted: the graph interrupts itself there, and its state waits on disk.
The only file with langgraph. Its state is the `Progress` of an episode, which names frames and steps and never holds
them; what takes part in the episode (environment, policy, recorder) comes as the run's context.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from qwen2vl_agent.agent import nodes
from qwen2vl_agent.agent.checkpoints import CHECKPOINTS
from qwen2vl_agent.agent.consult import consult
from qwen2vl_agent.agent.person import Answer, Question
from qwen2vl_agent.agent.state import Episode, Progress
from qwen2vl_agent.schema.errors import RecordError

THREAD: Any = {"configurable": {"thread_id": "episode"}}
LIMIT = {"recursion_limit": 1_000_000}
"""Steps end an episode, not the graph: a person may be asked and may act any number of times."""


def drive(episode: Episode, progress: Progress) -> Progress:
    """Run an episode to its end through the graph; where it ended."""
    path = episode.recorder.folder / CHECKPOINTS
    with saver(path) as checkpoints:
        graph = compiled(checkpoints)
        episode.ask = _interrupt
        given: Any = progress
        while True:
            state = graph.invoke(given, {**THREAD, **LIMIT}, context=episode, durability="sync")
            if "__interrupt__" not in state:
                break
            question = Question.from_json(state["__interrupt__"][0].value)
            given = Command(resume=episode.person.answer(question).to_json())
    return state


def open_question(folder: Path) -> Question | None:
    """What an unfinished episode was waiting for when its process ended; None where it was not waiting."""
    if not (folder / CHECKPOINTS).is_file():
        return None
    try:
        with saver(folder / CHECKPOINTS) as checkpoints:
            state = compiled(checkpoints).get_state(THREAD).values
    except sqlite3.Error as error:
        raise RecordError(
            f"{folder / CHECKPOINTS} is damaged ({error}); delete it, the steps stand by themselves"
        ) from None
    return Question.from_json(state["question"]) if state.get("question") else None


def checkpoint_bytes(path: Path) -> list[int]:
    """Bytes that each step of an episode took in its file of checkpoints, in order."""
    sizes: dict[int, int] = {}
    with saver(path) as checkpoints:
        kept = {item.config["configurable"]["checkpoint_id"]: item for item in checkpoints.list(THREAD)}
        for query in (
            "SELECT checkpoint_id, length(checkpoint) + length(metadata) FROM checkpoints",
            "SELECT checkpoint_id, length(value) FROM writes",
        ):
            for name, count in checkpoints.conn.execute(query):
                index = kept[name].checkpoint["channel_values"].get("index", 0)
                sizes[index] = sizes.get(index, 0) + count
    return [sizes[index] for index in sorted(sizes)]


@contextlib.contextmanager
def saver(path: Path) -> Iterator[SqliteSaver]:
    """The checkpoints in a file. A kill loses none of them; a loss of power may, and then the record is enough."""
    with contextlib.closing(sqlite3.connect(path, check_same_thread=False)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        yield SqliteSaver(connection)


@cache
def _builder() -> Any:
    """The graph, drawn once."""
    graph = StateGraph(Progress, context_schema=Episode)
    for name, node in (
        ("observe", _observe),
        ("think", _think),
        ("decide", _decide),
        ("consult", _consult),
        ("act", _act),
    ):
        graph.add_node(name, node)
    graph.add_edge(START, "observe")
    graph.add_edge("observe", "think")
    graph.add_edge("think", "decide")
    graph.add_conditional_edges("decide", _router("decide"), ["consult", "act", END])
    graph.add_conditional_edges("consult", _router("consult"), ["consult", "decide", "act", "observe", END])
    graph.add_conditional_edges("act", _router("act"), ["observe", END])
    return graph


def compiled(checkpoints: SqliteSaver | None = None) -> Any:
    """The graph, ready to run; without checkpoints nobody can be asked."""
    return _builder().compile(checkpointer=checkpoints)


def _interrupt(question: Question) -> Answer:
    return Answer.from_json(interrupt(question.to_json()))


def _observe(state: Progress, runtime: Runtime[Episode]) -> dict[str, Any]:
    return nodes.observe(runtime.context, state)


def _think(state: Progress, runtime: Runtime[Episode]) -> dict[str, Any]:
    return nodes.think(runtime.context, state)


def _decide(state: Progress, runtime: Runtime[Episode]) -> dict[str, Any]:
    return nodes.decide(runtime.context, state)


def _consult(state: Progress, runtime: Runtime[Episode]) -> dict[str, Any]:
    return consult(runtime.context, state)


def _act(state: Progress, runtime: Runtime[Episode]) -> dict[str, Any]:
    return nodes.act(runtime.context, state)


def _router(node: str) -> Any:
    def route(state: Progress) -> str:
        following = nodes.after(node, state)
        return END if following == "end" else following

    return route
