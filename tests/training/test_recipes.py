"""Published recipes: each names a network, a set and all that its training needs."""

from __future__ import annotations

import pytest

import convlens.zoo as zoo
from convlens.data import NAMED
from convlens.errors import UsageError
from convlens.measurement import check_tta
from convlens.training import RECORDS, default_record, record_named


@pytest.mark.parametrize("name", RECORDS)
def test_a_recipe_names_a_set_a_network_with_its_options_and_a_length(name: str) -> None:
    record = RECORDS[name]
    assert record.name == name and record.data in NAMED
    assert record.recipe.epochs is not None and record.recipe.batch is not None
    check_tta(record.tta)
    zoo.create(record.model, image_size=record.image_size, **record.options)


def test_a_set_has_one_recipe_of_its_own_at_most() -> None:
    defaults = [record.data for record in RECORDS.values() if record.is_default]
    assert sorted(defaults) == sorted(set(defaults))
    assert default_record("mnist") is RECORDS["mnist"]
    assert default_record("flowers") is None


def test_an_unknown_recipe_lists_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no recipe is called 'minst' \(near: mnist, mnist_99_6\)"):
        record_named("minst")
