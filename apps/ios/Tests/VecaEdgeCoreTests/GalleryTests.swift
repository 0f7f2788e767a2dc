import XCTest

@testable import VecaEdgeCore

final class GalleryTests: XCTestCase {
    func testBoxes() throws {
        let golden = try Golden.json("gallery.json")
        let cases = try golden.records("regions")
        XCTAssertGreaterThan(cases.count, 3)
        for record in cases {
            let box = try XCTUnwrap(Golden.box(record))
            assertClose(try regionMean(Golden.result(record), box), try record.floats("mean"), "\(box)")
        }
        for record in try golden.records("refused_regions") {
            guard let box = try Golden.box(record) else { continue }
            let sides = try record.integers("grid")
            var result = try Golden.result(record)
            result.grid = PatchGrid(rows: sides[0], columns: sides[1])
            result.features = [Float](repeating: 0, count: result.grid.count * 2)
            XCTAssertNotNil(error(try regionMean(result, box)), "\(box)")
        }
    }

    func testGalleries() throws {
        let cases = try Golden.json("gallery.json").records("galleries")
        XCTAssertGreaterThan(cases.count, 5)
        for record in cases {
            let what = try record.text("what")
            let gallery = try Golden.gallery(record)
            let labels = try XCTUnwrap(record["labels"] as? [[Any]])
            XCTAssertEqual(gallery.labels.map(\.label), labels.compactMap { $0[0] as? String }, what)
            XCTAssertEqual(gallery.labels.map(\.count), labels.compactMap { ($0[1] as? NSNumber)?.intValue }, what)
            let thresholds = try record.record("thresholds")
            XCTAssertEqual(gallery.threshold(), try thresholds.number("images"), accuracy: 1e-4, what)
            XCTAssertEqual(gallery.threshold(region: true), try thresholds.number("regions"), accuracy: 1e-4, what)
            try record.records("queries").forEach { try check(gallery, $0, what) }
        }
    }

    private func check(_ gallery: Gallery, _ record: Golden.Record, _ what: String) throws {
        let found = try gallery.predict(Golden.result(record), box: Golden.box(record), k: record.integer("k"))
        let wanted = try XCTUnwrap(record["matches"] as? [[Any]])
        XCTAssertEqual(found.map(\.label), wanted.compactMap { $0[0] as? String }, what)
        XCTAssertEqual(found.map(\.sure), wanted.compactMap { ($0[2] as? NSNumber)?.boolValue }, what)
        let similarities = wanted.compactMap { ($0[1] as? NSNumber)?.floatValue }
        assertClose(found.map { Float($0.similarity) }, similarities, relative: 0, absolute: 1e-4, what)
    }

    func testNames() throws {
        let result = Golden.result(embedding: [1, 2])
        let refused = try Golden.json("gallery.json").texts("refused_labels")
        let others = [String(repeating: "e\u{301}", count: 51), "\u{e000}", "\u{a0}", "mug\u{2028}"]
        for label in refused + others {
            let text = error(try Gallery().add(label, result))?.message ?? ""
            XCTAssertFalse(text.contains("\n") || text.contains("\u{1b}"), text)
        }
        let longest = String(repeating: "é", count: 100)
        let gallery = try Gallery().add("cafe\u{301}", result).add(longest, result).add("🥑 pear", result)
        XCTAssertEqual(gallery.labels.map(\.label.unicodeScalars.count), [4, 100, 6])
        XCTAssertEqual(try gallery.remove("cafe\u{301}").examples.count, 2)
        XCTAssertNotNil(error(try gallery.remove("mug")))
    }

    func testWhatIsRefused() throws {
        let gallery = try Gallery().add("mug", Golden.result(embedding: [1, 2]))
        let other = Golden.result(embedding: [1, 2, 3])
        XCTAssertNotNil(error(try gallery.add("mug", other)))
        XCTAssertNotNil(error(try gallery.predict(other)))
        XCTAssertNotNil(error(try gallery.predict(Golden.result(embedding: [1, .nan]))))
        XCTAssertNotNil(error(try Gallery().add("mug", Golden.result(embedding: []))))
        XCTAssertNotNil(error(try gallery.predict(Golden.result(embedding: [1, 2]), k: 0)))
        let box = Region(x: 0, y: 0, width: .nan, height: 1)
        XCTAssertNotNil(error(try gallery.add("mug", other, box: box)))
    }

