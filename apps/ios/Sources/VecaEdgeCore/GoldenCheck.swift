import Foundation

/// The check for app developers: photos through a model on this device, compared with what PyTorch says of them.
///
/// Python can be right while the app is wrong, by a channel order or a rotation. This notices.
public struct GoldenCheck: Sendable {
    /// How far an engine's results may be from the expected ones.
    public struct Tolerance: Decodable, Equatable, Sendable {
        /// Least cosine of the embeddings.
        public let embeddingCosine: Float
        /// Largest absolute difference of a logit.
        public let logits: Float
        /// Whether the first label must be the same.
        public let top1: Bool

        enum CodingKeys: String, CodingKey {
            case embeddingCosine = "embedding_cosine"
            case logits, top1
        }
    }

    /// One photo at one core budget.
    public struct Outcome: Hashable, Sendable {
        public let photo: String
        public let cores: Int
        public let cosine: Float
        /// Largest absolute difference of a logit.
        public let difference: Float
        public let label: String
        public let expected: String
        public let passed: Bool
    }

    private let stored: StoredCheck

    /// - Parameter json: `tests/golden/end-to-end.json` of the repository.
    /// - Throws: `VecaError.badModelFile` if it is not that.
    public init(json: Data) throws {
        do {
            stored = try JSONDecoder().decode(StoredCheck.self, from: json)
        } catch {
            throw VecaError.badModelFile("the golden vectors cannot be read: \(error.localizedDescription)")
        }
    }

    /// File names of the photos.
    public var photos: [String] { stored.photos.map(\.file) }

    /// Compare a photo at every core budget that was recorded and that the model offers. Not for the main thread.
    ///
    /// - Parameters:
    ///   - model: the shipped default model, which the vectors are of.
    ///   - photo: a name of `photos`.
    ///   - image: it, decoded.
    ///   - tolerance: "executorch-int8", "executorch-fp32" or "coreml-int8".
    /// - Throws: `VecaError`; `.badSetting` for another model, photo or tolerance.
    public func compare(_ model: Model, photo: String, image: RGBImage, tolerance name: String) throws -> [Outcome] {
        guard let tolerance = stored.tolerances[name] else {
            throw VecaError.badSetting("no tolerance is recorded for \(name)")
        }
        guard let wanted = stored.photos.first(where: { $0.file == photo }), model.labels == stored.model.labels else {
            throw VecaError.badSetting("the golden vectors are of \(stored.model.name) and its photos")
        }
        let budgets = wanted.budgets.compactMap { text, values in Int(text).map { (cores: $0, values: values) } }
        return try budgets.filter { model.budgets.contains($0.cores) }.sorted { $0.cores < $1.cores }.map { budget in
            let result = try model(image, cores: budget.cores, imageSize: stored.model.imageSize)
            return try outcome(photo, result, budget.values, tolerance)
        }
    }

    private func outcome(
        _ photo: String, _ result: Result, _ wanted: StoredCheck.Values, _ tolerance: Tolerance
    ) throws -> Outcome {
        guard let logits = result.logits, logits.count == wanted.logits.count,
            result.embedding.count == wanted.embedding.count
        else {
            throw VecaError.badSetting("the golden vectors are of another model")
        }
        let cosine = self.cosine(result.embedding, wanted.embedding)
        let difference = zip(logits, wanted.logits).map { abs($0 - $1) }.max() ?? 0
        let label = try result.top(1).first?.label ?? ""
        let best = wanted.logits.indices.max { wanted.logits[$0] < wanted.logits[$1] }
        let expected = best.map { result.labels[$0] } ?? ""
        // Comparisons with NaN are false, so NaN fails.
        let passed =
            cosine >= tolerance.embeddingCosine && difference <= tolerance.logits
            && logits.allSatisfy(\.isFinite) && (label == expected || !tolerance.top1)
        return Outcome(
            photo: photo, cores: result.cores, cosine: cosine, difference: difference, label: label,
            expected: expected, passed: passed)
    }

    private func cosine(_ a: [Float], _ b: [Float]) -> Float {
        let product = zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
        let lengths = a.reduce(0) { $0 + $1 * $1 } * b.reduce(0) { $0 + $1 * $1 }
        return product / max(lengths.squareRoot(), 1e-12)
    }
}

/// The golden vectors as they lie in the file.
struct StoredCheck: Decodable, Sendable {
    struct Model: Decodable, Sendable {
        let name: String
        let imageSize: Int
        let labels: [String]

        enum CodingKeys: String, CodingKey {
            case name, labels
            case imageSize = "image_size"
        }
    }

    struct Values: Decodable, Sendable {
        let embedding: [Float]
        let logits: [Float]
    }

    struct Photo: Decodable, Sendable {
        let file: String
        let budgets: [String: Values]
    }

    let model: Model
    let tolerances: [String: GoldenCheck.Tolerance]
    let photos: [Photo]
}
