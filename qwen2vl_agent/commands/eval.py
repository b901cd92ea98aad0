"""`qwen2vl-agent eval`: how well a model understands documents, pictures and videos."""

import itertools
import json as json_text
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from qwen2vl_agent.agent.loading import Compute, Dtype, Quantize
from qwen2vl_agent.commands import output
from qwen2vl_agent.commands.answers_file import KeptAnswers
from qwen2vl_agent.commands.flags import at_least_one, load_settings
from qwen2vl_agent.commands.models import resolve
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.schema.trajectory import CallForm

Suite = Literal["docvqa", "infovqa", "mathvista", "videomme", "reading", "event", "aitz", "fncall"]
CALLS = ("aitz", "fncall")
"""Suites that are answered by function calls."""
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

    Two are answered by function calls and scored by type match and exact match: aitz, steps of Android in the Zoo by
    its own rules (a copy of it, or what export --format aitz wrote), and fncall, the calls of recorded episodes or of
    conversations in JSON Lines. With --predictions replies that were written elsewhere are scored, without a model.

    Examples:
      qwen2vl-agent eval docvqa --data DocVQA --model Qwen/Qwen2-VL-2B-Instruct --limit 100
      qwen2vl-agent eval videomme --data Video-MME --model FOLDER --video-cache cache --out answers.jsonl
      qwen2vl-agent eval reading --model Qwen/Qwen2-VL-2B-Instruct --limit 90
      qwen2vl-agent eval event --model FOLDER --limit 50
      qwen2vl-agent eval aitz --data android_in_the_zoo --split test --model Qwen/Qwen2-VL-7B-Instruct
      qwen2vl-agent eval fncall --data runs/lessons --predictions replies.jsonl --results results.json
    """

    suite: tyro.conf.Positional[
        Literal["docvqa", "infovqa", "mathvista", "videomme", "reading", "event", "aitz", "fncall"]
    ]
    """which benchmark"""
    data: Path | None = None
    """folder of the benchmark's files; of reading and event none"""
    seed: int = 0
    """of the questions that reading and event draw"""
    model: str = ""
    """folder or hub id; the embedded model if left out, which knows the virtual phone's screens only"""
    split: str = ""
    """part of the names of the files to read, for example validation; of aitz of their paths"""
    limit: int | None = None
    """questions to ask, from the first; all if left out, of reading and event 90"""
    out: Path | None = None
    """file for the answers, one JSON object a line"""
    predictions: Path | None = None
    """file of replies to score in place of asking a model, as --out writes them; one that is missing is wrong (aitz,
    fncall)"""
    results: Path | None = None
    """file for the scores, a JSON object"""
    history: int = 4
    """earlier screens of an episode that are shown with what was done there (aitz)"""
    form: CallForm = "keyword"
    """how calls are written (aitz)"""
    video_cache: Path | None = None
    """folder that keeps the frames of videos, so that each is decoded once"""
    max_new_tokens: int = 64
    """longest answer"""
    dtype: Dtype = "auto"
    """type of the weights; auto: bfloat16 for a full-size model, float32 for a small one"""
    compute: Compute = "auto"
    """where the model runs; auto: a full-size one on the GPU where there is one, others on the CPU"""
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
        if self.suite in CALLS:
            from qwen2vl_agent.commands.eval_calls import run_calls

            return run_calls(self)
        if self.predictions is not None:
            raise ConfigError(f"--predictions is for {' and '.join(CALLS)}, not for {self.suite}")
        from rich.progress import track

        asked, limit = self._questions()
        kept, console, rows, ask = KeptAnswers(self.out), output.console(self.json), [], None
        for question in track(asked, "asking", total=limit, console=console, transient=True):
            answer = kept.of(question.id)
            if answer is None:
                ask = ask or self.asker()
                answer = ask(question.messages)
                kept.note(question.id, answer)
            rows.append((question.kind, score(self.suite, answer, question)))
        result = summary(self.suite, rows)
        if result["chance"]:
            console.print(f"by chance: {100 * result['chance']:.1f} %", soft_wrap=True)
        for name, part in {"all": result, **result["kinds"]}.items():
            told = f"{name}: {100 * part['score']:.1f} % of {part['questions']} questions"
            console.print(told, markup=False, soft_wrap=True)
        self.tell(result)
        return 0

    def tell(self, result: dict[str, Any]) -> None:
        """The scores as JSON, where that was asked for."""
        whole = result | {"model": self.model or "embedded"} if self.predictions is None else result
        if self.results is not None:
            self.results.parent.mkdir(parents=True, exist_ok=True)
            self.results.write_text(json_text.dumps(whole, indent=2) + "\n", "utf-8")
        if self.json:
            output.print_object(whole)

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

    def asker(self) -> Any:
        """What asks the model; told the form of a call, it stops after one."""
        from qwen2vl_agent.agent.loading import load
        from qwen2vl_agent.dialogue.tool_call import stop_sequences

        model, processor = load(resolve(self.model), load_settings(self, self.threads))
        if self.video_cache is not None:
            from qwen2vl_agent.data.video_cache import CachedVideos, VideoCache

            cached = CachedVideos(processor.video_processor, VideoCache(self.video_cache))
            processor = processor.with_media(videos=cached)

        def ask(messages: list[Any], form: CallForm | None = None) -> str:
            stop = () if form is None else stop_sequences(form, processor.tokenizer)
            result = model.generate(processor(messages), max_new_tokens=self.max_new_tokens, stop=stop)
            return processor.decode(result.token_ids).strip()

        return ask


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
