"""A round's training: stage 3 on chosen episodes, the vision encoder locked, or a policy gradient on all attempts."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qwen2vl_agent.data.examples import EpisodeSource
from qwen2vl_agent.data.gaze import GazeFinder
from qwen2vl_agent.data.image_embeds import ImageEmbeds
from qwen2vl_agent.data.loader import Loader
from qwen2vl_agent.data.mixture import Mixture
from qwen2vl_agent.dialogue.processor import Processor
from qwen2vl_agent.flywheel.frames import embed_frames
from qwen2vl_agent.flywheel.lessons import Lessons
from qwen2vl_agent.flywheel.selection import Selected
from qwen2vl_agent.flywheel.settings import ImproveSettings
from qwen2vl_agent.model.config import preset
from qwen2vl_agent.model.precision import fast_dtype
from qwen2vl_agent.model.qwen2vl import Qwen2VL
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.config import TrainConfig
from qwen2vl_agent.training.loss import target_loss
from qwen2vl_agent.training.pointing_loss import PointingLoss
from qwen2vl_agent.training.policy_gradient import PolicyConfig, fit_policy, to_json
from qwen2vl_agent.training.policy_loss import group_advantages
from qwen2vl_agent.training.policy_rows import policy_rows
from qwen2vl_agent.training.step import LossFunction
from qwen2vl_agent.training.trainer import Trainer
from qwen2vl_agent.trajectory.store import read_header

IMITATION_LR, POLICY_LR = 3e-4, 1e-5


def imitate(
    settings: ImproveSettings,
    start: str,
    fresh: Sequence[Selected],
    earlier: Sequence[Selected],
    out: Path,
    lessons: Lessons | None = None,
    encoded: Sequence[Path] = (),
) -> Path:
    """Learn from episodes, a share of them earlier ones, and from lessons; the folder of the new model.

    Goes on where it was stopped. `encoded` are folders of embeds that were made by the same vision encoder before.
    """
    done = out / "model"
    if (done / "config.json").is_file():
        return done
    if not fresh:
        raise ConfigError("no episode is left to learn from; the round's selection.md tells why of each")
    model, processor = Qwen2VL.from_pretrained(start, dtype="float32"), Processor.from_pretrained(start)
    sources = _episode_sources(settings, fresh, earlier)
    if lessons:
        sources = [(source, share * (1 - settings.lessons_share)) for source, share in sources]
        sources += [(source, share * settings.lessons_share) for source, share in lessons.sources]
    folders, known = [one.folder for one in (*fresh, *earlier)], [*encoded, *([lessons.embeds] if lessons else [])]
    made = embed_frames(folders, _seeing(start), processor, out / "embeds", ImageEmbeds(*known) if known else None)
    reader = processor.with_embeds(ImageEmbeds(*([out / "embeds"] if made else []), *known))
    config = train_config(settings, small=_is_tiny(model))
    trainer = Trainer(
        config,
        model,
        Loader(Mixture(sources, settings.seed), reader, config.batch_tokens, workers=1),
        out,
        processor=processor,
        resume=(out / "checkpoints").is_dir(),
        loss=_loss(model, processor),
    )
    assert trainer.fit().reason == "done"
    return done


def reinforce(settings: ImproveSettings, start: str, folders: Sequence[Path], out: Path) -> Path:
    """Make the better attempts of each group likelier; the folder of the new model. It is short, and not cut in two."""
    done = out / "model"
    if (done / "config.json").is_file():
        return done
    model, processor = Qwen2VL.from_pretrained(start, dtype="float32"), Processor.from_pretrained(start)
    embed_frames(folders, _seeing(start), processor, out / "embeds")
    reader = processor.with_embeds(ImageEmbeds(out / "embeds"))
    worth = advantages(folders)
    tried = sum(bool(worth[folder]) for folder in folders)
    rows = [row for folder in folders if worth[folder] for row in policy_rows(folder, reader, worth[folder])]
    config = PolicyConfig(
        lr=settings.lr or POLICY_LR,
        batch_tokens=settings.batch_tokens,
        threads=settings.threads,
        seed=settings.seed,
    )
    found = fit_policy(model, rows, config, out)
    (out / "policy_round.json").write_text(json.dumps({**to_json(found), "attempts": tried}) + "\n", "utf-8")
    processor.save_pretrained(done)
    model.save_pretrained(done)
    return done


def advantages(folders: Sequence[Path]) -> dict[Path, float]:
    """What each attempt is worth among those at the same episode; 1 for a success is the only reward."""
    groups: dict[tuple[str, int | None, str], list[Path]] = defaultdict(list)
    solved = {}
    for folder in folders:
        header = read_header(folder)
        groups[header.task, header.seed, str(header.config.get("split"))].append(folder)
        solved[folder] = float(header.outcome == "success")
    worth: dict[Path, float] = {}
    for group in groups.values():
        worth.update(zip(group, group_advantages([solved[folder] for folder in group]), strict=True))
    return worth


def train_config(settings: ImproveSettings, small: bool) -> TrainConfig:
    """Of the optimizer; a small model takes the one that the embedded model's recipe has."""
    muon: dict[str, Any] = {"optimizer": "muon", "weight_decay": 0.01, "betas": (0.9, 0.98)} if small else {}
    return TrainConfig(
        stage="stage3",
        steps=settings.steps,
        lr=settings.lr or IMITATION_LR,
        batch_tokens=settings.batch_tokens,
        warmup_steps=min(50, settings.steps // 4),
        ema_decay=0.99 if settings.steps >= 200 else None,
        seed=settings.seed,
        threads=settings.threads,
        log_every=20,
        checkpoint_every_s=180.0,
        **muon,
    )


def _episode_sources(
    settings: ImproveSettings, fresh: Sequence[Selected], earlier: Sequence[Selected]
) -> list[tuple[Any, float]]:
    """Those of a round and of before, with shares that add up to 1."""
    share = settings.replay_share if earlier else 0.0
    sources = [(_source("round", settings, fresh), 1.0 - share)]
    return sources + ([(_source("earlier", settings, earlier), share)] if share else [])


def _source(name: str, settings: ImproveSettings, chosen: Sequence[Selected]) -> EpisodeSource:
    weights = [one.weight for one in chosen]
    return EpisodeSource([one.folder for one in chosen], name, settings.seed, weights)


def _is_tiny(model: Any) -> bool:
    """Whether a model has the embedded one's shape."""
    ours, other = preset("tiny").text, model.config.text
    return (ours.hidden_size, ours.num_hidden_layers) == (other.hidden_size, other.num_hidden_layers)


def _loss(model: Any, processor: Processor) -> LossFunction:
    """The embedded model learns where to look, too."""
    if not _is_tiny(model):
        return target_loss
    return PointingLoss(GazeFinder(processor.tokenizer))


def _seeing(start: str) -> Any:
    return Qwen2VL.from_pretrained(start, fast_dtype("cpu"))
