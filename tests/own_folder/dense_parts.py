"""Dense tasks from a user's folder: drawn scenes, a U-Net of real stages, a map head, two kinds of task."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex
from torchmetrics.regression import MeanAbsoluteError

from mtl_cli.backbones.image_base import ImageBackbone
from mtl_cli.batch import MISSING_CLASS, FieldSpec, InputSpec, Sample, Split
from mtl_cli.datasets.base import Augmentation, DataSource
from mtl_cli.datasets.reading_base import NewRows, Reading
from mtl_cli.features import Features, FeatureSpec, Stage
from mtl_cli.heads.base import Head
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.tasks.base import Task
from mtl_cli.tasks.predictions_base import Columns, Predictions
from mtl_cli.tasks.summary_base import ClassCounts, LabelSummary, Totals

SIZE = 32


class Scenes(DataSource):
    """Images [1, 32, 32] of a disc and a brighter square on noise.

    Labels are where each is (`shape`) and how high it rises (`height`). Nothing is held in memory but where the shapes
    are. `shuffled` gives the scenes each other's labels.
    """

    def __init__(self, size: int, shuffled: bool, batch_size: int) -> None:
        self.batch_size, self.size, self.shuffled = batch_size, size, shuffled
        self.input_spec = InputSpec("image", (1, SIZE, SIZE))
        self.field_specs = {"shape": FieldSpec("mask", 3, ("ground", "disc", "square")), "height": FieldSpec("heights")}
        self.augmentation = Flip()

    def split(self, name: str) -> "DrawnScenes":
        """Return the scenes of a split."""
        number = ("train", "val", "test").index(name)
        return DrawnScenes(self.size if name == "train" else 64, number, self.shuffled)

    def reads(self, path: Path) -> bool:
        """Return True for .npy files."""
        return path.suffix == ".npy"

    def reading(self, path: Path) -> Reading:
        """Return new images [N, 1, 32, 32]."""
        return NewScenes(path)


class NewScenes(Reading):
    """Images of a .npy file, named by their numbers."""

    def batches(self, size: int) -> Iterator[NewRows]:
        """Yield the images."""
        images = torch.from_numpy(np.load(self.path))
        for start in range(0, len(images), size):
            rows = images[start : start + size]
            yield NewRows(rows, [f"scene_{start + k:03}" for k in range(len(rows))])


class DrawnScenes(Split):
    """Scenes that are drawn when they are fetched."""

    def __init__(self, size: int, seed: int, shuffled: bool) -> None:
        stream = torch.Generator().manual_seed(seed)
        self.places = 6 + 20 * torch.rand(size, 2, 2, generator=stream)  # [N, shape, (y, x)]
        self.radii = 4 + 3 * torch.rand(size, 2, generator=stream)
        self.seed = seed
        self.labelled_as = torch.randperm(size, generator=stream) if shuffled else torch.arange(size)

    def __len__(self) -> int:
        return len(self.places)

    def __getitems__(self, indices: Tensor) -> Sample:
        """Draw images; a square is twice as bright as a disc."""
        mask = self.masks(indices)
        noise = torch.stack(
            [
                torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(1000 * self.seed + k))
                for k in indices.tolist()
            ]
        )
        image = mask.float() + 0.5 * noise
        return Sample(image.unsqueeze(1), self.fields_of(indices, ["shape", "height"]))

    def fields_of(self, indices: Tensor, names: Sequence[str]) -> Mapping[str, Tensor]:
        """Draw the labels alone; the outermost row of pixels has none."""
        shape = self.masks(self.labelled_as[indices])
        height = (shape > 0).float() * torch.linspace(0, 1, SIZE).reshape(1, SIZE, 1)
        shape[:, 0], height[:, 0] = MISSING_CLASS, torch.nan
        fields = {"shape": shape, "height": height}
        return {name: fields[name] for name in names}

    def masks(self, indices: Tensor) -> Tensor:
        """Return where disc (1) and square (2) are, int64 [B, 32, 32]; the square lies above."""
        grid = torch.arange(SIZE).float()
        y = grid.reshape(1, 1, -1, 1) - self.places[indices, :, 0, None, None]  # [B, shape, 32, 1]
        x = grid.reshape(1, 1, 1, -1) - self.places[indices, :, 1, None, None]
        radii = self.radii[indices, :, None, None]
        disc = (y[:, :1].square() + x[:, :1].square() < radii[:, :1].square())[:, 0]
        square = (torch.maximum(y[:, 1:].abs(), x[:, 1:].abs()) < 0.9 * radii[:, 1:])[:, 0]
        return torch.where(square, 2, disc.long())


class Flip(Augmentation):
    """Flips image and labels together, left to right."""

    def __call__(self, row: Sample) -> Sample:
        """Return the row, flipped or not."""
        if torch.rand(()) < 0.5:
            return row
        assert isinstance(row.inputs, Tensor)
        return Sample(row.inputs.flip(-1), {name: field.flip(-1) for name, field in row.fields.items()})


class SmallUNet(ImageBackbone):
    """Encoders that keep what they are handed, a decoder that takes the last skip; the finest is left to the heads."""

    takes_any_size = True
    gives = ("map",)

    def __init__(self, width: int) -> None:
        self.width = width

    def stages(self, common: InputSpec) -> dict[str, Callable[[], nn.Module]]:
        """Return the stages."""
        w = self.width
        return {
            "enc1": lambda: nn.Sequential(nn.Conv2d(common.shape[0], w, 3, padding=1), nn.ReLU()),
            "enc2": lambda: Encoder(w, 2 * w),
            "enc3": lambda: Encoder(2 * w, 2 * w),
            "dec1": lambda: Decoder(2 * w, 2 * w, 2 * w),
        }


class Encoder(Stage):
    """Keeps its input, then halves it and convolves twice."""

    keeps_input = True

    def __init__(self, fan_in: int, out: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.MaxPool2d(2),
            nn.Conv2d(fan_in, out, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, padding=1),
            nn.ReLU(),
        )

    def forward(self, values: Tensor) -> Tensor:
        """Return maps of half the size."""
        return self.layers(values)


class Decoder(Stage):
    """Brings its input to the size of the last skip and convolves both."""

    takes_skips = True

    def __init__(self, fan_in: int, skip: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(fan_in + skip, out, 3, padding=1)

    def forward(self, values: Tensor, skips: tuple[Tensor, ...]) -> Tensor:
        """Return maps of the skip's size."""
        grown = F.interpolate(values, skips[-1].shape[2:])
        return torch.relu(self.conv(torch.cat([grown, skips[-1]], dim=1)))


