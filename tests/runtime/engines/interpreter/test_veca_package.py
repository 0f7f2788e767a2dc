"""VECA through PyTorch's exporter and coremltools' converter, as anybody would do it, against PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from veca_edge.image.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from veca_edge.model.config import VecaConfig
from veca_edge.model.veca import Head, Veca, random_veca
from veca_edge.modelfile.mlprogram.package import open_package
from veca_edge.runtime.engines.interpreter.interpreter import Interpreter

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
BUDGETS = (8, 16)
SIDE = 64


class _Image(torch.nn.Module):  # type: ignore[misc]
    """Pixels 0..1 to embedding, features and logits."""

    def __init__(self, model: Veca, head: Head, cores: int) -> None:
        super().__init__()
        self.model, self.head, self.cores = model, head, cores
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        output = self.model((pixels - self.mean) / self.std, self.cores)
        return output.embedding, output.features, self.head(output)


@pytest.fixture(scope="module")
def model() -> tuple[Veca, Head]:
    config = VecaConfig.from_family("small", hidden_dim=64, num_heads=2, num_layers=3, num_cores=16, patch_size=16)
    torch.manual_seed(0)
    return random_veca(config), Head(config.feature_dim, 5).eval()


@pytest.fixture(scope="module", params=["fp32", "fp16"])
def package(request: Any, model: tuple[Veca, Head], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    import coremltools as ct

    folder = tmp_path_factory.mktemp(request.param)
    together = ct.utils.MultiFunctionDescriptor()
    for cores in BUDGETS:
        pixels = torch.rand(1, 3, SIDE, SIDE)
        program = torch.export.export(_Image(*model, cores).eval(), (pixels,), strict=False).run_decompositions({})
        ct.convert(
            program,
            inputs=[ct.ImageType(name="image", shape=pixels.shape, scale=1 / 255)],
            outputs=[ct.TensorType(name=name) for name in ("embedding", "features", "logits")],
            convert_to="mlprogram",
            minimum_deployment_target=ct.target.iOS18,
            compute_precision=ct.precision[{"fp32": "FLOAT32", "fp16": "FLOAT16"}[request.param]],
            skip_model_load=True,
        ).save(str(folder / f"{cores}.mlpackage"))
        together.add_function(str(folder / f"{cores}.mlpackage"), "main", f"cores_{cores}")
    together.default_function_name = "cores_16"
    ct.utils.save_multifunction(together, str(folder / "all.mlpackage"))
    return request.param, folder / "all.mlpackage"


def test_every_function_agrees_with_pytorch(
    package: tuple[str, Path], model: tuple[Veca, Head], photo: np.ndarray[Any, Any]
) -> None:
    precision, path = package
    image = np.ascontiguousarray(photo[:SIDE, :SIDE])
    opened = open_package(path)
    assert (opened.default_function, sorted(opened.functions)) == ("cores_16", ["cores_16", "cores_8"])
    tolerance = {"fp32": 1e-5, "fp16": 1e-2}[precision]
    for cores in BUDGETS:
        with torch.no_grad():
            expected = _Image(*model, cores)(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)
        found = Interpreter(opened, f"cores_{cores}", precision).run({"image": image})  # type: ignore[arg-type]
        for name, value in zip(("embedding", "features", "logits"), expected, strict=True):
            assert np.abs(found[name] - value.numpy()).max() <= tolerance * float(value.abs().max()), (cores, name)


def test_weights_are_shared_and_of_their_precision(package: tuple[str, Path]) -> None:
    precision, path = package
    opened = open_package(path)
    assert list(opened.bytes_by_element) == [precision]
    assert opened.shared_bytes > 0.95 * opened.weight_bytes
    assert opened.functions["cores_8"].operation_counts["scaled_dot_product_attention"] == 6
