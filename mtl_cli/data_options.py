"""Checks of the options that every dataset has: where its files come from, and its batch size."""

from collections.abc import Sequence
from pathlib import Path

from mtl_cli.errors import UserError, nearest

SOURCES = ("packaged", "torchvision")


def checked_batch_size(batch_size: int) -> int:
    """Return the batch size.

    Raises:
        ValueError: it is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; a batch holds 1 sample or more. Use data.batch_size=128.")
    return batch_size


def official_root(dataset: str, source: str, root: str | None, sources: Sequence[str] = SOURCES) -> Path | None:
    """Return the folder of the official files with a leading ~ expanded, or None where the packaged copy is meant.

    `sources` are those that the dataset has.

    Raises:
        UserError: there is no such source, the dataset has no packaged copy, or `root` does not go with the source.
    """
    files = "data.source=torchvision data.root=DIR"
    if source not in SOURCES:
        raise UserError(
            f"data.source is '{source}'.{nearest(source, SOURCES)} Known: {', '.join(SOURCES)}. "
            f"Use data.source={sources[0]}."
        )
    if source not in sources:
        raise UserError(f"{dataset} has no {source} copy: data.source is '{source}'. Use {files}.")
    if source == "torchvision":
        if not root:
            raise UserError(f"{dataset} with data.source=torchvision needs the folder of its files. Add data.root=DIR.")
        return Path(root).expanduser()
    if root:
        raise UserError(
            f"{dataset} reads its packaged copy, so data.root={root} would be ignored. Add data.source=torchvision to "
            "use the files there, or drop data.root (tasks.NAME.dataset.root=null drops it for one task)."
        )
    return None
