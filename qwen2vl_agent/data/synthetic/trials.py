"""Questions that measure one skill on what training never shows: reading each script, finding an event in a film."""

import io
import random
from collections.abc import Iterator
from itertools import count

from qwen2vl_agent.data.questions import Question
from qwen2vl_agent.data.synthetic.fonts import writable
from qwen2vl_agent.data.synthetic.reading import SYSTEM
from qwen2vl_agent.data.synthetic.texts import TextSource
from qwen2vl_agent.data.synthetic.videos import FPS, SHOWN_COLOURS, WHICH_COLOUR, Film, film_with_event
from qwen2vl_agent.schema.messages import Message, TextPart, VideoPart

EVENT_SECONDS, EVENT_SIDE = 1200, 112
"""Twenty minutes; pixels of a picture's sides, before a model's own resizing."""
TENTHS = 10
EVENT_CHANCE = 1 / len(SHOWN_COLOURS)
"""Of naming the right colour without looking."""
FILM_RATE = 2
"""Pictures a second of the film files."""


def reading(seed: int) -> Iterator[Question]:
    """Lines of held-out words without end, each script in turn, one line to a picture."""
    sources = [
        TextSource(name=f"trial-{script}", seed=seed, columns=12, rows=2, lines=(1, 1), scripts=(script,), questions=0,
                   held_out=True)
        for script in writable()
    ]  # fmt: skip
    for number in count():
        turn, place = divmod(number, len(sources))
        source = sources[place]
        *asked, told = source.example(turn).messages
        part = told.parts[0]
        assert isinstance(part, TextPart)
        yield Question(f"reading-{seed}-{number}", asked, (part.text,), kind=source.scripts[0])


def event(seed: int) -> Iterator[Question]:
    """Films of twenty minutes without end, as files, with an event in each tenth of the film in turn."""
    for number in count():
        rng = random.Random(f"{seed}/trial-event/{number}")
        tenth = number % TENTHS
        film = film_with_event(rng, EVENT_SECONDS, EVENT_SIDE, (tenth + rng.random()) / TENTHS)
        asked = [
            Message("system", (TextPart(SYSTEM),)),
            Message("user", (VideoPart(film_file(film), FPS), TextPart(WHICH_COLOUR))),
        ]
        kind = f"{tenth * 100 // TENTHS} to {(tenth + 1) * 100 // TENTHS} %"
        yield Question(f"event-{seed}-{number}", asked, (film.events[0].colour,), SHOWN_COLOURS, kind)


def film_file(film: Film) -> bytes:
    """The film as an MP4 file."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=FILM_RATE)
        stream.width, stream.height, stream.pix_fmt = film.side, film.side, "yuv420p"
        stream.bit_rate = 400_000
        for picture in film.pictures(FILM_RATE):
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())
    return file.getvalue()
