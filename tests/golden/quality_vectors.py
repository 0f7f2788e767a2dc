"""quality.json: the fidelity of rows of a quality table, and rows that no reader takes."""

from __future__ import annotations

from typing import Any

from veca_edge.governor.quality import QualityTable

Json = dict[str, Any]

ROW: Json = {"cores": 8, "image_size": 48, "patch_budget": 16, "embedding_cosine": 0.9, "feature_cosine": 0.75}
READ: tuple[Json, ...] = (
    {},
    {"embedding_cosine": 1.000001, "patch_budget": None, "label_overlap": None, "dense_agreement": None},
    {"label_overlap": 0.8125, "label_overlap_error": 0.03},
    {"dense_agreement": 0.5, "dense_agreement_error": 0.03, "miou": 0.2, "miou_error": 0.1},
    {"label_overlap": 0.8125, "dense_agreement": 0.5, "accuracy": 0.25, "something newer": [1, 2]},
    {"top1_agreement": 0.625, "top1_error": 0.1},  # of a version before the label overlap
    {"top1_agreement": 0.625, "label_overlap": 0.8125},
    {"feature_cosine": -0.25, "label_overlap": 0.8125},  # one useless output makes all of it useless
    {"label_overlap": 0.0},
    {"label_overlap": 0.8125, "raw": {"label_overlap": 0.75, "embedding_cosine": 0.875}},
)
REFUSED: tuple[Json, ...] = (
    {"label_overlap": 1.5},
    {"label_overlap": -0.5},
    {"dense_agreement": 2.0},
    {"dense_agreement": "much"},
    {"top1_agreement": 1.5},
    {"embedding_cosine": None},
    {"feature_cosine": -1.5},
    {"cores": 0},
)


def quality_vectors() -> Json:
    rows = [ROW | change for change in READ]
    return {
        "rows": [{"row": row, "fidelity": QualityTable.from_rows([row]).rows[0].fidelity} for row in rows],
        "refused": [{"row": ROW | change} for change in REFUSED],
    }
