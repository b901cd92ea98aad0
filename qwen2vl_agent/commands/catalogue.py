"""The commands, each a module of this package, and what each is for."""

PROGRAM = "qwen2vl-agent"
COMMANDS = {
    "run": "do a task on a phone, a desktop, a web page or in a gymnasium environment, and watch it",
    "tasks": "list the bundled tasks",
    "bench": "measure success, task by task, with confidence intervals",
    "eval": "measure understanding of documents, pictures and videos on your own copy of a benchmark",
    "collect": "record many episodes, to learn from",
    "chat": "talk with a model about pictures and videos",
    "view": "look at recorded episodes in a browser, or as one file",
    "serve": "offer a model to other programs by OpenAI's API",
    "mcp": "offer a phone's actions to other programs as MCP tools",
    "replay": "do a recorded episode again, checking each screen",
    "trajectory": "redact, delete or prune recorded episodes",
    "select": "choose the recorded episodes that are worth learning from, and tell why",
    "export": "write recorded episodes for other trainers and tools",
    "verify": "check that recorded steps give the same tokens and probabilities again",
    "calibration": "tell how far a model's confidence can be believed",
    "train": "train a model",
    "plot": "draw a training's metrics",
    "improve": "let a model learn from what it does, round by round",
    "data": "build data sets for training, look at them and count them",
    "init": "build a model to train from a language model and a vision tower",
    "quantize": "write a checkpoint with weights of 8 or 4 bits",
    "phone": "serve a virtual phone that adb can connect to",
    "completion": "print what a shell needs to complete commands and flags",
    "doctor": "tell what is installed, attached and missing, and how to mend it",
}
