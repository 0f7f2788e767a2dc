from __future__ import annotations

from tests.modelfile.mlprogram.fixtures import copied, linear_package, write

__all__ = ["copied", "linear_package", "write"]
