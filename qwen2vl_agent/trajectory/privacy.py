"""Taking things out of records: words, regions of screens, apps, whole episodes, and those kept long enough."""

import dataclasses
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from PIL import Image, ImageDraw

from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.geometry import MODEL_GRID
from qwen2vl_agent.schema.trajectory import Step, StoredFrame, Trajectory
from qwen2vl_agent.trajectory.eraser import OF_TOKENS, REDACTED, Eraser, hidden
from qwen2vl_agent.trajectory.frames import FrameStore, write_whole
from qwen2vl_agent.trajectory.lines import HEADER_FILE, STEPS_FILE, context_after, header_json, step_line
from qwen2vl_agent.trajectory.lock import lock
from qwen2vl_agent.trajectory.store import episodes, frames_folder, read_episode, read_header

COVER = (0, 0, 0)
KEEP_DAYS = "keep_days"
"""Key of a header's `config`: days after which `prune` deletes the episode."""
DAY_S = 86_400.0
Region = tuple[int, int, int, int]
"""Left, top, right, bottom in the model's grid, 0 to 1000."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """What was taken out of an episode."""

    words: int
    """Places where a text stood."""
    frames: int
    """Screens that were painted over."""


def redact(
    folder: Path, texts: Sequence[str] = (), regions: Sequence[Region] = (), apps: Sequence[str] = ()
) -> Redaction:
    """Take texts, regions and whole apps out of an episode for good.

    Texts go wherever they are written, whatever their capitals. What is drawn on a screen is not searched: give its
    region, or the app. Of the steps at which an app of `apps` was in front nothing but the function's name is left.
    All token ids, probabilities and prompts go with words, as they would spell them. New frames are written before the
    old ones go, so that a kill leaves a whole record.

    Args:
        apps: packages, perhaps with `*` in them.

    Raises:
        RecordError: no episode there, damaged, being written, or it does not say which app was in front.
    """
    with (folder / STEPS_FILE).open("ab") as busy:
        lock(busy)
        trajectory, store = read_episode(folder), FrameStore(frames_folder(folder))
        old, eraser = trajectory.steps, Eraser(texts)
        steps = [eraser.step(step) for step in _without(apps, folder, old, store)]
        if regions:
            steps = [_covered(store, step, regions) for step in steps]
        if texts or any(step.reply.text == REDACTED for step in steps):
            steps = [dataclasses.replace(step, reply=dataclasses.replace(step.reply, **OF_TOKENS)) for step in steps]
        _rewrite(folder, Trajectory(eraser.header(trajectory.header), steps), store)
        gone = _named(old) - _named(steps)
        drop_frames(folder, gone)
        _drop_checkpoints(folder)  # a question that was open there has the words of the call
    return Redaction(eraser.count, len(gone))


def _without(apps: Sequence[str], folder: Path, steps: Sequence[Step], store: FrameStore) -> list[Step]:
    """The steps, hidden where one of the apps was in front; what the next is told of such a step goes as well."""
    if apps and not any(step.app for step in steps):
        raise RecordError(f"{folder} does not say which app was in front; redact regions, or delete it")
    found: list[Step] = []
    told = False
    for step in steps:
        inside = any(fnmatchcase(step.app, app) for app in apps)
        if inside:
            step = _covered(store, hidden(step), [(0, 0, MODEL_GRID, MODEL_GRID)])
        elif told:
            step = dataclasses.replace(step, observation_text="")
        found.append(step)
        told = inside
    return found


def _drop_checkpoints(folder: Path) -> None:
    for path in folder.glob("checkpoints.sqlite*"):
        path.unlink(missing_ok=True)


def delete(folder: Path) -> None:
    """Delete an episode, and the frames that no other episode needs. Files of others in its folder stay.

    Raises:
        RecordError: no episode there, or another process is writing it.
    """
    read_header(folder)
    with (folder / STEPS_FILE).open("ab") as busy:
        lock(busy)
        drop_frames(folder, _frames_of(folder))
        _drop_checkpoints(folder)
        for name in (STEPS_FILE, HEADER_FILE):
            (folder / name).unlink(missing_ok=True)
    if (folder / "frames").is_dir():
        shutil.rmtree(folder / "frames")
    if not any(folder.iterdir()):
        folder.rmdir()


def expired(root: Path, days: float | None = None, now_s: float | None = None) -> Iterator[Path]:
    """Episodes at or below `root` that have been kept long enough: `days`, or what each was to be kept itself.

    An episode's age counts from its last change.
    """
    now_s = time.time() if now_s is None else now_s
    for folder in episodes(root):
        limit = days if days is not None else read_header(folder).config.get(KEEP_DAYS)
        if limit is not None and now_s - (folder / HEADER_FILE).stat().st_mtime > limit * DAY_S:
            yield folder


def drop_frames(folder: Path, frames: set[StoredFrame]) -> None:
    """Delete frames of an episode that no other episode beside it names."""
    place = frames_folder(folder).resolve()
    if place != (folder / "frames").resolve():
        for other in episodes(place.parent):
            if other.resolve() != folder.resolve():
                frames = frames - _frames_of(other)
    for frame in frames:
        FrameStore(place).path(frame).unlink(missing_ok=True)


def _frames_of(folder: Path) -> set[StoredFrame]:
    return _named(read_episode(folder).steps)


def _named(steps: Sequence[Step]) -> set[StoredFrame]:
    return {frame for step in steps for frame in step.frames}


def _rewrite(folder: Path, trajectory: Trajectory, store: FrameStore) -> None:
    lines: list[bytes] = []
    before: tuple[int, ...] = ()
    for step in trajectory.steps:
        lines.append(step_line(step, before))
        before = context_after(step, before)
    write_whole(folder / STEPS_FILE, b"".join(lines))
    frames = Path(os.path.relpath(store.folder, folder)).as_posix()
    write_whole(folder / HEADER_FILE, header_json(trajectory.header, frames))


def _covered(store: FrameStore, step: Step, regions: Sequence[Region]) -> Step:
    """The step with regions of all its pictures painted over."""
    clip = step.clip
    if clip is not None:
        clip = dataclasses.replace(clip, frames=tuple(_painted(store, frame, regions) for frame in clip.frames))
    return dataclasses.replace(step, frame=_painted(store, step.frame, regions), clip=clip)


def _painted(store: FrameStore, frame: StoredFrame, regions: Sequence[Region]) -> StoredFrame:
    image: Image.Image = store.get(frame).copy()
    brush = ImageDraw.Draw(image)
    for left, top, right, bottom in regions:
        across, down = image.width / MODEL_GRID, image.height / MODEL_GRID
        corners = (int(left * across), int(top * down), round(right * across) - 1, round(bottom * down) - 1)
        brush.rectangle(corners, fill=COVER)
    return store.put(image)
