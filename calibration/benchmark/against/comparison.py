"""Our engine beside its baselines: how long each takes, and how close each stays to the checkpoint in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from veca_edge.calibration.benchmark.against.baseline import Baseline, Output
from veca_edge.calibration.benchmark.against.eager import reference
from veca_edge.calibration.benchmark.target import Input, Target
from veca_edge.converters.verification import cosines
from veca_edge.runtime.measuring import Call, Latency, latency, median_ratio
from veca_edge.runtime.model import Model

OURS = "veca-edge"

Say = Callable[[str], None]
Key = tuple[str, int, int]  # what, cores, image size


@dataclass(frozen=True)
class Comparison:
    """One runtime on one configuration, interleaved with ours.

    Attributes:
        runtime: as the user names it; "veca-edge" is ours.
        precision: of the runtime's numbers.
        cores, image_size: the configuration; of a dense transformer the cores are those it is compared with.
        latency: of a forward pass on a prepared input; ours cuts patches and copies outputs beside.
        ratio: median over rounds of our time / its time.
        embedding_cosine, feature_cosine: how close the outputs for this picture are to eager float32 PyTorch's;
            None for a model that computes something else.
    """

    runtime: str
    precision: str
    cores: int
    image_size: int
    latency: Latency
    ratio: float
    embedding_cosine: float | None
    feature_cosine: float | None


def baseline_tasks(target: Target, baselines: Sequence[Baseline], say: Say) -> Iterator[tuple[Key, Call]]:
    """Every baseline at every configuration, made ready; a model without cores stands beside the largest budget."""
    for given in target.plan.inputs:
        for baseline in baselines:
            for cores in target.plan.cores if baseline.same_weights else target.plan.cores[-1:]:
                say(f"preparing {baseline.name} for {_where(given, cores, baseline)}")
                yield (baseline.name, cores, given.image_size), baseline.prepare(given, cores)


def _where(given: Input, cores: int, baseline: Baseline) -> str:
    return f"{cores} cores at {given.image_size} px" if baseline.same_weights else f"{given.image_size} px"


def compare(
    target: Target,
    model: Model,
    baselines: Sequence[Baseline],
    tasks: Mapping[Key, Callable[[], Any]],
    samples: Mapping[Key, Sequence[float]],
) -> Iterator[Comparison]:
    """Per configuration ours, then the baselines in their order.

    Args:
        target: what was measured.
        model: ours, still open.
        baselines: as given to `baseline_tasks`.
        tasks: what was timed, ours as ("encode", cores, image size).
        samples: the timings.
    """
    assert target.checkpoint is not None
    truth = reference(target.checkpoint, model.engine.threads)
    for given in target.plan.inputs:
        for cores in target.plan.cores:
            size = given.image_size
            expected, ours = truth.prepare(given, cores)(), samples["encode", cores, size]
            encoded = model.engine.encode(given.fitted, cores)
            closeness = _closeness((encoded.embedding, encoded.features), expected)
            precision = target.manifest.quantization
            yield Comparison(OURS, precision, cores, size, latency(ours), 1.0, *closeness)
            for baseline in baselines:
                theirs = samples.get((baseline.name, cores, size))
                if theirs is not None:
                    found = tasks[baseline.name, cores, size]()
                    close = _closeness(found, expected) if baseline.same_weights else (None, None)
                    ratio = median_ratio(ours, theirs)
                    yield Comparison(
                        baseline.runtime, baseline.precision, cores, size, latency(theirs), ratio, *close
                    )


def _closeness(found: Output, expected: Output) -> tuple[float, float]:
    embedding, features = (
        float(cosines(ours, theirs).mean()) for ours, theirs in zip(found, expected, strict=True)
    )
    return embedding, features
