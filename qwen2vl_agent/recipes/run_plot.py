"""What a run wrote of itself as pictures: one PNG for each quantity, a line for each phase."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qwen2vl_agent.recipes.tiny_plot import PANEL, SMOOTHED, moving_average
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.training.metrics import METRICS_FILE, read_metrics

FOLDER = "plots"
Lines = list[dict[str, Any]]

QUANTITIES = {
    "tokens": ("tokens a second, without padding", "tokens_per_s"),
    "mfu": ("used part of the devices' products, vision encoder included", "mfu"),
    "padding": ("padding, part of all tokens", "padding"),
    "balance": ("patches of the replica with most, beside the mean", "balance"),
    "drift": ("how far shared weights were apart", "drift"),
    "memory": ("most memory of a process, GiB", "memory_gib"),
    "slowness": ("slowest device, times the others' seconds for the same work", "slowness"),
    "gradient": ("norm of the gradient", "grad_norm"),
}
"""File, title, and name in a line of metrics."""


def phases_of(run: Path) -> dict[str, Lines]:
    """The lines of a run, or of each phase in its folders, in the order in which they were begun.

    Raises:
        ConfigError: there are none.
    """
    files = [run / METRICS_FILE] if (run / METRICS_FILE).is_file() else sorted(run.glob(f"*/{METRICS_FILE}"))
    found = {file.parent.name: lines for file in files if (lines := read_metrics(file))}
    if not found:
        raise ConfigError(
            f"{run} has no {METRICS_FILE} with lines, nor has a folder in it; expected a training's --out"
        )
    return found


def draw_run(run: Path, out: Path | None = None) -> list[Path]:
    """Draws `loss.png` and every quantity that the run has told into `out` (by default `run/plots`).

    Raises:
        ConfigError: the run has written nothing yet.
    """
    phases, out = phases_of(run), out or run / FOLDER
    out.mkdir(parents=True, exist_ok=True)
    drawn = [_picture(out / "loss.png", "loss by source", "nats", lambda axes: _losses(axes, phases))]
    for name, (title, key) in QUANTITIES.items():
        told = {phase: points for phase, lines in phases.items() if (points := _points(lines, key))}
        if told:
            drawn.append(_picture(out / f"{name}.png", title, key, lambda axes, told=told: _curves(axes, told)))
    return drawn


def _losses(axes: Any, phases: dict[str, Lines]) -> None:
    """On a logarithmic scale, one curve for each source of each phase."""
    curves = {}
    for phase, lines in phases.items():
        for source in sorted({source for line in lines for source in line.get("losses", {})}):
            points = [(line["step"], line["losses"][source]) for line in lines if line["losses"].get(source)]
            curves[source if len(phases) == 1 else f"{phase}: {source}"] = points
    _curves(axes, curves)
    if any(points for points in curves.values()):
        axes.set_yscale("log")


def _points(lines: Lines, key: str) -> list[tuple[int, float]]:
    return [(line["step"], line[key]) for line in lines if key in line]


def _curves(axes: Any, curves: dict[str, list[tuple[int, float]]]) -> None:
    for name, points in curves.items():
        steps, values = [step for step, _ in points], [value for _, value in points]
        (line,) = axes.plot(steps, values, linewidth=0.6, alpha=0.3)
        axes.plot(steps, moving_average(values, SMOOTHED), linewidth=1.4, color=line.get_color(), label=name)


def _picture(file: Path, title: str, unit: str, fill: Callable[..., None]) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=PANEL, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    fill(axes)
    axes.set(title=title, xlabel="step", ylabel=unit.replace("_", " "))
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(fontsize=7, ncols=2)
    figure.savefig(file, dpi=110)
    return file
