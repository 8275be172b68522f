"""What a server counts, as Prometheus reads it."""

import threading
from collections import Counter


class Figures:
    """Counters of a server's life; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: Counter[int] = Counter()
        self._sums: Counter[str] = Counter()

    def answered(self, status: int, seconds: float) -> None:
        """Count an answer."""
        with self._lock:
            self._answers[status] += 1
            self._sums["request_seconds_sum"] += seconds  # type: ignore[assignment]  # a Counter holds floats too

    def predicted(self, requests: int, rows: int, seconds: float) -> None:
        """Count a batch that went through the model."""
        with self._lock:
            self._sums["batches_total"] += 1
            self._sums["batched_requests_total"] += requests
            self._sums["rows_total"] += rows
            self._sums["model_seconds_sum"] += seconds  # type: ignore[assignment]

    def text(self) -> str:
        """Return all counters, in the text format of Prometheus."""
        with self._lock:
            lines = ["# TYPE mtl_requests_total counter"]
            lines += [f'mtl_requests_total{{status="{code}"}} {n}' for code, n in sorted(self._answers.items())]
            for name, value in sorted(self._sums.items()):
                lines += [f"# TYPE mtl_{name} counter", f"mtl_{name} {value:g}"]
        return "\n".join(lines) + "\n"
