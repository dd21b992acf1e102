"""From a recipe and pictures to a run."""

from convlens.training.checkpoint import look_into_checkpoint, read_checkpoint
from convlens.training.distillation import Teacher, distillation_loss
from convlens.training.fit import fit, go_on, interrupted, make_plan
from convlens.training.loop import Task
from convlens.training.machine import choose_device, cpu_flags, describe_machine, has_fast_bf16
from convlens.training.plan import Plan, Setting, default_epochs, first_plan
from convlens.training.precision import Choice, Trial, choose
from convlens.training.recipe import OPTIMISERS, SCHEDULES, Recipe, as_option, parse_duration, recipe_from
from convlens.training.recipes import RECORDS, Record, default_record, record_named
from convlens.training.schedule import size_at
from convlens.training.throughput import Throughput, training_throughput
from convlens.training.validation import logits_of
from convlens.training.watching import Reached, Watch, as_filters

__all__ = [
    "OPTIMISERS",
    "RECORDS",
    "SCHEDULES",
    "Choice",
    "Plan",
    "Reached",
    "Recipe",
    "Record",
    "Setting",
    "Task",
    "Teacher",
    "Throughput",
    "Trial",
    "Watch",
    "as_filters",
    "as_option",
    "choose",
    "choose_device",
    "cpu_flags",
    "default_epochs",
    "default_record",
    "describe_machine",
    "distillation_loss",
    "first_plan",
    "fit",
    "go_on",
    "has_fast_bf16",
    "interrupted",
    "logits_of",
    "look_into_checkpoint",
    "make_plan",
    "parse_duration",
    "read_checkpoint",
    "recipe_from",
    "record_named",
    "size_at",
    "training_throughput",
]
