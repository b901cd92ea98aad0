"""Whether two records tell the same: everything but how long things took."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from qwen2vl_agent.schema.trajectory import Step, Trajectory
from qwen2vl_agent.trajectory.store import episodes, load_frame, read_episode


def differences(one: Path, other: Path) -> Iterator[str]:
    """What differs between the episodes below two folders, a line each; none where they hold the same.

    Headers and steps are compared in every field, times left out, and every screen by its bytes.

    Raises:
        RecordError: an episode or a screen is missing or damaged.
    """
    ours, theirs = _by_place(one), _by_place(other)
    for place in sorted({*ours, *theirs}):
        if place not in ours or place not in theirs:
            yield f"{place}: only below {one if place in ours else other}"
        elif place_differs := _difference(ours[place], theirs[place]):
            yield f"{place}: {place_differs}"


def timeless(trajectory: Trajectory) -> Trajectory:
    """The record without anything that a clock told."""
    return Trajectory(trajectory.header, [_timeless(step) for step in trajectory.steps])


def _by_place(root: Path) -> dict[str, Path]:
    return {folder.relative_to(root).as_posix(): folder for folder in episodes(root)}


def _difference(one: Path, other: Path) -> str:
    ours, theirs = timeless(read_episode(one)), timeless(read_episode(other))
    for folder, trajectory in ((one, ours), (other, theirs)):
        for frame in {frame for step in trajectory.steps for frame in step.frames}:
            load_frame(folder, frame)  # its name is the hash of its bytes, which reading checks
    if ours.header != theirs.header:
        return f"the headers differ in {_fields(ours.header, theirs.header)}"
    if len(ours.steps) != len(theirs.steps):
        return f"{len(ours.steps)} steps and {len(theirs.steps)}"
    for mine, its in zip(ours.steps, theirs.steps, strict=True):
        if mine != its:
            return f"step {mine.index} differs in {_fields(mine, its)}"
    return ""


def _fields(one: object, other: object) -> str:
    names = [item.name for item in dataclasses.fields(one)]  # type: ignore[arg-type]
    return ", ".join(name for name in names if getattr(one, name) != getattr(other, name))


def _timeless(step: Step) -> Step:
    return dataclasses.replace(step, timings={}, reply=dataclasses.replace(step.reply, timings={}))
