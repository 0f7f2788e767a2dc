import Foundation

/// What a model file says about itself. The fields are those of `veca_edge/runtime/manifest.py` that a phone reads.
public struct Manifest: Sendable {
    static let format = "veca-edge model"
    static let newestVersion = 1

    /// For people.
    public let name: String
    /// "executorch", or "coreml" (a package).
    public let target: String
    public let quantization: String
    /// Width D of a token.
    public let hiddenDim: Int
    /// Width D' of the embedding and of the patch features.
    public let featureDim: Int
    public let numHeads: Int
    public let numLayers: Int
    public let patchSize: Int
    public let numCores: Int
    /// Core counts the file was made for, ascending.
    public let budgets: [Int]
    /// Side in pixels of the image that the first functions take.
    public let imageSize: Int
    /// Most patches that `encode` and `step` take at once.
    public let maxPatches: Int
    public let preprocessing: Preprocessing
    /// Names of the head's classes, none without a head.
    public let labels: [String]
    /// The program's methods or the package's functions.
    public let methods: [String]
    /// Bytes of the program at the start of the file; of a package, its weight file.
    public let programSize: Int
    /// SHA-256 of those bytes, hexadecimal.
    public let programDigest: String
    /// SHA-256 of the checkpoint, hexadecimal.
    public let sourceDigest: String
    /// What each operating point keeps of the best one's results; nil if it was not measured.
    public let quality: QualityTable?
    /// What its dense heads say, by name; none in older files.
    public let tasks: [DenseTask]
    /// How sure the model must be of a label before that is shown; the default in older files.
    public let certainty: Certainty
    /// What photos have in common, for galleries; nil in older files.
    public let means: Means?

    /// Read a manifest.
    ///
    /// - Throws: `VecaError.badModelFile`: not a manifest, of a newer format, or with a value missing or of the wrong
    ///   kind.
    public init(json: Data) throws {
        let stored: StoredManifest
        do {
            let version = try JSONDecoder().decode(StoredVersion.self, from: json)
            guard version.format == Manifest.format else {
                throw VecaError.badModelFile("the manifest is not of veca-edge")
            }
            guard (1...Manifest.newestVersion).contains(version.formatVersion) else {
                throw VecaError.badModelFile(
                    "made for format \(version.formatVersion), this package reads up to \(Manifest.newestVersion): "
                        + "update it")
            }
            stored = try JSONDecoder().decode(StoredManifest.self, from: json)
        } catch let error as VecaError {
            throw error
        } catch {
            throw VecaError.badModelFile("the manifest is not valid: \(told(error))")
        }
        name = stored.name
        target = stored.target
        quantization = stored.quantization
        hiddenDim = stored.hiddenDim
        featureDim = stored.featureDim
        numHeads = stored.numHeads
        numLayers = stored.numLayers
        patchSize = stored.patchSize
        numCores = stored.numCores
        budgets = stored.budgets
        imageSize = stored.imageSize
        maxPatches = stored.maxPatches
        labels = stored.labels
        methods = stored.methods
        programSize = stored.programSize
        programDigest = stored.programDigest
        sourceDigest = stored.sourceDigest
        do {
            preprocessing = try stored.preprocessing.read()
            quality = try stored.quality?.read()
            certainty = try stored.certainty?.read() ?? Certainty()
            means = try stored.means?.read(width: stored.featureDim)
            let heads = stored.heads ?? [:]
            guard heads.count <= DenseTask.mostHeads else {
                throw VecaError.badModelFile("\(heads.count) heads: a file holds at most \(DenseTask.mostHeads)")
            }
            tasks = try heads.sorted { $0.key < $1.key }.map { try $0.value.read(name: $0.key) }
        } catch let error as VecaError {
            throw VecaError.badModelFile(error.message)
        }
        try check()
    }

    private func check() throws {
        let sizes = [
            hiddenDim, featureDim, numHeads, numLayers, patchSize, numCores, imageSize, maxPatches, programSize,
        ]
        guard sizes.allSatisfy({ $0 > 0 && $0 < 1 << 40 }), hiddenDim % numHeads == 0 else {
            throw VecaError.badModelFile("the manifest's sizes contradict each other")
        }
        let ascending = zip(budgets, budgets.dropFirst()).allSatisfy { $0 < $1 }
        guard ascending, let least = budgets.first, let most = budgets.last, least > 0, most <= numCores else {
            throw VecaError.badModelFile("the manifest's budgets do not fit its core tokens")
        }
    }

    /// The methods "encode" or "step" with the most patches that each takes, ascending; the last takes `maxPatches`.
    public func sizeBuckets(_ kind: String) -> [(most: Int, name: String)] {
        let smaller = methods.compactMap { method -> Int? in
            guard method.hasPrefix("\(kind)_") else { return nil }
            return Int(method.dropFirst(kind.count + 1))
        }
        let named = smaller.filter { $0 > 0 && $0 < maxPatches }.sorted().map { (most: $0, name: "\(kind)_\($0)") }
        return named + [(most: maxPatches, name: kind)]
    }
}

/// What the decoder says, in one line.
private func told(_ error: Error) -> String {
    switch error as? DecodingError {
    case .keyNotFound(let key, _)?: return "it lacks \(key.stringValue)"
    case .typeMismatch(_, let context)?, .valueNotFound(_, let context)?:
        return "\(context.codingPath.map(\.stringValue).joined(separator: ".")) is of the wrong kind"
    default: return "it is not JSON"
    }
}
