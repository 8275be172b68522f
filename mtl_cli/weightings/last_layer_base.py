"""Weightings that read the tasks' last layers."""

from mtl_cli.weightings.base import Weighting


class LastLayerWeighting(Weighting):
    """A weighting that finds the update of the shared features from the tasks' last layers.

    The trunk needs one backward, whatever the number of tasks. Each head gets the gradient of its own loss. The losses
    are squared errors or cross-entropies, the heads single linear layers, and all tasks read the same features
    (`sharing=hard`); everything else is refused before training.
    """

    needs_shared = True
    needs_readouts = True
