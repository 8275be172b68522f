"""What a dataset hands to the model: specs, splits, samples and batches. Import these names from here."""

from mtl_cli.batch.batch import Batch, Inputs, StackTarget, labelled_tasks
from mtl_cli.batch.padding import (
    NO_CLASS,
    NO_ENTRY,
    PLAIN,
    filled_up,
    one_row,
    pad_maps,
    pad_sets,
    set_entries,
    set_labelled,
    sets_of,
    stacked,
)
from mtl_cli.batch.samples import Frame, Sample, Values, change_values, move
from mtl_cli.batch.specs import MISSING_CLASS, ROW_INPUTS, FieldSpec, InputPlace, InputSpec, WantedField, labelled
from mtl_cli.batch.split import CHUNK, MAX_CHUNK_ROWS, LabelledSplit, Split

__all__ = [
    "CHUNK",
    "MAX_CHUNK_ROWS",
    "MISSING_CLASS",
    "NO_CLASS",
    "NO_ENTRY",
    "PLAIN",
    "ROW_INPUTS",
    "Batch",
    "FieldSpec",
    "Frame",
    "InputPlace",
    "InputSpec",
    "Inputs",
    "LabelledSplit",
    "Sample",
    "Split",
    "StackTarget",
    "Values",
    "WantedField",
    "change_values",
    "filled_up",
    "labelled",
    "labelled_tasks",
    "move",
    "one_row",
    "pad_maps",
    "pad_sets",
    "set_entries",
    "set_labelled",
    "sets_of",
    "stacked",
]
