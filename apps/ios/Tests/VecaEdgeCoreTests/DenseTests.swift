import XCTest

@testable import VecaEdgeCore

final class DenseTests: XCTestCase {
    func testHeads() throws {
        let cases = try Golden.json("dense.json").records("heads")
        XCTAssertGreaterThan(cases.count, 1)
        for record in cases {
            let head = try Golden.denseHead(record)
            assertClose(head.outputs(try record.rows("features")), try record.rows("outputs"), head.task.name)
        }
    }

    func testResults() throws {
        let cases = try Golden.json("dense.json").records("results")
        XCTAssertGreaterThan(cases.count, 2)
        for record in cases {
            let task = try Golden.task(record)
            let (sides, crop) = (try record.integers("grid"), try record.integers("crop"))
            let grid = PatchGrid(rows: sides[0], columns: sides[1])
            var flags: [Bool]?
            if record["computed"] != nil {
                let computed = try record.integers("computed")
                flags = (0..<grid.count).map(computed.contains)
            }
            let result = DenseResult(
                task, try record.rows("outputs"), grid,
                crop: Box(x: crop[0], y: crop[1], width: crop[2], height: crop[3]), computed: flags)
            XCTAssertEqual([result.rows, result.columns], sides.map { $0 * task.cells })
            assertClose(result.cells, try record.floats("cells"), task.name)
            if let cells = result.computed {
                XCTAssertEqual(cells.indices.filter { cells[$0] }, try record.integers("computed_cells"))
            }
            try record.records("at").forEach { try check(result, $0) }
            switch task.kind {
            case .regression: try checkValues(result, record)
            case .segmentation: try checkClasses(result, record)
            }
        }
    }

    private func check(_ result: DenseResult, _ record: Golden.Record) throws {
        let (height, width) = (try record.integer("height"), try record.integer("width"))
        let enlarged = try result.at(height: height, width: width)
        assertClose(enlarged, try record.floats("values"), "\(result.task.name) at \(width) x \(height)")
        let colours: [Colour]
        if result.task.kind == .segmentation {
            let classes = try result.classes(height: height, width: width)
            XCTAssertEqual(classes, try record.integers("classes"))
            colours = classes.map { result.task.colours[$0] }
        } else {
            colours = enlarged.map(result.shade)
        }
        let picture = try result.paint(height: height, width: width)
        XCTAssertEqual(picture.pixels, colours.flatMap { [$0.red, $0.green, $0.blue] })
    }

    private func checkValues(_ result: DenseResult, _ record: Golden.Record) throws {
        assertClose(try result.values(), try record.floats("values"))
        XCTAssertNotNil(error(try result.classes()))
        XCTAssertNotNil(error(try result.areas()))
        XCTAssertEqual(result.shade(-9), result.shade(Float(result.task.range.lowerBound)))
        XCTAssertNotEqual(result.shade(-9), result.shade(9))
    }

    private func checkClasses(_ result: DenseResult, _ record: Golden.Record) throws {
        let named = result.task.name == "people"
        XCTAssertEqual(result.task.background, named ? result.task.colours[0] : nil)
        XCTAssertEqual(try result.classes(), try record.integers("classes"))
        assertClose(try result.probabilities(), try record.floats("probabilities"), relative: 0, absolute: 1e-6)
        let areas = try record.record("areas")
        assertClose(try result.areas().map(Float.init), try result.task.labels.map { Float(try areas.number($0)) })
        XCTAssertNotNil(error(try result.values()))
    }

    func testHeadsThatAManifestMayNotHave() throws {
        let cases = try Golden.json("dense.json").records("refused")
        XCTAssertGreaterThan(cases.count, 10)
        for record in cases {
            let heads: Golden.Record = [try record.text("name"): try XCTUnwrap(record["table"])]
            guard case .badModelFile(let text)? = error(try Manifests.read(Manifests.record(["heads": heads]))) else {
                XCTFail("\(heads)")
                continue
            }
            XCTAssertFalse(text.contains("\n"), text)
        }
        let many = (0...16).map { ("depth\($0)", ["kind": "regression"] as Any) }
        let heads = Dictionary(uniqueKeysWithValues: many)
        XCTAssertNotNil(error(try Manifests.read(Manifests.record(["heads": heads]))))
    }

    func testWhatIsRefused() throws {
        let task = try DenseTask(name: "depth", kind: .regression)
        XCTAssertNotNil(error(try DenseHead(task: task, weight: [1, 2, 3, 4], bias: [1, 2])))
        let result = DenseResult(
            task, [1, 2, 3, 4], PatchGrid(rows: 2, columns: 2), crop: Box(x: 0, y: 0, width: 8, height: 8))
        for (height, width) in [(0, 4), (4, -1), (16385, 1), (-2, -2), (Int.max, Int.max)] {
            XCTAssertNotNil(error(try result.at(height: height, width: width)))
        }
        XCTAssertNotNil(error(try result.paint(height: 16384, width: 16384)))
    }

    func testWhereThePartThatTheModelSawIsShown() {
        func shown(_ crop: Box, _ width: Int, _ height: Int, fills: Bool = false) -> Box {
            crop.shown(frameWidth: 640, frameHeight: 480, viewWidth: width, viewHeight: height, fills: fills)
        }
        let square = Box(x: 80, y: 0, width: 480, height: 480)
        XCTAssertEqual(shown(square, 320, 240), Box(x: 40, y: 0, width: 240, height: 240))
        XCTAssertEqual(shown(square, 320, 480), Box(x: 40, y: 120, width: 240, height: 240))
        XCTAssertEqual(shown(square, 320, 480, fills: true), Box(x: -80, y: 0, width: 480, height: 480))
        let padded = Box(x: 0, y: -80, width: 640, height: 640)
        XCTAssertEqual(shown(padded, 320, 240), Box(x: 0, y: -40, width: 320, height: 320))
    }
}

extension Golden {
    static func task(_ record: Record) throws -> DenseTask {
        let table = try record.record("task")
        let manifest = try Manifests.read(Manifests.record(["heads": [try table.text("name"): table]]))
        return try XCTUnwrap(manifest.tasks.first)
    }

    static func denseHead(_ record: Record) throws -> DenseHead {
        try DenseHead(task: task(record), weight: record.rows("weight"), bias: record.floats("bias"))
    }
}
