"""What stood far back: LSTM and GRU learn to remember it, the vanilla recurrent network does not.

    python examples/long_dependency.py [SEEDS]        about 6 s a seed on one core; checks 90, 90 and under 60 %

The temporal order problem (Hochreiter and Schmidhuber, 1997, section 5.6), shorter: among 50 signs two matter, each X
or Y, one of the first ten and one 15 to 25 from the end; which of the four pairs was it? Gradients are clipped at a
norm of 1 (Pascanu et al., 2013). A training ends after ten batches without a mistake, or 600 steps.
"""

import sys

import torch
from torch import Generator, Tensor, nn

from convlens.layers import recurrent

CELLS = {"rnn": {}, "lstm": {"forget_bias": 2.0}, "gru": {}}


def problems(count: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """-> (N, 50, 6), a one for the sign: X, Y or one of four that say nothing; and the pairs, 0 to 3."""
    signs = torch.randint(2, 6, (count, 50), generator=generator)
    pairs = torch.randint(0, 2, (count, 2), generator=generator)
    for which, (first, last) in enumerate([(0, 10), (25, 35)]):
        signs[torch.arange(count), torch.randint(first, last, (count,), generator=generator)] = pairs[:, which]
    return nn.functional.one_hot(signs, 6).float(), 2 * pairs[:, 0] + pairs[:, 1]


def accuracy(kind: str, seed: int) -> float:
    """Of 1,000 new problems, after training."""
    torch.manual_seed(seed)
    reader, head, generator = recurrent(kind, 6, 24, **CELLS[kind]), nn.Linear(24, 4), Generator().manual_seed(seed)
    parameters, unbroken = [*reader.parameters(), *head.parameters()], 0
    optimiser = torch.optim.Adam(parameters, lr=0.005, betas=(0.9, 0.99))
    for _ in range(600):
        signs, pairs = problems(64, generator)
        logits = head(reader(signs)[:, -1])
        optimiser.zero_grad()
        nn.functional.cross_entropy(logits, pairs).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        unbroken = unbroken + 1 if torch.equal(logits.argmax(1), pairs) else 0
        if unbroken == 10:
            break
    signs, pairs = problems(1000, Generator().manual_seed(1000 + seed))
    return float((head(reader(signs)[:, -1]).argmax(1) == pairs).float().mean())


def main(seeds: int = 1) -> None:
    for kind in CELLS:
        for seed in range(seeds):
            share = accuracy(kind, seed)
            print(f"{kind}, seed {seed}: {share:.1%} of 1,000 new problems", flush=True)
            assert share <= 0.6 if kind == "rnn" else share >= 0.9


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
