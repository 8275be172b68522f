"""Takes a few of many like cases into the default suite; the others are slow tests."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest


def thinned(cases: Iterable[Any], keep: int | Sequence[Any]) -> list[Any]:
    """Return the cases, all but some marked as slow: `keep` of them, evenly spread, or those in `keep`."""
    found = list(cases)
    assert found, "there are no cases"
    if isinstance(keep, int):
        steps = [index * keep // len(found) for index in range(len(found) + 1)]
        return [_case(case, steps[index] < steps[index + 1]) for index, case in enumerate(found)]
    assert all(each in found for each in keep), "a case that is kept is one of them"
    return [_case(case, case in keep) for case in found]


def _case(case: Any, default: bool) -> Any:
    marks = [] if default else [pytest.mark.slow]
    if hasattr(case, "marks"):
        return pytest.param(*case.values, marks=[*case.marks, *marks], id=case.id)
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=marks)
