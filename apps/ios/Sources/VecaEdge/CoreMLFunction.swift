import CoreML
import CoreVideo
import Foundation
import VecaEdgeCore

/// One function of a package: an image in, the model's outputs out.
final class CoreMLFunction {
    static let input = "image"
    /// Logits of what is as good as impossible: a classifier gives probabilities, which may be 0.
    static let leastProbability = Float.leastNormalMagnitude

    let name: String
    /// Of the image that it takes, pixels.
    let width: Int
    let height: Int
    private let model: MLModel
    private let manifest: Manifest
    /// Reused from call to call: a prediction is over when `prediction(from:)` returns.
    private let buffer: CVPixelBuffer

    init(_ name: String, _ model: MLModel, _ manifest: Manifest) throws {
        let inputs = model.modelDescription.inputDescriptionsByName
        guard let image = inputs[CoreMLFunction.input]?.imageConstraint else {
            throw VecaError.badModelFile("its function \(name) does not take an image")
        }
        self.name = name
        self.model = model
        self.manifest = manifest
        width = image.pixelsWide
        height = image.pixelsHigh
        guard width > 0, height > 0, width % manifest.patchSize == 0, height % manifest.patchSize == 0 else {
            throw VecaError.badModelFile("its function \(name) takes an image that does not fit the patches")
        }
        buffer = try makePixelBuffer(width: width, height: height)
    }

    func run(_ image: RGBImage) throws -> Encoded {
        try fill(buffer, with: image)
        let outputs: MLFeatureProvider
        do {
            let value = MLFeatureValue(pixelBuffer: buffer)
            let inputs = try MLDictionaryFeatureProvider(dictionary: [CoreMLFunction.input: value])
            outputs = try model.prediction(from: inputs)
        } catch {
            throw VecaError.engine("Core ML cannot run \(name): \(error.localizedDescription)")
        }
        let patches = height / manifest.patchSize * (width / manifest.patchSize)
        return Encoded(
            embedding: try output(outputs, "embedding", count: manifest.featureDim),
            features: try output(outputs, "features", count: patches * manifest.featureDim), coreAttention: nil,
            logits: try logits(outputs), dense: try dense(outputs, patches: patches))
    }

    /// What each dense head gives for every patch, by its name, which is its output's too.
    private func dense(_ outputs: MLFeatureProvider, patches: Int) throws -> [String: [Float]] {
        var found: [String: [Float]] = [:]
        for task in manifest.tasks {
            found[task.name] = try output(outputs, task.name, count: patches * task.outputs)
        }
        return found
    }

    private func output(_ outputs: MLFeatureProvider, _ name: String, count: Int) throws -> [Float] {
        guard let array = outputs.featureValue(for: name)?.multiArrayValue, array.count == count else {
            throw VecaError.engine("the output \(name) of \(self.name) does not have \(count) values")
        }
        // Its rows may be padded and its numbers of another width; a shaped array knows.
        return MLShapedArray<Float>(converting: array).scalars
    }

    /// Logits, or nil without a head. Of a classifier, the logarithms of its probabilities.
    private func logits(_ outputs: MLFeatureProvider) throws -> [Float]? {
        if manifest.labels.isEmpty { return nil }
        guard let probabilities = outputs.featureValue(for: "probabilities")?.dictionaryValue else {
            return try output(outputs, "logits", count: manifest.labels.count)
        }
        return manifest.labels.map { label in
            let probability = probabilities[AnyHashable(label)]?.floatValue ?? 0
            return logf(max(probability, CoreMLFunction.leastProbability))
        }
    }
}