    func testMeansThatAManifestMayHave() throws {
        let sound: Golden.Record = ["embedding": [0.5, 1, 0, 0], "features": [0, -1e6, 0, 0], "photos": 16]
        let manifest = try Manifests.read(Manifests.record(["means": sound]))
        let wanted = Means(embedding: [0.5, 1, 0, 0], features: [0, -1e6, 0, 0], photos: 16)
        XCTAssertEqual(manifest.means, wanted)
        XCTAssertNil(try Manifests.read(Manifests.record(["means": NSNull()])).means)
        XCTAssertNil(try Manifests.read(Manifests.record()).means)
        let others: [Any] = [[1, 2, 3], [1, 2, 3, "x"] as [Any], [1, 2, 3, 1e7], "x", [Double](), NSNull()]
        for features in others {
            let means = sound.merging(["features": features]) { _, new in new }
            XCTAssertNotNil(error(try Manifests.read(Manifests.record(["means": means]))), "\(features)")
        }
        XCTAssertNotNil(error(try Manifests.read(Manifests.record(["means": [1]]))))
    }
}

final class GalleryFileTests: XCTestCase {
    private var folder = FileManager.default.temporaryDirectory

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        try FileManager.default.removeItem(at: folder)
    }

    /// The file that Python wrote, and where it lies.
    private func pythons() throws -> (told: Golden.Record, bytes: Data, url: URL) {
        let told = try Golden.json("gallery.json").record("file")
        let bytes = try XCTUnwrap(Data(base64Encoded: told.text("npz")))
        let url = folder.appendingPathComponent("python.npz")
        try bytes.write(to: url)
        return (told, bytes, url)
    }

    private func vector(_ value: Float) -> Result {
        Golden.result(embedding: [value, 1, 1, 1, 1, 1])
    }

    func testAFileOfPythons() throws {
        let (told, _, url) = try pythons()
        let gallery = try Gallery.load(url)
        XCTAssertEqual(gallery.model, try told.text("model"))
        XCTAssertEqual(gallery.means, try Golden.means(told))
        let examples = try told.records("examples")
        XCTAssertEqual(gallery.examples.map(\.label), try examples.map { try $0.text("label") })
        XCTAssertEqual(gallery.examples.map(\.region), try examples.map { try $0.flag("region") })
        XCTAssertEqual(gallery.examples.map(\.imageSize), try examples.map { try $0.integer("image_size") })
        XCTAssertEqual(gallery.imageSize, 16)
        XCTAssertEqual(gallery.examples.map(\.vector), try examples.map { try $0.floats("vector") })
    }

    func testThereAndBack() throws {
        let gallery = try Gallery.load(pythons().url)
        let (ours, again) = (folder.appendingPathComponent("a.npz"), folder.appendingPathComponent("b.npz"))
        try gallery.save(to: ours)
        try gallery.save(to: again)
        XCTAssertEqual(try Gallery.load(ours).examples, gallery.examples)
        XCTAssertEqual(try Gallery.load(ours).means, gallery.means)
        XCTAssertEqual(try Gallery.load(ours).examples.map(\.imageSize), gallery.examples.map(\.imageSize))
        XCTAssertEqual(try Data(contentsOf: ours), try Data(contentsOf: again))
        let empty = folder.appendingPathComponent("empty.npz")
        try Gallery().save(to: empty)
        XCTAssertTrue(try Gallery.load(empty).examples.isEmpty)
    }

    /// For Python to read: what it wrote, and an example more.
    func testAFileForPython() throws {
        guard let path = ProcessInfo.processInfo.environment["VECA_EDGE_SWIFT_FILES"] else {
            throw XCTSkip("VECA_EDGE_SWIFT_FILES names no folder to write in")
        }
        let url = URL(fileURLWithPath: path).appendingPathComponent("swift.npz")
        try? FileManager.default.removeItem(at: url)
        let embedding = (0..<6).map { 1e-3 * Float($0) - 0.25 }
        try Gallery.load(pythons().url).add("écrit par Swift", Golden.result(embedding: embedding)).save(to: url)
    }

    func testTwoWritersLoseNothing() throws {
        let start = try Gallery.load(pythons().url)
        let url = folder.appendingPathComponent("things.npz")
        try start.save(to: url)
        let mine = try start.add("mine", vector(2)).save(to: url, before: start)
        let theirs = try start.add("theirs", vector(3)).remove("mug").save(to: url, before: start)
        XCTAssertEqual(theirs.labels.map(\.label), ["café ☕", "mine", "theirs"])
        let undone = try start.save(to: url, before: mine)
        XCTAssertEqual(undone.labels.map(\.label), ["café ☕", "theirs"])
        XCTAssertEqual(try Gallery.load(url).examples, undone.examples)
        XCTAssertEqual(try undone.save(to: url).examples, undone.examples)
    }

    func testAnotherModelIsRefused() throws {
        let url = try pythons().url
        let gallery = try Gallery.load(url)
        let means = try XCTUnwrap(gallery.means)
        let other = Gallery(means: means, model: String(repeating: "f", count: 64))
        let words =
            "python.npz was taught with another model (checkpoint sha256 0123456789ab…): use a file made from that "
            + "checkpoint, or teach the examples to a new gallery"
        XCTAssertEqual(error(try GalleryFile.load(url, other))?.message, words)
        XCTAssertNotNil(error(try other.save(to: url)))
        let narrow = Gallery(means: Means(embedding: [0], features: [0]), model: gallery.model)
        XCTAssertNotNil(error(try GalleryFile.load(url, narrow)))
        for fit in [Gallery(means: means, model: gallery.model), Gallery()] {
            XCTAssertEqual(try GalleryFile.load(url, fit).examples, gallery.examples)
        }
        XCTAssertNotNil(error(try gallery.save(to: folder.appendingPathComponent("things.zip"))))
        XCTAssertNotNil(error(try Gallery.load(folder.appendingPathComponent("missing.npz"))))
        XCTAssertNotNil(error(try gallery.save(to: url.appendingPathComponent("things.npz"))))
    }

    func testDamageIsOneLine() throws {
        let (_, bytes, _) = try pythons()
        let url = folder.appendingPathComponent("damaged.npz")
        func refuse(_ damaged: Data, _ what: String) throws {
            try damaged.write(to: url)
            let text = error(try Gallery.load(url))?.message ?? ""
            XCTAssertTrue(text.hasPrefix("damaged.npz") && !text.contains("\n"), "\(what): \(text)")
        }
        for length in stride(from: 0, to: bytes.count, by: 31) {
            try refuse(bytes.prefix(length), "\(length)")
        }
        let row = writeNPY([1, 2], shape: [1, 2])
        let plain: Golden.Record = [
            "format": "veca-edge gallery", "format_version": 1, "model": "", "width": 2, "labels": ["mug"],
            "regions": [false], "means": NSNull(),
        ]
        func made(_ changes: Golden.Record, _ examples: Data) throws -> Data {
            let facts = plain.merging(changes) { _, new in new }
            let json = try JSONSerialization.data(withJSONObject: facts)
            return StoredZip.archive([(name: "manifest.json", bytes: json), (name: "examples.npy", bytes: examples)])
        }
        try made([:], row).write(to: url)
        XCTAssertEqual(try Gallery.load(url).labels.map(\.label), ["mug"])
        let lies: [Golden.Record] = [
            ["format": "another"], ["format_version": 2], ["format_version": 0], ["model": "abc"], ["model": NSNull()],
            ["width": 3], ["width": -1], ["width": 70000], ["labels": ["a", "b"]], ["labels": "mug"],
            ["labels": ["a\nb"]], ["labels": [String(repeating: "a", count: 10000)]], ["regions": ["x"]],
            ["regions": NSNull()], ["image_sizes": [16, 16]], ["image_sizes": [-1]], ["image_sizes": [10000]],
            ["means": [1]], ["means": ["embedding": [1]]],
        ]
        for lie in lies {
            try refuse(made(lie, row), "\(lie)")
        }
        try refuse(made([:], row.dropLast(4)), "fewer examples")
        try refuse(made([:], writeNPY([1, .nan], shape: [1, 2])), "a value that is no number")
        try refuse(made([:], writeNPY([1, 2], shape: [2, 1])), "two rows")
    }
}

