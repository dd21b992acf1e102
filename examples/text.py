"""TextCNN tells praise from blame where the words of both are the same and only their order differs.

    python examples/text.py          about 4 s on one core; checks 95 % of held-out sentences, and that word counts fail

"the plot was not dull but bright" is praise, and blame with the adjectives exchanged. Those held out pair adjectives
that were never seen together. A linear classifier of word counts is at chance, whatever its weights.
"""

from itertools import product

import torch
from torch import Tensor, nn

from convlens import zoo
from convlens.measurement import measure_network

GOOD = ("bright", "warm", "clever", "brave", "honest", "tender", "lively", "witty")
BAD = ("dull", "cold", "silly", "timid", "false", "harsh", "tired", "flat")
FORMS = ("the {} was not {b} but {a}", "{} : {a} and not {b} at all", "what {} , {a} , never {b}")


def sentences() -> tuple[list[list[str]], Tensor, Tensor]:
    """-> their words, labels (1 for praise), and which are held out."""
    rows, places = [], product(FORMS, ("plot", "cast", "music", "story", "ending"), range(8), range(8))
    for form, subject, g, b in places:
        for praise, a, opposite in ((1, GOOD[g], BAD[b]), (0, BAD[b], GOOD[g])):
            rows.append((form.format(subject, a=a, b=opposite).split(), praise, (g + b) % 4 == 0))
    texts, labels, held_out = zip(*rows, strict=True)
    return list(texts), torch.tensor(labels), torch.tensor(held_out)


def main() -> None:
    torch.manual_seed(0)
    texts, labels, held_out = sentences()
    numbers = {word: n for n, word in enumerate(sorted({word for text in texts for word in text}), 1)}
    longest = max(map(len, texts))
    words = torch.tensor([[*map(numbers.__getitem__, text), *[0] * (longest - len(text))] for text in texts])
    networks = {"TextCNN": zoo.TextCNN(len(numbers) + 1, maps=20, embedding=24)}
    networks["word counts"] = nn.EmbeddingBag(len(numbers) + 1, 2, mode="sum", padding_idx=0)
    for name, network in networks.items():
        optimiser = torch.optim.Adam(network.parameters(), lr=0.005)
        for batch in (batch for _ in range(5) for batch in torch.randperm(int((~held_out).sum())).split(50)):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(words[~held_out][batch]), labels[~held_out][batch]).backward()
            optimiser.step()
            if name == "TextCNN":
                network.constrain()
        right = network.eval()(words[held_out]).argmax(1) == labels[held_out]
        print(f"{name}: {(accuracy := float(right.float().mean())):.1%} of {len(right)} held-out sentences")
        assert accuracy >= 0.95 if name == "TextCNN" else accuracy <= 0.6
    print(f"{measure_network(networks['TextCNN'], (words[:1],)).macs:,} MACs for {longest} words")


if __name__ == "__main__":
    main()
