"""Heads of Parquet and Arrow files that pyarrow refuses with errors of every kind."""

import pyarrow
import pyarrow.parquet
import pytest

from qwen2vl_agent.data.parquet import open_arrow, open_parquet
from qwen2vl_agent.schema.errors import RecordError

ERRORS = (
    UnicodeDecodeError("utf-8", b"\xe3", 0, 1, "invalid continuation byte"),
    KeyError("x"),
    pyarrow.ArrowInvalid(),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_is_wrong_with_a_head_is_a_record_error(monkeypatch, tmp_path, error):
    def broken(*given):
        raise error

    path = tmp_path / "rows"
    path.write_bytes(b"x")
    monkeypatch.setattr(pyarrow.parquet, "ParquetFile", broken)
    monkeypatch.setattr(pyarrow.ipc, "open_stream", broken)
    with pytest.raises(RecordError, match="cannot be read as Parquet"):
        open_parquet(path)
    with pytest.raises(RecordError, match="cannot be read as an Arrow stream"):
        open_arrow(path)
