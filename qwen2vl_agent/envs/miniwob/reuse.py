"""How a page that is loaded already begins another episode: most need not be loaded again.

Loading takes longer than all else of a short episode. Which pages forget an episode by themselves was found by
`benchmarks/miniwob_reuse.py`, which compares screens and rewards with those of pages freshly loaded; a test holds some.
"""

from typing import Literal

Way = Literal["loaded", "kept", "planted"]
"""Loaded anew, kept as it is, or kept with its body put back as it was when it had been loaded."""

LOADED = frozenset(
    {
        *("choose-date", "choose-date-easy", "choose-date-medium", "choose-date-nodelay"),
        *("email-inbox", "email-inbox-delete", "email-inbox-forward", "email-inbox-forward-nl"),
        *("email-inbox-forward-nl-turk", "email-inbox-important", "email-inbox-nl-turk", "email-inbox-noscroll"),
        *("email-inbox-reply", "email-inbox-star-reply"),
        *("navigate-tree", "scroll-text-2", "social-media", "social-media-all", "social-media-some"),
        *("use-slider", "use-slider-2"),
    }
)
"""Pages that remember something of an earlier episode whatever one does, and those of their families."""
PLANTED = frozenset({"form-sequence-3", "hot-cold", "order-food", "scroll-text", "use-colorwheel", "use-colorwheel-2"})
"""Pages that leave something of an earlier episode in their body."""


def way_to_begin(page: str) -> Way:
    """How `page` is to begin an episode after another one of its own."""
    if page in LOADED:
        return "loaded"
    return "planted" if page in PLANTED else "kept"
