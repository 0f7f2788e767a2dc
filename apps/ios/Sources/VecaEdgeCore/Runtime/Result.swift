import Foundation

/// A label and how likely it is, 0..1.
public struct Prediction: Equatable, Sendable {
    public let label: String
    public let probability: Float
}

/// Rows and columns of patches.
public struct PatchGrid: Hashable, Sendable {
    public var rows: Int
    public var columns: Int
    public var count: Int { rows * columns }

    public init(rows: Int, columns: Int) {
        self.rows = rows
        self.columns = columns
    }
}

/// The outputs for one image.
///
/// The name is the same in Python and Kotlin; the standard library's `Result<Success, Failure>` is `Swift.Result`.
public struct Result: Sendable {
    /// D' values, one vector for the image.
    public var embedding: [Float]
    /// `grid.count` vectors of D' values, row by row.
    public var features: [Float]
    /// `grid.count` vectors of C values: how much each patch attends to each core in the last layer. nil if the model
    /// file does not compute it (Core ML packages).
    public var coreAttention: [Float]?
    /// K values, or nil for a model without a head.
    public var logits: [Float]?
    /// K names.
    public var labels: [String]
    /// Active cores C.
    public var cores: Int
    public var grid: PatchGrid
    /// Of what the model saw, pixels.
    public var width: Int
    public var height: Int
    /// The same in pixels of the given image.
    public var crop: Box
    /// Seconds from the image to this result, preprocessing included.
    public var latency: Double
    /// In a stream, whether each patch was computed for this frame; else nil.
    public var computed: [Bool]?
    /// Whether all patches were computed.
    public var keyframe = true
    /// Frames since the least recently computed patch was computed.
    public var oldest = 0
    /// In a session, the operating point that the governor chose.
    public var point: OperatingPoint?
    /// Why, in one line.
    public var reason = ""
    /// What the device said about itself then.
    public var state: DeviceState?
    /// What each dense head says, by its name; empty without any.
    public var dense: [String: DenseResult] = [:]

    /// How sure the model must be of a label before that is shown.
    public var certainty = Certainty()

    /// How many patches were computed: all of them outside of a stream.
    public var computedPatches: Int {
        computed.map { flags in flags.filter { $0 }.count } ?? grid.count
    }

    /// The feature vector of a patch: D' values.
    public func feature(row: Int, column: Int) -> ArraySlice<Float> {
        let width = features.count / grid.count
        let start = (row * grid.columns + column) * width
        return features[start..<(start + width)]
    }

    /// How likely the best label is at the model's temperature, 0..1: what `sure` compares with the threshold.
    ///
    /// - Throws: `VecaError.noHead`.
    public func confidence() throws -> Double {
        guard let logits else { throw VecaError.noHead }
        return certainty.confidence(logits)
    }

    /// Whether the best label, `top(1)`, is worth showing; show "not sure" otherwise. False without a head.
    public var sure: Bool { logits.map(certainty.sure) ?? false }

    /// Softmax of the logits: K values.
    ///
    /// - Throws: `VecaError.noHead`.
    public func probabilities() throws -> [Float] {
        guard let logits else { throw VecaError.noHead }
        let most = logits.max() ?? 0
        let shifted = logits.map { exp($0 - most) }
        let sum = shifted.reduce(0, +)
        return shifted.map { $0 / sum }
    }

    /// The k most likely labels, best first, however unsure the model is.
    ///
    /// - Throws: `VecaError.noHead`, or `.badSetting` for a negative number.
    public func top(_ k: Int = 5) throws -> [Prediction] {
        guard k >= 0 else { throw VecaError.badSetting("top(\(k)): use a number of labels, 0 or more") }
        let shares = try probabilities()
        let best = shares.indices.sorted { shares[$0] != shares[$1] ? shares[$0] > shares[$1] : $0 < $1 }
        return best.prefix(k).map { Prediction(label: labels[$0], probability: shares[$0]) }
    }
}
