import XCTest

@testable import VecaEdgeCore

/// An engine that says what it is told to.
final class ToldEngine: Engine {
    let name = "told"
    var answers: [Int: Encoded] = [:]

    func offers(cores: Int, imageSize: Int) -> Bool { true }

    func encode(_ image: RGBImage, cores: Int) throws -> Encoded {
        guard let answer = answers[cores] else { throw VecaError.notOffered("\(cores)") }
        return answer
    }
}

final class GoldenCheckTests: XCTestCase {
    private let engine = ToldEngine()
    private let image = RGBImage(checkedWidth: 8, height: 8, pixels: [UInt8](repeating: 9, count: 192))

    private func check() throws -> GoldenCheck {
        try GoldenCheck(json: Data(contentsOf: Golden.folder.appendingPathComponent("end-to-end.json")))
    }

    /// A model that says what is expected of the first photo, bent by some amount.
    private func model(bent: Float = 0) throws -> Model {
        let golden = try Golden.json("end-to-end.json")
        let facts = try golden.record("model")
        for (cores, values) in try golden.records("photos")[0].record("budgets") {
            let values = try XCTUnwrap(values as? Golden.Record)
            var logits = try values.floats("logits")
            logits[7] += bent
            let embedding = try values.floats("embedding").enumerated().map { $0 == 3 ? $1 + bent : $1 }
            engine.answers[try XCTUnwrap(Int(cores))] = Encoded(
                embedding: embedding, features: embedding, coreAttention: nil, logits: logits)
        }
        let manifest = try Manifests.make(
            preprocessing: ["image_size": facts.integer("image_size")], budgets: [8, 32, 64],
            labels: facts.texts("labels"))
        return Model(manifest: manifest, engine: engine)
    }

    func testWhatIsExpectedPasses() throws {
        let check = try check()
        XCTAssertEqual(check.photos.count, 3)
        let found = try check.compare(
            model(), photo: check.photos[0], image: image, tolerance: "executorch-int8")
        XCTAssertEqual(found.map(\.cores), [8, 32, 64])
        for outcome in found {
            XCTAssertTrue(outcome.passed)
            XCTAssertEqual(outcome.cosine, 1, accuracy: 1e-5)
            XCTAssertEqual(outcome.label, outcome.expected)
        }
    }

    func testWhatIsWrongFails() throws {
        let check = try check()
        for bent: Float in [100, .nan] {
            let found = try check.compare(
                model(bent: bent), photo: check.photos[0], image: image, tolerance: "coreml-int8")
            XCTAssertFalse(found.contains { $0.passed }, "\(bent)")
        }
    }

    func testAnotherModelIsNoFailureButAnError() throws {
        let check = try check()
        let other = Model(manifest: try Manifests.make(), engine: engine)
        let photo = check.photos[0]
        XCTAssertNotNil(error(try check.compare(other, photo: photo, image: image, tolerance: "coreml-int8")))
        XCTAssertNotNil(error(try check.compare(model(), photo: "x.jpg", image: image, tolerance: "coreml-int8")))
        XCTAssertNotNil(error(try check.compare(model(), photo: photo, image: image, tolerance: "coreml-int9")))
        XCTAssertNotNil(error(try GoldenCheck(json: Data("{}".utf8))))
    }
}

final class FeaturePainterTests: XCTestCase {
    private func result(_ features: [Float]) -> Result {
        Result(
            embedding: [], features: features, coreAttention: nil, logits: nil, labels: [], cores: 8,
            grid: PatchGrid(rows: 3, columns: 4), width: 64, height: 48, crop: Box(x: 0, y: 0, width: 64, height: 48),
            latency: 0)
    }

    func testTwoKindsOfPatchesGetTwoColours() throws {
        var painter = FeaturePainter()
        let features = (0..<12).flatMap { patch -> [Float] in
            let noise = Float(patch % 3) * 0.01
            return patch < 6 ? [1 + noise, 0, 2, 0.5] : [-1, 1 + noise, 2, 0.5]
        }
        let first = try XCTUnwrap(painter.paint(result(features)))
        XCTAssertEqual([first.width, first.height], [4, 3])
        let red = stride(from: 0, to: first.pixels.count, by: 3).map { Int(first.pixels[$0]) }
        XCTAssertGreaterThan(abs(red[0] - red[11]), 100)
        XCTAssertLessThan(abs(red[0] - red[5]), 20)
        // The same frame again keeps its colours, as far as the directions had settled.
        let second = try XCTUnwrap(painter.paint(result(features)))
        assertPixels(second.pixels, first.pixels.map(Int.init), 12, "steady")
    }

    func testNothingToPaint() {
        var painter = FeaturePainter()
        XCTAssertNil(painter.paint(result([])))
        XCTAssertNotNil(painter.paint(result([Float](repeating: 1, count: 24))), "all the same")
    }
}
