import Foundation

/// What a gallery remembers of a picture or of a box in it.
public struct Example: Sendable {
    /// The name that it was given.
    public let label: String
    /// D' values: the embedding of the picture, or the mean of the box's patch features.
    public let vector: [Float]
    /// Whether it is of a box.
    public let region: Bool
    /// Of the model's input then, in pixels; nil if that is not known.
    public var imageSize: Int?
}

/// Equal is the same example of the same name, bit by bit.
extension Example: Hashable {
    public static func == (first: Example, second: Example) -> Bool {
        first.label == second.label && first.region == second.region
            && first.vector.map(\.bitPattern) == second.vector.map(\.bitPattern)
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(label)
        hasher.combine(region)
        hasher.combine(vector.map(\.bitPattern))
    }
}

/// A name that a picture may have.
public struct Match: Hashable, Sendable {
    public let label: String
    /// Cosine of the picture and the mean of the name's examples, -1..1.
    public let similarity: Double
    /// Whether it is worth showing; only the best match can be. An unknown thing is like nothing enough.
    public let sure: Bool
}

/// Named examples of one model. A value: what changes it makes a new one, so undo is to keep the one before.
///
///     let box = Region(x: 40, y: 60, width: 200, height: 120)
///     let gallery = try Gallery(of: model).add("mug", model(photo)).add("keys", model(other), box: box)
///     try gallery.save(to: url)
///     let best = try gallery.predict(model(image)).first
public struct Gallery: Sendable {
    static let longestName = 100

    /// In the order in which they were added.
    public let examples: [Example]
    /// What is taken off vectors before they are compared, nil for nothing.
    public let means: Means?
    /// SHA-256 of the checkpoint that its model was made from, hexadecimal; "" if that is not known.
    public let model: String
    private let images: GalleryIndex
    private let regions: GalleryIndex

    init(examples: [Example] = [], means: Means? = nil, model: String = "") {
        self.examples = examples
        self.means = means
        self.model = model
        images = GalleryIndex(examples.filter { !$0.region }, mean: means?.embedding)
        regions = GalleryIndex(examples.filter(\.region), mean: means?.features)
    }

    /// An empty gallery for the results of a model.
    public init(of model: Model) {
        self.init(means: model.means, model: model.sourceDigest)
    }

    /// How many examples each name has, the name that was added first in front.
    public var labels: [(label: String, count: Int)] {
        var counts: [String: Int] = [:]
        for example in examples {
            counts[example.label, default: 0] += 1
        }
        return distinct(examples.map(\.label)).map { ($0, counts[$0] ?? 0) }
    }

    /// Pixels at which most of the examples were taught, and new pictures are best asked about; nil if unknown.
    public var imageSize: Int? {
        var counts: [Int: Int] = [:]
        let sizes = examples.compactMap(\.imageSize)
        for size in sizes {
            counts[size, default: 0] += 1
        }
        let most = counts.values.max()
        return sizes.first { counts[$0] == most }
    }

    /// D', values of a vector, nil as long as that is open.
    public var width: Int? { examples.first?.vector.count ?? means?.embedding.count }

    /// This gallery and one more example. The same picture under the same name counts once.
    ///
    /// - Parameters:
    ///   - label: 1 to 100 printable characters.
    ///   - result: of the gallery's model, at any core budget and image size.
    ///   - box: in pixels of the picture, of which the part within `result.crop` counts; nil for the whole picture.
    ///     Boxes are compared with boxes only, and whole pictures with whole pictures.
    /// - Throws: `VecaError.badSetting` for a name that cannot be shown, a result of another model or a box without an
    ///   area within `result.crop`; `.engine` for values that are not numbers.
    public func add(_ label: String, _ result: Result, box: Region? = nil) throws -> Gallery {
        let name = try checkedLabel(label)
        // With fit "keep" the short side is what was asked for; all other fits make squares.
        let size = min(result.width, result.height)
        let example = Example(label: name, vector: try vector(result, box), region: box != nil, imageSize: size)
        return examples.contains(example) ? self : with(examples + [example])
    }

    /// This gallery without a name and all its examples.
    ///
    /// - Throws: `VecaError.badSetting` if there is no such name.
    public func remove(_ label: String) throws -> Gallery {
        let name = label.precomposedStringWithCanonicalMapping
        let kept = examples.filter { $0.label != name }
        guard kept.count < examples.count else {
            let known = labels.isEmpty ? "nothing yet" : labels.prefix(5).map(\.label).joined(separator: ", ")
            throw VecaError.badSetting("the gallery has no '\(shown(label))': it knows \(known)")
        }
        return with(kept)
    }

