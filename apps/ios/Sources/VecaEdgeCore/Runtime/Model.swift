import Foundation

/// Seconds of a clock that never goes back.
@Sendable public func monotonicSeconds() -> Double {
    ProcessInfo.processInfo.systemUptime
}

/// One set of weights that runs at every core budget and image size it was made for.
///
///     let result = try model(image, cores: 32)
///
/// Calls from several threads wait for one another.
public final class Model: @unchecked Sendable {
    public let name: String
    public let engine: Engine
    public let preprocessing: Preprocessing
    /// Side of a patch, pixels.
    public let patchSize: Int
    /// Core counts, ascending.
    public let budgets: [Int]
    /// Names of the head's classes; none without a head.
    public let labels: [String]
    /// What each operating point is worth; nil if the file does not say.
    public let quality: QualityTable?
    /// SHA-256 of the program, hexadecimal: another model has another one.
    public let digest: String
    /// SHA-256 of the checkpoint, hexadecimal.
    public let sourceDigest: String
    /// What photos have in common, for galleries; nil if the file does not say.
    public let means: Means?
    /// What the dense heads say, by name: those that the engine computes as well.
    public let tasks: [DenseTask]
    /// How sure the model must be of a label before `Result.sure` is true. To be set before the first call.
    public var certainty: Certainty
    /// The dense heads that are computed here.
    let dense: [DenseHead]
    private let head: Head?
    private let lock = NSLock()
    let clock: () -> Double

    /// - Parameters:
    ///   - manifest: of the model file.
    ///   - engine: that runs it.
    ///   - head: the classifier, if it is not in the program itself.
    ///   - dense: the heads for every patch, if they are not in the program itself.
    ///   - budgets: those of the manifest that the engine has loaded, ascending; nil for all.
    ///   - clock: seconds that never go back.
    public init(
        manifest: Manifest, engine: Engine, head: Head? = nil, dense: [DenseHead] = [], budgets: [Int]? = nil,
        clock: @escaping () -> Double = monotonicSeconds
    ) {
        name = manifest.name
        self.engine = engine
        preprocessing = manifest.preprocessing
        patchSize = manifest.patchSize
        self.budgets = budgets ?? manifest.budgets
        labels = manifest.labels
        quality = manifest.quality
        digest = manifest.programDigest
        sourceDigest = manifest.sourceDigest
        means = manifest.means
        tasks = manifest.tasks
        certainty = manifest.certainty
        self.dense = dense
        self.head = head
        self.clock = clock
    }

    /// Run the model on an image.
    ///
    /// - Parameters:
    ///   - image: any size; `preprocessing` says how it is fitted to the model.
    ///   - cores: one of `budgets`; nil for the largest. Changing it from call to call costs nothing.
    ///   - imageSize: pixels in place of the preprocessing's, a multiple of the patch size.
    /// - Throws: `VecaError`.
    public func callAsFunction(_ image: RGBImage, cores: Int? = nil, imageSize: Int? = nil) throws -> Result {
        let start = clock()
        let cores = try checked(cores: cores)
        let fitted = try preprocessing.resize(image, patchSize: patchSize, imageSize: imageSize)
        let encoded = try exclusively { try engine.encode(fitted.image, cores: cores) }
        let (width, height) = (fitted.image.width, fitted.image.height)
        let grid = PatchGrid(rows: height / patchSize, columns: width / patchSize)
        let outputs = encoded.dense.merging(denseOutputs(encoded.features)) { known, _ in known }
        return Result(
            embedding: encoded.embedding, features: encoded.features, coreAttention: encoded.coreAttention,
            logits: encoded.logits ?? logits(embedding: encoded.embedding, features: encoded.features),
            labels: labels, cores: cores, grid: grid, width: width, height: height, crop: fitted.crop,
            latency: clock() - start, dense: said(outputs, grid, fitted.crop), certainty: certainty)
    }

    /// Whether it can compute some of an image's patches.
    public var canStream: Bool { engine is StepEngine }

    /// A stream: frame after frame, of which only the changed patches are computed.
    ///
    /// - Parameters:
    ///   - cores: as in a call; `PatchStream.use(cores:)` changes it later.
    ///   - imageSize: as in a call.
    ///   - change: what counts as change, and how many patches may be computed per frame.
    /// - Throws: `VecaError.notOffered`, or `.noStreams` for an engine that cannot (Core ML).
    public func stream(
        cores: Int? = nil, imageSize: Int? = nil, change: ChangeSettings = .standard
    ) throws -> PatchStream {
        guard let steps = engine as? StepEngine else { throw VecaError.noStreams }
        return PatchStream(
            model: self, engine: steps, cores: try checked(cores: cores), imageSize: imageSize, settings: change)
    }

    /// `cores` if the model offers it, the largest budget for nil.
    func checked(cores: Int?) throws -> Int {
        guard let cores = cores ?? budgets.last, budgets.contains(cores) else {
            let offered = budgets.map(String.init).joined(separator: ", ")
            throw VecaError.notOffered("\(cores ?? 0) cores: this model offers \(offered)")
        }
        return cores
    }

    /// Call the engine, which takes one call at a time.
    func exclusively<T>(_ call: () throws -> T) rethrows -> T {
        lock.lock()
        defer { lock.unlock() }
        return try call()
    }

    /// What the dense heads that are computed here give for all patches, by name.
    func denseOutputs(_ features: [Float]) -> [String: [Float]] {
        Dictionary(uniqueKeysWithValues: dense.map { ($0.task.name, $0.outputs(features)) })
    }

    /// The dense results of these outputs, by name.
    func said(
        _ outputs: [String: [Float]], _ grid: PatchGrid, _ crop: Box, computed: [Bool]? = nil
    ) -> [String: DenseResult] {
        var results: [String: DenseResult] = [:]
        for task in tasks {
            results[task.name] = outputs[task.name].map { DenseResult(task, $0, grid, crop: crop, computed: computed) }
        }
        return results
    }

    func logits(embedding: [Float], features: [Float]) -> [Float]? {
        head?.logits(embedding: embedding, features: features)
    }
}
