/// What an engine computes from one image.
public struct Encoded: Sendable {
    /// D' values: the first core.
    public var embedding: [Float]
    /// N * D' values, one vector per patch, row by row.
    public var features: [Float]
    /// N * C values, the last layer's attention of each patch to each core; nil if the model does not compute it.
    public var coreAttention: [Float]?
    /// K values if the head is in the program itself, else nil.
    public var logits: [Float]?
    /// N * outputs values by the names of dense heads that are in the program itself.
    public var dense: [String: [Float]]

    public init(
        embedding: [Float], features: [Float], coreAttention: [Float]?, logits: [Float]? = nil,
        dense: [String: [Float]] = [:]
    ) {
        self.embedding = embedding
        self.features = features
        self.coreAttention = coreAttention
        self.logits = logits
        self.dense = dense
    }
}

/// What an engine computes for n patches of an image.
public struct Stepped: Sendable {
    /// D' values.
    public var embedding: [Float]
    /// n * D' values.
    public var features: [Float]
    /// n * C values.
    public var coreAttention: [Float]
    /// Per layer, heads * n * headDim values, positions applied.
    public var keys: [[Float]]
    /// Per layer, heads * n * headDim values.
    public var values: [[Float]]

    public init(embedding: [Float], features: [Float], coreAttention: [Float], keys: [[Float]], values: [[Float]]) {
        self.embedding = embedding
        self.features = features
        self.coreAttention = coreAttention
        self.keys = keys
        self.values = values
    }
}

/// Runs one model. One call at a time; what it returns belongs to the caller.
public protocol Engine: AnyObject {
    /// For people: "coreml" or "executorch".
    var name: String { get }

    /// Whether there is a function for this budget and this image size, pixels.
    func offers(cores: Int, imageSize: Int) -> Bool

    /// Run the model on an image whose sides are multiples of the patch size.
    ///
    /// - Throws: `VecaError.notOffered` for a size that the model file was not made for, `.engine` if it fails.
    func encode(_ image: RGBImage, cores: Int) throws -> Encoded
}

/// An engine that can compute some of an image's patches.
public protocol StepEngine: Engine {
    /// How a token's keys and values are laid out in a layer.
    var heads: Int { get }

    /// Compute some patches; the cores also read the remembered ones.
    ///
    /// - Parameters:
    ///   - patches: n * p * p * 3 values, 0..255.
    ///   - positions: n * 2 values, their cells' centres.
    ///   - cores: core budget.
    ///   - mask: N values added to the attention scores of remembered rows: 0, or `PatchCache.hide` for a row that is
    ///     being replaced; nil without a cache.
    ///   - cache: the remembered rows, or nil if there are none.
    func step(patches: [Float], positions: [Float], cores: Int, mask: [Float]?, cache: PatchCache?) throws -> Stepped
}
