"""Reads a CSV file in blocks that never end between a carriage return and a line feed."""

import io
from pathlib import Path

from mtl_cli.tables.arrow import pa

UTF_8 = ("utf8", "utf-8", "utf_8")


class LineEnds(io.RawIOBase):
    """A stream as UTF-8 whose blocks do not part the two characters of a line end.

    Arrow 24 takes a line feed at the start of a block for the rest of a line end, also inside a quoted cell, and leaves
    it out. So a carriage return at the end of a block is given out with the next one.
    """

    def __init__(self, stream: "pa.NativeFile") -> None:
        self._stream, self._kept = stream, b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, none at the end of the stream."""
        data: bytes = self._kept + self._stream.read(max(1, size - len(self._kept)))
        self._kept = b""
        if data.endswith(b"\r") and len(data) > 1:
            self._kept, data = b"\r", data[:-1]
        return data

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()
        super().close()


def csv_stream(path: Path, encoding: str) -> "pa.PythonFile":
    """Return a file, decompressed where its name says so, as a stream of UTF-8 for Arrow."""
    stream = pa.input_stream(str(path))
    if encoding.lower() not in UTF_8:
        stream = pa.transcoding_input_stream(stream, encoding, "utf-8")
    return pa.PythonFile(LineEnds(stream), mode="r")
