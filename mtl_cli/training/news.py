"""What the ranks tell each other before each step: labels, signals, and whether it is time to save."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mtl_cli.ranks.ranks import Ranks
from mtl_cli.training.label_counts import Counts
from mtl_cli.training.signals import CODES, StopRequest


@dataclass(frozen=True)
class Stop:
    """A signal that ends the run on all ranks: the exit code and the signal's name."""

    code: int
    name: str


class News:
    """What a rank has to tell of itself, and what all ranks know since the last exchange.

    Alone, a signal is known at once. With several ranks, it is known to all after the next exchange, so that all save
    and stop after the same step.
    """

    def __init__(self, ranks: Ranks, request: StopRequest | None = None) -> None:
        self._ranks, self._request = ranks, StopRequest() if request is None else request
        self._agreed: Stop | None = None
        self.wishes_to_save = False
        """Whether this rank wants to save after this step."""
        self.save_wanted = False
        """Whether the first rank does, as all know."""

    @property
    def stop(self) -> Stop | None:
        """The signal that is to end the run now."""
        if self._ranks.alone and self._request.code is not None:
            return Stop(self._request.code, self._request.name)
        return self._agreed

    def told(self) -> list[int]:
        """Return what this rank has to tell, as numbers that add up over the ranks."""
        signals = [int(self._request.code == code) for code in CODES.values()]
        return [*signals, int(self.wishes_to_save and self._ranks.is_first)]

    def hear(self, sums: Sequence[int]) -> None:
        """Take in the sums over all ranks of what each had to tell."""
        *signals, save = sums
        found = [Stop(code, number.name) for (number, code), sent in zip(CODES.items(), signals, strict=True) if sent]
        self._agreed = found[0] if found else None
        self.save_wanted = bool(save)


def exchanged(
    ranks: Ranks,
    rows: int,
    counts: Sequence[Sequence[Counts]],
    tasks: Mapping[str, Sequence[str]],
    news: News,
) -> tuple[int, list[list[Counts]]]:
    """Return the rows of a step, and the labels in the micro-batches of each number, of all ranks.

    `tasks` are those that take part, by dataset. The news goes with the numbers, in one message.
    """
    told = news.told()
    places = [
        (draw, number, dataset, task)
        for draw, part in enumerate(counts)
        for number in range(len(part))
        for dataset, names in tasks.items()
        for task in names
    ]
    own = [counts[draw][number][dataset].get(task, 0) for draw, number, dataset, task in places]
    sums = ranks.add_up([*told, rows, *own])
    news.hear(sums[: len(told)])
    found: list[list[dict[str, dict[str, int]]]] = [[{} for _ in part] for part in counts]
    for (draw, number, dataset, task), total in zip(places, sums[len(told) + 1 :], strict=True):
        if total:
            found[draw][number].setdefault(dataset, {})[task] = total
    return sums[len(told)], [list(part) for part in found]
