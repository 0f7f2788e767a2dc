import XCTest

@testable import VecaEdgeCore

extension Golden {
    /// A frame made from its formula.
    static func frame(_ record: Record) throws -> RGBImage {
        let width = try record.integer("width")
        let height = try record.integer("height")
        let plaid = record["pattern"] as? String == "plaid"
        let whole = { (name: String) -> Int in record.integerOrNil(name) ?? 0 }
        let (pan, light, noise, cell) = (whole("pan"), whole("light"), whole("noise"), whole("cell"))
        let add = (record["add"] as? [[NSNumber]] ?? []).map { $0.map(\.intValue) }
        var state = UInt32(whole("seed"))
        var pixels: [UInt8] = []
        for y in 0..<height {
            for x in 0..<width {
                for channel in 0..<3 {
                    var value = 128
                    if plaid {
                        let across = abs((3 * (x + pan) + 20 * channel) % 64 - 32)
                        let down = abs((5 * y) % 64 - 32)
                        value = 40 + 2 * across + 2 * down
                    }
                    value += light
                    if noise > 0 {
                        state = state &* 1_664_525 &+ 1_013_904_223
                        value += Int(state >> 16) % (2 * noise + 1) - noise
                    }
                    if cell > 0 {
                        let index = y / cell * (width / cell) + x / cell
                        for change in add where change[0] <= index && index <= change[1] {
                            value += change[2]
                        }
                    }
                    pixels.append(UInt8(min(255, max(0, value))))
                }
            }
        }
        return try RGBImage(width: width, height: height, pixels: pixels)
    }

    static func preprocessing(_ record: Record) throws -> Preprocessing {
        let stored = StoredPreprocessing(
            imageSize: record.integerOrNil("image_size"), fit: record["fit"] as? String,
            mean: record["mean"] as? [Double], std: record["std"] as? [Double])
        return try stored.read()
    }

    static func changeSettings(_ record: Record) throws -> ChangeSettings {
        try ChangeSettings(
            sensitivity: record.number("sensitivity"), patience: record.integer("patience"),
            patchBudget: record.integerOrNil("patch_budget"), refreshFrames: record.integer("refresh_frames"),
            keyframeShare: record.number("keyframe_share"), drift: record.number("drift"))
    }
}

final class FrameFormulaTests: XCTestCase {
    func testTheFormulaGivesThePixels() throws {
        let cases = try Golden.json("frames.json").records("cases")
        XCTAssertGreaterThan(cases.count, 1)
        for record in cases {
            let frame = try Golden.frame(record.record("frame"))
            XCTAssertEqual(frame.pixels.map(Int.init), try record.integers("bytes"))
        }
    }
}
