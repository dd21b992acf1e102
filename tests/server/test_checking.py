"""Values against the schemas of the calls."""

from __future__ import annotations

import pytest

from convlens.server.checking import check, checked_fields, from_text
from convlens.server.refused import Refused

FIELDS = {
    "top": {"type": "integer", "minimum": 1, "maximum": 9, "default": 5},
    "method": {"type": "string", "enum": ["grad_cam", "saliency"]},
    "target": {"type": ["string", "integer", "null"]},
    "rate": {"type": "number", "minimum": 0},
    "layers": {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 2},
    "counts": {"type": "array", "items": {"type": "integer"}},
    "options": {"type": "object", "additionalProperties": {"type": "number"}},
    "box": {"type": "object", "properties": {"top": {"type": "integer"}}, "required": ["top"]},
    "all": {"type": "boolean"},
}


def test_what_is_right_is_taken_and_defaults_fill_the_rest():
    given = {"method": "saliency", "target": None, "layers": ["a"], "options": {"steps": 2}, "box": {"top": 1}}
    assert checked_fields(given, FIELDS) == {"top": 5, **given}


def test_a_count_may_come_as_a_number_with_a_point():
    found = checked_fields({"top": 3.0, "counts": [1.0, 2], "rate": 2.0, "target": 4.0}, FIELDS)
    kinds = [type(value) for value in (found["top"], *found["counts"], found["rate"], found["target"])]
    assert kinds == [int, int, int, float, int]


# fmt: off
WRONG = [
    ({"tpo": 1},                  "no field is called 'tpo' (near: top"),
    ({"top": 0},                  "'top' is 0; expected a number from 1 to 9"),
    ({"top": 2.5},                "'top' is 2.5; expected a whole number"),
    ({"top": True},               "'top' is True; expected a whole number"),
    ({"top": float("inf")},       "'top' is inf; expected a whole number"),
    ({"rate": float("inf")},      "'rate' is inf; expected a number"),
    ({"rate": 10**400},           "'rate' is 1000"),
    ({"method": "grad-cam"},      "expected one of grad_cam, saliency (near: grad_cam)"),
    ({"method": ["saliency"]},    "expected text"),
    ({"target": [1]},             "expected text or a whole number or null"),
    ({"layers": "a"},             "'layers' is 'a'; expected a list"),
    ({"layers": ["a", ""]},       "'layers'[1] has 0 characters; give at least 1"),
    ({"layers": ["a"] * 3},       "'layers' has 3 items; give 0 to 2"),
    ({"options": {"steps": "2"}}, "'options'['steps'] is '2'; expected a number"),
    ({"box": {}},                 "'box' has no 'top'; give it"),
    ({"box": {"tip": 1}},         "'box' has no 'tip' (near: top); it has top"),
    ({"all": "true"},             "'all' is 'true'; expected true or false"),
]
# fmt: on


@pytest.mark.parametrize(("values", "words"), WRONG)
def test_what_is_wrong_is_told_with_what_was_expected(values, words):
    with pytest.raises(Refused) as refused:
        checked_fields(values, FIELDS)
    assert refused.value.status == 400
    assert words in str(refused.value)


def test_a_field_that_must_be_there_is_told():
    with pytest.raises(Refused, match="the field 'method' is missing; give it"):
        checked_fields({}, FIELDS, ("method",))


def test_text_becomes_what_its_schema_wants_and_stays_text_where_it_cannot():
    assert from_text("7", FIELDS["top"]) == 7 and from_text("7x", FIELDS["top"]) == "7x"
    assert from_text("2.5", FIELDS["rate"]) == 2.5 and from_text("9" * 50, FIELDS["top"]) == "9" * 50
    assert from_text("true", FIELDS["all"]) is True and from_text("0", FIELDS["all"]) is False
    assert from_text("a,b", FIELDS["layers"]) == ["a", "b"] and from_text("1,2", FIELDS["counts"]) == [1, 2]
    assert from_text("null", {"type": ["string", "null"]}) is None


@pytest.mark.parametrize("text", ["cat", "7", "01", "null", ""])
def test_where_text_and_numbers_are_taken_it_stays_text_until_somebody_knows_the_names(text):
    assert from_text(text, FIELDS["target"]) == text


def test_a_schema_that_says_nothing_takes_anything():
    check("'any'", {"a": [1, None]}, {})
