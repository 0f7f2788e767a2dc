import Foundation
import VecaEdge

/// What the person taught, kept in a file of the app that is written whole after each change. The worker's.
struct Teacher: Sendable {
    /// Digits of a checkpoint's digest in a file's name: another model starts a gallery of its own.
    private static let digits = 12

    private let file: URL
    private var earlier: [Gallery] = []
    private var gallery: Gallery

    /// The names that were taught, the first in front.
    var names: [String] { gallery.labels.map(\.label) }
    /// Whether there is a change to take back: of this run of the app.
    var canUndo: Bool { !earlier.isEmpty }

    init(_ model: Model) throws {
        let folder = try FileManager.default.url(
            for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
        file = folder.appendingPathComponent("my-things-\(model.sourceDigest.prefix(Teacher.digits)).npz")
        gallery = Gallery(of: model)
    }

    /// Read what was taught before.
    ///
    /// - Throws: `VecaError`, as then does every change: a damaged file stays as it is.
    mutating func open(_ model: Model) throws {
        if FileManager.default.fileExists(atPath: file.path) {
            gallery = try Gallery.load(file, model: model)
        }
    }

    /// Add a result as an example of a name.
    ///
    /// - Throws: `VecaError` for a name that cannot be shown, or a file that cannot be written.
    mutating func teach(_ name: String, _ result: Result) throws {
        let next = try gallery.add(name.trimmingCharacters(in: .whitespaces), result)
        if next.examples.count == gallery.examples.count { return }
        let before = gallery
        gallery = try next.save(to: file, before: before)
        earlier.append(before)
    }

    /// Take the last example back.
    mutating func undo() throws {
        guard let before = earlier.last else { return }
        gallery = try before.save(to: file, before: gallery)
        earlier.removeLast()
    }

    /// The name of what is seen, if it was taught and is like enough; else nil.
    func recognised(_ result: Result) throws -> Match? {
        try gallery.predict(result, k: 1).first { $0.sure }
    }
}
