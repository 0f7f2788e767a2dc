import XCTest

@testable import VecaEdgeCore

final class ManifestTests: XCTestCase {
    func testWhatIsRead() throws {
        let manifest = try Manifests.read(Manifests.record())
        XCTAssertEqual(manifest.budgets, [8, 16])
        XCTAssertEqual(manifest.preprocessing, try Preprocessing(imageSize: 48))
        XCTAssertNil(manifest.quality)
        XCTAssertEqual(manifest.sizeBuckets("step").map(\.most), [64, 128, 256])
        XCTAssertEqual(manifest.sizeBuckets("step").map(\.name), ["step_64", "step_128", "step"])
    }

    func testAQualityTable() throws {
        let row: Golden.Record = [
            "cores": 8, "image_size": 48, "patch_budget": NSNull(), "embedding_cosine": 1.000001,
            "feature_cosine": 0.81, "label_overlap": NSNull(), "something newer": [1, 2],
        ]
        let table: Golden.Record = ["rows": [row], "freshness": ["ages": [0, 0.1], "worth": [1, 0.5]], "about": ""]
        let quality = try XCTUnwrap(Manifests.read(Manifests.record(["quality": table])).quality)
        XCTAssertEqual(quality.rows[0].configuration, RunConfiguration(cores: 8, imageSize: 48, patchBudget: nil))
        XCTAssertEqual(quality.rows[0].fidelity, 0.9, accuracy: 1e-6)
        // From age 0 to 0.2: 1 falls to 0.5 in the first half, and stays there.
        XCTAssertEqual(quality.freshness.at(5), 0.625, accuracy: 1e-9)
    }

    func testRowsOfAQualityTable() throws {
        let golden = try Golden.json("quality.json")
        func table(_ record: Golden.Record) throws -> QualityTable {
            let rows = [try record.record("row")]
            return try XCTUnwrap(Manifests.read(Manifests.record(["quality": ["rows": rows]])).quality)
        }
        for record in try golden.records("rows") {
            XCTAssertEqual(try table(record).rows[0].fidelity, try record.number("fidelity"), accuracy: 1e-6)
        }
        for record in try golden.records("refused") {
            XCTAssertNotNil(error(try table(record)), "\(record)")
        }
    }

    func testWhatIsRefused() {
        let lies: [Golden.Record] = [
            ["format": "another"], ["format_version": 2], ["budgets": [16, 8]], ["budgets": [Int]()],
            ["budgets": [8, 32]], ["hidden_dim": 0], ["hidden_dim": 7], ["patch_size": "8"],
            ["preprocessing": ["fit": "sideways"]], ["preprocessing": ["image_size": 0]],
            ["quality": ["rows": [Golden.Record]()]], ["labels": [1]],
        ]
        for lie in lies {
            guard case .badModelFile(let text)? = error(try Manifests.read(Manifests.record(lie))) else {
                XCTFail("\(lie)")
                continue
            }
            XCTAssertFalse(text.contains("\n"), text)
        }
        for damage in ["", "{", "[]", "{\"format\": \"veca-edge model\"}"] {
            XCTAssertNotNil(error(try Manifest(json: Data(damage.utf8))), damage)
        }
    }
}
