"""Reads a CSV file in blocks that never end between a carriage return and a line feed."""

import io
import time
import weakref
from pathlib import Path

from mtl_cli.tables.arrow import pa

LONGEST, PAUSE = 1.0, 0.0005
"""Seconds that are waited for Arrow's threads, at most and at once."""
UTF_8 = ("utf8", "utf-8", "utf_8")


class LineEnds(io.RawIOBase):
    """A stream as UTF-8 whose blocks do not part the two characters of a line end.

    Arrow 24 takes a line feed at the start of a block for the rest of a line end, also inside a quoted cell, and leaves
    it out. So a carriage return at the end of a block is given out with the next one.
    """

    def __init__(self, stream: "pa.NativeFile") -> None:
        self._stream, self._kept, self._stopped = stream, b"", False

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, none at the end of the stream."""
        if self._stopped:
            return b""
        data: bytes = self._kept + self._stream.read(max(1, size - len(self._kept)))
        self._kept = b""
        if data.endswith(b"\r") and len(data) > 1:
            self._kept, data = b"\r", data[:-1]
        return data

    def stop(self) -> None:
        """End the stream here: nobody reads on."""
        self._stopped = True

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()
        super().close()


def csv_stream(path: Path, encoding: str) -> LineEnds:
    """Return a file, decompressed where its name says so, as a stream of UTF-8."""
    stream = pa.input_stream(str(path))
    if encoding.lower() not in UTF_8:
        stream = pa.transcoding_input_stream(stream, encoding, "utf-8")
    return LineEnds(stream)


def settle(stream: "weakref.ref[LineEnds]") -> None:
    """Wait until Arrow's threads have let go of a stream that nobody reads any more.

    They read ahead. One that takes or releases an object of Python while the process ends aborts it: an error in a file
    ended in exit code 134 in one of four cases.
    """
    if (left := stream()) is not None:
        left.stop()
        del left
    until = time.monotonic() + LONGEST
    while stream() is not None and time.monotonic() < until:
        time.sleep(PAUSE)
