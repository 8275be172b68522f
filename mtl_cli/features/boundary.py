"""Where shared computation ends: aliases of tensors, at which gradients are taken."""

from torch import Tensor

from mtl_cli.features.features import Features


class Boundary:
    """Where shared computation hands over to the tasks: one alias per tensor, however often it is handed over.

    Unless the boundary was `asked` for, tensors stay as they are and `tensors` is empty.
    """

    def __init__(self, asked: bool) -> None:
        self._asked = asked
        self._made: dict[int, tuple[Tensor, Tensor]] = {}  # with the tensor itself, so that its id stays its own

    def hand_over(self, tensor: Tensor) -> Tensor:
        """Return the alias of a tensor, for the tasks to read in its place."""
        if not self._asked:
            return tensor
        if id(tensor) not in self._made:
            self._made[id(tensor)] = (tensor, alias(tensor))
        return self._made[id(tensor)][1]

    def hand_over_features(self, features: Features) -> Features:
        """Return the features with values and skips as aliases."""
        if not self._asked:
            return features
        values = self.hand_over(features.values)
        return Features(values, features.mask, tuple(map(self.hand_over, features.skips)))

    @property
    def tensors(self) -> list[Tensor]:
        """The aliases, in the order in which they were made."""
        return [made for _, made in self._made.values()]


def alias(tensor: Tensor) -> Tensor:
    """Return a view that stands for the tensor in a graph, so that gradients can be taken at this very use of it."""
    return tensor.view_as(tensor)
