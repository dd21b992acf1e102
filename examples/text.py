"""TextCNN tells praise from blame where the words of both are the same and only their order differs.

    python examples/text.py [PICTURE]    about 4 s on one core; checks 95 % of held-out sentences, and that counts fail

"the plot was not dull but bright" is praise, and blame with the adjectives exchanged. Those held out pair adjectives
that were never seen together. A linear classifier of word counts is at chance, whatever its weights. The picture shows
the words that the filters answer to most.
"""

import sys
from itertools import product

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

import convlens
from convlens.explanation import ngrams_picture, strongest_ngrams

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


def main(picture: str = "") -> None:
    torch.manual_seed(0)
    texts, labels, held_out = sentences()
    numbers = {word: n for n, word in enumerate(sorted({word for text in texts for word in text}), 1)}
    rows = [torch.tensor([numbers[word] for word in text]) for text in texts]
    words = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    seen, told = words[~held_out], labels[~held_out]
    text = convlens.zoo.TextCNN(len(numbers) + 1, maps=20, embedding=24).fit(seen, told, epochs=5)
    counts = nn.functional.one_hot(words).sum(1)[:, 1:].numpy()
    counting = LogisticRegression().fit(counts[~held_out], told).score(counts[held_out], labels[held_out])
    accuracy = float((text(words[held_out]).argmax(1) == labels[held_out]).float().mean())
    print(f"of {int(held_out.sum())} held-out sentences TextCNN names {accuracy:.1%}, word counts {counting:.1%}")
    print(f"{convlens.measure(text, inputs=words[:1]).network.macs:,} MACs for {words.shape[1]} words")
    if picture:
        ngrams_picture(strongest_ngrams(text, words), texts).save(picture)
    assert accuracy >= 0.95 and counting <= 0.6, (accuracy, counting)


if __name__ == "__main__":
    main(*sys.argv[1:2])
