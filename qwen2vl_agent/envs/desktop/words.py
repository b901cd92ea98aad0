"""The words that fill the bundled tasks; those of the test split never occur in training."""

from random import Random

from qwen2vl_agent.schema.trajectory import Split

TRAIN = [
    "amber",
    "basket",
    "candle",
    "dolphin",
    "engine",
    "feather",
    "garden",
    "harbor",
    "island",
    "jacket",
    "kettle",
    "ladder",
    "mirror",
    "needle",
    "orange",
    "pepper",
    "quartz",
    "ribbon",
    "saddle",
    "tunnel",
    "umbrella",
    "valley",
    "window",
    "yellow",
    "zipper",
]
TEST = [
    "anchor",
    "bridge",
    "copper",
    "desert",
    "ember",
    "falcon",
    "glacier",
    "hammer",
    "ivory",
    "jungle",
    "lantern",
    "meadow",
    "noodle",
    "orchid",
    "pillow",
]


def words(rng: Random, split: Split, count: int) -> list[str]:
    """Different words, drawn; invented ones are two of training put together."""
    if split == "test":
        return rng.sample(TEST, count)
    drawn = rng.sample(TRAIN, 2 * count)
    return drawn[:count] if split == "train" else [a[:3] + b[-3:] for a, b in zip(drawn[::2], drawn[1::2], strict=True)]
