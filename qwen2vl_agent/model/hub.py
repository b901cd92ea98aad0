"""Where a checkpoint's files lie: a folder, or a repository of the Hugging Face hub, fetched with resume."""

from collections.abc import Sequence
from pathlib import Path

from qwen2vl_agent.schema.errors import CheckpointError


def checkpoint_folder(name: str | Path, patterns: Sequence[str]) -> Path:
    """The folder `name`, or a local copy of the files of hub repository `name` that match `patterns`.

    `OWNER/NAME@REVISION` takes one commit, branch or tag of the repository.

    Raises:
        CheckpointError: there is no such folder or repository, or the hub cannot be reached.
    """
    folder = Path(name)
    if folder.is_dir():
        return folder
    if folder.exists() or str(name).count("/") != 1 or str(name).startswith(("/", ".", "~")):
        raise CheckpointError(f"{name}: expected a checkpoint folder, or a hub id such as Qwen/Qwen2-VL-2B-Instruct")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        repository, _, revision = str(name).partition("@")
        # Only files of data are taken, never code: an unpinned revision can change answers, not run anything.
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=list(patterns)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().split("\n")[0]
        raise CheckpointError(
            f"{name}: no such folder, and the hub did not give it ({reason}); "
            "check the name and the network, or give a folder that holds the checkpoint"
        ) from error
