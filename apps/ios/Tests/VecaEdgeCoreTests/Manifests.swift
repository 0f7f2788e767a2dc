import Foundation

@testable import VecaEdgeCore

enum Manifests {
    /// A manifest as a model file holds it, with some of its values replaced.
    static func record(_ changes: [String: Any] = [:]) -> Golden.Record {
        let preprocessing: Golden.Record = ["image_size": 48, "fit": "crop"]
        let plain: Golden.Record = [
            "format": "veca-edge model", "format_version": 1, "name": "small", "target": "executorch",
            "quantization": "int8", "family": "custom", "hidden_dim": 8, "feature_dim": 4, "num_heads": 2,
            "num_layers": 2, "patch_size": 8, "num_cores": 16, "chunk_size": 8, "budgets": [8, 16],
            "image_size": 48, "max_patches": 256, "preprocessing": preprocessing, "labels": [String](),
            "methods": ["encode", "step", "encode_64", "step_64", "step_128"], "program_size": 1,
            "program_digest": "", "weight_bytes": 1, "source_digest": "", "made_with": Golden.Record(),
            "verification": Golden.Record(), "quality": Golden.Record(),
        ]
        return plain.merging(changes) { _, new in new }
    }

    static func read(_ record: Golden.Record) throws -> Manifest {
        try Manifest(json: JSONSerialization.data(withJSONObject: record))
    }

    static func make(
        preprocessing: Golden.Record = ["image_size": 48, "fit": "crop"], patchSize: Int = 8,
        budgets: [Int] = [8, 16], labels: [String] = [],
        heads: Golden.Record = [:]
    ) throws -> Manifest {
        try read(
            record([
                "preprocessing": preprocessing, "patch_size": patchSize, "budgets": budgets, "labels": labels,
                "num_cores": 64, "heads": heads,
            ]))
    }
}
