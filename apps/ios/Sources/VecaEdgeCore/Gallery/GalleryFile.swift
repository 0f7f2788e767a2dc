import Foundation

/// The file of a gallery: an .npz archive, which writers that meet add to.
///
///     my-things.npz = manifest.json  examples.npy
///
/// The manifest holds what `StoredGallery` says; `examples.npy` is float32 (n, D'), a row for each of its labels.
enum GalleryFile {
    static let galleryFormat = "veca-edge gallery"
    static let newestGalleryVersion = 1
    static let mostExamples = 1_000_000
    static let mostWidth = 65536
    /// Hexadecimal digits of a model's digest in a message.
    static let shownDigest = 12
    static let manifest = "manifest.json"
    static let vectors = "examples.npy"
    /// One writer at a time: from reading to writing takes moments.
    private static let lock = NSLock()

    /// See `Gallery.save`.
    static func save(_ gallery: Gallery, _ url: URL, _ before: Gallery?) throws -> Gallery {
        let name = url.lastPathComponent
        guard name.hasSuffix(".npz") else {
            throw VecaError.badGallery("cannot write \(name): let the name of a gallery end in .npz")
        }
        lock.lock()
        defer { lock.unlock() }
        // Only what this writer changed is changed in the file, which may hold more by now than it knows of.
        let isThere = FileManager.default.fileExists(atPath: url.path)
        let there = isThere ? try load(url, gallery).examples : []
        let gone = before.map { without($0.examples, gallery.examples) } ?? []
        let kept = without(there, gone)
        let known = isThere ? before?.examples ?? [] : []
        let merged = gallery.with(kept + without(without(gallery.examples, known), kept))
        do {
            let folder = url.deletingLastPathComponent()
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try archive(merged).write(to: url, options: .atomic)
        } catch {
            throw VecaError.badGallery("cannot write \(name): \(error.localizedDescription)")
        }
        return merged
    }

    /// See `Gallery.load`.
    ///
    /// - Parameter wanted: a gallery of the model that it is to be used with, nil for any.
    static func load(_ url: URL, _ wanted: Gallery?) throws -> Gallery {
        let name = url.lastPathComponent
        let data: Data
        do {
            data = try Data(contentsOf: url)
        } catch {
            throw VecaError.noFile("\(name): \(error.localizedDescription)")
        }
        let gallery: Gallery
        do {
            gallery = try read(data)
        } catch let error as VecaError {
            throw VecaError.badGallery("\(name): \(error.message)")
        }
        if let wanted {
            try checkModel(name, gallery, wanted)
        }
        return gallery
    }

    /// Refuse examples of another model: vectors of different weights have nothing to do with each other.
    private static func checkModel(_ name: String, _ gallery: Gallery, _ wanted: Gallery) throws {
        let unlike = !gallery.model.isEmpty && !wanted.model.isEmpty && gallery.model != wanted.model
        let wide = gallery.width.flatMap { width in wanted.width.map { $0 != width } } ?? false
        if !unlike && !wide { return }
        let start = gallery.model.prefix(shownDigest)
        let digest = start.isEmpty ? "" : " (checkpoint sha256 \(start)…)"
        throw VecaError.badGallery(
            "\(name) was taught with another model\(digest): use a file made from that checkpoint, or teach the "
                + "examples to a new gallery")
    }

    private static func archive(_ gallery: Gallery) throws -> Data {
        let stored = StoredGallery(
            format: galleryFormat, formatVersion: newestGalleryVersion, model: gallery.model,
            width: gallery.width ?? 0, labels: gallery.examples.map(\.label),
            regions: gallery.examples.map(\.region), imageSizes: gallery.examples.map { $0.imageSize ?? 0 },
            means: gallery.means.map { StoredMeans($0) })
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys  // so that equal galleries are equal files
        var members = [(name: manifest, bytes: try encoder.encode(stored))]
        let rows = gallery.examples.map(\.vector)
        if let width = rows.first?.count {
            members.append((name: vectors, bytes: writeNPY(rows.flatMap { $0 }, shape: [rows.count, width])))
        }
        return StoredZip.archive(members)
    }

    private static func read(_ data: Data) throws -> Gallery {
        let archive: StoredZip
        let json: Data
        do {
            archive = try StoredZip(data)
            json = try archive.member(manifest)
        } catch {
            throw VecaError.badGallery(
                "no gallery, or a damaged one: use a copy of it, or teach to another file")
        }
        guard let version = try? JSONDecoder().decode(StoredVersion.self, from: json), version.format == galleryFormat
        else {
            throw VecaError.badGallery("is no gallery: it was made by another tool")
        }
        guard (1...newestGalleryVersion).contains(version.formatVersion) else {
            throw VecaError.badGallery(
                "has format \(version.formatVersion), this package reads up to \(newestGalleryVersion): update it")
        }
        guard let stored = try? JSONDecoder().decode(StoredGallery.self, from: json) else {
            throw wrong("model, width, labels, regions or means")
        }
        guard stored.model.isEmpty || isDigest(stored.model), (0...mostWidth).contains(stored.width) else {
            throw wrong("model or width")
        }
        guard stored.labels.count == stored.regions.count, stored.labels.count <= mostExamples else {
            throw wrong("labels or regions")
        }
        let sizes = stored.imageSizes ?? [Int](repeating: 0, count: stored.labels.count)  // files of before have none
        let possible = 0...Preprocessing.mostPixels
        guard sizes.count == stored.labels.count, sizes.allSatisfy(possible.contains) else {
            throw wrong("image_sizes")
        }
        let means = try stored.means?.read(width: stored.width)
        let (count, width) = (stored.labels.count, stored.width)
        let rows = count == 0 ? [] : try readNPY(try archive.member(vectors), shape: [count, width])
        let examples = try stored.labels.indices.map { index in
            Example(
                label: try checkedLabel(stored.labels[index]),
                vector: try checkedVector(Array(rows[(index * width)..<((index + 1) * width)]), width),
                region: stored.regions[index], imageSize: sizes[index] > 0 ? sizes[index] : nil)
        }
        return Gallery(examples: examples, means: means, model: stored.model)
    }

    private static func wrong(_ what: String) -> VecaError { .badGallery("its manifest is damaged: \(what)") }

    private static func isDigest(_ text: String) -> Bool {
        text.utf8.count == 64 && text.utf8.allSatisfy { Array("0123456789abcdef".utf8).contains($0) }
    }

    /// The examples that are not among others, in their order.
    private static func without(_ examples: [Example], _ gone: [Example]) -> [Example] {
        let known = Set(gone)
        return examples.filter { !known.contains($0) }
    }
}

/// The manifest as it lies in a file.
private struct StoredGallery: Codable {
    let format: String
    let formatVersion: Int
    let model: String
    let width: Int
    let labels: [String]
    let regions: [Bool]
    let imageSizes: [Int]?
    let means: StoredMeans?

    enum CodingKeys: String, CodingKey {
        case format, model, width, labels, regions, means
        case formatVersion = "format_version"
        case imageSizes = "image_sizes"
    }
}
