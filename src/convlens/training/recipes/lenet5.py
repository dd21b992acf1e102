"""LeNet-5's own topology (61,706 parameters) on MNIST, of which 54,000 pictures are trained on and 6,000 validate.

    convlens train mnist --recipe lenet5_99_2
    convlens train mnist --recipe lenet5_99_4
    convlens bench lenet5_99_2 lenet5_99_4 --seeds 10

AMD EPYC with AVX512-BF16 and without AMX, 2 cores, torch 2.13.0; 10 seeds, last step, no test-time augmentation:
`lenet5_99_2`  8.3 s of training (7.1 to 10.7), 12.7 s for the whole process; 99.38 +- 0.06 % of the 10,000 test
               pictures (99.31 to 99.46)
`lenet5_99_4`  18.4 s of training (14.7 to 22.6), 23.7 s for the whole process; 99.44 +- 0.04 % (99.39 to 99.52)
Muon on all filters and matrices but the last: with AdamW it takes about twice the epochs (docs/speed-notes.md).
"""

from __future__ import annotations

from convlens.data import Augment
from convlens.training.recipe import Recipe
from convlens.training.recipes.record import Record

SHORT = Recipe(epochs=3, batch=256, optimiser="muon", learning_rate=0.03)
LONG = Recipe(epochs=7, batch=256, optimiser="muon", learning_rate=0.02)

LENET5_99_2 = Record("lenet5_99_2", "mnist", "lenet5", SHORT, Augment(shift=1))
LENET5_99_4 = Record("lenet5_99_4", "mnist", "lenet5", LONG, Augment(shift=1))
