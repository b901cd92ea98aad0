"""Parquet and Arrow files, where pyarrow is installed."""

import json
from pathlib import Path
from typing import Any

from qwen2vl_agent.schema.errors import ConfigError, RecordError

DAMAGED = (OSError, ValueError, TypeError, KeyError, IndexError, NotImplementedError, MemoryError)
"""What pyarrow raises of a damaged head or page, beside its own errors."""


def open_parquet(path: Path) -> Any:
    """A `pyarrow.parquet.ParquetFile`.

    Raises:
        ConfigError: pyarrow is not installed.
        RecordError: the file is missing or damaged.
    """
    pyarrow = _pyarrow()
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, *DAMAGED) as error:
        raise RecordError(f"{path} cannot be read as Parquet: {error}") from error


def open_arrow(path: Path) -> Any:
    """A `pyarrow.RecordBatchReader` of an Arrow stream, mapped into memory.

    Raises:
        ConfigError: pyarrow is not installed.
        RecordError: the file is missing or damaged.
    """
    pyarrow = _pyarrow()
    try:
        return pyarrow.ipc.open_stream(pyarrow.memory_map(str(path)))
    except (pyarrow.ArrowException, *DAMAGED) as error:
        raise RecordError(f"{path} cannot be read as an Arrow stream: {error}") from error


def write_parquet(rows: list[dict[str, Any]], path: Path, index: str = "") -> None:
    """Write rows to a file; the column `index`, of texts, is what pandas then takes for its index, without a name.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    pyarrow = _pyarrow()
    table = pyarrow.Table.from_pylist(rows)
    if index:
        column = {"name": None, "field_name": index, "pandas_type": "unicode", "numpy_type": "object", "metadata": None}
        described = {"index_columns": [index], "column_indexes": [], "columns": [column], "pandas_version": "2.0.0"}
        table = table.replace_schema_metadata({"pandas": json.dumps(described)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, path)


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError("Parquet and Arrow files need pyarrow: pip install 'qwen2vl-agent[data]'") from error
    return pyarrow
