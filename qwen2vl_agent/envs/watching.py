"""What a screen showed of the time between two looks, for agents that are to see it move.

Where nothing moves by itself there is the screen before an action and the one after. Elsewhere a film is made: a
phone's own video, or pictures that a thread takes all the while, and those taken while the screen settles. A picture is
taken under the same lock as an action is done, so that no device is asked two things at once.
"""

import collections
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from PIL import Image

from qwen2vl_agent.envs.clips import FPS, MOST_FRAMES, Shot, Taken, make_clip, shrunk_size
from qwen2vl_agent.schema.actions import Action
from qwen2vl_agent.schema.errors import OperatorError
from qwen2vl_agent.schema.observation import Clip, Observe

OVERSAMPLING = 2
"""Pictures taken for each tick of a clip."""


class Film(Protocol):
    """What was shown lately."""

    def frames(self, since: float) -> Sequence[Taken]:
        """Those taken after `since`, and the one before them, which was shown then.

        Raises:
            OperatorError: the device does not answer.
        """
        ...

    def close(self) -> None:
        """Take no more."""
        ...


class SampledFilm:
    """Takes a picture again and again, in a thread of its own.

    A picture that comes late is dated when it was asked for: it may show what was then, and never shows what came after
    its arrival. One that fails is left out; if the device stays away, `frames` says so.
    """

    def __init__(
        self,
        take: Callable[[], Image.Image],
        spacing_s: float = 1 / (OVERSAMPLING * FPS),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin at once; about `MOST_FRAMES` ticks are remembered, and settling's pictures beside them."""
        self._take, self._spacing_s, self._clock = take, spacing_s, clock
        self._kept: collections.deque[Shot] = collections.deque(maxlen=2 * OVERSAMPLING * MOST_FRAMES)
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._trouble: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="film", daemon=True)
        self._thread.start()

    def add(self, image: Image.Image, taken: float) -> None:
        """Remember a picture."""
        size = shrunk_size(*image.size)
        small = image if image.size == size else image.resize(size)
        with self._lock:
            self._kept.append(Shot(small, taken))

    def frames(self, since: float) -> Sequence[Taken]:
        """See `Film`."""
        with self._lock:
            kept, trouble = sorted(self._kept, key=lambda shot: shot.arrived), self._trouble
        if trouble is not None:
            raise trouble
        before = [shot for shot in kept if shot.arrived <= since]
        return before[-1:] + [shot for shot in kept if shot.arrived > since]

    def close(self) -> None:
        """See `Film`."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            begun = self._clock()
            try:
                self.add(self._take(), begun)
                self._trouble = None
            except OperatorError as error:
                self._trouble = error
            except Exception as error:
                self._trouble = error
                return
            self._stop.wait(max(0.01, self._spacing_s - (self._clock() - begun)))


class Watched:
    """A device that is watched between two looks; for everything else it is the device.

    watched = Watched(device, "clip")
    watched.begin()                  # a new episode
    watched.perform(action)
    image = watched.screenshot()     # as often as it takes
    watched.clip(image)              # what happened
    """

    def __init__(self, device: Any, observe: Observe, clock: Callable[[], float] = time.monotonic) -> None:
        self._device, self._observe, self._clock = device, observe, clock
        self._lock = threading.RLock()
        self._film: Film | None = None
        self._before: Image.Image | None = None
        self._since = 0.0
        self._acted = False

    def begin(self) -> None:
        """A new episode: what was shown before is none of its business."""
        self._before, self._since, self._acted = None, self._clock(), False
        if self._film is None and not (self._device.still and not self._device.timed):
            film = getattr(self._device, "film", lambda: None)
            self._film = film() or SampledFilm(self._looked, clock=self._clock)

    def perform(self, action: Action) -> dict[str, Any]:
        """See `Device`."""
        if self._observe == "clip":
            self._since = self._clock()
        self._acted = True
        with self._lock:
            return self._device.perform(action)

    def screenshot(self) -> Image.Image:
        """See `Device`."""
        asked, image = self._clock(), self._looked()
        if isinstance(self._film, SampledFilm):
            self._film.add(image, asked)
        return image

    def clip(self, image: Image.Image) -> Clip | None:
        """What led to the look that gave `image`; None where it is to be shown and there was no action yet."""
        now, alone = self._clock(), self._observe == "video"
        shown = None
        if alone or self._acted:
            shown = make_clip(self._frames(image, now), self._since if self._film else now, now, alone=alone)
        self._before, self._since, self._acted = image, now, False
        return shown

    def close(self) -> None:
        """See `Device`."""
        if self._film is not None:
            self._film.close()
        self._device.close()

    def _frames(self, image: Image.Image, now: float) -> list[Taken]:
        """The last of them is the present screen."""
        if self._film is not None:
            taken = [frame for frame in self._film.frames(self._since) if frame.arrived < now]
            return [*taken, Shot(image, now)]
        return [Shot(self._before or image, now - 1 / FPS), Shot(image, now)]

    def _looked(self) -> Image.Image:
        with self._lock:
            image: Image.Image = self._device.screenshot()
        return image

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)
