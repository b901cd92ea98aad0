"""The embedded model: a tiny Qwen2-VL that learns on two CPU cores to read screens, to point, and to act.

Hardware: 2 cores, no GPU. The steps are the paper's, which begin with a language model that has read: ours first learns
to repeat texts. Stage 1 teaches the vision encoder (token by token what a screen shows, `tiny_look.py`), stage 2
everything, stage 3 the language model with the vision encoder locked.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from qwen2vl_agent.data.mixture import Share
from qwen2vl_agent.envs.tasks import SUITES
from qwen2vl_agent.recipes import tiny_data, tiny_embeds
from qwen2vl_agent.recipes.exporting import export, model_of
from qwen2vl_agent.recipes.overrides import replaced
from qwen2vl_agent.recipes.tiny_plot import SKILLS_FILE, draw_progress
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.config import StageName, TrainConfig
from qwen2vl_agent.training.parallel.replicas import Replicas


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training: a lesson."""

    name: str
    stage: StageName


PHASES = (
    Phase("text", "stage3"),
    Phase("look", "stage1"),
    Phase("know", "stage2"),
    Phase("act", "stage3"),
    Phase("correct", "stage3"),
)
"""`text` has no pictures and comes before the three stages, as Qwen2's language model has read before it ever sees;
`correct` goes on with stage 3, on screens that the model itself reached."""
TRAINED = {"look": ("model.visual.", "heads.")}
"""Prefixes of the parameters that train, where they are not the stage's own."""
SCORED = ("know", "act", "correct")
"""Phases after which skills are measured, on screens from this seed on."""
SCORED_SEED = 424_242
ACTING = ("act", "correct")
"""Phases with demonstrations, whose vision encoder is locked."""
SLOWED = {"know": (("visual.", 0.3),)}
"""Parts that learn at a fraction of the phase's rate: the encoder can see already."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TinyRecipe:
    """What `train tiny` does; any field can be set from the command line."""

    seed: int = 0
    suite: str = "phone"
    """The tasks and, with them, the edition of the phone: `phone`, `phone-full`, or `phone,phone-full` for both, of
    which the first is measured."""
    start_from: str = ""
    """Folder of a model of this vocabulary to begin the first phase with; empty: new weights."""
    max_pixels: int = 112_896
    """Of an image: a phone's screen becomes 224 x 476 pixels, 136 tokens."""
    pages: int = 15_360
    """Screens to learn seeing from."""
    asked_pages: int = 4_096
    """Those of them that stage 3 asks about, whose vision encoder is locked: they are encoded once."""
    read_pages: int = 2_048
    """Screens from which the bundled solutions read, that stage 3 asks about too."""
    line_pages: int = 2_048
    """Pictures of random lines of text that stage 3 asks about."""
    episodes_per_task: int = 110
    noise: float = 0.2
    """Share of deliberate mistakes in the demonstrations, so that recoveries are shown."""
    corrected_per_task: int = 16
    """Episodes of every task that the model acts in with the solution beside it."""
    look_from: str = ""
    """A file of the vision encoder and its heads to go on from (`tiny_look.save_reading`); empty: from nothing."""
    text_steps: int = 1000
    """0 leaves a phase out."""
    look_steps: int = 8000
    know_steps: int = 1600
    act_steps: int = 3000
    correct_steps: int = 2400
    text_lr: float = 1e-3
    look_lr: float = 1.2e-3
    know_lr: float = 1e-3
    act_lr: float = 1e-3
    correct_lr: float = 8e-4
    text_batch_tokens: int = 1024
    look_batch_tokens: int = 2304
    know_batch_tokens: int = 4096
    act_batch_tokens: int = 4096
    correct_batch_tokens: int = 4096
    scored_pages: int = 60
    """Screens on which skills are measured after a phase; 0: none."""
    scored_episodes: int = 2
    """Episodes of every task with which acting is measured in the end; 0: none."""
    data_workers: int = 1
    harvest_workers: int = 2
    replicas: int = 2
    """Processes that train together."""
    threads: int = 1
    """Of each process."""
    device: str = "cpu"
    """`cuda` trains on one GPU, by one process (`replicas` 1) with larger batches (docs/log.md)."""
    look_pool: int = 0
    """Pictures to see that are drawn before and lie on the device; 0: each is drawn when its turn comes."""
    text_seconds: int = 0
    """A phase ends after so many seconds, its rate falling with the clock, if its steps are not over before; 0: by its
    steps alone."""
    look_seconds: int = 0
    know_seconds: int = 0
    act_seconds: int = 0
    correct_seconds: int = 0

    def __post_init__(self) -> None:
        numbers = (name for name, kind in _kinds(self).items() if kind is not str and name != "seed")
        low = [name for name in numbers if getattr(self, name) < 0]
        if low or self.replicas < 1:
            raise ConfigError(f"{(low or ['replicas'])[0]} is too small: {getattr(self, (low or ['replicas'])[0])}")
        if self.device != "cpu" and self.replicas > 1:
            raise ConfigError(f"{self.replicas} replicas are for a CPU; give replicas=1 with device={self.device}")
        if not set(self.suite.split(",")) <= set(SUITES):
            raise ConfigError(f"suite is {self.suite!r}; expected {', '.join(SUITES)}, or several of them")
        alone = [name for name in _kinds(self) if name.endswith("_seconds") or name == "look_pool"]
        asked = [name for name in alone if getattr(self, name)]
        if asked and self.replicas > 1:
            raise ConfigError(f"{asked[0]} is for one process; give replicas=1")


