import XCTest

@testable import VecaEdgeCore

final class PreprocessingTests: XCTestCase {
    func testEveryCase() throws {
        let golden = try Golden.json("preprocessing.json")
        let tolerance = try golden.integer("tolerance")
        let cases = try golden.records("cases")
        XCTAssertGreaterThan(cases.count, 8)
        for record in cases {
            let name = try record.text("name")
            let preprocessing = try Golden.preprocessing(record.record("preprocessing"))
            let frame = try Golden.frame(record.record("frame"))
            let patchSize = try record.integer("patch_size")
            let size = record.integerOrNil("image_size")
            let fitted = try preprocessing.resize(frame, patchSize: patchSize, imageSize: size)
            let squares = try preprocessing.squares(
                width: frame.width, height: frame.height, patchSize: patchSize,
                imageSize: size ?? preprocessing.imageSize)
            XCTAssertEqual(squares, try record.number("squares"), accuracy: 1e-6, name)
            XCTAssertEqual(fitted.image.width, try record.integer("width"), name)
            XCTAssertEqual(fitted.image.height, try record.integer("height"), name)
            let crop = fitted.crop
            XCTAssertEqual([crop.x, crop.y, crop.width, crop.height], try record.integers("crop"), name)
            assertPixels(fitted.image.pixels, try record.integers("pixels"), tolerance, name)
        }
    }

    func testHalves() throws {
        for record in try Golden.json("preprocessing.json").records("halved") {
            let frame = try Golden.frame(record.record("frame"))
            assertPixels(halved(frame).pixels, try record.integers("pixels"), 0, "halved")
        }
    }

    func testWhatIsRefused() throws {
        let errors = try Golden.json("preprocessing.json").records("errors")
        XCTAssertGreaterThan(errors.count, 1)
        for record in errors {
            let name = try record.text("name")
            XCTAssertNotNil(error(try self.resize(record)), name)
        }
    }

    private func resize(_ record: Golden.Record) throws -> Fitted {
        let width = try record.integer("width")
        let height = try record.integer("height")
        let image = try RGBImage(
            width: width, height: height, pixels: [UInt8](repeating: 0, count: max(0, width * height * 3)))
        return try Golden.preprocessing(record.record("preprocessing")).resize(
            image, patchSize: record.integer("patch_size"), imageSize: record.integerOrNil("image_size"))
    }

    func testAnImageHasAsManyValuesAsItSays() {
        XCTAssertNotNil(error(try RGBImage(width: 2, height: 2, pixels: [0, 0, 0])))
        XCTAssertNotNil(error(try RGBImage(width: 0, height: 2, pixels: [])))
        XCTAssertNotNil(error(try RGBImage(width: Int.max, height: Int.max, pixels: [1, 2, 3])))
    }
}

final class PatchesTests: XCTestCase {
    func testCutting() throws {
        for record in try Golden.json("patches.json").records("cut") {
            let frame = try Golden.frame(record.record("frame"))
            let size = try record.integer("patch_size")
            let patches = try record.rows("patches")
            XCTAssertEqual(cutPatches(frame, patchSize: size), patches)
            XCTAssertEqual(cutBytes(frame, size).map(Float.init), patches)
            let length = size * size * 3
            let some = try record.integers("some")
            let rows = some.flatMap { patches[($0 * length)..<(($0 + 1) * length)] }
            XCTAssertEqual(cutSome(frame, size, some), rows)
        }
    }

    func testPositions() throws {
        for record in try Golden.json("patches.json").records("positions") {
            let found = cellCentres(PatchGrid(rows: try record.integer("rows"), columns: try record.integer("columns")))
            assertClose(found, try record.rows("positions"), relative: 0, absolute: 1e-6)
        }
    }

    func testWhatIsCompared() throws {
        for record in try Golden.json("patches.json").records("compared") {
            let found = comparedPatches(try Golden.frame(record.record("frame")), try record.integer("patch_size"))
            assertPixels(found, try record.rows("patches").map { Int($0) }, 1, "compared")
        }
    }
}

func assertPixels(_ found: [UInt8], _ wanted: [Int], _ tolerance: Int, _ name: String) {
    XCTAssertEqual(found.count, wanted.count, name)
    let worst = zip(found, wanted).map { abs(Int($0) - $1) }.max() ?? 0
    XCTAssertLessThanOrEqual(worst, tolerance, name)
}