extension Golden {
    static func means(_ record: Record) throws -> Means? {
        guard let table = record["means"] as? Record else { return nil }
        let (embedding, features) = (try table.floats("embedding"), try table.floats("features"))
        return Means(
            embedding: embedding.map { Double($0) }, features: features.map { Double($0) },
            photos: try table.integer("photos"))
    }

    static func gallery(_ record: Record) throws -> Gallery {
        var gallery = Gallery(means: try means(record))
        for step in try record.records("steps") {
            if let label = step["remove"] as? String {
                gallery = try gallery.remove(label)
            } else {
                gallery = try gallery.add(step.text("add"), result(step), box: box(step))
            }
        }
        return gallery
    }

    /// nil if it has none of four numbers.
    static func box(_ record: Record) throws -> Region? {
        guard record["box"] != nil else { return nil }
        let sides = try record.floats("box").map { Double($0) }
        if sides.count != 4 { return nil }
        return Region(x: sides[0], y: sides[1], width: sides[2], height: sides[3])
    }

    /// A result with what a case says of it.
    static func result(_ record: Record) throws -> Result {
        let given = record["embedding"] == nil ? [0] : try record.floats("embedding")
        var result = self.result(embedding: given)
        if record["crop"] != nil {
            let crop = try record.integers("crop")
            result.crop = Box(x: crop[0], y: crop[1], width: crop[2], height: crop[3])
        }
        if let rows = record["features"] as? [[[NSNumber]]] {
            result.features = rows.flatMap { row in row.flatMap { patch in patch.map(\.floatValue) } }
            result.grid = PatchGrid(rows: rows.count, columns: rows[0].count)
        }
        return result
    }

    static func result(embedding: [Float]) -> Result {
        Result(
            embedding: embedding, features: [0], coreAttention: nil, logits: nil, labels: [], cores: 8,
            grid: PatchGrid(rows: 1, columns: 1), width: 16, height: 16, crop: Box(x: 0, y: 0, width: 16, height: 16),
            latency: 0)
    }
}
