"""Two buttons: check the model against the golden photos, label a photo that you take. Nothing leaves the phone."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import toga
from numpy.typing import NDArray
from PIL import Image
from toga.style import Pack
from toga.style.pack import COLUMN
from veca_edge_mobile.check import golden_checks
from veca_edge_mobile.ios import open_model

from veca_edge import Model, VecaError
from veca_edge.modelfile.certainty import NOT_SURE
from veca_edge.sensors.monitor import Monitor
from veca_edge.sensors.platforms import detect

RESOURCES = Path(__file__).parent / "resources"
CORES = 32


class VecaCheck(toga.App):
    """One model, opened and called in one thread of its own: the main thread only draws."""

    def startup(self) -> None:
        self._worker = ThreadPoolExecutor(max_workers=1)
        self._monitor = Monitor(detect())
        self._monitor.start()
        self._opened: Model | None = None
        self._text = toga.MultilineTextInput(readonly=True, style=Pack(flex=1))
        buttons = [toga.Button("Check", on_press=self.check), toga.Button("Photo", on_press=self.photograph)]
        self.main_window = toga.MainWindow(title=self.formal_name)
        self.main_window.content = toga.Box(children=[*buttons, self._text], style=Pack(direction=COLUMN))
        self.main_window.show()

    async def check(self, widget: Any) -> None:
        await self._show(self._checked)

    async def photograph(self, widget: Any) -> None:
        photo = await self.camera.take_photo()
        if photo is not None:
            await self._show(lambda: self._labelled(_pixels(photo.as_format(Image.Image))))

    async def _show(self, work: Any) -> None:
        self._text.value = "…"
        try:
            self._text.value = await asyncio.get_running_loop().run_in_executor(self._worker, work)
        except VecaError as error:
            self._text.value = str(error)

    def _model(self) -> Model:
        if self._opened is None:
            self._opened = open_model(RESOURCES / "model.mlpackage")
        return self._opened

    def _checked(self) -> str:
        golden = json.loads((RESOURCES / "end-to-end.json").read_text())
        photos = golden_checks(
            self._model(), golden, "coreml-int8", lambda name: _pixels(Image.open(RESOURCES / name))
        )
        return "\n".join(map(str, photos))

    def _labelled(self, image: NDArray[np.uint8]) -> str:
        result = self._model()(image, cores=CORES)
        lines = [f"{found.label} {found.probability:.0%}" for found in result.top(3)] if result.sure else []
        if result.logits is not None and not result.sure:
            lines = [NOT_SURE]
        lines += [str(said) for said in result.dense.values()]  # the classes with the largest areas
        return "\n".join([*lines, f"{1000 * result.latency:.0f} ms", str(self._monitor.state)])


def _pixels(picture: Image.Image) -> NDArray[np.uint8]:
    """(H, W, 3), RGB."""
    return np.array(picture.convert("RGB"))


def main() -> VecaCheck:
    return VecaCheck()
