"""veca-edge: elastic vision transformers on phones and small computers.

    import veca_edge

    model = veca_edge.load("model.pte")   # without a path: the model that comes with the package
    result = model(image, cores=32)       # image: uint8 (H, W, 3), RGB, any size
    result.embedding, result.features, result.top(3)

    for result in veca_edge.Session(model).run("clip.mp4"):    # follows battery and heat
        print(result, result.reason)

Importing this package takes numpy and nothing heavier; engines import what they need when a model is opened.
"""

from veca_edge._version import __version__
from veca_edge.camera.sources import Frame, Source, open_source
from veca_edge.conversion.default import load
from veca_edge.errors import StreamError, VecaError, VecaWarning
from veca_edge.gallery.gallery import Example, Gallery, Match
from veca_edge.gallery.pictures import PictureIndex, SimilarPicture
from veca_edge.governor.decision import Decision
from veca_edge.governor.points import OperatingPoint
from veca_edge.modelfile.heads import DenseTask
from veca_edge.runtime.dense import DenseResult
from veca_edge.runtime.matching import Matches, match_patches
from veca_edge.runtime.model import Model
from veca_edge.runtime.result import Prediction, Result
from veca_edge.runtime.streaming.change import ChangeSettings
from veca_edge.runtime.streaming.stream import Stream
from veca_edge.sensors.state import DeviceState, ThermalLevel
from veca_edge.session import OverriddenSensors, Session, device_sensors

__all__ = [
    "ChangeSettings",
    "Decision",
    "DenseResult",
    "DenseTask",
    "DeviceState",
    "Example",
    "Frame",
    "Gallery",
    "Match",
    "Matches",
    "Model",
    "OperatingPoint",
    "OverriddenSensors",
    "PictureIndex",
    "Prediction",
    "Result",
    "Session",
    "SimilarPicture",
    "Source",
    "Stream",
    "StreamError",
    "ThermalLevel",
    "VecaError",
    "VecaWarning",
    "__version__",
    "device_sensors",
    "load",
    "match_patches",
    "open_source",
]
