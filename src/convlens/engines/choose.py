"""Which engine: each one installed is opened on this network, compared with torch and timed on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from convlens.engines.agreement import Agreement, Reference, bound_for, reference_of
from convlens.engines.engine import Engine, Settings
from convlens.engines.model import Model
from convlens.engines.open import PLAIN, open_with
from convlens.errors import ConvlensError, MissingExtra, NetworkError, UsageError, check_count, counted
from convlens.measurement import time_in_turn
from convlens.measurement.latency import LEAST_NOISE, LEAST_RUNS

BUDGET_S = 8.0  # for all of them; the export, and what torch says, beside it
REFERENCE_SHARE = 0.25  # as long as this share of it for what torch says
JUDGED_SHARE = 0.15  # of it, for what an engine says
SCREENED_SHARE = 0.6  # of it, until which engines are opened and compared
MOST_PICTURES = 128
WORTH_TIMING = 1.5  # times the fastest: what was slower in a first look is not timed on
PLAIN_LOSES = 3.0  # times the fastest: laid out in another way it is not three times as fast as when it was timed
TIMED_S = 1.0  # for each, in turn
RUNS_IN_TURN = LEAST_RUNS + 7  # at least, with those that warm up

Open = Callable[[Settings, Model], Engine]


@dataclass(frozen=True)
class Candidate:
    """What came of one engine: `latency_ms` for a batch, the median of `runs`; or why it is `refused`."""

    settings: Settings
    latency_ms: float | None = None
    runs: int = 0
    agreement: Agreement | None = None
    refused: str = ""


@dataclass(frozen=True)
class EngineChoice:
    """The fastest engine that says what torch says, for batches of `batch`, and what came of the others.

    `plain_ms` is a batch by the network as it is: float32, nothing folded.
    """

    settings: Settings
    batch: int
    plain_ms: float
    candidates: tuple[Candidate, ...]
    seconds: float

    @property
    def chosen(self) -> Candidate:
        return next(one for one in self.candidates if one.settings == self.settings)

    def __str__(self) -> str:
        """In one line."""
        agreement, latency_ms = self.chosen.agreement, self.chosen.latency_ms
        assert agreement is not None and latency_ms is not None
        same, of = round(agreement.top1 * agreement.pictures), counted(agreement.pictures, "picture")
        return (
            f"{self.settings}: {latency_ms:.3g} ms for {counted(self.batch, 'picture')}, "
            f"{self.plain_ms / latency_ms:.1f} times as fast as plain torch; torch's class on {same} of {of}, "
            f"probabilities within {agreement.largest_difference:.1g}"
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> EngineChoice:
        """Raises TypeError, KeyError or a ConvlensError for what is no choice."""
        candidates = tuple(
            Candidate(
                **{
                    **one,
                    "settings": Settings(**one["settings"]),
                    "agreement": None if one["agreement"] is None else Agreement(**one["agreement"]),
                }
            )
            for one in stored["candidates"]
        )
        batch, plain_ms, seconds = int(stored["batch"]), float(stored["plain_ms"]), float(stored["seconds"])
        choice = cls(Settings(**stored["settings"]), batch, plain_ms, candidates, seconds)
        if choice.settings not in [one.settings for one in candidates if one.agreement and one.latency_ms]:
            raise UsageError("the engine that was chosen is none of those measured")
        return choice


def candidates_for(*, threads: int, batch: int, bf16: bool) -> list[Settings]:
    """Those that win most often first, the network as it is last; `bf16` where the processor multiplies it."""
    precisions = ("bf16", "fp32") if bf16 else ("fp32",)
    found = [Settings("openvino", precision, threads) for precision in precisions]
    found += [Settings("onnxruntime", "fp32", threads)]
    if min(threads, batch) > 1:
        found += [Settings("openvino", precision, threads, streams=threads) for precision in precisions]
    found += [Settings("torch", precision, threads) for precision in precisions]
    return [*found, Settings(PLAIN, threads=threads)]


def choose_engine(
    network: nn.Module | Model,
    images: Tensor,
    *,
    batch: int,
    candidates: Sequence[Settings],
    temperature: float = 1.0,
    budget_s: float = BUDGET_S,
    opener: Open = open_with,
) -> EngineChoice:
    """A network, real pictures (N, C, H, W) as it reads them, and how many come at once -> the engine to take.

    After about `budget_s` seconds no more is begun; exporting the network, once, and what torch says come on top. The
    fastest wins, in turns with the others; fp32 where it is as fast as bf16 to 3 %. Raises NetworkError where none can
    be trusted.
    """
    if images.ndim != 4 or not len(images) or not candidates:
        raise UsageError(
            f"pictures of shape {tuple(images.shape)} and {len(candidates)} candidates came; expected some"
        )
    model = network if isinstance(network, Model) else Model(network, images.shape[1:])
    if any(one.name not in ("torch", PLAIN) for one in candidates):
        with suppress(ConvlensError):  # each engine that needs the file says why there is none
            model.onnx  # noqa: B018
    trial = _Trial(model, images, check_count("batch", batch), temperature, budget_s, opener)
    try:
        return trial.run(candidates)
    finally:
        trial.close()


@dataclass
class _Trial:
    """The engines that are open, and what came of all."""

    model: Model
    images: Tensor
    batch: int
    temperature: float
    budget_s: float
    opener: Open
    found: list[Candidate] = field(default_factory=list)
    engines: dict[Settings, Engine] = field(default_factory=dict)
    began: float = 0.0

    def run(self, candidates: Sequence[Settings]) -> EngineChoice:
        reference = reference_of(
            self.model.network,
            self.images[:MOST_PICTURES],
            batch=self.batch,
            threads=candidates[0].threads,
            temperature=self.temperature,
            seconds=REFERENCE_SHARE * self.budget_s,
        )
        self.began = time.perf_counter()
        for settings in candidates:
            self.found.append(self._screened(settings, reference))
        if (fastest := self._fastest()) is not None and fastest.settings.threads > 1:
            alone = replace(fastest.settings, threads=1, streams=1)  # where threads wait for each other
            self.found.append(self._screened(alone, reference))
        self._time_in_turn()
        fastest = self._fastest()
        if fastest is None:
            why = "; ".join(f"{one.settings.name} {one.settings.precision}: {one.refused}" for one in self.found)
            raise NetworkError(f"no engine can be trusted with this network: {why}")
        return EngineChoice(fastest.settings, self.batch, reference.plain_ms, tuple(self.found), round(self.spent(), 3))

    def spent(self) -> float:
        return time.perf_counter() - self.began

    def close(self) -> None:
        for engine in self.engines.values():
            engine.close()

    def _screened(self, settings: Settings, reference: Reference) -> Candidate:
        """Opened, compared, and timed twice."""
        if settings.name == PLAIN:
            if self._much_faster_than(reference.plain_ms):
                return Candidate(settings, refused="not tried: others are much faster")
        elif self.engines and self.spent() > SCREENED_SHARE * self.budget_s:
            return Candidate(settings, refused="not tried: the time was over")
        try:
            engine = self.opener(settings, self.model)
            agreement = reference.judge(engine, seconds=JUDGED_SHARE * self.budget_s)
            latency_ms = min(self._timed(engine) for _ in range(2))
        except MissingExtra as error:
            return Candidate(settings, refused=f"missing: {str(error).rpartition('; ')[2]}")
        except Exception as error:  # whatever a library does, the others can still run
            return Candidate(settings, refused=_one_line(error))
        if complaint := agreement.complaint(bound_for(settings, self.model.network)):
            engine.close()
            return Candidate(settings, agreement=agreement, refused=complaint)
        self.engines[settings] = engine
        return Candidate(settings, latency_ms, 2, agreement)

    def _much_faster_than(self, plain_ms: float) -> bool:
        """Then the network as it is takes no time from the others; else it is tried however late it is."""
        return (fastest := self._fastest()) is not None and PLAIN_LOSES * _ms(fastest) < plain_ms

    def _time_in_turn(self) -> None:
        """The fast ones, as far as the time that is left suffices, each in turn with the others."""
        left = self.budget_s - self.spent()
        finalists: list[Candidate] = []
        for one in sorted((one for one in self.found if one.latency_ms), key=lambda one: one.latency_ms or 0.0):
            near = not finalists or _ms(one) <= WORTH_TIMING * _ms(finalists[0])
            if near and RUNS_IN_TURN * sum(map(_ms, [*finalists, one])) / 1000 <= left:
                finalists.append(one)
        if len(finalists) < 2:
            return
        batch = self._batch()
        calls = [partial(self.engines[one.settings], batch) for one in finalists]
        timed = time_in_turn(calls, batch=self.batch, seconds=min(TIMED_S, 0.8 * left / len(calls)))
        for one, latency in zip(finalists, timed, strict=True):
            place = self.found.index(one)
            self.found[place] = replace(one, latency_ms=latency.p50_ms, runs=latency.num_runs)

    def _fastest(self) -> Candidate | None:
        """Those timed in turn before others, fp32 before bf16 that is no faster."""
        most = max((one.runs for one in self.found), default=0)
        trusted = [one for one in self.found if one.latency_ms and (one.runs > 2) == (most > 2)]
        if not trusted:
            return None
        fastest = min(trusted, key=_ms)
        exact = [one for one in trusted if one.settings.precision == "fp32"]
        near = [one for one in exact if _ms(one) <= (1 + LEAST_NOISE) * _ms(fastest)]
        return min(near, key=_ms) if near else fastest

    def _timed(self, engine: Engine) -> float:
        batch, began = self._batch(), time.perf_counter()
        engine(batch)
        return 1000 * (time.perf_counter() - began)

    def _batch(self) -> Tensor:
        """A whole one, pictures repeated where there are too few."""
        times = -(-self.batch // len(self.images))
        return torch.cat([self.images] * times)[: self.batch].contiguous()


def _ms(one: Candidate) -> float:
    assert one.latency_ms is not None
    return one.latency_ms


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, ConvlensError) else f"{type(error).__name__}: {text}"
