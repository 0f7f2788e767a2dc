import XCTest

@testable import VecaEdgeCore

/// Files that Python wrote: tests/apps/test_swift.py puts one beside what it must hold, and names the folder.
final class ModelFileTests: XCTestCase {
    private func folder() throws -> URL {
        guard let path = ProcessInfo.processInfo.environment["VECA_EDGE_SWIFT_FILES"] else {
            throw XCTSkip("VECA_EDGE_SWIFT_FILES names no folder with a model file")
        }
        return URL(fileURLWithPath: path)
    }

    private func expectation() throws -> Golden.Record {
        let data = try Data(contentsOf: folder().appendingPathComponent("expected.json"))
        return try XCTUnwrap(JSONSerialization.jsonObject(with: data) as? Golden.Record)
    }

    func testAFileOfPythons() throws {
        let wanted = try expectation()
        let digest = try wanted.text("program_digest")
        let size = try wanted.integer("program_size")
        let file = try ModelFile(at: folder().appendingPathComponent("model.pte")) { program in
            program.count == size ? digest : "another"
        }
        XCTAssertEqual(file.manifest.labels, try wanted.texts("labels"))
        XCTAssertEqual(file.manifest.sizeBuckets("encode").map(\.name), try wanted.texts("encode_buckets"))
        XCTAssertEqual(file.cores, try wanted.floats("cores"))
        XCTAssertEqual(file.coordinates, try wanted.floats("coordinates"))
        XCTAssertEqual(file.head?.weight, try wanted.floats("head_weight"))
        XCTAssertEqual(file.head?.bias, try wanted.floats("head_bias"))
        let dense = try XCTUnwrap(file.dense.first)
        XCTAssertEqual(file.dense.map(\.task), file.manifest.tasks)
        XCTAssertEqual(dense.task.labels, ["background", "person"])
        XCTAssertEqual(dense.weight, try wanted.floats("dense_weight"))
        XCTAssertEqual(dense.bias, try wanted.floats("dense_bias"))
    }

    func testDamageIsOneLine() throws {
        let url = try folder().appendingPathComponent("model.pte")
        let digest = try expectation().text("program_digest")
        let whole = try Data(contentsOf: url)
        let other = FileManager.default.temporaryDirectory.appendingPathComponent("damaged.pte")
        defer { try? FileManager.default.removeItem(at: other) }
        XCTAssertNotNil(error(try ModelFile(at: url) { _ in "another digest" }))
        var refused = 0
        // A byte of the program, or of padding, may change without notice here: the digest is a stand-in.
        for place in stride(from: 0, to: whole.count, by: 7) {
            var bytes = whole
            bytes[place] ^= 0x55
            try bytes.write(to: other)
            do {
                _ = try ModelFile(at: other) { _ in digest }
            } catch let error as VecaError {
                XCTAssertFalse(error.message.contains("\n"))
                refused += 1
            }
        }
        XCTAssertGreaterThan(refused, whole.count / 7 / 2)
        for length in stride(from: 0, to: whole.count, by: 31) {
            try whole.prefix(length).write(to: other)
            XCTAssertNotNil(error(try ModelFile(at: other) { _ in digest }), "\(length)")
        }
    }
}