def train(*, out: Path, resume: bool = False, overrides: dict[str, str] | None = None) -> Path:
    """Harvest, train the three stages, and export; returns the finished model's folder, `out/tiny`.

    Every part is resumable, and what is done is not done again.

    Raises:
        ConfigError: an override is of no field of `TinyRecipe` or not of its type, or there is no such device.
    """
    from qwen2vl_agent.model.precision import check_device

    recipe = with_overrides(TinyRecipe(), overrides or {})
    check_device(recipe.device)
    tiny_data.prepare(recipe, out / "data")
    start = Path(recipe.start_from) if recipe.start_from else None
    for phase in PHASES:
        if not getattr(recipe, f"{phase.name}_steps"):
            continue
        if phase.name in ACTING and not _finished(out / phase.name):
            if start is None:
                raise ConfigError(
                    f"the phase {phase.name} needs a model: leave an earlier phase in, or give start_from"
                )
            if phase.name == "act":
                tiny_data.demonstrate(recipe, out / "data" / "episodes")
            else:
                tiny_data.correct(recipe, start, out / "data" / "corrections")
            tiny_embeds.embed(recipe, start, out / "data", embeds_folder(out))
        start = _train_phase(recipe, phase, start, out, resume)
        if phase.name in SCORED:
            _score(recipe, start, out / phase.name / SKILLS_FILE, recipe.scored_episodes if phase.name in ACTING else 0)
        draw_progress(out, tuple(phase.name for phase in PHASES))
    assert start is not None
    return export(start, out / "tiny")


def _score(recipe: TinyRecipe, model: Path, file: Path, episodes: int) -> None:
    """Measure what the model can do on screens it never saw, and on grey ones; what is measured already stays.

    Whole tasks are recorded beside the `file` of the scores.
    """
    if file.is_file() or not recipe.scored_pages:
        return
    from qwen2vl_agent.agent.model_policy import ModelPolicy
    from qwen2vl_agent.recipes import tiny_acting, tiny_skills

    loaded, processor = model_of(model)
    scores = {}
    for name, blind in (("seen", False), ("blind", True)):
        skills = tiny_skills.measure(loaded, processor, SCORED_SEED, recipe.scored_pages, blind=blind)
        if episodes:
            config = dataclasses.replace(tiny_data.AGENT, blind=blind)
            policy, folder = ModelPolicy(loaded, processor), file.parent / f"episodes-{name}"
            suite = recipe.suite.split(",")[0]
            skills.acted = tiny_acting.action_accuracy(policy, config, SCORED_SEED, episodes, suite)
            skills.solved = tiny_acting.solved(
                model, config, folder, SCORED_SEED, episodes, recipe.harvest_workers, suite
            )
        scores[name] = skills.to_json()
    file.write_text(json.dumps(scores, indent=2) + "\n", "utf-8")
    Console(stderr=True).print(tiny_skills.table(scores))


