"""(model, pictures, target) -> maps: one verb, `explain`; one file per method; a sanity check for every map."""

from convlens.explanation.contract import check_method
from convlens.explanation.exciting import Excited, exciting
from convlens.explanation.faithfulness import Curves, Faithfulness
from convlens.explanation.feature_maps import feature_maps, feature_maps_picture
from convlens.explanation.filters import Filters, filters, filters_picture
from convlens.explanation.maximise import Maximised, maximise
from convlens.explanation.methods import METHODS, Method
from convlens.explanation.ngrams import NGram, ngrams_picture, strongest_ngrams
from convlens.explanation.question import Question, Target, TargetLike
from convlens.explanation.randomisation import RandomisationCheck, Stage, num_maps, randomisation_check
from convlens.explanation.regularisers import REGULARISERS
from convlens.explanation.sanity import LabelCheck, SanityCheck, sanity_check
from convlens.explanation.stability import Stability
from convlens.explanation.verb import Explanation, explain

__all__ = [
    "METHODS",
    "REGULARISERS",
    "Curves",
    "Excited",
    "Explanation",
    "Faithfulness",
    "Filters",
    "LabelCheck",
    "Maximised",
    "Method",
    "NGram",
    "Question",
    "RandomisationCheck",
    "SanityCheck",
    "Stability",
    "Stage",
    "Target",
    "TargetLike",
    "check_method",
    "exciting",
    "explain",
    "feature_maps",
    "feature_maps_picture",
    "filters",
    "filters_picture",
    "maximise",
    "ngrams_picture",
    "num_maps",
    "randomisation_check",
    "sanity_check",
    "strongest_ngrams",
]
