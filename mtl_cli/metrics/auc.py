"""Area under the ROC curve."""

import torch
from torch import Tensor
from torchmetrics.classification import BinaryAUROC
from torchmetrics.utilities.data import dim_zero_cat


class AUC(BinaryAUROC):
    """Area under the ROC curve of probabilities [B]; target 0 or 1 [B], or [B, 2] as ranking has it, relevance first.

    Differs from torchmetrics' BinaryAUROC: NaN, not 0 with a warning, where only one class occurs.
    """

    def __init__(self) -> None:
        super().__init__(validate_args=False)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Take in probabilities [B] and their target; what is above one half is a positive."""
        relevance = target if target.ndim == 1 else target[:, 0]
        super().update(preds, (relevance > 0.5).long())

    def compute(self) -> Tensor:  # type: ignore[override]  # as torchmetrics' own subclasses do
        """Return the area, NaN where only one class occurs."""
        target = dim_zero_cat(self.target)
        if bool((target == target[0]).all()):
            return torch.tensor(torch.nan)
        return super().compute()