def _train_phase(recipe: TinyRecipe, phase: Phase, start: Path | None, out: Path, resume: bool) -> Path:
    """Train one phase from the model at `start` (None: new weights), unless it is finished."""
    from qwen2vl_agent.training.parallel.replicas import run_replicas

    folder = out / phase.name
    if not _finished(folder):
        run_replicas(recipe.replicas, _fit_phase, recipe, phase, start, out, resume or _begun(folder))
    return folder / "model"


def _fit_phase(
    recipe: TinyRecipe, phase: Phase, start: Path | None, out: Path, resume: bool, replicas: Replicas | None
) -> None:
    """One process's part of a phase."""
    from qwen2vl_agent.data.ahead import Ahead
    from qwen2vl_agent.data.gaze import GazeFinder
    from qwen2vl_agent.data.image_embeds import ImageEmbeds
    from qwen2vl_agent.data.loader import Loader
    from qwen2vl_agent.recipes import tiny_look, tiny_model
    from qwen2vl_agent.training.pointing_loss import PointingLoss
    from qwen2vl_agent.training.trainer import Trainer

    config = phase_config(recipe, phase)
    processor = tiny_data.processor(recipe)
    model = tiny_model.load(start) if start else tiny_model.create(recipe, processor)
    if phase.name == "look":
        tiny_look.fit(recipe, config, model, out / phase.name, resume, replicas)
        return
    reader = processor.with_embeds(ImageEmbeds(embeds_folder(out))) if phase.name in ACTING else processor
    mixture, find = tiny_data.mixture(recipe, phase.name, out / "data"), GazeFinder(processor.tokenizer)
    loader = Loader(
        mixture if replicas is None else Share(mixture, replicas.rank, replicas.count),
        reader,
        config.batch_tokens,
        workers=recipe.data_workers,
        pixel_dtype=tiny_model.PIXEL_DTYPE,
        find=find,
    )
    batches = loader if recipe.device == "cpu" else Ahead(loader, recipe.device)
    trainer = Trainer(
        config,
        model,
        batches,
        out / phase.name,
        processor=processor,
        resume=resume,
        replicas=replicas,
        loss=PointingLoss(find),
    )
    assert trainer.fit().reason == "done"


def embeds_folder(out: Path) -> Path:
    """Where what the locked vision encoder makes of the pictures lies; it is of that encoder, not of the data."""
    return out / "act" / "embeds"


def _finished(folder: Path) -> bool:
    return (folder / "model" / "config.json").is_file()


def _begun(folder: Path) -> bool:
    return (folder / "checkpoints").is_dir()


def phase_config(recipe: TinyRecipe, phase: Phase) -> TrainConfig:
    """The trainer's configuration of a phase."""
    return TrainConfig(
        stage=phase.stage,
        trainable=TRAINED.get(phase.name),
        steps=getattr(recipe, f"{phase.name}_steps"),
        seconds_budget=getattr(recipe, f"{phase.name}_seconds") or None,
        lr=getattr(recipe, f"{phase.name}_lr"),
        batch_tokens=getattr(recipe, f"{phase.name}_batch_tokens") // recipe.replicas,
        optimizer="muon",
        weight_decay=0.01,
        betas=(0.9, 0.98),
        ema_decay=0.995,
        lr_factors=SLOWED.get(phase.name, ()),
        device=recipe.device,
        seed=recipe.seed,
        threads=recipe.threads,
        log_every=20,
        checkpoint_every_s=180.0,
    )


def with_overrides(recipe: TinyRecipe, overrides: dict[str, str]) -> TinyRecipe:
    """The recipe with fields replaced by their text from the command line.

    Raises:
        ConfigError: no such field, or a text that is no such number.
    """
    return replaced(recipe, "tiny", overrides)


def _kinds(recipe: TinyRecipe) -> dict[str, type]:
    """The type of every field."""
    return {item.name: type(getattr(recipe, item.name)) for item in dataclasses.fields(recipe)}
