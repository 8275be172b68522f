"""Requests that come at the same time go through the model together."""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from mtl_cli.inference.base import Predicted, Predictor
from mtl_cli.serving.figures import Figures
from mtl_cli.serving.limits import Limits
from mtl_cli.tables.given import Given

BATCH_ROWS = 4096
"""Rows that go through the model together, at most, unless one request has more."""


class Busy(Exception):
    """As many requests wait as may."""


@dataclass
class Waiting:
    """A request that waits for its predictions."""

    inputs: Given
    answer: "asyncio.Future[Predicted]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Batcher:
    """Predicts requests in one thread, those together that came while the model was busy and are of one form.

    Where a batch fails its requests are predicted one by one, so that each gets the message about its own rows, and a
    bad request harms no other.
    """

    def __init__(self, predictor: Predictor, limits: Limits, figures: Figures) -> None:
        self._predictor, self._limits, self._figures = predictor, limits, figures
        self._queue: asyncio.Queue[Waiting] = asyncio.Queue(limits.max_waiting)
        self._thread = ThreadPoolExecutor(1, "model")
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Batcher":
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._thread.shutdown()

    async def predict(self, inputs: Given) -> Predicted:
        """Return the predictions of a request.

        Raises:
            UserError: its rows do not fit.
            Busy: too many requests wait.
            TimeoutError: the answer takes too long.
        """
        waiting = Waiting(inputs)
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull as error:
            raise Busy from error
        return await asyncio.wait_for(waiting.answer, self._limits.timeout_s)

    async def _work(self) -> None:
        while True:
            batch = [await self._queue.get()]
            rows, deadline = batch[0].inputs.num_rows, time.monotonic() + self._limits.wait_ms / 1000
            while rows < BATCH_ROWS:
                try:
                    left = max(0.0, deadline - time.monotonic())
                    batch.append(await asyncio.wait_for(self._queue.get(), left) if left else self._queue.get_nowait())
                except (TimeoutError, asyncio.QueueEmpty):
                    break
                rows += batch[-1].inputs.num_rows
            for group in alike(batch):
                await self._answer([each for each in group if not each.answer.done()])

    async def _answer(self, group: Sequence[Waiting]) -> None:
        if not group:
            return
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._thread, self._predict, [each.inputs for each in group])
        except Exception as error:
            if len(group) > 1:
                for each in group:
                    await self._answer([each])
            elif not group[0].answer.done():
                group[0].answer.set_exception(error)
            return
        for each, columns in zip(group, found, strict=True):
            if not each.answer.done():
                each.answer.set_result(columns)

    def _predict(self, parts: Sequence[Given]) -> list[Predicted]:
        start = time.perf_counter()
        columns = self._predictor.predict(together(parts))
        self._figures.predicted(len(parts), sum(part.num_rows for part in parts), time.perf_counter() - start)
        return apart(columns, [part.num_rows for part in parts])


def form_of(inputs: Given) -> object:
    """Return what must be the same of requests that go through the model together."""
    if inputs.table is not None:
        return str(inputs.table.schema.remove_metadata())
    return [each is not None for each in (inputs.strings, inputs.arrays, inputs.sentences)]


def alike(batch: Sequence[Waiting]) -> list[list[Waiting]]:
    """Return the requests in groups of one form, in the order in which they came."""
    groups: dict[str, list[Waiting]] = {}
    for each in batch:
        groups.setdefault(str(form_of(each.inputs)), []).append(each)
    return list(groups.values())


def together(parts: Sequence[Given]) -> Given:
    """Return requests of one form as one."""
    if len(parts) == 1:
        return parts[0]
    if parts[0].table is not None:
        from mtl_cli.tables.arrow import pa

        return Given(table=pa.concat_tables([part.table for part in parts]))
    if parts[0].strings is not None:
        return Given(strings=[row for part in parts for row in part.strings or ()])
    if parts[0].sentences is not None:
        return Given(sentences=[row for part in parts for row in part.sentences or ()])
    return Given(arrays=[row for part in parts if part.arrays is not None for row in part.arrays])


def apart(columns: Mapping[str, Any], counts: Sequence[int]) -> list[Predicted]:
    """Return the columns of each request."""
    found, start = [], 0
    for count in counts:
        found.append({name: values[start : start + count] for name, values in columns.items()})
        start += count
    return found
