"""`qwen2vl-agent eval`: how well a model understands documents, pictures and videos."""

import itertools
import json as json_text
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from qwen2vl_agent.agent.loading import Dtype, Quantize
from qwen2vl_agent.commands import output
from qwen2vl_agent.commands.flags import at_least_one, load_settings
from qwen2vl_agent.commands.models import resolve
from qwen2vl_agent.schema.errors import ConfigError

TRIALS = ("reading", "event")
"""Suites that draw their own questions."""
TRIAL_QUESTIONS = 90
METRICS = {"docvqa": "ANLS", "infovqa": "ANLS", "reading": "letters right"}
"""Of the suites that are not scored by accuracy."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """Measure a model's understanding on your own copy of a benchmark.

    docvqa and infovqa are scored by ANLS, mathvista and videomme by accuracy. The folder is the benchmark as published
    (JSON beside pictures) or as on the hub (Parquet); `data standin` writes small ones of generated pictures. Answers
    are read by rules, without another model's help. With --out every answer is written down as it comes, and a run
    that was stopped goes on.

    Two suites draw their own questions and need no folder: reading, lines of words that training never shows, a line
    of each script in turn, scored by the letters that are right; and event, a colour to be seen for two seconds of a
    film of twenty minutes, in each tenth of it in turn.

    Examples:
      qwen2vl-agent eval docvqa --data DocVQA --model Qwen/Qwen2-VL-2B-Instruct --limit 100
      qwen2vl-agent eval videomme --data Video-MME --model FOLDER --video-cache cache --out answers.jsonl
      qwen2vl-agent eval reading --model Qwen/Qwen2-VL-2B-Instruct --limit 90
      qwen2vl-agent eval event --model FOLDER --limit 50
    """

    suite: tyro.conf.Positional[Literal["docvqa", "infovqa", "mathvista", "videomme", "reading", "event"]]
    """which benchmark"""
    data: Path | None = None
    """folder of the benchmark's files; of reading and event none"""
    seed: int = 0
    """of the questions that reading and event draw"""
    model: str = ""
    """folder or hub id; the embedded model if left out, which knows the virtual phone's screens only"""
    split: str = ""
    """part of the names of the files to read, for example validation"""
    limit: int | None = None
    """questions to ask, from the first; all if left out, of reading and event 90"""
    out: Path | None = None
    """file for the answers, one JSON object a line"""
    video_cache: Path | None = None
    """folder that keeps the frames of videos, so that each is decoded once"""
    max_new_tokens: int = 64
    """longest answer"""
    dtype: Dtype = "auto"
    """type of the weights; auto: bfloat16 for a full-size model, float32 for a small one"""
    quantize: Quantize = "none"
    """bits of the language model's weights"""
    quantize_vision: bool = False
    """8 bits for the vision encoder too"""
    max_pixels: int | None = 0
    """most pixels of a picture as the model sees it; 0: the checkpoint's own limit"""
    threads: int | None = None
    """of torch"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Asks, scores and tells."""
        at_least_one("--max-new-tokens", self.max_new_tokens)
        from rich.progress import track

        asked, limit = self._questions()
        done, console, rows, ask = self._answered(), output.console(self.json), [], None
        for question in track(asked, "asking", total=limit, console=console, transient=True):
            answer = done.get(question.id)
            if answer is None:
                ask = ask or self._asker()
                answer = ask(question.messages)
                self._note(question.id, answer)
            rows.append((question.kind, score(self.suite, answer, question)))
        result = summary(self.suite, rows)
        if result["chance"]:
            console.print(f"by chance: {100 * result['chance']:.1f} %", soft_wrap=True)
        for name, part in {"all": result, **result["kinds"]}.items():
            told = f"{name}: {100 * part['score']:.1f} % of {part['questions']} questions"
            console.print(told, markup=False, soft_wrap=True)
        if self.json:
            output.print_object(result | {"model": self.model or "embedded"})
        return 0

    def _questions(self) -> tuple[Iterator[Any], int | None]:
        """What is to be asked, and how much of it."""
        if self.suite in TRIALS:
            from qwen2vl_agent.data.synthetic import trials

            if self.data is not None:
                raise ConfigError(f"{self.suite} draws its own questions; leave --data out")
            limit = TRIAL_QUESTIONS if self.limit is None else self.limit
            drawn = {"reading": trials.reading, "event": trials.event}[self.suite](self.seed)
            return itertools.islice(drawn, limit), limit
        from qwen2vl_agent.data.questions import questions

        if self.data is None:
            raise ConfigError(f"{self.suite} needs --data: the folder of your copy, or one that data standin wrote")
        return itertools.islice(questions(self.suite, self.data, self.split), self.limit), self.limit

    def _asker(self) -> Any:
        from qwen2vl_agent.agent.loading import load

        model, processor = load(resolve(self.model), load_settings(self, self.threads))
        if self.video_cache is not None:
            from qwen2vl_agent.data.video_cache import CachedVideos, VideoCache

            cached = CachedVideos(processor.video_processor, VideoCache(self.video_cache))
            processor = processor.with_media(videos=cached)

        def ask(messages: list[Any]) -> str:
            result = model.generate(processor(messages), max_new_tokens=self.max_new_tokens)
            return processor.decode(result.token_ids).strip()

        return ask

    def _answered(self) -> dict[str, str]:
        """Answers of an earlier run; a last line that breaks off is asked again."""
        if self.out is None or not self.out.is_file():
            return {}
        found = {}
        for line in self.out.read_text("utf-8").splitlines():
            try:
                entry = json_text.loads(line)
                found[str(entry["id"])] = str(entry["answer"])
            except (ValueError, KeyError, TypeError):
                continue
        return found

    def _note(self, number: str, answer: str) -> None:
        if self.out is not None:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            with self.out.open("a", encoding="utf-8") as file:
                file.write(json_text.dumps({"id": number, "answer": answer}, ensure_ascii=False) + "\n")


def score(suite: str, answer: str, question: Any) -> float:
    """How right an answer is, 0 to 1."""
    from qwen2vl_agent.bench import answers

    if suite == "reading":
        return answers.similarity(answer.strip(), question.truths[0])
    if suite == "event":
        return answers.named(answer, question.truths[0], question.options)
    if suite in ("docvqa", "infovqa"):
        return answers.anls(answer, question.truths)
    if suite == "videomme":
        return answers.multiple_choice(answer, question.options, question.truths[0])
    return answers.mathvista(answer, question.truths[0], question.options, question.answer_type, question.precision)


def summary(suite: str, rows: list[tuple[str, float]]) -> dict[str, Any]:
    """The mean score, of all questions and of each kind."""
    kinds = dict.fromkeys(kind for kind, _ in sorted(rows, key=_kind) if kind)
    return {
        "suite": suite,
        "metric": METRICS.get(suite, "accuracy"),
        "chance": _chance(suite),
        **_mean([value for _, value in rows]),
        "kinds": {name: _mean([value for kind, value in rows if kind == name]) for name in kinds},
    }


def _kind(row: tuple[str, float]) -> tuple[int, str]:
    """In the order of the numbers that kinds begin with, then of the alphabet."""
    begun = row[0].split(" ")[0]
    return (int(begun) if begun.isdigit() else 0), row[0]


def _chance(suite: str) -> float | None:
    """What guessing would score, where that is known."""
    if suite != "event":
        return None
    from qwen2vl_agent.data.synthetic.trials import EVENT_CHANCE

    return EVENT_CHANCE


def _mean(values: list[float]) -> dict[str, Any]:
    return {"score": sum(values) / len(values) if values else 0.0, "questions": len(values)}
