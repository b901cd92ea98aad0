"""Episodes as ATIF documents, with the token ids and log-probabilities that were recorded.

Step 1 is the system's prompt, step 2 the user's goal and the first screen; then a step for each of the agent's, with
the screen that its action led to as the observation. Images are files beside the documents.

Source: Harbor, the Agent Trajectory Interchange Format v1.7 (`harbor/models/trajectories/`).
"""

import json
from pathlib import Path
from typing import Any

from qwen2vl_agent import __version__
from qwen2vl_agent.data.examples import recorded_turns
from qwen2vl_agent.data.exports.pictures import PictureFolder
from qwen2vl_agent.dialogue.compose import Dialogue, Turn
from qwen2vl_agent.dialogue.tool_call import parse_call
from qwen2vl_agent.dialogue.tool_prompt import tool_prompt
from qwen2vl_agent.schema.errors import ToolCallError
from qwen2vl_agent.schema.trajectory import Step, Trajectory
from qwen2vl_agent.trajectory.store import read_episode

VERSION = "ATIF-v1.7"
AGENT = "qwen2vl-agent"
FINAL_COUNTS = {"total_prompt_tokens": "prompt_tokens", "total_completion_tokens": "completion_tokens"}


class AtifFolder:
    """An export of one document an episode."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._pictures = PictureFolder(out)

    def add(self, folder: Path) -> int:
        """Write an episode; the number of documents.

        Raises:
            RecordError: it cannot be read.
        """
        document = self._document(folder)
        text = json.dumps(document, ensure_ascii=False, indent=1)
        (self._out / f"{folder.name}.json").write_text(text + "\n", encoding="utf-8")
        return 1

    def close(self) -> None:
        """Every document is whole already."""

    def _document(self, folder: Path) -> dict[str, Any]:
        trajectory = read_episode(folder)
        dialogue, turns = recorded_turns(folder)
        steps = [*self._opening(dialogue, turns[0])]
        for number, step in enumerate(trajectory.steps):
            after = turns[number + 1] if number + 1 < len(turns) else None
            steps.append(self._step(step, dialogue, after))
        header = trajectory.header
        return {
            "schema_version": VERSION,
            "session_id": folder.name,
            "trajectory_id": folder.name,
            "agent": _agent(trajectory, dialogue),
            "steps": [{"step_id": place, **step} for place, step in enumerate(steps, 1)],
            "final_metrics": _final_metrics(steps),
            "extra": {
                "task": header.task,
                "seed": header.seed,
                "outcome": header.outcome,
                "reward": header.reward,
                "message": header.message,
            },
        }

    def _opening(self, dialogue: Dialogue, first: Turn) -> list[dict[str, Any]]:
        prompt = tool_prompt(dialogue.tools, dialogue.form, dialogue.language, dialogue.detail)
        shown = [{"type": "text", "text": dialogue.goal}, *self._shown(first)]
        return [{"source": "system", "message": prompt}, {"source": "user", "message": shown}]

    def _step(self, step: Step, dialogue: Dialogue, after: Turn | None) -> dict[str, Any]:
        wrote = bool(step.reply.token_ids)
        call_id = f"call_{step.index + 1}"
        made: dict[str, Any] = {
            "source": "agent",
            "message": _thought(step, dialogue),
            "llm_call_count": int(wrote),
            "extra": _step_extra(step),
        }
        if step.call is not None:
            arguments = step.call.arguments
            made["tool_calls"] = [{"tool_call_id": call_id, "function_name": step.call.name, "arguments": arguments}]
        if wrote:
            made["metrics"] = _metrics(step)
        content = [*([{"type": "text", "text": step.error}] if step.error else []), *self._shown(after)]
        if content:
            of_call = {"source_call_id": call_id} if step.call is not None else {}
            made["observation"] = {"results": [{**of_call, "content": content}]}
        return made

    def _shown(self, turn: Turn | None) -> list[dict[str, Any]]:
        if turn is None:
            return []
        path = self._pictures.add(turn.image)
        image = {"type": "image", "source": {"media_type": "image/png", "path": path}}
        told = turn.observation_text
        return [image, {"type": "text", "text": told}] if told else [image]


def _agent(trajectory: Trajectory, dialogue: Dialogue) -> dict[str, Any]:
    functions = [
        {"name": tool.name, "description": tool.description, "parameters": tool.parameters} for tool in dialogue.tools
    ]
    header = trajectory.header
    return {
        "name": AGENT,
        "version": __version__,
        "model_name": header.model or header.policy,
        "tool_definitions": [{"type": "function", "function": function} for function in functions],
        "extra": {"policy": header.policy, "form": header.form, "device": header.device},
    }


def _thought(step: Step, dialogue: Dialogue) -> str:
    """What stands before the call; the whole reply where no call could be read."""
    try:
        return parse_call(step.reply.text, dialogue.form).thought
    except ToolCallError:
        return step.reply.text


def _metrics(step: Step) -> dict[str, Any]:
    reply = step.reply
    return {
        "prompt_tokens": len(reply.prompt_ids),
        "completion_tokens": len(reply.token_ids),
        "cached_tokens": reply.tokens.get("cached", 0),
        "prompt_token_ids": list(reply.prompt_ids),
        "completion_token_ids": list(reply.token_ids),
        "logprobs": list(reply.logprobs),
        "extra": {"sampling_logprobs": list(reply.sampling_logprobs), "forced": list(reply.forced)},
    }


def _step_extra(step: Step) -> dict[str, Any]:
    return {
        "by": step.by,
        "learnt": step.reply.target and not step.error,
        "reward": step.reward,
        "performed": step.performed,
        "events": list(step.events),
    }


def _final_metrics(steps: list[dict[str, Any]]) -> dict[str, int]:
    written = [step["metrics"] for step in steps if "metrics" in step]
    totals = {total: sum(metrics[count] for metrics in written) for total, count in FINAL_COUNTS.items()}
    return {**totals, "total_steps": len(steps)}