class MapHead(Head):
    """Outputs at each position of the finest map that there is."""

    gives = "map"
    takes = ("map",)
    reads_skips = True

    def build(self, spec: FeatureSpec, num_outputs: int) -> nn.Module:
        """Return a module from maps to outputs [B, num_outputs, H, W]."""
        return FinestMap(spec, num_outputs)


class FinestMap(nn.Module):
    """A convolution on the values, brought to the size of the first skip, and on that skip."""

    def __init__(self, spec: FeatureSpec, num_outputs: int) -> None:
        super().__init__()
        skip = spec.skips[0][0] if spec.skips else 0
        self.conv = nn.Conv2d(spec.width + skip, num_outputs, 3, padding=1)

    def forward(self, features: Features) -> Tensor:
        """Return outputs [B, num_outputs, H, W]."""
        parts = [features.values]
        if features.skips:
            parts = [F.interpolate(features.values, features.skips[0].shape[2:]), features.skips[0]]
        return self.conv(torch.cat(parts, dim=1))


class Segmentation(Task):
    """A class for each pixel; outputs [B, C, h, w] are brought to the size of the target [B, H, W]."""

    primary = "miou"
    head_gives: ClassVar[str] = "map"
    accepts = ("mask",)
    summary_class: ClassVar[type[LabelSummary]] = ClassCounts
    metric_info: Mapping[str, MetricInfo] = {"miou": MetricInfo(), "accuracy": MetricInfo()}
    writes_files = True

    @property
    def num_outputs(self) -> int:
        """C, the number of classes."""
        return self.field.num_classes

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean cross-entropy per labelled pixel."""
        return F.cross_entropy(resized(outputs, target), target, ignore_index=MISSING_CLASS)

    def metrics(self):
        """Return mean intersection over union, and accuracy."""
        how = {"ignore_index": MISSING_CLASS, "validate_args": False}
        return {
            "miou": MulticlassJaccardIndex(self.num_outputs, **how),
            "accuracy": MulticlassAccuracy(self.num_outputs, average="micro", **how),
        }

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the most likely class of each pixel [B, H, W]."""
        return F.interpolate(outputs, (SIZE, SIZE)).argmax(dim=1)

    def decode(self, outputs: Tensor) -> Columns:
        """Return the share of pixels of each class but the first."""
        found = self.predictions(outputs)
        names = self.field.class_names
        shares = {f"{self.name}_{names[k]}": (found == k).float().mean(dim=(1, 2)) for k in range(1, len(names))}
        return {name: share.cpu().numpy() for name, share in shares.items()}

    def columns_of_no_rows(self) -> Columns:
        """Return the columns without a row."""
        return {name: values[:0] for name, values in self.decode(torch.zeros(1, self.num_outputs, 1, 1)).items()}

    def write(self, outputs: Tensor, predictions: Predictions) -> None:
        """Add the shares, and a label image for each row."""
        super().write(outputs, predictions)
        for row, image in enumerate(self.predictions(outputs).byte().cpu().numpy()):
            predictions.files[predictions.path_of(self.name, row, ".png")] = image

    def trivial_outputs(self, summary: ClassCounts) -> Tensor:
        """Return the log frequencies of the classes [C]."""
        return summary.log_frequencies

    def repeated(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the outputs for each pixel of `target`."""
        return outputs.reshape(1, -1, 1, 1).expand(len(target), -1, *target.shape[1:])


class Heights(Task):
    """A number for each pixel by its absolute error; outputs [B, 1, h, w]."""

    primary = "mae"
    head_gives: ClassVar[str] = "map"
    accepts = ("heights",)
    summary_class: ClassVar[type[LabelSummary]] = Totals
    metric_info: Mapping[str, MetricInfo] = {"mae": MetricInfo(lower_is_better=True)}
    writes_files = True

    @property
    def num_outputs(self) -> int:
        """One."""
        return 1

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean absolute error per labelled pixel."""
        errors = (resized(outputs, target)[:, 0] - target).abs()
        return errors.nansum() / (~errors.isnan()).sum()

    def metrics(self):
        """Return the mean absolute error."""
        return {"mae": LabelledError()}

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the heights [B, H, W]."""
        return F.interpolate(outputs, (SIZE, SIZE))[:, 0]

    def decode(self, outputs: Tensor) -> Columns:
        """Return nothing: heights are files."""
        return {}

    def write(self, outputs: Tensor, predictions: Predictions) -> None:
        """Add an array for each row."""
        for row, heights in enumerate(self.predictions(outputs).cpu().numpy()):
            predictions.files[predictions.path_of(self.name, row, ".npy")] = heights

    def trivial_outputs(self, summary: Totals) -> Tensor:
        """Return the mean height [1]."""
        return summary.mean.float()

    def repeated(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean for each pixel."""
        return outputs.reshape(1, 1, 1, 1).expand(len(target), 1, *target.shape[1:])


class LabelledError(MeanAbsoluteError):
    """The mean absolute error over what has a label."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Take in predictions and targets."""
        marks = ~torch.isnan(target)
        super().update(preds[marks], target[marks])


def resized(outputs: Tensor, target: Tensor) -> Tensor:
    """Return maps of outputs in the size of the target [B, H, W]."""
    return F.interpolate(outputs, target.shape[1:])
