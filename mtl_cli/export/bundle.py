"""Writes a bundle of a checkpoint: made in a hidden folder, checked there, and moved to its place."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mtl_cli import __version__
from mtl_cli.bundles.encoders import KINDS
from mtl_cli.bundles.manifest import FORMATS, write_manifest
from mtl_cli.config.knobs import PREFERENCE
from mtl_cli.config.targets import Trust
from mtl_cli.errors import UserError, nearest
from mtl_cli.export.card import Variant, card
from mtl_cli.export.graph import Columns, write_graph
from mtl_cli.export.provenance import commands, data_files, intervals_of, machine, summary_of, without_seed
from mtl_cli.export.pruning import pruned
from mtl_cli.export.quantising import GraphModel, check_cost, measured, quantise
from mtl_cli.export.replay import TOLERANCE, Difference, first_rows, median_seconds, replay, validation_rows
from mtl_cli.inference.base import Predictor
from mtl_cli.inference.checkpoint_predictor import CheckpointPredictor, predictor_of
from mtl_cli.inference.loading import load
from mtl_cli.report.tables import duration
from mtl_cli.runs.calibration.storing import with_calibrations
from mtl_cli.runs.evaluation import calibration_of
from mtl_cli.runs.predictor import TrainedModel
from mtl_cli.storage import checkpoint
from mtl_cli.storage.new_folder import NewFolder
from mtl_cli.storage.portable import portable, write_state
from mtl_cli.tables.given import Given
from mtl_cli.tasks.class_base import class_labels

logger = logging.getLogger("mtl_cli")
ROWS = 1000
"""Validation rows that are replayed before a bundle is written."""
QUANTISE = ("int8",)
EXACT = {"trainer.device": "cpu", "trainer.eval_precision": "fp32", "trainer.compile": False}


@dataclass(frozen=True)
class Wanted:
    """What is asked of a bundle."""

    form: str = "torch"
    tasks: str | Sequence[str] | None = None
    quantise: str | None = None
    licence: str = ""
    rows: int = ROWS
    """Validation rows that are replayed at most."""
    calibrating: Mapping[str, Any] = field(default_factory=dict)
    """Words that ask for something to be fitted on the validation rows, as mtl-eval takes them."""

    def problems(self) -> list[str]:
        """Return what is wrong with it."""
        found = []
        if self.form not in FORMATS:
            found.append(
                f"format is '{self.form}'; it is one of {', '.join(FORMATS)}.{nearest(self.form, FORMATS)} Use for "
                "example format=onnx."
            )
        if self.quantise is not None and self.quantise not in QUANTISE:
            found.append(f"quantise is '{self.quantise}'; it is int8 or left out. Use quantise=int8.")
        elif self.quantise is not None and self.form != "onnx":
            found.append(f"quantise={self.quantise} needs a graph. Add format=onnx, or leave it out.")
        if type(self.rows) is not int or self.rows < 1:
            found.append(f"rows is {self.rows!r}; it is a whole number ≥ 1. Use rows={ROWS}.")
        return found


def export(
    path: Path, output: Path, wanted: Wanted, overrides: Mapping[str, Any], folders: Sequence[Path],
    command: Sequence[str],
) -> None:  # fmt: skip
    """Write the bundle of the best checkpoint at `path` to the new folder `output`.

    Raises:
        UserError: the checkpoint, the rows to replay or the place do not fit, the bundle does not say what the
            checkpoint says, or quantising costs too much; nothing is written.
        RunFailure: the disk is full.
    """
    start = time.monotonic()
    if wanted.form != "onnx" and {PREFERENCE, f"weighting.{PREFERENCE}"} & set(overrides):
        raise UserError(
            f"A bundle with format={wanted.form} takes a preference when it is loaded: mtl_cli.load(BUNDLE, "
            "overrides={'preference': [...]}). Leave preference= out, or use format=onnx, which keeps one."
        )
    file = checkpoint.find(path, "best")
    with NewFolder(output, "a bundle is a folder") as folder:
        state = without_seed(checkpoint.load(file))
        if wanted.calibrating.get("calibrate"):
            calibrated = calibration_of(state, wanted.calibrating, {**EXACT, **overrides}, folders)
            logger.warning("%s", calibrated.table)
            state = with_calibrations(state, calibrated.found)
        predictor = predictor_of(path, state, wanted.tasks, {**EXACT, **overrides}, folders)
        rows = validation_rows(predictor, wanted.rows)
        trust = Trust(tuple(overrides.get("trust", ())), tuple(folders))
        data = write_model(folder.temporary, predictor, state, wanted, trust)
        data["decisions"] = {
            name: task.calibration.state() for name, task in predictor.model.tasks.items() if task.calibration
        }
        data |= {"licence": wanted.licence, "commands": commands(file, state, command), "check": {}}
        variants = [speed("checkpoint, torch", predictor, rows, file.stat().st_size)]
        reload = partial(load, overrides={} if wanted.form == "onnx" else {**EXACT, **overrides}, folders=folders)
        checked, found, more = check(folder.temporary, predictor, data, rows, wanted, reload)
        variants += [*more, speed(wanted.form + (f", {wanted.quantise}" if wanted.quantise else ""), found, rows,
                                  folder_size(folder.temporary))]  # fmt: skip
        data["check"] = checked
        text = card(data, output.name, summary_of(file), data_files(state), variants, intervals_of(file), machine())
        (folder.temporary / "card.md").write_text(text, encoding="utf-8")
        write_manifest(folder.temporary, data)
    size = sum(each.stat().st_size for each in output.iterdir())
    logger.info(
        "%s: %s of %s, %.2f MB, %d validation rows within %.1e, %s", output, wanted.form,
        ", ".join(data["tasks"]), size / 1e6, checked["rows"], checked["numbers"], duration(time.monotonic() - start),
    )  # fmt: skip


def write_model(
    folder: Path, predictor: CheckpointPredictor, state: Mapping[str, Any], wanted: Wanted, trust: Trust
) -> dict[str, Any]:
    """Write the files of the model; return what the manifest says of them.

    Raises:
        UserError: the model cannot be held in that form.
    """
    own = predictor.model
    of_task = {name: list(task.columns_of_no_rows()) for name, task in own.tasks.items()}
    if wanted.form == "onnx":
        parts = write_graphs(folder, own, of_task)
    else:
        write_state(folder, pruned(portable(state), list(own.tasks), trust), wanted.form)
        parts = {
            "columns": {key: {"task": task, "names": []} for task, keys in of_task.items() for key in keys},
            "datasets": {
                name: {
                    "inputs": source.preprocessing() or {},
                    "columns": [key for task in own.tasks if own.dataset_of[task] == name for key in of_task[task]],
                }
                for name, source in own.sources.items()
            },
        }
    described = {
        name: {
            "kind": f"{type(task).__module__}.{type(task).__qualname__}",
            "dataset": own.dataset_of[name],
            "columns": of_task[name],
            "classes": class_labels(task.field, task.field.num_classes) if task.field.num_classes else [],
        }
        for name, task in own.tasks.items()
    }
    return {"mtl_cli": __version__, "model": wanted.form, "tasks": described, **parts}


def write_graphs(folder: Path, own: TrainedModel, of_task: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Write a graph for each dataset; return what the manifest says of columns, those `of_task`, and datasets.

    Raises:
        UserError: a graph cannot hold it.
    """
    columns: dict[str, Any] = {}
    datasets: dict[str, Any] = {}
    for number, (name, source) in enumerate(own.sources.items()):
        inputs = source.preprocessing()
        if inputs is None or inputs["kind"] not in KINDS:
            raise UserError(
                f"The dataset of tasks.{name} is a {type(source).__name__}, whose inputs become arrays by torch "
                "alone. Use format=torch."
            )
        tasks = {task: each for task, each in own.tasks.items() if own.dataset_of[task] == name}
        graph, file = Columns(own.model, tasks, name, source.example().inputs), f"model_{number}.onnx"
        write_graph(graph, folder / file, source.input_spec.any_size)
        names = {key: list(graph.names.get(key, ())) for task in tasks for key in of_task[task]}
        columns |= {key: {"task": task, "names": names[key]} for task in tasks for key in of_task[task]}
        datasets[name] = {"graph": file, "inputs": inputs, "columns": list(names), "after": graph.after}
    return {"columns": {key: columns[key] for keys in of_task.values() for key in keys}, "datasets": datasets}


