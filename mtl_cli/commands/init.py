"""mtl-init writes the conf files that train on a file."""

from pathlib import Path

from mtl_cli.commands.command_line import CommandLine
from mtl_cli.commands.program import Program
from mtl_cli.errors import EXIT_DONE

HELP = """\
Usage: mtl-init input=FILE|FOLDER 'target=[A,B]' output=DIR [key=value ...]

Looks at a file, prints what it takes its columns for and why, and writes a dataset and a task for each target into a
conf folder; 8 targets of one kind or more are one task node. You can train with it at once or edit it first. The file
is a table (CSV, TSV, JSONL, Parquet, Feather), alone or with columns of running text, which are found by looking, or a
file with one labelled word per line (CoNLL, CoNLL-U). Images are a table with a column of their paths and columns of
labels, of label images (masks, instances, depth) or of points (target=[nose] is nose_x and nose_y), a folder of class
folders, annotations of COCO (JSON: boxes, keypoints), Pascal VOC or YOLO, or a table with a row per box (image, xmin,
ymin, xmax, ymax, label); folders and annotations need no target.
Sounds are a table with a column of their paths, or a folder of class folders, which needs no target; columns of spoken
texts become transcripts.

  input=FILE          the file; its path is written into the dataset as it is given here
  target=[A,B]        columns to predict. Columns joined by + are one target: days+died (time+event: survival),
                      clicked+user (relevance+group: ranking), a+b+c (0 or 1 each: multilabel; numbers: a vector).
                      'target=[assay_*]' is every column whose name begins with assay_
                      Put names with other than Latin letters in quotes: "target=['情感']"
  output=DIR          the conf folder; files that are there already are not overwritten
  name=[A,B]          names of the tasks, one per target; by default those of their columns
  text=COLUMN         the column of text, or text=[title,body]; text=null makes a table in any case
  source=COLUMN       the column of texts of which the targets are written, such as translations: 'target=[de,fr]'. The
                      file may also be lines, train.en, beside train.de and train.fr: source=en
  separator="';'"     what stands between several labels in one cell of a target (a;b), found by looking;
                      separator=null reads each cell as one class
  folder=DIR          folder that the paths of sounds and images in a table are relative to; by default that of the
                      table, or a folder beside or below it that holds the files, such as clips or ../audio
  data.root=DIR       folder below which all files are, as of mtl-train: input= and folder= are relative to it
  drop=[A,B]          columns that are not inputs
  split=COLUMN        column that says train, val or test; by default it is found by looking
  group=COLUMN        column whose groups stay in one split, such as patients; in CoNLL a key of comments
  columns=[word,pos]  names of the columns of CoNLL, in order; by default they are named by what they hold
  word=COLUMN         the column of the words of CoNLL
  kind.COLUMN=KIND    what label images are: segmentation, detection (boxes around instances), depth or normals
                      of sounds: ctc or seq2seq, for spoken texts that are not found by looking
  format=csv          csv, tsv, jsonl, parquet, feather, conll or conllu, where the name of the file does not say it
  overwrite=true      overwrites files

How cells are read is found by looking, where none of these says it:
  delimiter="';'"     what separates cells
  encoding=latin-1    of the file: UTF-8, UTF-16 and Western Europe are found
  decimal="','"       sign before the fraction of a number; thousands="'.'" between thousands
  date_order=dmy      day, month, year; or mdy: of dates such as 03/04/2012
  column_names=[a,b]  of a table without a header; number_signs and missing_values are as in the dataset

  --version, --help

Examples:
  mtl-init input=data.csv 'target=[income,married]' output=my_conf
  mtl-train --config-dir my_conf task=income+married backbone=tabular
  mtl-init input=reviews.jsonl 'target=[stars,topic]' text=review output=my_conf
  mtl-init input=pairs.tsv source=en 'target=[de,fr]' output=my_conf
  mtl-init input=train.conllu 'target=[upos,deprel]' output=my_conf
"""


def command(line: CommandLine) -> int:
    """Look at the file that the command line names, and write conf files.

    Raises:
        UserError: an option is wrong, the file cannot be used, or a file would be overwritten.
    """
    from mtl_cli.commands.overrides import parse_values
    from mtl_cli.init.first_look import init_config

    options = parse_values(line.others("input", "output"), "mtl-init")
    init_config(str(line.word("input")), Path(str(line.word("output"))), options)
    return EXIT_DONE


PROGRAM = Program(
    name="mtl-init",
    help=lambda line: HELP,
    body=command,
    usage="mtl-init input=data.csv 'target=[income,married]' output=my_conf",
    needs=("input", "output"),
    reads={"input": "the file of a table: input=FILE"},
    below="data.root",
    flags=(),
)
