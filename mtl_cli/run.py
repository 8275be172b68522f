"""One run from a config to its summary: train, resume, evaluate."""

import contextlib
import logging
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.backends.cudnn

from mtl_cli import checkpoint
from mtl_cli.build import Built, build, make_streams
from mtl_cli.components import bind_all, group_datasets
from mtl_cli.config import config_hash, load_run_config, resolve, validate, with_new_knobs
from mtl_cli.environment import environment
from mtl_cli.errors import RunFailure, UserError
from mtl_cli.evaluate import Result, flat
from mtl_cli.files import read_small, write_json
from mtl_cli.job import Job
from mtl_cli.outcome import draw_confusions, finish, print_head
from mtl_cli.recovery import train as train_job
from mtl_cli.report.profile import StepProfiler
from mtl_cli.report.progress import Progressbar
from mtl_cli.report.tables import evaluation_table
from mtl_cli.rundir import RunDirectory, read_status
from mtl_cli.selection import evaluate_split
from mtl_cli.signals import Interrupted as Interrupted
from mtl_cli.signals import stop_requests
from mtl_cli.targets import Trust

logger = logging.getLogger("mtl_cli")
Config = dict[str, Any]


def check(config: Config, folders: Sequence[Path] = ()) -> None:
    """Check a composed config as far as that goes without reading data.

    Raises:
        UserError: every problem found.
    """
    bind_all(checked(config, folders), Trust(tuple(config["trust"]), tuple(folders)))


def train(config: Config, directory: Path, command: Sequence[str], folders: Sequence[Path] = ()) -> dict[str, Any]:
    """Train from the start in a new `directory`, made once everything is known to fit; return the summary.

    `folders` hold the user's own modules, which a config composed on this machine may name.

    Raises:
        UserError: the config or data is wrong, or `directory` holds a run already; nothing was made.
        RunFailure: training cannot go on.
        Interrupted: a signal asked to stop; everything is saved.
    """
    resolved = checked(config, folders)
    if read_status(directory):
        raise UserError(
            f"{directory} holds a run already. Give another hydra.run.dir, or continue it with resume={directory}."
        )
    with torch_settings(resolved):
        built = build(resolved, Trust(tuple(config["trust"]), tuple(folders)), start=start_weights(resolved))
        out = RunDirectory.create(directory, config, config_hash(config))
        surroundings = environment(command, resolved, built.job.learner.arithmetic)
        return execute(built, out, resolved, resume_command(directory, resolved, command), surroundings)


def resume(
    directory: Path, overrides: Mapping[str, Any], command: Sequence[str], folders: Sequence[Path] = ()
) -> dict[str, Any]:
    """Continue the run in `directory` from its last checkpoint, or from that one of its files; return the summary.

    `overrides` are dotted keys; the config is the run's own.

    Raises:
        UserError: there is no checkpoint, it is damaged, or it belongs to another config.
        RunFailure: training cannot go on.
        Interrupted: a signal asked to stop; everything is saved.
    """
    file = checkpoint.find(directory, "last")
    if directory.is_file():
        directory = run_directory_of(file)
    state = checkpoint.load(file)
    config = load_run_config(state["config"])
    check_written(directory / "config.yaml", config)
    changed = override(config, overrides)
    resolved = checked(changed)
    with torch_settings(resolved):
        trust = Trust(tuple(overrides.get("trust", ())), tuple(folders))
        built = build(resolved, trust, state["datasets"])
        restore(built.job, state)
        out = RunDirectory.reopen(directory, config, state["config_hash"], state["metrics_length"])
        progress = built.job.progress
        out.point_back(progress.step, progress.best_step, progress.best_score)
        logger.info("Resuming %s after step %d.", directory, progress.step)
        return execute(built, out, resolved, resume_command(directory, resolved, command))


def run_directory_of(file: Path) -> Path:
    """Return the run directory that a checkpoint lies in.

    Raises:
        UserError: it lies in none.
    """
    if file.absolute().parent.name != "checkpoints":
        raise UserError(
            f"{file} lies in no run directory. Give one, resume=RUN_DIR, or start from it: init_from={file}."
        )
    return file.absolute().parent.parent


