@testable import VecaEdgeCore

/// The engine of the golden streams: what it computes is a formula, so that the stream around it can be compared.
final class FormulaEngine: StepEngine {
    struct Call: Equatable {
        let method: String
        /// Positions of the patches given, as x and y.
        let positions: [Float]
        /// Rows that are being replaced; nil when nothing remembered was given.
        let masked: [Int]?
    }

    let name = "formula"
    let heads = 2
    private let layers = 2
    private let width = 2
    private let patchSize: Int
    /// Since the last look at it.
    var calls: [Call] = []
    /// Thrown by the next call.
    var failure: VecaError?

    init(patchSize: Int) {
        self.patchSize = patchSize
    }

    func offers(cores: Int, imageSize: Int) -> Bool { true }

    func encode(_ image: RGBImage, cores: Int) throws -> Encoded {
        let positions = cellCentres(PatchGrid(rows: image.height / patchSize, columns: image.width / patchSize))
        let patches = cutPatches(image, patchSize: patchSize)
        try called(Call(method: "encode", positions: positions, masked: nil))
        let all = compute(patches, positions, cores, nil, nil)
        return Encoded(embedding: all.embedding, features: all.features, coreAttention: all.coreAttention)
    }

    func step(
        patches: [Float], positions: [Float], cores: Int, mask: [Float]?, cache: PatchCache?
    ) throws -> Stepped {
        let masked = mask.map { mask in mask.indices.filter { mask[$0] == PatchCache.hide } }
        try called(Call(method: "step", positions: positions, masked: masked))
        return compute(patches, positions, cores, mask, cache)
    }

    private func called(_ call: Call) throws {
        calls.append(call)
        if let failure {
            self.failure = nil
            throw failure
        }
    }

    private func compute(
        _ patches: [Float], _ positions: [Float], _ cores: Int, _ mask: [Float]?, _ cache: PatchCache?
    ) -> Stepped {
        let count = positions.count / 2
        let length = patches.count / count
        let means = (0..<count).map { patch in
            patches[(patch * length)..<((patch + 1) * length)].reduce(0, +) / Float(length) / 255
        }
        var keys: [[Float]] = []
        var values: [[Float]] = []
        for layer in 0..<layers {
            var layerKeys: [Float] = []
            var layerValues: [Float] = []
            for head in 0..<heads {
                for patch in 0..<count {
                    let (x, y) = (positions[2 * patch], positions[2 * patch + 1])
                    for d in 0..<width {
                        let key = means[patch] * Float(layer + 1) + x * Float(head + 1)
                        layerKeys.append(key + Float(d))
                        let value = means[patch] - 0.25 * y * Float(layer + 1)
                        layerValues.append(value + 0.125 * Float(head) - Float(d))
                    }
                }
            }
            keys.append(layerKeys)
            values.append(layerValues)
        }
        var total: Float = 0
        for patch in 0..<count {
            total += means[patch] - 0.25 * positions[2 * patch + 1]
        }
        var rows = count
        if let cache, let mask {
            for row in mask.indices where mask[row] == 0 {
                total += cache.values[0][row * width]
                rows += 1
            }
        }
        let share = total / Float(rows)
        let other: [Float] = [0.1 * Float(rows) / 36, Float(cores) / 640]
        return Stepped(
            embedding: [share, 1 - share] + other,
            features: means.flatMap { mean in (0..<4).map { mean * Float($0 + 1) + 0.01 * Float(cores) } },
            coreAttention: means.flatMap { mean in
                [mean] + [Float](repeating: (1 - mean) / Float(cores - 1), count: cores - 1)
            },
            keys: keys, values: values)
    }
}
