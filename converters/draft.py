"""What a conversion wrote, before it has its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from veca_edge.modelfile.manifest import Manifest


class Draft:
    """A model file or package on disk under a temporary name.

    Attributes:
        path: where it lies while its context is open.
        target: the name that it gets in the end.
        manifest: what it says about itself.
        graph_bytes: of each method's graph, by name; {} of a package.
    """

    def __init__(
        self,
        path: Path,
        target: Path,
        manifest: Manifest,
        write: Callable[[Manifest], None],
        graph_bytes: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """`write` puts a manifest into what lies at `path`, in place of the one before."""
        self.path, self.target, self.manifest, self.graph_bytes = path, target, manifest, graph_bytes
        self._write = write

    def describe(self, manifest: Manifest) -> None:
        """Replace the manifest.

        Raises:
            OSError: it cannot be written.
        """
        self._write(manifest)
        self.manifest = manifest
