"""A pretrained encoder of Hugging Face."""

import copy
import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mtl_cli.backbones.base import Backbone
from mtl_cli.batch import InputSpec
from mtl_cli.errors import UserError
from mtl_cli.features import Features, NewPart, Stage
from mtl_cli.layers.text import ScaledTable, TextBesideTable
from mtl_cli.texts.pretrained import load_encoder

logger = logging.getLogger("mtl_cli")
CLOSE = 1e-4
"""Largest difference of outputs by which stages count as the model itself."""
PROBED = 16
"""Pieces by whose vectors the size of vectors is found."""


class HF(Backbone):
    """A pretrained encoder from a folder or the hub: its embeddings are the stem, its layers stages layer1 … layerN.

    The datasets' tokenizer is the model's own: `tokenizer: hf` with the same path. Where stages one by one do not give
    what the model gives (encoders other than BERT's kin), the whole model is the stem and "features" the one stage.
    """

    takes: ClassVar[tuple[str, ...]] = ("text", "text_table")
    gives: ClassVar[tuple[str, ...]] = ("sequence",)
    pretrained = True

    def __init__(self, path: str) -> None:
        if not path:
            raise ValueError("backbone.path is empty; give the folder of a model, or its name on the hub.")
        self.path, self.init = path, "default"
        self._parts: tuple[nn.Module, list[nn.Module], int] | None = None

    def common_spec(self, inputs: Mapping[str, InputSpec]) -> InputSpec:
        """Return sequences of the width of the model.

        Raises:
            ValueError: a dataset's texts are cut by another tokenizer.
        """
        for dataset, spec in inputs.items():
            if spec.pretrained != self.path:
                cut_by = f"the tokenizer of {spec.pretrained}" if spec.pretrained else "a tokenizer of its own"
                raise ValueError(
                    f"backbone=hf with path={self.path} reads what its own tokenizer cuts; dataset '{dataset}' has "
                    f"{cut_by}. Use tasks.{dataset}.dataset.tokenizer=hf "
                    f"tasks.{dataset}.dataset.tokenizer_path={self.path}."
                )
        return InputSpec("text", (self._load()[2],))

    def stem(self, inputs: InputSpec, common: InputSpec) -> nn.Module:
        """Return a copy of the embeddings, with the dataset's table columns where it has any."""
        embeddings, _, width = self._load()
        text = copy.deepcopy(embeddings)
        if inputs.table is None:
            return text
        if isinstance(text, WholeEncoder):
            return text.beside(inputs.table)
        return TextBesideTable(text, NewTable(inputs.table, width, size_of(some_vectors(text))))

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return a copy of each layer; sequences [B, L, D]."""
        layers = self._load()[1]
        if not layers:
            return {"features": nn.Identity}

        def layer(index: int) -> Callable[[], nn.Module]:
            return lambda: copy.deepcopy(layers[index])

        return {f"layer{index + 1}": layer(index) for index in range(len(layers))}

    def _load(self) -> tuple[nn.Module, list[nn.Module], int]:
        """Return stem, layers and width, read once."""
        if self._parts is None:
            model = load_encoder(self.path)
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                self._parts = staged(model) or (WholeEncoder(model), [], model.config.hidden_size)
            if not self._parts[1]:
                logger.info("%s is one stage: its layers cannot be run one by one.", self.path)
        return self._parts


class NewTable(ScaledTable, NewPart):
    """Table columns beside a pretrained encoder: they are new to it, so they are trained where it is frozen too.

    They start at the size of the encoder's own vectors: measured on all-MiniLM-L6 with 700 texts whose label needs
    both, after 4 epochs at a rate of 2e-4 accuracy is 0.93 of 0.95 so, and 0.54 where they start at BERT's 0.02.
    """


class Embeddings(nn.Module):
    """The embeddings of an encoder, with the projection that some have after them."""

    def __init__(self, embeddings: nn.Module, project: nn.Module | None) -> None:
        super().__init__()
        self.embeddings, self.project = embeddings, project

    def forward(self, values: Mapping[str, Tensor]) -> Features:
        """Return vectors [B, L, D] of `ids` [B, L] under their `mask` [B, L].

        Raises:
            UserError: a text is longer than the model has positions for.
        """
        positions: Any = getattr(self.embeddings, "position_embeddings", None)
        if isinstance(positions, nn.Embedding):
            room = positions.num_embeddings - (0 if positions.padding_idx is None else positions.padding_idx + 1)
            if values["ids"].shape[1] > room:
                raise UserError(
                    f"A text has {values['ids'].shape[1]} pieces; the model has {room} positions. "
                    f"Use tasks.NAME.dataset.max_length={room}."
                )
        vectors = self.embeddings(input_ids=values["ids"])
        return Features(vectors if self.project is None else self.project(vectors), values["mask"])


@torch.no_grad()
def some_vectors(stem: nn.Module) -> Tensor:
    """Return the vectors of a few pieces, the same ones every time."""
    ids = torch.arange(PROBED)[None]
    return stem({"ids": ids, "mask": ids >= 0}).values


def size_of(vectors: Tensor) -> float:
    """Return the root of the mean square of values."""
    return float(vectors.detach().square().mean().sqrt())


class Layer(Stage):
    """A layer of an encoder."""

    takes_mask = True

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Return values [B, L, D]."""
        out = self.layer(values, attention_mask=mask[:, None, None, :])
        return out[0] if isinstance(out, tuple) else out


