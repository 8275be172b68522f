"""Mean over labels of the average precision."""

import warnings

from torch import Tensor
from torchmetrics.classification import MultilabelAveragePrecision
from torchmetrics.utilities.data import dim_zero_cat

IGNORED = -1
"""A target entry that is missing, for multilabel metrics."""


class MeanAveragePrecision(MultilabelAveragePrecision):
    """Mean over labels of the average precision; probabilities [B, C], target int64 [B, C] with IGNORED entries.

    Labels without a positive, for which it is not defined, are left out; NaN where no label has one.
    """

    def __init__(self, num_labels: int) -> None:
        super().__init__(num_labels, average="none", ignore_index=IGNORED, validate_args=False)

    def compute(self) -> Tensor:  # type: ignore[override]  # as torchmetrics' own subclasses do
        """Return the mean."""
        has_positive = (dim_zero_cat(self.target) == 1).any(dim=0)  # [C]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchmetrics warns of labels without a positive, and gives them 0
            return super().compute()[has_positive].mean()
