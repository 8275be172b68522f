"""The help of mtl-train: knobs and units from the schema's docstrings, options from the conf folders."""

import ast
import textwrap
from pathlib import Path

from mtl_cli.config import schema
from mtl_cli.config.annotations import shown
from mtl_cli.config.shipped import conf_dir, group_options

_EXAMPLES = """\
Examples:
  mtl-train                                              # the default pair, mnist_digits and letters
  mtl-train task=mnist_digits+letters trainer.max_epochs=3 tasks.letters.weight=0.3
  mtl-train task=A+B+C '~tasks.B'                        # any tasks joined by +; ~ leaves one out
  mtl-train -m tasks.letters.weight=0.1,0.3,1,3          # a sweep: one job after another, then a table
  mtl-train -m seed=0,1,2                                # with mean and standard deviation over the seeds
  mtl-train -m search=scalarization search.trials=20     # a search, here for the weights of all tasks
  mtl-train resume=RUN_DIR                               # continue an interrupted run
  mtl-train --config-dir my_conf task=my_task            # your own conf files, and modules in this folder
  mtl-eval checkpoint=RUN_DIR split=test
"""
_OPTIONS = """\
Options:
  --cfg job                          prints the composed config instead of running; -p KEY prints one part of it
  -m, --multirun                     runs every combination of values given as a,b,c or range(1,4)
  --config-dir DIR                   adds a conf folder of yours
  --info defaults-tree               says how the config was composed (also: config, defaults, plugins, searchpath)
  --shell-completion install=bash    completion: eval "$(mtl-train --shell-completion install=bash)" (also zsh, fish)
  --help TOPIC                       explains a group (weighting), an option (weighting=pcgrad), the kinds of tasks
                                     (tasks, tasks=ordinal), a section or a key (trainer, trainer.clip_norm), search
  --hydra-help, --version, --help
"""


def train_help(config_dir: Path | None = None) -> str:
    """Return the help of mtl-train, with the options that a --config-dir adds."""
    groups = group_options([conf_dir(), *([config_dir] if config_dir else [])])
    lines = ["Usage: mtl-train [OPTION ...] [GROUP=OPTION ...] [KEY=VALUE ...]", ""]
    lines += ["Trains one model for several tasks. Everything that a run leaves behind is in its run directory.", ""]
    lines.append("Groups (GROUP=OPTION; task= takes several joined by +):")
    width = max(map(len, groups), default=0) + 2
    for group, options in groups.items():
        text = textwrap.fill(", ".join(options), 118 - width)
        lines.append(textwrap.indent(text, " " * (width + 2)).replace(" " * (width + 2), f"  {group:<{width}}", 1))
    lines += ["", "Knobs (KEY=VALUE, with their defaults):"]
    lines += [f"  {f'{key}={default}':<32} {unit}" for key, default, unit in knob_lines()]
    lines += [f"  {'tasks.NAME.weight=1.0':<32} Factor of the loss of a task; 0 = not trained, still evaluated."]
    lines += [f"  {'hydra.run.dir=DIR':<32} Run directory; the default is runs/<date>/<time>_<task>.", ""]
    return "\n".join(lines) + "\n" + _OPTIONS + "\n" + _EXAMPLES


def knob_lines() -> list[tuple[str, str, str]]:
    """Return key, default and unit of each knob, those of the sections first."""
    units = _units()
    lines = []
    for key, knob in sorted(schema.knobs().items(), key=lambda item: "." not in item[0]):
        lines.append((key, shown(knob.default), units[key]))
    return lines


def _units() -> dict[str, str]:
    """Return the docstring of each knob, read from the schema's source."""
    tree = ast.parse(Path(schema.__file__).read_text(encoding="utf-8"))
    classes = {node.name: docstrings(node) for node in tree.body if isinstance(node, ast.ClassDef)}
    names = {name: f"{name.replace('EarlyStopping', 'early_stopping').lower()}." for name in classes}
    return {
        (names[name] if name != "Config" else "") + field: text
        for name, fields in classes.items()
        for field, text in fields.items()
    }


def docstrings(node: ast.ClassDef) -> dict[str, str]:
    """Return the text under each annotated field of a class."""
    found = {}
    for item, after in zip(node.body, node.body[1:], strict=False):
        text = after.value if isinstance(after, ast.Expr) else None
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and isinstance(text, ast.Constant):
            found[item.target.id] = " ".join(str(text.value).split())
    return found