def check(
    folder: Path,
    predictor: CheckpointPredictor,
    data: Mapping[str, Any],
    rows: Mapping[str, Given],
    wanted: Wanted,
    reload: Callable[[Path], Predictor],
) -> tuple[dict[str, Any], Predictor, list[Variant]]:
    """Replay rows through what was written; return what the manifest says of it, the predictor, and other variants.

    `reload` loads the folder.

    Raises:
        UserError: it says something else than the checkpoint, or quantising costs too much.
    """
    write_manifest(folder, data)
    found = reload(folder)
    apart = replay(predictor, found, rows)
    if not apart.fits:
        raise UserError(
            f"The bundle does not say what the checkpoint says: numbers differ by {apart.numbers:.1e}, classes in "
            f"{100 * apart.classes:.2f} % of rows; {TOLERANCE:.0e} is the most. Nothing was written."
        )
    quantised: dict[str, Any] = {}
    variants: list[Variant] = []
    if wanted.quantise:
        variants.append(speed(f"{wanted.form}, float32", found, rows, folder_size(folder)))
        graphs = {name: folder / each["graph"] for name, each in data["datasets"].items()}
        for source in predictor.model.sources.values():
            source.open()
        before = measured(predictor, predictor.model.model)
        for path in graphs.values():
            quantise(path)
        after = measured(predictor, GraphModel(graphs))
        check_cost(predictor, before, after)
        quantised = {name: [value, after[name]] for name, value in before.items()}
        write_manifest(folder, data)
        found = reload(folder)
    return check_record(apart, rows) | {"quantised": quantised}, found, variants


def check_record(apart: Difference, rows: Mapping[str, Given]) -> dict[str, Any]:
    """Return what the manifest says of a replay."""
    count = sum(each.num_rows for each in rows.values())
    return {"rows": count, "numbers": apart.numbers, "classes": apart.classes, "tolerance": TOLERANCE}


def speed(name: str, predictor: Predictor, rows: Mapping[str, Given], size: int) -> Variant:
    """Return how long a predictor takes for 1 row and for 256 of the first dataset."""
    given = next(each for each in rows.values() if each.num_rows)
    one, many = first_rows(given, 1), first_rows(given, 256)
    seconds = [median_seconds(partial(predictor.predict, each)) for each in (one, many)]
    return Variant(name, size, 1000 * seconds[0], 1000 * seconds[1])


def folder_size(folder: Path) -> int:
    """Return the bytes of the files of the model."""
    return sum(each.stat().st_size for each in folder.iterdir() if each.suffix in (".pt", ".onnx", ".safetensors"))
