"""What a server takes from its clients, at most."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of one request, and of all that wait."""

    max_rows: int = 10_000
    """Rows of a request."""
    max_mb: float = 16.0
    """Megabytes of a request."""
    timeout_s: float = 30.0
    """Seconds that a client may take to send a request, and that it waits for an answer."""
    max_waiting: int = 256
    """Requests that wait for the model; further ones are told to come again."""
    wait_ms: float = 2.0
    """Milliseconds that a request waits for others, to go through the model together."""

    @property
    def max_bytes(self) -> int:
        """Bytes of a request."""
        return int(self.max_mb * 1e6)
