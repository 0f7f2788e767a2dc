// The manifest as it lies in a file: JSON names and shapes. `Manifest` is what the rest of the package reads.

struct StoredVersion: Decodable {
    let format: String
    let formatVersion: Int

    enum CodingKeys: String, CodingKey {
        case format
        case formatVersion = "format_version"
    }
}

struct StoredManifest: Decodable {
    let name: String
    let target: String
    let quantization: String
    let hiddenDim: Int
    let featureDim: Int
    let numHeads: Int
    let numLayers: Int
    let patchSize: Int
    let numCores: Int
    let budgets: [Int]
    let imageSize: Int
    let maxPatches: Int
    let preprocessing: StoredPreprocessing
    let labels: [String]
    let methods: [String]
    let programSize: Int
    let programDigest: String
    let sourceDigest: String
    let quality: StoredQuality?
    let heads: [String: StoredTask]?
    let certainty: StoredCertainty?
    let means: StoredMeans?

    enum CodingKeys: String, CodingKey {
        case name, target, quantization, budgets, preprocessing, labels, methods, quality, heads, certainty, means
        case hiddenDim = "hidden_dim"
        case featureDim = "feature_dim"
        case numHeads = "num_heads"
        case numLayers = "num_layers"
        case patchSize = "patch_size"
        case numCores = "num_cores"
        case imageSize = "image_size"
        case maxPatches = "max_patches"
        case programSize = "program_size"
        case programDigest = "program_digest"
        case sourceDigest = "source_digest"
    }
}

struct StoredPreprocessing: Decodable {
    let imageSize: Int?
    let fit: String?
    let mean: [Double]?
    let std: [Double]?

    enum CodingKeys: String, CodingKey {
        case imageSize = "image_size"
        case fit, mean, std
    }

    /// - Throws: `VecaError.badSetting`; missing names take their defaults.
    func read() throws -> Preprocessing {
        let name = fit ?? Preprocessing.Fit.crop.rawValue
        guard let kind = Preprocessing.Fit(rawValue: name) else {
            let known = Preprocessing.Fit.allCases.map(\.rawValue).joined(separator: ", ")
            throw VecaError.badSetting("preprocessing: fit is '\(name)', expected one of \(known)")
        }
        return try Preprocessing(
            imageSize: imageSize ?? 256, fit: kind, mean: mean ?? Preprocessing.imagenetMean,
            std: std ?? Preprocessing.imagenetStd)
    }
}

/// How sure the model must be of a label; missing names take their defaults.
struct StoredCertainty: Decodable {
    let temperature: Double?
    let threshold: Double?

    /// - Throws: `VecaError.badSetting` for a number out of its range.
    func read() throws -> Certainty {
        try Certainty(temperature: temperature ?? 1, threshold: threshold ?? Certainty.defaultThreshold)
    }
}

/// A dense head's table.
struct StoredTask: Decodable {
    let kind: String?
    let cells: Int?
    let labels: [String]?
    let colours: [[UInt8]]?
    let unit: String?
    let range: [Double]?

    /// - Throws: `VecaError.badSetting` for what no head can say.
    func read(name: String) throws -> DenseTask {
        func require(_ holds: Bool, _ what: String) throws {
            if !holds { throw VecaError.badSetting("head \(name.prefix(40)): its \(what) cannot be read") }
        }
        if kind == DenseTask.Kind.regression.rawValue {
            let (ends, unit) = (range ?? [0, 1], unit ?? "")
            try require(ends.count == 2 && ends[0] < ends[1], "range")
            try require(unit.count <= DenseTask.longestUnit && unit.allSatisfy(isPrintable), "unit")
            return try DenseTask(
                name: name, kind: .regression, cells: cells ?? 1, unit: unit, range: ends[0]...ends[1])
        }
        try require(kind == nil || kind == DenseTask.Kind.segmentation.rawValue, "kind")
        let labels = labels ?? []
        try require(labels.count <= DenseTask.mostClasses && labels.allSatisfy(isLabel), "labels")
        let given = colours ?? []
        try require(given.allSatisfy { $0.count == 3 }, "colours")
        return try DenseTask(
            name: name, kind: .segmentation, cells: cells ?? 1, labels: labels,
            colours: given.map { Colour(red: $0[0], green: $0[1], blue: $0[2]) })
    }

    private func isLabel(_ text: String) -> Bool {
        text.contains { !$0.isWhitespace } && text.count <= DenseTask.longestLabel && text.allSatisfy(isPrintable)
    }

    private func isPrintable(_ letter: Character) -> Bool {
        letter.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
    }
}

/// The quality table; `{}` in a file whose points were not evaluated.
struct StoredQuality: Decodable {
    struct Row: Decodable {
        let cores: Int
        let imageSize: Int
        let patchBudget: Int?
        let embeddingCosine: Double
        let featureCosine: Double
        let labelOverlap: Double?
        let denseAgreement: Double?
        let top1Agreement: Double?

        enum CodingKeys: String, CodingKey {
            case cores
            case imageSize = "image_size"
            case patchBudget = "patch_budget"
            case embeddingCosine = "embedding_cosine"
            case featureCosine = "feature_cosine"
            case labelOverlap = "label_overlap"
            case denseAgreement = "dense_agreement"
            case top1Agreement = "top1_agreement"
        }
    }

    struct Fresh: Decodable {
        let ages: [Double]
        let worth: [Double]
    }

    let rows: [Row]?
    let freshness: Fresh?

    /// - Throws: `VecaError.badTable` for a value out of range.
    func read() throws -> QualityTable? {
        guard let rows else { return nil }
        let evaluated = try rows.map { row in
            let cosines = [row.embeddingCosine, row.featureCosine]
            let shares = [row.labelOverlap, row.denseAgreement, row.top1Agreement].compactMap { $0 }
            let counts = [row.cores, row.imageSize, row.patchBudget ?? 1]
            // Cosines may exceed 1 by rounding.
            guard cosines.allSatisfy({ $0 >= -1 - 1e-5 && $0 <= 1 + 1e-5 }),
                counts.allSatisfy({ $0 >= 1 && $0 <= 1_000_000 }),
                shares.allSatisfy({ $0 >= -1e-5 && $0 <= 1 + 1e-5 })
            else {
                throw VecaError.badTable("the quality table has a value out of its range")
            }
            return QualityRow(
                configuration: RunConfiguration(
                    cores: row.cores, imageSize: row.imageSize, patchBudget: row.patchBudget),
                embeddingCosine: row.embeddingCosine, featureCosine: row.featureCosine,
                labelOverlap: row.labelOverlap ?? row.top1Agreement, denseAgreement: row.denseAgreement)
        }
        guard !evaluated.isEmpty else { throw VecaError.badTable("the quality table is empty") }
        let fresh = try freshness.map { try Freshness(ages: $0.ages, worth: $0.worth) } ?? Freshness()
        return QualityTable(rows: evaluated, freshness: fresh)
    }
}
