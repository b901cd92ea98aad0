"""A training as a picture: the losses of each phase by source, and what the model could do after it."""

import json
from pathlib import Path
from typing import Any

from qwen2vl_agent.training.metrics import METRICS_FILE, read_metrics

SKILLS_FILE = "skills.json"
PICTURE = "progress.png"
SMOOTHED = 5
"""Windows of metrics in a moving average: single ones jump."""
PANEL = (6.4, 4.2)
"""Inches."""


def draw_progress(out: Path, phases: tuple[str, ...]) -> Path | None:
    """Draws what the phases have written so far into `out/progress.png`; None where there is nothing yet.

    A picture that is newer than all of it stays as it is.
    """
    if _drawn_since(out, phases):
        return out / PICTURE
    losses = {phase: lines for phase in phases if (lines := read_metrics(out / phase / METRICS_FILE))}
    skills = {phase: json.loads(file.read_text("utf-8")) for phase in phases if (file := _skills(out, phase)).is_file()}
    if not losses:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = len(losses) + len(skills)
    figure = Figure(figsize=(PANEL[0] * panels, PANEL[1]), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(1, panels, squeeze=False)[0])
    for phase, lines in losses.items():
        _draw_losses(axes.pop(0), phase, lines)
    for phase, scores in skills.items():
        _draw_skills(axes.pop(0), phase, scores)
    figure.savefig(out / PICTURE, dpi=110)
    return out / PICTURE


def _drawn_since(out: Path, phases: tuple[str, ...]) -> bool:
    """Whether the picture was drawn after everything that it shows."""
    shown = [file for phase in phases for name in (METRICS_FILE, SKILLS_FILE) if (file := out / phase / name).is_file()]
    drawn = (out / PICTURE).stat().st_mtime_ns if (out / PICTURE).is_file() else 0
    return all(drawn > file.stat().st_mtime_ns for file in shown) and bool(drawn)


def _skills(out: Path, phase: str) -> Path:
    return out / phase / SKILLS_FILE


def _draw_losses(axes: Any, phase: str, lines: list[dict[str, Any]]) -> None:
    for source in sorted({source for line in lines for source in line["losses"]}):
        points = [(line["step"], line["losses"][source]) for line in lines if line["losses"].get(source)]
        steps, values = [step for step, _ in points], [value for _, value in points]
        axes.plot(steps, moving_average(values, SMOOTHED), label=source, linewidth=1.3)
    axes.set_yscale("log")
    axes.set(title=f"{phase}: loss by source", xlabel="step", ylabel="nats")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(fontsize=7, ncols=2)


def _draw_skills(axes: Any, phase: str, scores: dict[str, dict[str, dict[str, float]]]) -> None:
    names = list(scores["seen"])
    for offset, (kind, told) in enumerate((("seen", "on screens"), ("blind", "on grey ones"))):
        shares = [100 * scores[kind][name]["share"] for name in names]
        bars = axes.barh([place + 0.4 * offset for place in range(len(names))], shares, 0.38, label=told)
        axes.bar_label(bars, fmt="%.0f", fontsize=8)
    axes.set_yticks([place + 0.2 for place in range(len(names))], [name.replace("_", " ") for name in names])
    axes.invert_yaxis()
    axes.set(title=f"after {phase}: right, in percent", xlim=(0, 105))
    axes.legend(fontsize=8)


def moving_average(values: list[float], width: int) -> list[float]:
    """Each value's mean with the `width - 1` before it; with fewer at the beginning."""
    return [sum(part := values[max(0, end - width) : end]) / len(part) for end in range(1, len(values) + 1)]
