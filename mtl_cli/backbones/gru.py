"""Gated recurrent units on texts."""

from torch import nn

from mtl_cli.backbones.recurrent_base import RecurrentBackbone


class GRU(RecurrentBackbone):
    """Bidirectional layers, one per stage: layer1 … layerN, sequences [B, L, width].

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP 2014.
    """

    layer = nn.GRU
