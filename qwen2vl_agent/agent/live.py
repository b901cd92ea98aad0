"""An episode as people watch it: in a terminal a picture that changes, elsewhere plain lines."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Any

from PIL import Image
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from qwen2vl_agent.agent.jobs import EpisodeResult, Job
from qwen2vl_agent.agent.picture import marked, picture
from qwen2vl_agent.schema.tools import ToolCall
from qwen2vl_agent.schema.trajectory import EpisodeHeader, Step

OUTCOME_STYLES = {"success": "bold green", "unverified": "bold yellow", "stopped": "bold yellow"}
"""Other outcomes are red."""
PICTURE_COLUMNS = 44
PICTURE_ROWS = 34
STEPS_SHOWN = 8
LEAST_S = 0.005
"""Shorter parts of a step are not told."""


def live_view(console: Console) -> "TerminalView | PlainView":
    """The view that suits a console; a context manager and a `Watcher`."""
    return TerminalView(console) if console.is_terminal and not console.is_dumb_terminal else PlainView(console)


class PlainView:
    """A line for the goal, one for each step, one for the end."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> "PlainView":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Nothing to tidy up."""

    def aside(self) -> AbstractContextManager[None]:
        """Room for a question: lines need none."""
        return nullcontext()

    def began(self, header: EpisodeHeader, max_steps: int) -> None:
        """The goal."""
        task = "task" if header.task == "text" else f"task {header.task}"
        self._say(f"{task}: {header.goal} ({header.policy}, {header.device}, at most {max_steps} steps)")

    def saw(self, index: int, image: Image.Image, text: str) -> None:
        """What was told beside the screen."""
        if text:
            self._say(f"   {text}")

    def wrote(self, piece: str) -> None:
        """Not shown before the step is done."""

    def did(self, step: Step) -> None:
        """Thought, call, what was done, how long it took."""
        self._say(
            f"{step.index + 1:>3} {thought_of(step)} | {call_text(step.call)} | {deed_text(step)} | {times(step)}"
        )

    def ended(self, header: EpisodeHeader) -> None:
        """The outcome."""
        self._say(f"verdict: {ending_text(header)}")

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class TerminalView:
    """The screen on the left; on the right the goal, the steps so far and what is being written."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8, transient=False)
        self._goal = ""
        self._where = ""
        self._picture: RenderableType = Text()
        self._image: Image.Image | None = None
        self._steps: list[Step] = []
        self._writing = ""
        self._beside = ""
        self._ending: Text | None = None

    def __enter__(self) -> "TerminalView":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Room for a question: the picture stands still meanwhile."""
        self._live.stop()
        try:
            yield
        finally:
            self._live.start()

    def began(self, header: EpisodeHeader, max_steps: int) -> None:
        """A new episode: an empty page."""
        self._goal, self._where = header.goal, f"{header.device} · {header.policy} · at most {max_steps} steps"
        self._steps, self._writing, self._ending = [], "", None
        self._show()

    def saw(self, index: int, image: Image.Image, text: str) -> None:
        """The screen."""
        self._image, self._beside, self._writing = image, text, ""
        self._draw(image)
        self._show()

    def wrote(self, piece: str) -> None:
        """The reply as it grows."""
        self._writing += piece
        self._show()

    def did(self, step: Step) -> None:
        """One more step; a spot on the picture shows where the finger went."""
        self._steps.append(step)
        self._writing = ""
        if self._image is not None:
            self._draw(marked(self._image, step.call))
        self._show()

    def ended(self, header: EpisodeHeader) -> None:
        """The outcome."""
        self._ending = Text(ending_text(header), OUTCOME_STYLES.get(header.outcome or "", "bold red"))
        self._show()

    def _draw(self, image: Image.Image) -> None:
        rows = max(8, min(PICTURE_ROWS, self._console.height - 4))
        self._picture = picture(image, PICTURE_COLUMNS, rows)

    def _show(self) -> None:
        page = Table.grid(padding=(0, 2))
        page.add_row(Panel(self._picture, expand=False), Group(*self._story()))
        self._live.update(page)

    def _story(self) -> list[RenderableType]:
        story: list[RenderableType] = [Text(self._goal, "bold"), Text(self._where, "dim"), Text()]
        story.extend(step_lines(step) for step in self._steps[-STEPS_SHOWN:])
        if self._beside:
            story.append(Text(self._beside, "yellow"))
        if self._writing:
            story.append(Text(self._writing, "cyan"))
        return [*story, self._ending] if self._ending else story


