"""The help texts. The knobs and their units come from the schema's docstrings, the options from the conf folders."""

import ast
import textwrap
from pathlib import Path

from mtl_cli import schema
from mtl_cli.shipped import conf_dir, group_options

_EXAMPLES = """\
Examples:
  mtl-train                                              # the default pair, mnist_digits and letters
  mtl-train task=mnist_digits+letters trainer.max_epochs=3 tasks.letters.weight=0.3
  mtl-train task=A+B+C '~tasks.B'                        # any tasks joined by +; ~ leaves one out
  mtl-train -m tasks.letters.weight=0.1,0.3,1,3          # a sweep: one job after another, then a table
  mtl-train -m seed=0,1,2                                # with mean and standard deviation over the seeds
  mtl-train resume=RUN_DIR                               # continue an interrupted run
  mtl-train --config-dir my_conf task=my_task            # your own conf files, and modules in this folder
  mtl-eval checkpoint=RUN_DIR split=test
"""
_OPTIONS = """\
Options:
  --cfg job                          print the composed config instead of running; -p KEY prints one part of it
  -m, --multirun                     run every combination of values given as a,b,c or range(1,4)
  --config-dir DIR                   add a conf folder of yours
  --info defaults-tree               how the config was composed (also: config, defaults, plugins, searchpath)
  --shell-completion install=bash    completion: eval "$(mtl-train --shell-completion install=bash)" (also zsh, fish)
  --hydra-help, --version, --help
"""
EVAL_HELP = """\
Usage: mtl-eval checkpoint=RUN_DIR|FILE [split=test] [key=value ...]

Rebuilds the model from the run's own config, prints the metrics of a split per task, and writes them with
confusion matrices into the run directory.

  checkpoint=PATH     directory of a run (its best checkpoint), or a .pt file
  split=NAME          train, val or test; default test
  key=value           any key of the run's config, such as another source of the same data

  --config-dir DIR    folder of your own modules that the run's config names, and that you trust
  --version, --help

Examples:
  mtl-eval checkpoint=runs/2026-01-31/12-00-00-000000_mnist_digits+letters
  mtl-eval checkpoint=RUN_DIR split=val trainer.device=cpu
  mtl-eval checkpoint=RUN_DIR data.source=torchvision data.root=DIR
"""
PREDICT_HELP = """\
Usage: mtl-predict checkpoint=RUN_DIR|FILE input=FILE output=FILE [key=value ...]

Writes the rows of a table, in their order and format (CSV, TSV, JSONL, Parquet), or the lines of a CoNLL file, with the
predictions and probabilities of every task in further columns, named after the tasks. The statistics and categories are
those of the training run.

  checkpoint=PATH     directory of a run (its best checkpoint), or a .pt file
  input=FILE          needs the model's input columns; others, labels among them, are copied and not looked at
  output=FILE         appears whole or not at all; another file of that name is replaced, the input never
  batch_size=4096     rows at a time
  tasks=[A,B]         predict these tasks only; default: all on tables
  key=value           any key of the run's config, such as trainer.device=cpu

A category that training never saw counts as unknown; a missing number is imputed as in training. A missing input
column, or a cell that is no number where one is needed, is an error.

  --config-dir DIR    folder of your own modules that the run's config names, and that you trust
  --version, --help

Examples:
  mtl-predict checkpoint=RUN_DIR input=new.csv output=predicted.csv
"""
INIT_HELP = """\
Usage: mtl-init input=FILE 'target=[A,B]' output=DIR [key=value ...]

Looks at a file, prints what it takes its columns for and why, and writes a dataset and a task for each target into a
conf folder, to train with at once or to edit first. Tables (CSV, TSV, Parquet), the same and JSONL with columns of
running text, which it finds by looking, and words with their labels, one a line (CoNLL, CoNLL-U).

  input=FILE          the file; its path is written into the dataset as it is given here
  target=[A,B]        columns to predict. Columns joined by + are one target: days+died (time+event: survival),
                      clicked+user (relevance+group: ranking), a+b+c (0 or 1 each: multilabel; numbers: a vector).
                      Names with other than Latin letters in quotes: "target=['情感']"
  output=DIR          conf folder; files that are there already are not overwritten
  text=COLUMN         the column of text, or text=[title,body]; text=null: a table in any case
  columns=[word,pos]  names of the columns of CoNLL, in order; by default they are named by what they hold
  word=COLUMN         the column of the words of CoNLL
  group=COLUMN        column whose groups are kept in one split, such as patients; of CoNLL a key of comments
  delimiter=';'       what separates cells; found by looking
  encoding=latin-1    found by looking: utf-8, utf-16 or latin-1
  format=csv          csv, tsv, jsonl, parquet, conll or conllu, where the name does not tell
  overwrite=true      overwrite files

  --version, --help

Example:
  mtl-init input=data.csv 'target=[income,married]' output=my_conf
  mtl-train --config-dir my_conf task=income+married backbone=tabular
  mtl-init input=reviews.jsonl 'target=[stars,topic]' text=review output=my_conf
  mtl-init input=train.conllu 'target=[upos,deprel]' output=my_conf
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
    lines += [f"  {'tasks.NAME.weight=1.0':<32} Factor of a task's loss; 0 = not trained, still evaluated."]
    lines += [f"  {'hydra.run.dir=DIR':<32} Run directory; default runs/<date>/<time>_<task>.", ""]
    return "\n".join(lines) + "\n" + _OPTIONS + "\n" + _EXAMPLES


def knob_lines() -> list[tuple[str, str, str]]:
    """Return key, default and unit of each knob, those of the sections first."""
    units = _units()
    lines = []
    for key, knob in sorted(schema.knobs().items(), key=lambda item: "." not in item[0]):
        lines.append((key, schema.shown(knob.default), units[key]))
    return lines


def _units() -> dict[str, str]:
    """Return the docstring of each knob, read from the schema's source."""
    tree = ast.parse(Path(schema.__file__).read_text(encoding="utf-8"))
    classes = {node.name: _docstrings(node) for node in tree.body if isinstance(node, ast.ClassDef)}
    names = {name: f"{name.replace('EarlyStopping', 'early_stopping').lower()}." for name in classes}
    return {
        (names[name] if name != "Config" else "") + field: text
        for name, fields in classes.items()
        for field, text in fields.items()
    }


def _docstrings(node: ast.ClassDef) -> dict[str, str]:
    """Return the text under each annotated field of a class."""
    found = {}
    for item, after in zip(node.body, node.body[1:], strict=False):
        text = after.value if isinstance(after, ast.Expr) else None
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and isinstance(text, ast.Constant):
            found[item.target.id] = " ".join(str(text.value).split())
    return found
