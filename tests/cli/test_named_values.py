"""Values given as NAME=VALUE."""

from __future__ import annotations

from dataclasses import fields

import pytest
import typer

from convlens.cli.app import app
from convlens.cli.named_values import method_options
from convlens.errors import UsageError
from convlens.training import Recipe, as_option


def test_values_are_numbers_where_they_read_as_one():
    given = ["window=7", "noise=0.5", "patch=blur", "own-one=true"]
    assert method_options(given, "gate") == {
        "window": 7, "noise": 0.5, "patch": "blur", "own_one": True, "rule": "gate",
    }  # fmt: skip


def test_a_value_that_another_would_replace_is_refused():
    with pytest.raises(UsageError, match="--option window came twice, the second time as 'window=9'; give it once"):
        method_options(["window=7", "window=9"])
    with pytest.raises(UsageError, match="--rule gate and --option rule=exact were both given; leave one of them out"):
        method_options(["rule=exact"], "gate")


def test_what_a_recipe_tells_by_the_name_of_an_option_is_one():
    options = [option for one in typer.main.get_command(app).commands["train"].params for option in one.opts]
    for name in (field.name for field in fields(Recipe) if field.name != "name"):
        assert (as_option(name) in options) == (as_option(name) != name), name
