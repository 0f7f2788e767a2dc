"""What a conversion wrote, before it has its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from veca_edge.modelfile.manifest import Manifest


@dataclass
class Draft:
    """A model file or package on disk under a temporary name.

    Attributes:
        path: where it lies while its context is open.
        target: the name that it gets in the end.
        manifest: what it says about itself.
        write: puts a manifest into what lies at `path`, in place of the one before; gives it as it stands there.
        graph_bytes: of each method's graph, by name; {} of a package.
    """

    path: Path
    target: Path
    manifest: Manifest
    write: Callable[[Manifest], Manifest]
    graph_bytes: Mapping[str, int] = field(default_factory=dict)

    def describe(self, manifest: Manifest) -> None:
        """Replace the manifest; an OSError if it cannot be written."""
        self.manifest = self.write(manifest)
