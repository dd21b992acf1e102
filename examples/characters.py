"""An LSTM reads this repository's documentation a character at a time, and guesses the next.

    python examples/characters.py        about 10 s on one core; checks that it beats every table of pairs

Of each page the last tenth is held out. What one character tells of the next at best is the entropy of a pair's second
given its first, counted on the held-out text itself: no bigram model can do better on it.
"""

from math import log
from pathlib import Path

import torch
from torch import Tensor, nn

from convlens.layers import recurrent

PAGES = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))


def bigram_entropy(text: Tensor, count: int) -> float:
    """In bits a character."""
    pairs = torch.bincount(text[:-1] * count + text[1:], minlength=count * count).view(count, count).double()
    given = pairs / pairs.sum(1, keepdim=True).clamp(min=1)
    return float(-(pairs * given.clamp(min=1e-12).log2()).sum() / pairs.sum())


def main() -> None:
    torch.manual_seed(0)
    signs = sorted(set("".join(texts := [page.read_text(encoding="utf-8") for page in PAGES])))
    numbers = [torch.tensor([signs.index(sign) for sign in text]) for text in texts]
    read, held_out = (
        torch.cat([page.tensor_split([len(page) * 9 // 10])[part] for page in numbers]) for part in (0, 1)
    )
    reader = nn.Sequential(nn.Embedding(len(signs), 32), recurrent("lstm", 32, 128), nn.Linear(128, len(signs)))
    optimiser = torch.optim.Adam(reader.parameters(), lr=0.005)
    for _ in range(200):
        text = read[torch.randint(0, len(read) - 64, (32, 1)) + torch.arange(65)]  # 32 windows
        optimiser.zero_grad()
        nn.functional.cross_entropy(reader(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten()).backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimiser.step()
    with torch.no_grad():
        logits = reader(held_out[None, :-1])[0]
    bits = float(nn.functional.cross_entropy(logits, held_out[1:])) / log(2)
    bound, right = bigram_entropy(held_out, len(signs)), (logits.argmax(1) == held_out[1:]).float().mean()
    print(
        f"{bits:.2f} bits a character of {len(held_out):,} held out, {right:.1%} guessed; a table of pairs: {bound:.2f}"
    )
    assert bits < bound - 0.2


if __name__ == "__main__":
    main()
