/// The remembered rows of all N patches of one image size at one core budget.
///
/// Memory in bytes: 4 N (2 layers D + D' + C).
public struct PatchCache: Sendable {
    /// Added to an attention score, leaves nothing of it: the mask of a row that is being replaced.
    public static let hide: Float = -1e4

    /// Per layer, heads * N * headDim values.
    public private(set) var keys: [[Float]]
    /// Per layer, heads * N * headDim values.
    public private(set) var values: [[Float]]
    /// N * D' values.
    public private(set) var features: [Float]
    /// N * C values.
    public private(set) var coreAttention: [Float]
    /// N.
    public let count: Int
    private let heads: Int

    /// The cache after a step that computed every one of `count` patches.
    init(_ keyframe: Stepped, count: Int, heads: Int) {
        keys = keyframe.keys
        values = keyframe.values
        features = keyframe.features
        coreAttention = keyframe.coreAttention
        self.count = count
        self.heads = heads
    }

    /// Replace the rows of `patches` (in the order of the step's rows); nothing else is touched.
    mutating func write(_ patches: [Int], _ new: Stepped) {
        for layer in keys.indices {
            copyRows(new.keys[layer], into: &keys[layer], patches, count: count, heads: heads)
            copyRows(new.values[layer], into: &values[layer], patches, count: count, heads: heads)
        }
        copyRows(new.features, into: &features, patches, count: count, heads: 1)
        copyRows(new.coreAttention, into: &coreAttention, patches, count: count, heads: 1)
    }

    /// Replace what results show, and not the keys and values.
    mutating func write(features: [Float], coreAttention: [Float]) {
        self.features = features
        self.coreAttention = coreAttention
    }
}

/// Copy the rows of some patches, in every head, to their places among `count` rows.
private func copyRows(_ rows: [Float], into all: inout [Float], _ patches: [Int], count: Int, heads: Int) {
    let width = all.count / (heads * count)
    for head in 0..<heads {
        for (place, patch) in patches.enumerated() {
            let from = (head * patches.count + place) * width
            let to = (head * count + patch) * width
            for offset in 0..<width {
                all[to + offset] = rows[from + offset]
            }
        }
    }
}