def check_written(path: Path, config: Config) -> None:
    """Compare the config file of a run with the config in its checkpoint.

    Raises:
        UserError: they differ, or the file is no config.
    """
    try:
        text = read_small(path)
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read {path}: {error}. Remove it: the checkpoint holds the config too.") from error
    if load_run_config(text) != config:
        raise UserError(
            f"{path} is not the config of the checkpoint. Undo the change, or start a new run with the changed one."
        )


def evaluate(
    path: Path, overrides: Mapping[str, Any], command: Sequence[str], folders: Sequence[Path] = ()
) -> dict[str, Any]:
    """Evaluate a checkpoint on a split, "test" by default; write and return the metrics.

    `overrides` are dotted keys of the run's config, such as data.root, and `split`. Nothing is compiled unless they say
    so: that takes longer than an evaluation, and a compiler.

    Raises:
        UserError: the checkpoint or the data does not fit.
    """
    overrides = dict(overrides)
    split = overrides.pop("split", "test")
    if split not in ("train", "val", "test"):
        raise UserError(f"split is {split!r}; it is train, val or test. Use split=test.")
    file = checkpoint.find(path, "best")
    state = checkpoint.load(file)
    config = override(load_run_config(state["config"]), {"trainer.compile": False, **overrides})
    resolved = checked(config)
    with torch_settings(resolved):
        built = build(resolved, Trust(tuple(overrides.get("trust", ())), tuple(folders)), state["datasets"])
        restore(built.job, state)
        job = built.job
        streams = make_streams(
            built.sources,
            group_datasets(resolved),
            job.tasks,
            split,
            resolved["seed"],
            job.learner.arithmetic.device,
            0,
        )
        results = evaluate_split(job, streams)
    logger.warning("%s", evaluation_table(f"{split}, step {job.progress.step}", results))
    folder = file.parent.parent if file.parent.name == "checkpoints" else file.parent
    if (folder / "evaluations").is_symlink():
        raise UserError(f"{folder / 'evaluations'} is a symbolic link. Put a real folder in its place.")
    return write_evaluation(folder, file, split, built, results)


def write_evaluation(
    folder: Path, file: Path, split: str, built: Built, results: Mapping[str, Result]
) -> dict[str, Any]:
    """Write the metrics and confusion matrices of an evaluation into a new folder of the run; return the metrics."""
    number = 0
    while (out := folder / "evaluations" / f"{file.stem}_{split}_{number:03d}").exists():
        number += 1
    record = {"checkpoint": file.name, "split": split, "metrics": flat(results)}
    try:
        out.mkdir(parents=True)
        write_json(out / "metrics.json", record)
        draw_confusions(out, split, built.job, results)
    except (OSError, RunFailure) as error:
        raise UserError(f"Cannot write the evaluation to {out}: {error}.") from error
    logger.info("Written to %s", out)
    return record


def start_weights(config: Config) -> dict[str, torch.Tensor] | None:
    """Return the weights of the best checkpoint that `init_from` names, averaged where that run averaged them."""
    if config["init_from"] is None:
        return None
    return weights_of(checkpoint.load(checkpoint.find(Path(config["init_from"]), "best")))