    /// The names that are most alike, best first; of a box only those that have examples of boxes.
    ///
    /// - Parameters:
    ///   - result: as in `add`.
    ///   - box: as in `add`.
    ///   - k: matches at most, 1 or more.
    /// - Throws: as `add`, but for names; `VecaError.badSetting` for an impossible k.
    public func predict(_ result: Result, box: Region? = nil, k: Int = 5) throws -> [Match] {
        guard k >= 1 else {
            throw VecaError.badSetting("predict(k: \(k)): use a whole number of matches, 1 or more")
        }
        let index = box == nil ? images : regions
        return index.ranked(try vector(result, box)).prefix(k).enumerated().map { place, found in
            let sure = place == 0 && found.similarity >= index.threshold
            return Match(label: found.label, similarity: found.similarity, sure: sure)
        }
    }

    /// The similarity from which on the best match is sure, of pictures or of boxes; 1 without examples.
    public func threshold(region: Bool = false) -> Double {
        (region ? regions : images).threshold
    }

    /// Write a file, whole or not at all; what others wrote there meanwhile is kept. Not for the main thread.
    ///
    /// - Parameters:
    ///   - url: its name ends in .npz. Examples that a file of this name holds stay in it.
    ///   - before: what this writer loaded or saved there last: what is in it and no more in this gallery is taken out
    ///     of the file.
    /// - Returns: what the file holds now.
    /// - Throws: `VecaError.badGallery` if it cannot be written, or is there and no gallery of this model.
    @discardableResult
    public func save(to url: URL, before: Gallery? = nil) throws -> Gallery {
        try GalleryFile.save(self, url, before)
    }

    /// Read a file that `save` wrote, or Python or Kotlin did. Not for the main thread.
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - model: what it is to be used with; nil leaves that to the caller.
    /// - Throws: `VecaError.noFile`; `.badGallery`: damaged, of a newer format, or of another model.
    public static func load(_ url: URL, model: Model? = nil) throws -> Gallery {
        try GalleryFile.load(url, model.map { Gallery(of: $0) })
    }

    /// The same model's with other examples.
    func with(_ examples: [Example]) -> Gallery {
        Gallery(examples: examples, means: means, model: model)
    }

    /// What is compared of a result, checked: D' values.
    private func vector(_ result: Result, _ box: Region?) throws -> [Float] {
        try checkedVector(box.map { try regionMean(result, $0) } ?? result.embedding, width)
    }
}

/// A name as galleries keep it, in Unicode's composed form.
///
/// - Throws: `VecaError.badSetting` for one that cannot be shown.
func checkedLabel(_ label: String) throws -> String {
    let length = label.unicodeScalars.count
    guard length <= Gallery.longestName else {
        throw VecaError.badSetting(
            "the name '\(shown(label, 30))…' is \(length) characters long: use at most \(Gallery.longestName)")
    }
    let name = label.precomposedStringWithCanonicalMapping
    let points = name.unicodeScalars
    guard let first = points.first, let last = points.last, first != " ", last != " ",
        points.count <= Gallery.longestName, points.allSatisfy(isPrintable)
    else {
        throw VecaError.badSetting(
            "the name '\(shown(label))' cannot be shown: use printable characters, no space at the ends")
    }
    return name
}

/// What is unassigned may be an emoji that newer systems know.
private func isPrintable(_ point: Unicode.Scalar) -> Bool {
    switch point.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .lineSeparator, .paragraphSeparator: return false
    case .spaceSeparator: return point == " "
    default: return true
    }
}

/// The text in one line that steers no terminal.
private func shown(_ label: String, _ most: Int = 60) -> String {
    var text = ""
    for point in label.unicodeScalars.prefix(most) {
        text.unicodeScalars.append(isPrintable(point) ? point : "?")
    }
    return text
}

/// A vector that is finite and of the gallery's width.
///
/// - Throws: `VecaError.badSetting`, or `.engine` for values that are not numbers.
func checkedVector(_ vector: [Float], _ width: Int?) throws -> [Float] {
    if vector.isEmpty { throw VecaError.badSetting("expected one vector of a picture, got none") }
    if let width, vector.count != width {
        throw VecaError.badSetting(
            "a result of \(vector.count) values, and the gallery's have \(width): use the gallery's model")
    }
    guard vector.allSatisfy(\.isFinite) else {
        throw VecaError.engine("the model gave values that are not numbers: verify the file with `veca-edge verify`")
    }
    return vector
}
