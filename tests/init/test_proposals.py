import pytest

from mtl_cli.init.proposals import (
    MAX_STEPS,
    few_rows,
    length,
    overrides,
    steady,
    table_choices,
    table_training,
    train_rows,
)


@pytest.mark.parametrize("rows", [2, 20, 150, 500, 1797, 5000, 20_000, 300_000])
def test_numbers_go_with_the_rows(rows):
    choices = table_choices(rows)
    value = {key: choice.value for key, choice in choices.items()}
    assert value["backbone"] == "tabm"
    training, batch = train_rows(rows), int(value["data.batch_size"])
    steps = -(-training // batch)
    pieces = int(value.get("backbone.pieces", 32))
    assert 4 <= pieces <= 32
    assert pieces == 4 or training // pieces >= 50, "a piece holds 50 training rows"
    assert batch & (batch - 1) == 0, "a power of two"
    assert 32 <= batch <= 256
    assert batch == 32 or steps >= 16
    assert int(value.get("trainer.eval_every", 1)) * steps >= 16, "an evaluation follows 16 steps or more"
    assert int(value["trainer.max_epochs"]) * steps <= max(MAX_STEPS, 2 * steps)
    assert overrides(choices) == table_training(rows).overrides


def test_large_tables_are_told_of_transformers():
    assert "ft_transformer" in table_training(20_000).hints[0]
    assert table_training(19_999).hints == []


def test_training_stops_by_itself():
    assert overrides(steady(1000))[-1] == "early_stopping.patience=20"
    assert overrides(length(60)) == ["trainer.max_epochs=60", "early_stopping.patience=6"]
    assert overrides(length(6)) == []


def test_a_file_of_few_rows_is_told_how_to_test_on_all_of_them():
    assert few_rows(50) == []
    (line,) = few_rows(20)
    assert "20 rows are few" in line
    assert "data.folds=5 data.fold=0,1,2,3,4" in line