def step_lines(step: Step) -> Text:
    """A step in two lines: what was thought and called, then what was done and how long it took."""
    text = Text()
    text.append(f"{step.index + 1:>3} ", "dim").append(thought_of(step))
    text.append(f"  {call_text(step.call)}\n", "cyan")
    text.append(f"    {deed_text(step)}", "red" if step.error else "green").append(f"  {times(step)}", "dim")
    return text


def thought_of(step: Step) -> str:
    """What the reply says before its call, on one line."""
    thought = step.reply.text.split("✿FUNCTION✿")[0].split("<tool_call>")[0]
    return " ".join(thought.split())


def call_text(call: ToolCall | None) -> str:
    """`tap(point=[348, 291])`."""
    if call is None:
        return "no call"
    arguments = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in call.arguments.items())
    return f"{call.name}({arguments})"


def deed_text(step: Step) -> str:
    """What was really done, in device pixels, or why nothing was."""
    if step.error:
        return f"not done: {step.error}"
    if not step.performed:
        return "nothing to send"
    told = [
        f"{name} {json.dumps(value, ensure_ascii=False)}"
        for name, value in step.performed.items()
        if _shown(name, value)
    ]
    return " ".join(filter(None, ("done:", step.performed.get("action", ""), *told)))


def _shown(name: str, value: Any) -> bool:
    """Whether a value is worth the room; the wording of commands is for the record only."""
    return name != "action" and not (isinstance(value, list) and any(isinstance(item, str) for item in value))


def times(step: Step) -> str:
    """The seconds of a step's parts that took any, those of a model's reply in brackets with its tokens.

    `policy 0.61s (preprocess 0.03s vit 0.11s prefill 0.09s decode 0.37s, 204 read 812 cached 61 written) capture 0.08s`
    """
    told = []
    for part, seconds in step.timings.items():
        if seconds >= LEAST_S:
            of_reply = _reply_cost(step) if part == "policy" else ""
            told.append(f"{part} {seconds:.2f}s{of_reply}")
    return " ".join(told)


def _reply_cost(step: Step) -> str:
    seconds = " ".join(f"{part} {took:.2f}s" for part, took in step.reply.timings.items() if took >= LEAST_S)
    counts = step.reply.tokens
    tokens = " ".join(f"{counts[kind]} {kind}" for kind in ("read", "cached", "written") if kind in counts)
    told = ", ".join(filter(None, (seconds, tokens)))
    return f" ({told})" if told else ""


def ending_text(header: EpisodeHeader) -> str:
    """The outcome and the word that goes with it."""
    return f"{header.outcome}" + (f": {header.message}" if header.message else "")


class CollectionView:
    """A progress bar over many episodes, or plain lines; its methods suit `collect_episodes`."""

    def __init__(self, console: Console, total: int, title: str = "episodes") -> None:
        self._console = console
        self._total = total
        self._done = self._solved = 0
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bar = Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[solved]}"), console=console)
        self._task = self._bar.add_task(title, total=total, solved="")
        self._plainly = not console.is_terminal

    def __enter__(self) -> "CollectionView":
        if not self._plainly:
            self._bar.start()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if not self._plainly:
            self._bar.stop()

    def result(self, result: EpisodeResult) -> None:
        """One more episode is there."""
        self._done += 1
        self._solved += result.outcome == "success"
        solved = f"{self._solved} of {self._done} solved"
        if self._plainly:
            line = f"{self._done}/{self._total} {result.job.name}: {result.outcome}, {result.steps} steps ({solved})"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            self._bar.update(self._task, advance=1, solved=solved)

    def failure(self, job: Job, why: str, again: bool) -> None:
        """A job failed."""
        last = why.strip().splitlines()[-1] if why.strip() else "no reason given"
        then = "it is tried again" if again else "it is given up"
        self._console.print(f"[red]{escape(job.name)}: {escape(last)}; {then}[/red]", highlight=False, soft_wrap=True)
