"""Brings the ranks of a run together, and ends them together."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, Store, TCPStore, rendezvous  # type: ignore[attr-defined]

from mtl_cli.errors import Interrupted, Pruned, RunFailure, UserError
from mtl_cli.ranks.place import OWN, Place
from mtl_cli.ranks.ranks import Ranks
from mtl_cli.ranks.watch import BEAT_SECONDS, LOST, Watch

JOIN_SECONDS = 300.0
"""Seconds in which all ranks must have come together."""
END_SECONDS = 20.0
"""Seconds in which the processes that this one started must have ended, when it ends."""
CALL_SECONDS = 30.0
"""Seconds in which the others must come where the first rank has failed before it met them."""
_met: set[Place] = set()
"""Where this process has met the other ranks."""
NEVER = timedelta(days=7)
"""What torch is told of the time that an exchange may take: the watch knows better."""
START = (
    "import os, sys; from mtl_cli.cli import train; code = train(); "
    "sys.stdout.flush(); sys.stderr.flush(); os._exit(code)"  # nothing is left to do, and torch takes its time
)


@contextmanager
def spawned(size: int) -> Iterator[Ranks]:
    """Start `size` − 1 processes on this machine, and be the first of their ranks for a block.

    Raises:
        RunFailure: one ends before all have come together.
    """
    store = TCPStore("127.0.0.1", 0, size, is_master=True, wait_for_workers=False)
    children = {rank: start(rank, size, store.port) for rank in range(1, size)}
    try:
        with joined(Place(0, size, 0, size, "127.0.0.1", store.port, OWN), store, children) as ranks:
            yield ranks
    finally:
        end(children)


def start(rank: int, size: int, port: int, code: str | None = None) -> "subprocess.Popen[bytes]":
    """Start one rank of a run; it takes what it needs to know from the first one."""
    told = {
        "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port, "MTL_LAUNCHER": OWN, "TORCH_CPP_LOG_LEVEL": "ERROR",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }  # fmt: skip
    environment = {**os.environ, **{key: str(value) for key, value in told.items()}}
    return subprocess.Popen(
        [sys.executable, "-c", START if code is None else code], env=environment, stdin=subprocess.DEVNULL
    )


def end(children: Mapping[int, "subprocess.Popen[bytes]"]) -> None:
    """Wait for processes to end, then make them."""
    limit = time.monotonic() + END_SECONDS
    for child in children.values():
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(max(0.0, limit - time.monotonic()))
        child.kill()  # does nothing to one that has ended
        child.wait()


@contextmanager
def joined(
    place: Place, store: Store | None = None, children: Mapping[int, "subprocess.Popen[bytes]"] | None = None
) -> Iterator[Ranks]:
    """Be one of the ranks for a block; the others learn why it fails.

    Raises:
        RunFailure: the ranks do not come together.
        RankLost: another rank has failed.
    """
    own = children or {}
    try:
        _met.add(place)
        shared = own_part(connected(place) if store is None else store)
        watch = Watch(shared, place.rank, place.size, own)
    except (RuntimeError, ValueError, OSError) as error:
        where = f"{place.address}:{place.port}"
        if "EADDRINUSE" in str(error):
            raise RunFailure(f"The port of {where} is in use. Set MASTER_PORT to a free one on all ranks.") from error
        raise RunFailure(f"Rank {place.rank} cannot reach rank 0 at {where}: {first_line(error)}") from error
    failure: str | None = None
    try:
        come_together(shared, place, watch)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(
            backend, store=PrefixStore("group", shared), rank=place.rank, world_size=place.size, timeout=NEVER
        )
        ranks = Ranks(place.rank, place.size, place.local_rank, watch)
        yield ranks
        ranks.meet()
    except BaseException as error:
        failure = reason(error)
        raise
    finally:
        watch.close(failure)
        leave(own if failure is not None else {})


def connected(place: Place) -> Store:
    """Return the store in which the ranks meet: of torchrun's agent where it keeps one, else of the first rank."""
    if has_agent():
        store, _, _ = next(iter(rendezvous("env://", place.rank, place.size)))
        return store
    limit = timedelta(seconds=JOIN_SECONDS)
    return TCPStore(place.address, place.port, place.size, place.is_first, limit, wait_for_workers=False)


def own_part(store: Store) -> Store:
    """Return the part of a store for the ranks of this start; torchrun keeps one over its restarts."""
    return PrefixStore(f"mtl/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def call_off(place: Place, error: Exception) -> None:
    """Tell the other ranks that the first one has failed, where it did so before it met them: else they would wait.

    torchrun ends them itself.
    """
    why = reason(error)
    if place in _met or why is None or has_agent():
        return
    with contextlib.suppress(RuntimeError, ValueError, OSError):
        store = own_part(connected(place))
        store.set(LOST, why)
        limit = time.monotonic() + CALL_SECONDS
        while not store.check([f"here/{rank}" for rank in range(1, place.size)]) and time.monotonic() < limit:
            time.sleep(0.05)
        time.sleep(2 * BEAT_SECONDS)  # in which they read it


def has_agent() -> bool:
    """Return whether a program that started the ranks keeps their store, as torchrun does."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def come_together(store: Store, place: Place, watch: Watch) -> None:
    """Wait until all ranks have come to the store.

    Raises:
        RunFailure: one does not come.
    """
    store.set(f"here/{place.rank}", "")
    keys = [f"here/{rank}" for rank in range(place.size)]
    limit = time.monotonic() + JOIN_SECONDS
    while not store.check(keys):
        if watch.lost is not None:
            raise watch.error()
        if time.monotonic() > limit:
            absent = [rank for rank, key in enumerate(keys) if not store.check([key])]
            raise RunFailure(f"Rank {absent[0]} of {place.size} has not come within {JOIN_SECONDS:.0f} s.")
        time.sleep(0.05)


def reason(error: BaseException) -> str | None:
    """Return why a rank ends, with its exit code in front; None where all ranks end so."""
    if isinstance(error, Interrupted | Pruned):
        return None
    if isinstance(error, UserError):
        return f"2 {error}"
    text = f"{error}" if isinstance(error, RunFailure) else f"{type(error).__name__}: {error}".rstrip(": ")
    return f"1 {text}"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's words."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def leave(children: Mapping[int, "subprocess.Popen[bytes]"]) -> None:
    """Take the process group down; what still waits in it must not keep this process."""
    for child in children.values():  # they write nothing
        child.kill()
    if dist.is_initialized():
        last = threading.Thread(target=dist.destroy_process_group, daemon=True)
        last.start()
        last.join(timeout=5)
