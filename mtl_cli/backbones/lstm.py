"""Long short-term memory on texts."""

from torch import nn

from mtl_cli.backbones.recurrent_base import RecurrentBackbone


class LSTM(RecurrentBackbone):
    """Bidirectional layers, one per stage: layer1 … layerN, sequences [B, L, width].

    Source: Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 1997.
    """

    layer = nn.LSTM
