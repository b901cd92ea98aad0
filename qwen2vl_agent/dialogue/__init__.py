"""The one encoder: dialogues of an agent as messages, messages as tokens, and replies as calls."""
