"""The tasks' gradients as rows: one backward per task, written in place, and what is computed from the rows."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mtl_cli.weightings.linalg.views import Views

EXACT = 2**16
"""Entries of a Jacobian up to which its products are float64: 8 rows of 8,000 take 0.05 ms more so, in a step of some
4 ms. 8 rows of 1.1 M would take 24 ms in the place of 2 ms, a tenth of a step."""
BLOCK = 512
"""Columns whose products are summed in float32, above EXACT, before they are added up in float64. Cosines are then
right to 3e-8, or 5e-7 where all entries of a row are equal and so round alike."""
CACHED = 4096
"""Columns made float64 at a time: 8 rows at once take four times as long as in pieces that stay in the cache."""
CHUNK = 16384
"""Columns combined at a time, so that the update is written over the first row without a second buffer."""
DEPENDENT = 1e-2
"""Smallest eigenvalue of the cosines below which solvers amplify an error of 3e-8 beyond 1e-7."""


class Jacobian:
    """Rows [K, P] of gradients of K tasks with respect to P shared values, in one float32 buffer that is kept.

    Peaks at the buffer plus the gradient of one parameter: each parameter's gradient is copied into the row and dropped
    as soon as autograd has accumulated it. Gradients of other parameters accumulate in their `.grad` as usual.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], num_rows: int) -> None:
        self.parameters = list(parameters)
        self.sizes = [parameter.numel() for parameter in self.parameters]
        device = self.parameters[0].device
        self.buffer = torch.empty(num_rows, sum(self.sizes), dtype=torch.float32, device=device)  # [T, P]
        self.views = [self._split(row) for row in self.buffer]
        self.num_rows = num_rows
        self.filled: list[set[int]] = []
        self.row = 0

    def serves(self, parameters: Sequence[nn.Parameter], num_rows: int) -> bool:
        """Whether the buffer was made for these parameters and has room for `num_rows`."""
        same = len(parameters) == len(self.parameters) and all(map(_is, parameters, self.parameters))
        return same and num_rows <= len(self.buffer) and self.buffer.device == parameters[0].device

    @contextmanager
    def recording(self, num_rows: int) -> Iterator[None]:
        """Start `num_rows` new rows, which every `add` in the block sums into."""
        self.num_rows = num_rows
        self.filled = [set() for _ in range(num_rows)]
        handles = [
            parameter.register_post_accumulate_grad_hook(lambda reached, index=index: self._take(index, reached))
            for index, parameter in enumerate(self.parameters)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
        for filled, views in zip(self.filled, self.views, strict=False):
            for index in set(range(len(views))) - filled:
                views[index].zero_()

    def add(self, losses: Mapping[str, Tensor], rows: Mapping[str, int], views: Sequence[Views] = ()) -> None:
        """Backpropagate each loss once, into the row of its task; those of `views` start from the features."""
        last = len(losses) + sum(len(view.tasks) for view in views) - 1
        for number, (task, loss) in enumerate(losses.items()):
            self.row = rows[task]
            loss.backward(retain_graph=number < last)  # the graph is kept only for the tasks still to come
        done = len(losses)
        for view in views:
            gradients = view.rows().to(view.features.dtype)
            for task, gradient in zip(view.tasks, gradients, strict=True):
                self.row = rows[task]
                if view.features.requires_grad:
                    view.features.backward(gradient, retain_graph=done < last)
                done += 1

    @property
    def rows(self) -> Tensor:
        """The rows [K, P] recorded last."""
        return self.buffer[: self.num_rows]

    def add_rows(self, other: "Jacobian") -> None:
        """Add the rows of another Jacobian of the same parameters and tasks."""
        self.rows.add_(other.rows)
        self.filled = [own | its for own, its in zip(self.filled, other.filled, strict=True)]

    def combine(self, weights: Tensor) -> None:
        """Write Σᵢ weights[i]·row i into `.grad` of the parameters; row 0 is overwritten."""
        weights = weights.to(self.buffer)
        rows = self.rows
        for start in range(0, rows.shape[1], CHUNK):
            piece = rows[:, start : start + CHUNK]
            piece[0].copy_(weights @ piece)
        self._publish()

    def write(self, update: Tensor) -> None:
        """Write an update [P] into `.grad` of the parameters; row 0 is overwritten."""
        self.buffer[0].copy_(update)
        self._publish()

    def _publish(self) -> None:
        reached = set().union(*self.filled)
        for index in reached:  # a parameter that no present task reaches keeps no gradient, as after a plain backward
            self.parameters[index].grad = self.views[0][index]

    def _take(self, index: int, parameter: Tensor) -> None:
        view, filled = self.views[self.row][index], self.filled[self.row]
        assert parameter.grad is not None
        if index in filled:
            view.add_(parameter.grad)
        else:
            view.copy_(parameter.grad)
            filled.add(index)
        parameter.grad = None

    def _split(self, row: Tensor) -> list[Tensor]:
        return [piece.view(p.shape) for piece, p in zip(row.split(self.sizes), self.parameters, strict=True)]


def _is(a: object, b: object) -> bool:
    return a is b


def boundary_rows(
    losses: Mapping[str, Tensor],
    boundary: Sequence[Tensor],
    above: Mapping[str, Sequence[nn.Parameter]],
    index: Mapping[str, int],
    views: Sequence[Views] = (),
) -> Tensor:
    """Return gradients [K, F] at the boundary tensors, flattened and joined, as float32.

    `index` has the row of each of K tasks; that of a task without a loss is 0. The parameters `above[task]` get their
    plain gradients on the way; nothing below the boundary is touched. `losses` do not hold those of `views`.
    """
    if not losses and len(views) == len(boundary) == 1 and views[0].tasks == tuple(index):
        found = views[0].at(boundary[0], views[0].rows())  # not copied: that took a fifth of a step
        return torch.zeros(len(index), boundary[0].numel()).to(boundary[0]) if found is None else found.float()
    sizes = [tensor.numel() for tensor in boundary]
    rows = torch.zeros(len(index), sum(sizes), dtype=torch.float32, device=boundary[0].device)  # [K, F]
    last = len(losses) - 1
    for number, (task, loss) in enumerate(losses.items()):
        loss.backward(inputs=[*boundary, *above[task]], retain_graph=number < last)
        for tensor, piece in zip(boundary, rows[index[task]].split(sizes), strict=True):
            if tensor.grad is not None:
                piece.copy_(tensor.grad.flatten())
                tensor.grad = None
    for view in views:
        own = view.rows()
        places = torch.tensor([index[task] for task in view.tasks], device=rows.device)
        for tensor, piece in zip(boundary, rows.split(sizes, dim=1), strict=True):
            found = view.at(tensor, own)
            if found is not None:
                piece[places] = found.float()
    return rows


def boundary_backward(boundary: Sequence[Tensor], update: Tensor) -> None:
    """Backpropagate an update [F] from the boundary tensors into what lies below: one trunk backward."""
    pieces = update.split([tensor.numel() for tensor in boundary])
    gradients = [piece.view(tensor.shape).to(tensor.dtype) for tensor, piece in zip(boundary, pieces, strict=True)]
    torch.autograd.backward(list(boundary), gradients)


def gramian(rows: Tensor, others: Tensor | None = None) -> Tensor:
    """Return the inner products [K, K] in float64 of rows [K, P] with themselves, or with `others` [K, P].

    Those with themselves are symmetric to the last bit. Small rows are multiplied in float64; of larger ones sums of
    BLOCK products are float32. Row norms from 1e-15 to 1e15 are safe.
    """
    if rows.device.type == "mps":  # has no float64
        rows, others = rows.cpu(), None if others is None else others.cpu()
    right = rows if others is None else others
    products = _exact(rows, right) if rows.numel() <= EXACT else _by_blocks(rows, right)
    return products if others is not None else (products + products.T) / 2


def gramian_to_solve(rows: Tensor) -> Tensor:
    """Return the Gramian [K, K] of rows [K, P] on the CPU: float64 where rows nearly depend on each other."""
    rows = rows.cpu() if rows.device.type == "mps" else rows
    found = gramian(rows).cpu()
    units = cosines(found)
    if rows.numel() > EXACT and bool(units.isfinite().all()) and torch.linalg.eigvalsh(units)[0] < DEPENDENT:
        products = _exact(rows, rows).cpu()
        return (products + products.T) / 2
    return found


def _exact(rows: Tensor, others: Tensor) -> Tensor:
    products = rows.new_zeros(len(rows), len(others), dtype=torch.float64)
    for left, right in zip(rows.split(CACHED, dim=1), others.split(CACHED, dim=1), strict=True):
        exact = left.double()
        products += exact @ (exact if others is rows else right.double()).T
    return products


def _by_blocks(rows: Tensor, others: Tensor) -> Tensor:
    whole = rows.shape[1] // BLOCK * BLOCK
    left = rows[:, :whole].unflatten(1, (-1, BLOCK)).transpose(0, 1)  # [P / BLOCK, K, BLOCK]
    right = others[:, :whole].unflatten(1, (-1, BLOCK)).permute(1, 2, 0)
    rest = rows[:, whole:].double() @ others[:, whole:].double().T
    return torch.bmm(left, right).sum(0, dtype=torch.float64) + rest


def row_norms(gram: Tensor) -> Tensor:
    """Return the norms [K] of the rows whose Gramian is given [K, K]."""
    return gram.diagonal().clamp(min=0).sqrt()


def cosines(gram: Tensor) -> Tensor:
    """Return the cosines [K, K] between the rows of a Gramian: the Gramian of normalised rows; 0 for a zero row."""
    norms = row_norms(gram)
    inverse = torch.where(norms > 0, 1 / norms, 0)
    return gram * inverse[:, None] * inverse
