"""Keys that are pressed together, as an agent writes them: `ctrl+shift+a`."""

from collections.abc import Callable

from qwen2vl_agent.schema.errors import ActionRejected


def chord_of(keys: str, key: Callable[[str], str]) -> list[str]:
    """The names that `key` gives, in the order to press them. `+` alone, or after another, is the plus key.

    Raises:
        ActionRejected: one of them is no key, or there is none.
    """
    if keys == "+" or keys.endswith("++"):
        return [*(chord_of(keys[:-2], key) if len(keys) > 2 else []), "+"]
    names = [key(part if len(part) == 1 else part.strip()) for part in keys.split("+") if part]
    if not names:
        raise ActionRejected("a hotkey needs at least one key")
    return [name.lower() if len(names) > 1 and len(name) == 1 else name for name in names]
