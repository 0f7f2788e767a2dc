import XCTest

@testable import VecaEdgeCore

final class ChangeTests: XCTestCase {
    func testEveryTraceFrameByFrame() throws {
        let traces = try Golden.traces("change")
        XCTAssertGreaterThan(traces.count, 4)
        for trace in traces {
            let lines = try Golden.lines(trace)
            let side = try lines[0].integer("patch")
            var detector = ChangeDetector(try Golden.changeSettings(lines[0].record("settings")))
            for (index, line) in lines.enumerated().dropFirst() {
                let place = "\(trace), line \(index + 1)"
                if line.flagOrNil("reset") == true { detector.reset() }
                if line["settings"] != nil {
                    detector.settings = try Golden.changeSettings(line.record("settings"))
                }
                let patches = cutBytes(try Golden.frame(line.record("frame")), side)
                let plan = detector.plan(
                    patches, length: side * side * 3, allOfThem: line.flagOrNil("all") ?? false)
                let wanted = try line.record("plan")
                XCTAssertEqual(plan.patches, try wanted.integers("patches"), place)
                XCTAssertEqual(plan.keyframe, try wanted.flag("keyframe"), place)
                XCTAssertEqual(plan.changed, try wanted.integer("changed"), place)
                XCTAssertEqual(detector.age, try line.integers("age"), place)
                assertClose(detector.noise, try line.number("noise"), relative: 1e-3, absolute: 1e-4, place)
            }
        }
    }

    func testNumbersOfPatchesComeInSteps() {
        XCTAssertEqual([1, 8, 9, 64, 65, 100, 129, 256].map(wholeSteps), [8, 8, 16, 64, 80, 112, 160, 256])
    }

    func testSettingsThatMakeNoSense() {
        XCTAssertNotNil(error(try ChangeSettings(sensitivity: 0)))
        XCTAssertNotNil(error(try ChangeSettings(patience: -1)))
        XCTAssertNotNil(error(try ChangeSettings(patchBudget: 1)))
        XCTAssertNotNil(error(try ChangeSettings(refreshFrames: 0)))
        XCTAssertNotNil(error(try ChangeSettings(keyframeShare: 1.5)))
        XCTAssertNotNil(error(try ChangeSettings(drift: 1)))
        XCTAssertEqual(ChangeSettings.standard, try ChangeSettings())
    }
}