class WholeEncoder(nn.Module):
    """A whole encoder; `columns` are added to the vectors of pieces, as `TextBesideTable` does."""

    def __init__(self, model: Any, columns: NewTable | None = None) -> None:  # noqa: ANN401  a class of transformers
        super().__init__()
        self.model, self.columns = model, columns

    def beside(self, table: InputSpec) -> "WholeEncoder":
        """Return the encoder with table columns."""
        vectors = self.model.get_input_embeddings()
        return WholeEncoder(self.model, NewTable(table, vectors.embedding_dim, size_of(vectors.weight)))

    def forward(self, values: Mapping[str, Tensor]) -> Features:
        """Return the last hidden states [B, L, D] of `ids` [B, L] under their `mask` [B, L]."""
        mask = values["mask"].long()
        if self.columns is None:
            out = self.model(input_ids=values["ids"], attention_mask=mask)
        else:
            vectors = self.model.get_input_embeddings()(values["ids"]) + self.columns(values).unsqueeze(1)
            out = self.model(inputs_embeds=vectors, attention_mask=mask)
        return Features(out.last_hidden_state, values["mask"])


def staged(model: Any) -> tuple[nn.Module, list[nn.Module], int] | None:  # noqa: ANN401  a class of transformers
    """Return stem, layers and width of an encoder; None where they do not give what the encoder gives."""
    count = getattr(model.config, "num_hidden_layers", 0)
    lists = [each for each in model.modules() if isinstance(each, nn.ModuleList) and len(each) == count > 0]
    if not hasattr(model, "embeddings") or len(lists) != 1:
        return None
    stem = Embeddings(model.embeddings, getattr(model, "embeddings_project", None))
    layers: list[nn.Module] = [Layer(each) for each in lists[0]]
    ids = torch.randint(model.config.vocab_size // 2, model.config.vocab_size, (2, 6))
    values = {"ids": ids, "mask": torch.tensor([[True] * 6, [True] * 4 + [False] * 2])}
    if (pad := getattr(model.config, "pad_token_id", None)) is not None:
        values["ids"] = ids.masked_fill(~values["mask"], pad)
    try:
        wanted, features = WholeEncoder(model)(values).values, stem(values)
        for layer in layers:
            features = features.replace(layer(features.values, features.mask))
    except (TypeError, AttributeError, ValueError, RuntimeError):  # a layer that wants more than values and a mask
        return None
    mask = values["mask"]
    if wanted.shape != features.values.shape or (wanted - features.values)[mask].abs().max() > CLOSE:
        return None
    return stem, layers, wanted.shape[-1]
