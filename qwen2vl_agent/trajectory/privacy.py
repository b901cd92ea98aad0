"""Taking things out of records: words, regions of screens, whole episodes, and those kept long enough."""

import dataclasses
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from qwen2vl_agent.schema.errors import RecordError
from qwen2vl_agent.schema.geometry import MODEL_GRID
from qwen2vl_agent.schema.trajectory import EpisodeHeader, Step, StoredFrame, Trajectory
from qwen2vl_agent.trajectory.frames import FrameStore, write_whole
from qwen2vl_agent.trajectory.lines import HEADER_FILE, STEPS_FILE, context_after, header_json, step_line
from qwen2vl_agent.trajectory.lock import lock
from qwen2vl_agent.trajectory.store import episodes, frames_folder, read_episode, read_header

REDACTED = "[redacted]"
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


def redact(folder: Path, texts: Sequence[str] = (), regions: Sequence[Region] = ()) -> Redaction:
    """Take texts and regions out of an episode for good.

    Texts go wherever they are written, whatever their capitals; a reply that held one loses its token ids and
    probabilities, and so do all prompts, which would spell it. What is drawn on a screen is not searched: give its
    region. New frames are written before the old ones go, so that a kill leaves a whole record.

    Raises:
        RecordError: no episode there, damaged, or another process is writing it.
    """
    with (folder / STEPS_FILE).open("ab") as busy:
        lock(busy)
        trajectory, store = read_episode(folder), FrameStore(frames_folder(folder))
        old = {step.frame for step in trajectory.steps}
        eraser = _Eraser(texts)
        new = {frame: _painted(store, frame, regions) for frame in old} if regions else {}
        steps = [
            eraser.step(dataclasses.replace(step, frame=new.get(step.frame, step.frame))) for step in trajectory.steps
        ]
        header = eraser.header(trajectory.header)
        _rewrite(folder, Trajectory(header, steps), store)
        drop_frames(folder, old - {step.frame for step in steps})
    return Redaction(eraser.count, sum(1 for frame, painted in new.items() if painted != frame))


def delete(folder: Path) -> None:
    """Delete an episode, and the frames that no other episode needs. Files of others in its folder stay.

    Raises:
        RecordError: no episode there, or another process is writing it.
    """
    read_header(folder)
    with (folder / STEPS_FILE).open("ab") as busy:
        lock(busy)
        drop_frames(folder, _frames_of(folder))
        for path in (*folder.glob("checkpoints.sqlite*"), folder / STEPS_FILE, folder / HEADER_FILE):
            path.unlink(missing_ok=True)
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
    return {step.frame for step in read_episode(folder).steps}


def _rewrite(folder: Path, trajectory: Trajectory, store: FrameStore) -> None:
    lines: list[bytes] = []
    before: tuple[int, ...] = ()
    for step in trajectory.steps:
        lines.append(step_line(step, before))
        before = context_after(step, before)
    write_whole(folder / STEPS_FILE, b"".join(lines))
    frames = Path(os.path.relpath(store.folder, folder)).as_posix()
    write_whole(folder / HEADER_FILE, header_json(trajectory.header, frames))


def _painted(store: FrameStore, frame: StoredFrame, regions: Sequence[Region]) -> StoredFrame:
    image: Image.Image = store.get(frame).copy()
    brush = ImageDraw.Draw(image)
    for left, top, right, bottom in regions:
        across, down = image.width / MODEL_GRID, image.height / MODEL_GRID
        corners = (int(left * across), int(top * down), round(right * across) - 1, round(bottom * down) - 1)
        brush.rectangle(corners, fill=COVER)
    return store.put(image)


class _Eraser:
    """Takes texts out of everything that is written."""

    def __init__(self, texts: Sequence[str]) -> None:
        if any(not text.strip() for text in texts):
            raise RecordError("an empty text cannot be redacted")
        self._pattern = re.compile("|".join(map(re.escape, texts)), re.IGNORECASE) if texts else None
        self.count = 0

    def header(self, header: EpisodeHeader) -> EpisodeHeader:
        changed = {name: self._of(getattr(header, name)) for name in ("goal", "message", "config")}
        return dataclasses.replace(header, **{**changed, "config": {**changed["config"], "redacted": True}})

    def step(self, step: Step) -> Step:
        changed = {name: self._of(getattr(step, name)) for name in ("observation_text", "error", "performed")}
        call = step.call and dataclasses.replace(step.call, arguments=self._of(step.call.arguments))
        reply = dataclasses.replace(step.reply, text=self._of(step.reply.text))
        if self._pattern is not None:
            nothing: Any = dict.fromkeys(("token_ids", "logprobs", "sampling_logprobs", "forced", "prompt_ids"), ())
            reply = dataclasses.replace(reply, **nothing)
        return dataclasses.replace(step, **changed, call=call, reply=reply)

    def _of(self, value: Any) -> Any:
        if self._pattern is None:
            return value
        if isinstance(value, str):
            value, count = self._pattern.subn(REDACTED, value)
            self.count += count
            return value
        if isinstance(value, dict):
            return {self._of(key): self._of(item) for key, item in value.items()}
        return [self._of(item) for item in value] if isinstance(value, list | tuple) else value