def weights_of(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return the model's weights in a checkpoint, averaged where that run averaged them."""
    return {**state["model"], **(state["ema"]["averages"] if state["ema"] else {})}


def checked(config: Config, folders: Sequence[Path] = ()) -> Config:
    """Return a config with its node interpolations resolved; `folders` may hold conf files of the user's own.

    Raises:
        UserError: every problem with it.
    """
    problems = validate(config, folders)
    if problems:
        raise UserError(problems)
    return resolve(config)


def override(config: Config, overrides: Mapping[str, Any]) -> Config:
    """Return a run's config with the values of dotted keys replaced, and the knobs that came after it.

    Raises:
        UserError: the config has no such key.
    """
    changed = with_new_knobs(copy_nodes(config))
    problems = []
    for key, value in overrides.items():
        *path, last = key.split(".")
        node: Any = changed
        for part in path:
            node = node.get(part) if isinstance(node, dict) else None
        if not isinstance(node, dict) or last not in node:
            problems.append(f"{key}={value}: the run's config has no key '{key}'.")
        else:
            node[last] = value
    if problems:
        raise UserError(problems)
    return changed


def copy_nodes(value: Any) -> Any:  # noqa: ANN401  any YAML value
    """Return a deep copy of plain data."""
    return {key: copy_nodes(item) for key, item in value.items()} if isinstance(value, dict) else value


def restore(job: Job, state: Mapping[str, Any]) -> None:
    """Load a checkpoint into a job.

    Raises:
        UserError: it does not fit the model.
    """
    try:
        job.load(state)
    except Exception as error:  # nonsense in the place of a state may raise anything
        reason = str(error).splitlines()[:3] if isinstance(error, RuntimeError | ValueError) else [repr(error)[:200]]
        raise UserError(f"The checkpoint does not fit the model of its config: {' '.join(reason)}") from error


def resume_command(directory: Path, config: Config, command: Sequence[str]) -> str:
    """Return the command that continues a run, with what it needs to find and trust classes of the user's own."""
    words = ["mtl-train", f"resume={directory}"]
    modules = {str(target).partition(".")[0] for target in targets_in(config)} - {"mtl_cli", "torch"}
    if modules:
        words.append(f"trust=[{','.join(sorted(modules))}]")
    for index, word in enumerate(command):
        if word == "--config-dir" and index + 1 < len(command):
            words += ["--config-dir", command[index + 1]]
        elif word.startswith("--config-dir="):
            words.append(word)
    return shlex.join(words)


def targets_in(node: object) -> Iterator[object]:
    """Yield every `_target_` of a config."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield node["_target_"]
        for value in node.values():
            yield from targets_in(value)


def execute(
    built: Built, out: RunDirectory, config: Config, again: str, surroundings: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Train, test the best checkpoint, write summary and figures; keep status.json true whatever happens.

    `again` is the command that continues the run, printed where it is interrupted; `surroundings` go to
    environment.json.
    """
    job = built.job
    try:
        if surroundings is not None:
            write_json(out.path / "environment.json", surroundings)
        print_head(built, out)
        out.status("running", job.progress.step, job.epoch)
        if config["trainer"]["profile"]:
            cuda = job.learner.arithmetic.device.type == "cuda"
            job.profiler = StepProfiler(job.learner.spans, out.path / "profile", cuda)
        with stop_requests() as stop:
            bar = Progressbar(job.total_steps, job.progress.step, job.progress.samples, config["quiet"])
            try:
                train_job(job, out, stop, bar)
            finally:
                bar.close()
                job.profiler.close()
            summary = finish(built, out)
        out.status("completed", job.progress.step, job.epoch)
        return summary
    except Interrupted as interrupted:
        logger.warning("%s Continue with:\n  %s", interrupted, again)
        raise
    except BaseException as error:
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        with contextlib.suppress(RunFailure):  # a full disk must not hide what went wrong first
            out.status(status, job.progress.step, job.epoch, str(error) or type(error).__name__)
        if is_out_of_memory(error):
            raise RunFailure(
                f"Out of memory on {job.learner.arithmetic.device} at step {job.progress.step}. Use a smaller "
                "data.batch_size with trainer.accumulate=2 or more (the same step in parts), or trainer.precision=bf16."
            ) from error
        raise
    finally:
        for stream in (*job.train.values(), *job.val.values(), *job.test.values()):
            stream.close()
        out.close()


def is_out_of_memory(error: BaseException) -> bool:
    """True for the errors by which Python, torch and its CPU allocator say so."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


@contextmanager
def torch_settings(config: Config) -> Iterator[None]:
    """Set threads and determinism for one run, and give them back after it."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    if config["trainer"]["threads"] is not None:
        torch.set_num_threads(config["trainer"]["threads"])
    if config["deterministic"]:
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.benchmark = benchmark
