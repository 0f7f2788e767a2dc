"""veca-edge: elastic vision transformers on phones and small computers.

    from veca_edge.runtime.model import load

    model = load("model.pte")
    result = model(image, cores=32)       # image: uint8 (H, W, 3), RGB, any size
    result.embedding, result.features, result.top(3)

Importing this package takes numpy and nothing heavier; engines import what they need when a model is opened.
"""

from veca_edge._version import __version__
from veca_edge.errors import StreamError, VecaError
from veca_edge.runtime.model import Model, load
from veca_edge.runtime.result import Prediction, Result
from veca_edge.session import Session

__all__ = ["Model", "Prediction", "Result", "Session", "StreamError", "VecaError", "__version__", "load"]
