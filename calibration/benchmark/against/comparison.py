"""Our engine beside its rivals: how long each takes, and how close each stays to the checkpoint in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from veca_edge.calibration.benchmark.against.baseline import Output, Rival
from veca_edge.calibration.benchmark.against.eager import reference
from veca_edge.calibration.benchmark.target import Case, Subject
from veca_edge.calibration.benchmark.timings import Latency, cosine, latency, median_ratio
from veca_edge.calibration.benchmark.turns import Call, Key, Samples
from veca_edge.runtime.model import Model

OURS = "veca-edge"

Say = Callable[[str], None]


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


def rival_tasks(subject: Subject, rivals: Sequence[Rival], say: Say) -> Iterator[tuple[Key, Call]]:
    """Every rival at every configuration, made ready; a model without cores stands beside the largest budget."""
    for case in subject.cases:
        for rival in rivals:
            for cores in subject.cores if rival.same_weights else subject.cores[-1:]:
                say(f"preparing {rival.name} for {_where(case, cores, rival)}")
                yield (rival.name, cores, case.image_size), rival.prepare(case, cores)


def _where(case: Case, cores: int, rival: Rival) -> str:
    return f"{cores} cores at {case.image_size} px" if rival.same_weights else f"{case.image_size} px"


def compare(
    subject: Subject,
    model: Model,
    rivals: Sequence[Rival],
    tasks: Mapping[Key, Callable[[], Any]],
    samples: Samples,
) -> Iterator[Comparison]:
    """Per configuration ours, then the rivals in their order.

    Args:
        subject: what was measured.
        model: ours, still open.
        rivals: as given to `rival_tasks`.
        tasks: what was timed, ours as ("encode", cores, image size).
        samples: the timings.
    """
    assert subject.checkpoint is not None
    truth = reference(subject.checkpoint, model.engine.threads)
    for case in subject.cases:
        for cores in subject.cores:
            size = case.image_size
            expected, ours = truth.prepare(case, cores)(), samples["encode", cores, size]
            encoded = model.engine.encode(case.fitted, cores)
            closeness = _closeness((encoded.embedding, encoded.features), expected)
            precision = subject.manifest.quantization
            yield Comparison(OURS, precision, cores, size, latency(ours), 1.0, *closeness)
            for rival in rivals:
                theirs = samples.get((rival.name, cores, size))
                if theirs is not None:
                    found = tasks[rival.name, cores, size]()
                    close = _closeness(found, expected) if rival.same_weights else (None, None)
                    ratio = median_ratio(ours, theirs)
                    yield Comparison(rival.runtime, rival.precision, cores, size, latency(theirs), ratio, *close)


def _closeness(found: Output, expected: Output) -> tuple[float, float]:
    return cosine(found[0], expected[0]), cosine(found[1], expected[1])
