/// What the photos of a conversion have in common: a gallery takes it off before two of a model's vectors are compared.
public struct Means: Equatable, Sendable {
    /// Of a value; embeddings have about 1.
    static let largestMean = 1e6

    /// D' values, the mean of the embeddings.
    public let embedding: [Double]
    /// D' values, the mean of all patch features.
    public let features: [Double]
    /// How many there were.
    public let photos: Int

    init(embedding: [Double], features: [Double], photos: Int = 0) {
        self.embedding = embedding
        self.features = features
        self.photos = photos
    }
}

/// The means as they lie in a manifest.
struct StoredMeans: Codable {
    let embedding: [Double]
    let features: [Double]
    let photos: Int

    enum CodingKeys: String, CodingKey {
        case embedding, features, photos
    }

    init(_ means: Means) {
        embedding = means.embedding
        features = means.features
        photos = means.photos
    }

    init(from decoder: Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        embedding = try values.decode([Double].self, forKey: .embedding)
        features = try values.decode([Double].self, forKey: .features)
        // For people only: what is no number of photos is as good as none.
        photos = max(0, (try? values.decode(Int.self, forKey: .photos)) ?? 0)
    }

    /// - Parameter width: D' of the model.
    /// - Throws: `VecaError.badSetting` unless both are lists of so many finite numbers.
    func read(width: Int) throws -> Means {
        guard embedding.count == width, features.count == width else {
            throw VecaError.badSetting("means: they are no two lists of \(width) numbers")
        }
        guard (embedding + features).allSatisfy({ abs($0) <= Means.largestMean }) else {
            throw VecaError.badSetting("means: a value is no number, or too large")
        }
        return Means(embedding: embedding, features: features, photos: photos)
    }
}
