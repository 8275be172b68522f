"""What heads of dense layers have in common: their arguments."""

from collections.abc import Sequence

from mtl_cli.heads.base import Head
from mtl_cli.layers.named import check_names, checked_dropout


class DenseHead(Head):
    """Dense layers of the `hidden` widths, then a linear one; no hidden width makes it a linear head."""

    def __init__(
        self, hidden: Sequence[int] = (), dropout: float = 0.0, activation: str = "relu", init: str = "default"
    ) -> None:
        if any(width < 1 for width in hidden):
            raise ValueError(f"head.hidden is {list(hidden)}; every width is at least 1.")
        check_names(activation, init)
        self.hidden, self.dropout = tuple(hidden), checked_dropout(dropout)
        self.activation, self.init = activation, init
