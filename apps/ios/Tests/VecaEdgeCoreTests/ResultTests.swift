import XCTest

@testable import VecaEdgeCore

final class ResultTests: XCTestCase {
    func testProbabilitiesAndLabels() throws {
        let cases = try Golden.json("results.json").records("top")
        XCTAssertGreaterThan(cases.count, 2)
        for record in cases {
            let result = self.result(logits: try record.floats("logits"), labels: try record.texts("labels"))
            assertClose(
                try result.probabilities(), try record.floats("probabilities"), relative: 0, absolute: 1e-6)
            let top = try result.top(record.integer("k"))
            let wanted = try XCTUnwrap(record["top"] as? [[Any]])
            XCTAssertEqual(top.map(\.label), wanted.compactMap { $0[0] as? String })
            let shares = wanted.compactMap { ($0[1] as? NSNumber)?.floatValue }
            assertClose(top.map(\.probability), shares, relative: 0, absolute: 1e-6)
        }
    }

    func testWhetherItIsSure() throws {
        let cases = try Golden.json("results.json").records("sure")
        XCTAssertGreaterThan(cases.count, 2)
        for record in cases {
            let logits = try record.floats("logits")
            var result = self.result(logits: logits, labels: logits.indices.map(String.init))
            let stored: [String: Any] = try record.record("certainty")
            result.certainty = try Manifests.read(Manifests.record(["certainty": stored])).certainty
            XCTAssertEqual(try result.confidence(), try record.number("confidence"), accuracy: 1e-6)
            XCTAssertEqual(result.sure, record["sure"] as? Bool, "\(record)")
        }
        for refused in try XCTUnwrap(try Golden.json("results.json")["refused_certainty"] as? [Any]) {
            XCTAssertNotNil(error(try Manifests.read(Manifests.record(["certainty": refused]))), "\(refused)")
        }
        XCTAssertEqual(try Manifests.read(Manifests.record()).certainty, Certainty())
    }

    func testWithoutAHeadNothingIsSure() {
        XCTAssertFalse(result(logits: nil, labels: []).sure)
        XCTAssertFalse(result(logits: [.nan, 9], labels: ["a", "b"]).sure)
    }

    func testHeads() throws {
        for record in try Golden.json("results.json").records("head") {
            let head = Head(weight: try record.rows("weight"), bias: try record.floats("bias"))
            let logits = head.logits(
                embedding: try record.floats("embedding"), features: try record.rows("features"))
            assertClose(logits, try record.floats("logits"))
        }
    }

    func testWithoutAHead() {
        XCTAssertEqual(error(try result(logits: nil, labels: []).top()), .noHead)
    }

    func testANegativeNumberOfLabels() {
        XCTAssertNotNil(error(try result(logits: [0], labels: ["a"]).top(-1)))
    }

    func testAFeatureByItsPlace() {
        let features = (0..<12).map(Float.init)
        XCTAssertEqual(Array(result(logits: nil, labels: [], features: features).feature(row: 1, column: 0)), [4, 5])
    }

    private func result(logits: [Float]?, labels: [String], features: [Float] = []) -> Result {
        Result(
            embedding: [], features: features, coreAttention: nil, logits: logits, labels: labels, cores: 8,
            grid: PatchGrid(rows: 3, columns: 2), width: 32, height: 48, crop: Box(x: 0, y: 0, width: 32, height: 48),
            latency: 0)
    }
}
