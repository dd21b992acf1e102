"""(model, pictures, target) -> maps: one verb, `explain`; one file per method; a sanity check for every map."""

from convlens.explanation.contract import check_method
from convlens.explanation.feature_maps import feature_maps, feature_maps_picture
from convlens.explanation.filters import Filters, filters, filters_picture
from convlens.explanation.methods import METHODS, Method
from convlens.explanation.question import Question, Target, TargetLike
from convlens.explanation.sanity import SanityCheck, Stage, randomisation_check
from convlens.explanation.verb import Explanation, explain

__all__ = [
    "METHODS",
    "Explanation",
    "Filters",
    "Method",
    "Question",
    "SanityCheck",
    "Stage",
    "Target",
    "TargetLike",
    "check_method",
    "explain",
    "feature_maps",
    "feature_maps_picture",
    "filters",
    "filters_picture",
    "randomisation_check",
]
