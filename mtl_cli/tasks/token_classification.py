"""A class for every word of a text: tags, entities."""

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor
from torch.nn import functional as F

from mtl_cli.batch import MISSING_CLASS, FieldSpec, labelled
from mtl_cli.config.annotations import one_of
from mtl_cli.heads.base import Head
from mtl_cli.metrics.base import MetricInfo
from mtl_cli.tasks.base import Coded, Task, masked_mean
from mtl_cli.tasks.class_base import ClassWeights, checked_smoothing, weights_by_class
from mtl_cli.tasks.summary_base import ClassCounts, LabelSummary
from mtl_cli.texts.span_labels import iobes

if TYPE_CHECKING:
    from mtl_cli.metrics.base import Metric

SPANS = ("auto", "conll", "none")


class TokenClassification(Task):
    """One of C classes for every word: cross-entropy, accuracy, macro-F1, and F1 of spans where labels mark them.

    Targets int64 [B, L] hold a class at the first piece of each word and −100 elsewhere; outputs are [B, L, C]. The
    loss of a word is w_y·CE, and the mean is over words. `class_weights` w are null (all 1), balanced or a number per
    class.

    `spans` says whether labels such as B-PER, I-PER, O mark spans, in the notation of IOB, IOBES, BILOU or BMES: conll,
    none, or auto, which looks at the names of the classes. Where they do, the task is selected by `span_f1`.
    """

    field_kind = "tokens"
    head_gives: ClassVar[str] = "sequence"
    accepts: ClassVar[tuple[str, ...]] = ("tokens",)
    summary_class: ClassVar[type[LabelSummary]] = ClassCounts

    def __init__(
        self,
        target: str,
        weight: float,
        label_smoothing: float,
        class_weights: ClassWeights,
        spans: str,
        head: Head,
        *,
        name: str,
        field: FieldSpec,
    ) -> None:
        super().__init__(target, weight, head, name=name, field=field)
        self.label_smoothing = checked_smoothing(label_smoothing, f"tasks.{name}")
        self.class_weights = weights_by_class(class_weights, field, f"tasks.{name}")
        if spans not in SPANS:
            raise ValueError(one_of(f"tasks.{name}.spans", spans, SPANS))
        self.span_labels = None if spans == "none" else iobes(field.class_names)
        if spans == "conll" and self.span_labels is None:
            raise ValueError(
                f"tasks.{name}.spans is conll, but the classes ({', '.join(field.class_names[:5])}) are not O, B-… and "
                f"I-…, nor those of IOBES, BILOU or BMES. Use tasks.{name}.spans=none."
            )
        self.primary = "accuracy" if self.span_labels is None else "span_f1"
        metrics = ["accuracy", "f1", *([] if self.span_labels is None else ["span_f1"])]
        self._info = {metric: MetricInfo() for metric in metrics}

    @property
    def num_outputs(self) -> int:
        """C, the number of classes."""
        return self.field.num_classes

    @property
    def metric_info(self) -> dict[str, MetricInfo]:
        """How to read each of `metrics`: all are scores."""
        return self._info

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of a labelled word; outputs (logits) [B, L, C], target [B, L]."""
        flat, wanted = outputs.reshape(-1, self.num_outputs), target.reshape(-1).long()
        losses = F.cross_entropy(
            flat, wanted, ignore_index=MISSING_CLASS, label_smoothing=self.label_smoothing, reduction="none"
        )
        if self.class_weights is not None:
            losses = losses * self.class_weights.to(outputs.device)[wanted.clamp(min=0)]
        return masked_mean(losses, labelled(wanted))

    def metrics(self) -> "dict[str, Metric]":
        """Return accuracy, macro-F1 ("f1"), the confusion matrix ("confusion") and F1 of spans ("span_f1")."""
        from mtl_cli.metrics.classes import Accuracy, Confusion, MacroF1

        classes = self.num_outputs
        found: dict[str, Metric] = {"accuracy": Accuracy(), "f1": MacroF1(classes), "confusion": Confusion(classes)}
        if self.span_labels is not None:
            from mtl_cli.metrics.span_f1 import SpanF1

            found["span_f1"] = SpanF1(self.span_labels)
        return found

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the most likely class of each piece [B, L]."""
        return outputs.argmax(dim=-1)

    def references(self, target: Tensor) -> Tensor:
        """Return the target as int64."""
        return target.long()

    def coded(self, outputs: Tensor) -> dict[str, Coded]:
        """Return the most likely class of words and its probability; outputs [words, C]."""
        best = outputs.softmax(dim=-1).max(dim=-1)
        return {
            f"{self.name}_prediction": Coded(best.indices, self.field.class_names),
            f"{self.name}_probability": Coded(best.values),
        }

    def trivial_outputs(self, summary: ClassCounts) -> Tensor:
        """Return the log frequencies of the classes [C]: always the most frequent class."""
        return summary.log_frequencies

    def repeated(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the outputs [C] for every piece of `target` [B, L]."""
        return outputs.expand(*target.shape, -1)
