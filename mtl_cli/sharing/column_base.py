"""Columns: backbones of several tasks that run side by side and exchange features."""

from collections.abc import Collection, Mapping, Sequence

from mtl_cli.features import Boundary, Features

PARTNERS = ("dataset", "all")


def partner_groups(partners: str, tasks: Sequence[str], dataset_of: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the groups of tasks whose columns run together, by dataset.

    With "dataset" they are the tasks of that dataset; with "all" every task of the run, for each dataset. All of a
    group run even where a task has no label in a batch: its features reach the others, whose outputs must not depend on
    who else is asked for.

    Raises:
        ValueError: `partners` is neither.
    """
    if partners not in PARTNERS:
        raise ValueError(f"sharing.partners is '{partners}'; it is one of {', '.join(PARTNERS)}.")
    datasets = list(dict.fromkeys(dataset_of[task] for task in tasks))
    return {
        dataset: [task for task in tasks if partners == "all" or dataset_of[task] == dataset] for dataset in datasets
    }


def hand_over_columns(
    columns: Mapping[str, Features], tasks: Collection[str], boundary: Boundary
) -> dict[str, Features]:
    """Return the features of all columns with what the `tasks` read handed over: values of every column, own skips."""
    return {
        task: boundary.hand_over_features(x) if task in tasks else x.replace(boundary.hand_over(x.values))
        for task, x in columns.items()
    }
