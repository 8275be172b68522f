"""A run on a rank that is not the first: it takes every step with the others, and writes nothing."""

import logging
import sys
import traceback
from pathlib import Path

from mtl_cli.config.targets import Trust
from mtl_cli.errors import EXIT_CTRL_C, EXIT_DONE, EXIT_FAILURE, EXIT_USAGE, Interrupted, Pruned, RunFailure, UserError
from mtl_cli.ranks.group import joined
from mtl_cli.ranks.place import Place
from mtl_cli.ranks.ranks import Ranks
from mtl_cli.ranks.watch import RankLost
from mtl_cli.runs.build import build
from mtl_cli.runs.execution import execute
from mtl_cli.runs.together import Briefing, hear, ranks_here
from mtl_cli.storage.unwritten import UnwrittenDirectory
from mtl_cli.training.arithmetic import torch_settings
from mtl_cli.training.job import restore

logger = logging.getLogger("mtl_cli")


def follow(place: Place) -> int:
    """Take part in the run that the first rank has read from its command line; return the exit code.

    Nothing is printed: the first rank tells the user, also why this one failed. It cannot where it is gone itself.
    """
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    debug = "debug=true" in sys.argv
    try:
        with joined(place) as ranks:
            take_part(hear(ranks), ranks)
    except Interrupted as interrupted:
        return interrupted.code
    except Pruned:
        return EXIT_DONE
    except RankLost as error:
        if "Rank 0 " in str(error):
            print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILURE
    except UserError:
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_CTRL_C
    except Exception as error:
        if debug and not isinstance(error, RunFailure):
            traceback.print_exc()
        return EXIT_FAILURE
    return EXIT_DONE


def asks_the_first(epoch: int, score: float) -> None:
    """Stand for the judge on ranks that do not ask it."""


def take_part(briefing: Briefing, ranks: Ranks) -> None:
    """Build what the first rank builds, and train with it to the end."""
    config = {**briefing.config, "quiet": True}
    with torch_settings(config, ranks_here(config)):
        trust = Trust(briefing.modules, tuple(map(Path, briefing.folders)))
        states = None if briefing.state is None else briefing.state["datasets"]
        built = build(config, trust, states, briefing.start, ranks=ranks)
        if briefing.state is not None:
            restore(built.job, briefing.state)
        if briefing.judged:
            built.job.judge = asks_the_first
        execute(built, UnwrittenDirectory(Path(briefing.directory)), config, "")
