"""Area under the ROC curve."""

from torch import Tensor

from mtl_cli.metrics.auc_base import Areas


class AUC(Areas):
    """Area under the ROC curve of probabilities [B]; target 0 or 1 [B], or [B, 2] as ranking has it, relevance first.

    Above one half is a positive. NaN where only one class occurs.
    """

    row_by_row = True

    def update(self, predictions: Tensor, target: Tensor) -> None:
        """Take in probabilities [B] and their target."""
        relevance = target if target.ndim == 1 else target[:, 0]
        super().update(predictions[:, None], (relevance > 0.5)[:, None])

    def compute(self) -> Tensor:
        """Return the area."""
        return super().compute()[0]
