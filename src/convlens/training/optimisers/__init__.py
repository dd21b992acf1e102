"""Rules by which weights follow their gradients: AdamW, SGD and Muon, mixed as a network needs; lookahead over all.

Written here and not taken from torch.optim, whose first step loads torch's compiler: two of the nine seconds that a
whole training on MNIST takes. The tests hold them equal to torch's.
"""

from __future__ import annotations

from convlens.training.optimisers.adamw import AdamW
from convlens.training.optimisers.lookahead import Lookahead
from convlens.training.optimisers.muon import Muon
from convlens.training.optimisers.optimiser import Group, Optimiser, Rule
from convlens.training.optimisers.sgd import SGD

__all__ = ["SGD", "AdamW", "Group", "Lookahead", "Muon", "Optimiser", "Rule"]
