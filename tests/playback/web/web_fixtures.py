"""Frames of a run without a model, and a client that speaks plain HTTP."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any

import numpy as np

from veca_edge.arrays import Image
from veca_edge.camera.frames import Frame
from veca_edge.governor.points import OperatingPoint
from veca_edge.playback.overlay import Hud
from veca_edge.playback.protocols import Shown
from veca_edge.playback.viewer import ViewState
from veca_edge.playback.views import views_for
from veca_edge.playback.web.server import WebView
from veca_edge.playback.web.status import Choices
from veca_edge.runtime.result import Prediction, Result
from veca_edge.sensors.state import DeviceState, ThermalLevel

BUDGETS = (8, 16, 32, 64)
CHOICES = Choices("tiny", "camera 0", BUDGETS, True, False, views_for(()))
POINT = OperatingPoint(32, 64, 96, 15.0, 0.9, 0.01, 0.02, 1.0)
DEVICE = DeviceState(1.0, battery=0.5, charging=False, thermal=ThermalLevel.FAIR)


def shown(index: int = 0, picture: Image | None = None, **more: Any) -> Shown:
    """A frame of a run, as a session gives it."""
    image = np.full((48, 64, 3), index % 256, np.uint8) if picture is None else picture
    chosen = more.pop("chosen", ViewState(None, BUDGETS, auto=True))
    computed = np.zeros((4, 4), np.bool_)
    computed[0] = True
    taught = {name: more.pop(name) for name in ("match", "taught") if name in more}
    given: dict[str, Any] = {
        "cores": 32,
        "latency": 0.01,
        "point": POINT,
        "reason": "battery 50 %",
        "state": DEVICE,
    } | more
    nothing = np.zeros((4, 4, 8), np.float32)
    result = Result(
        nothing[0, 0],
        nothing,
        None,
        np.zeros(2, np.float32),
        ("a", "b"),
        image_size=(64, 64),
        crop=(0, 0, 64, 48),
        computed=computed,
        **given,
    )
    hud = Hud(result.cores, BUDGETS, result.latency, 14.9, (64, 64), (4, 16))
    frame = Frame(image, index, index / 30, "camera 0")
    return Shown(image, frame, result, hud, [Prediction("Äpfel <b>", 0.75)], chosen, **taught)


@dataclass(frozen=True)
class Answer:
    """A response as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """A connection that says exactly what it is told to."""

    def __init__(self, web: WebView, timeout: float = 5.0) -> None:
        self.port = web._socket.getsockname()[1]
        self.token = web.token
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        self._file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(
        self, path: str, method: str = "GET", body: bytes = b"", without: tuple[str, ...] = (), **headers: str
    ) -> Answer:
        """A request as the page makes it; headers by their names with `_` for `-`."""
        known = {"Host": f"127.0.0.1:{self.port}", "X-Veca-Edge": "1"}
        known |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        known |= {"Content-Length": str(len(body)), "Content-Type": "application/json"} if body else {}
        known |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{name}: {value}" for name, value in known.items() if name not in without]
        self.send("\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("latin-1") + body)
        return self.answer()

    def answer(self) -> Answer:
        """The next response; status 0 if the connection ended instead."""
        first = self._file.readline()
        if not first:
            return Answer(0, {}, b"")
        headers = {}
        while (line := self._file.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        body = self._file.read(int(headers.get("content-length", 0)))
        return Answer(int(first.split()[1]), headers, body)

    def ended(self) -> bool:
        """Whether the server has closed the connection; waits for it."""
        return self._file.read(1) == b""

    def close(self) -> None:
        self._file.close()
        self.socket.close()
