"""Texts of the kind NAME=VALUE, given once or several times, turned into values."""

from __future__ import annotations

from typing import Any

import typer

from convlens.errors import UsageError


def model_options(given: list[str] | None) -> dict[str, Any]:
    """["width=0.5"] -> {"width": 0.5}, for the network."""
    return _named_values("--option", given, like="width=0.5")


def method_options(given: list[str] | None, rule: str | None = None) -> dict[str, Any]:
    """["window=15"] -> {"window": 15}, for a method of explanation; `rule` has an option of the command line too."""
    options = _named_values("--option", given, like="window=15")
    if rule is None:
        return options
    if "rule" in options:
        raise UsageError(f"--rule {rule} and --option rule={options['rule']} were both given; leave one of them out")
    return options | {"rule": rule}


def augmentations(wanted: bool, given: list[str] | None) -> bool | dict[str, Any]:
    """Whether the training pictures are augmented, or what is to be other than usual: {"rotate": 10}."""
    if given and not wanted:
        raise UsageError(f"--no-augment and --augmentation {given[0]} were both given; leave one of them out")
    return _named_values("--augmentation", given, like="rotate=10") or wanted


def _named_values(option: str, given: list[str] | None, *, like: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} came as '{text}'; expected NAME=VALUE, like {like}")
        key = name.strip().replace("-", "_")
        if key in values:
            raise UsageError(f"{option} {key} came twice, the second time as '{text}'; give it once")
        values[key] = _value(value.strip())
    return values


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def typed_in(context: typer.Context) -> list[str]:
    """The options that the user typed, among them those that say what is so by default."""
    return [name for name in context.params if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"]
