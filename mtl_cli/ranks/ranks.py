"""The processes that train together, and what they send each other."""

import hashlib
import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from mtl_cli.errors import RunFailure
from mtl_cli.ranks.watch import LEAVE_SECONDS, NoWatch, RankLost, Watched

LOOK = timedelta(seconds=1)
"""How long a rank waits for the others before it looks whether one of them is gone."""


class Ranks:
    """The processes of a run: this one is number `rank` of `size`. With size 1, nothing is ever sent.

    A rank is a micro-batch: k ranks take the micro-batches of a step in turns, rank r the numbers r, r + k, ...
    All ranks call the same methods in the same order. Numbers on a GPU go by NCCL, all others by gloo.
    """

    def __init__(self, rank: int = 0, size: int = 1, local_rank: int = 0, watch: Watched | None = None) -> None:
        self.rank, self.size, self.local_rank = rank, size, local_rank
        self.watch: Watched = NoWatch() if watch is None else watch
        self.sent, self.messages = 0, 0
        """Bytes of tensors that this rank has handed over for sums and gathers, and in how many of these."""

    @property
    def alone(self) -> bool:
        """Whether this process is the only one."""
        return self.size == 1

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that writes files and talks to the user."""
        return self.rank == 0

    def sum_(self, tensor: Tensor) -> Tensor:
        """Add up a tensor over all ranks, in place; the same bytes on every rank, added in the order of the ranks.

        With more than two ranks each adds up one part of the tensor, of which all then get a copy: 2 (k − 1) / k times
        its bytes are sent, as by the usual ring.
        """
        if self.size == 1 or tensor.numel() == 0:
            return tensor
        self._count(tensor)
        with torch.no_grad():
            if self.size == 2:  # a + b = b + a
                whole = tensor.contiguous()
                self._wait(lambda: dist.all_reduce(whole, async_op=True))
                return tensor if whole is tensor else tensor.copy_(whole)
            return tensor.copy_(self._sum_in_order(tensor.flatten()).view(tensor.shape))

    def _sum_in_order(self, flat: Tensor) -> Tensor:
        width = -(-len(flat) // self.size)
        padded = torch.nn.functional.pad(flat, (0, width * self.size - len(flat)))
        parts = torch.empty_like(padded)
        self._wait(lambda: dist.all_to_all_single(parts, padded, async_op=True))
        total, *others = parts.view(self.size, width).unbind()
        for other in others:
            total = total + other
        return torch.cat(self._gather(total))[: len(flat)]

    def in_order(self, own: Tensor) -> Tensor:
        """Return what the ranks have of their micro-batches, own [m, ...], in the order of all: [k·m, ...]."""
        if self.size == 1:
            return own
        self._count(own)
        return torch.stack(self._gather(own.contiguous()), dim=1).flatten(0, 1)

    def _count(self, tensor: Tensor) -> None:
        self.sent, self.messages = self.sent + tensor.numel() * tensor.element_size(), self.messages + 1

    def _gather(self, own: Tensor) -> list[Tensor]:
        parts = [torch.empty_like(own) for _ in range(self.size)]
        self._wait(lambda: dist.all_gather(parts, own, async_op=True))
        return parts

    def add_up(self, numbers: Sequence[int]) -> list[int]:
        """Return the sums over all ranks of whole numbers that are known on the host; no wait for a device."""
        return list(numbers) if self.size == 1 else self.sum_(torch.tensor(numbers, dtype=torch.int64)).tolist()

    def tell(self, value: Callable[[], Any] | None = None) -> Any:  # noqa: ANN401  plain data and tensors
        """Return on every rank what `value` gives on the first one: plain data and tensors, never code."""
        if self.size == 1:
            return None if value is None else value()
        if self.is_first:
            assert value is not None
            found = value()
            data = packed(found)
            self._broadcast(torch.tensor([len(data)]))
            self._broadcast(data)
            return found
        data = torch.empty(int(self._broadcast(torch.zeros(1, dtype=torch.int64))), dtype=torch.uint8)
        return unpacked(self._broadcast(data))

    def collect(self, own: Any) -> list[Any] | None:  # noqa: ANN401  plain data and tensors
        """Return the values of all ranks on the first one, None on the others."""
        if self.size == 1:
            return [own]
        data = packed(own)
        mine = [len(data) if rank == self.rank else 0 for rank in range(self.size)]
        lengths = self.add_up(mine)
        found: list[Any] | None = None
        if self.is_first:
            found = [own]
            for rank in range(1, self.size):
                part = torch.empty(lengths[rank], dtype=torch.uint8)
                self._wait(lambda part=part, rank=rank: dist.irecv(part, rank))  # type: ignore[misc]  # of this turn
                found.append(unpacked(part))
        else:
            self._wait(lambda: dist.isend(data, 0))
        return found

    def _broadcast(self, tensor: Tensor) -> Tensor:
        self._wait(lambda: dist.broadcast(tensor, 0, async_op=True))
        return tensor

    def agree(self, own: Mapping[str, Tensor], what: str) -> None:
        """Look whether all ranks have the same bytes in tensors by name.

        Raises:
            RunFailure: they do not.
        """
        if self.size == 1:
            return
        digest = hashlib.blake2b(digest_size=7)
        for name, tensor in sorted(own.items()):
            flat = tensor.detach().cpu().contiguous().flatten()
            digest.update(name.encode() + flat.view(torch.uint8).numpy().tobytes())
        mine = int.from_bytes(digest.digest(), "big")
        found = self.add_up([mine if rank == self.rank else 0 for rank in range(self.size)])
        if others := [rank for rank, value in enumerate(found) if value != found[0]]:
            raise RunFailure(
                f"Rank {others[0]} has other {what} than rank 0. Are the files and versions the same on all machines?"
            )

    @contextmanager
    def first_on_machine(self) -> Iterator[None]:
        """Run a block on the first rank of each machine, then on its others: what it caches is made once."""
        if self.local_rank != 0:
            self.meet()
        yield
        if self.local_rank == 0:
            self.meet()

    def meet(self) -> None:
        """Wait for all ranks."""
        self.add_up([0])

    def _wait(self, start: Callable[[], Any]) -> None:
        """Start an exchange and wait for its end, or for the news that a rank is gone.

        Raises:
            RankLost: one is.
        """
        self.watch.waiting = True
        try:
            work = start()
            while True:
                try:
                    work.wait(LOOK)
                    return
                except RuntimeError as error:
                    if self.watch.lost is not None:
                        raise self.watch.error() from error
                    if "timed out" not in str(error).lower():
                        raise
        except RuntimeError as error:
            if isinstance(error, RunFailure):
                raise
            raise self.why(error) from error
        finally:
            self.watch.moved()
            self.watch.waiting = False

    def why(self, error: Exception) -> Exception:
        """Return which rank is gone, as soon as that is known, and why; `error` has the words of the transport."""
        end = time.monotonic() + LEAVE_SECONDS
        while self.watch.lost is None and time.monotonic() < end:
            time.sleep(0.05)
        if self.watch.lost is not None:
            return self.watch.error()
        return RankLost(f"The connection to another rank is lost: {str(error).splitlines()[0][:200]}")


ALONE = Ranks()
"""The one process of a usual run."""


def packed(value: object) -> Tensor:
    """Return plain data and tensors as bytes [N]."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)


def unpacked(data: Tensor) -> Any:  # noqa: ANN401  what was packed
    """Return what `packed` got; bytes that hold code are refused."""
    return torch.load(io.BytesIO(data.numpy().tobytes()), weights_only=True, map_location="cpu")
