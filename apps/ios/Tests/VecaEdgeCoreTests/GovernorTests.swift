import XCTest

@testable import VecaEdgeCore

final class GovernorTests: XCTestCase {
    static func points() throws -> [OperatingPoint] {
        try points(Golden.json("governor/points.json"))
    }

    private static func points(_ table: Golden.Record) throws -> [OperatingPoint] {
        try table.records("points").map { record in
            OperatingPoint(
                cores: try record.integer("cores"), imageSize: try record.integer("image_size"),
                patchBudget: record.integerOrNil("patch_budget"), rate: try record.number("rate"),
                quality: try record.number("quality"), latency: try record.number("latency"),
                slow: try record.number("slow"), power: try record.number("power"),
                patches: try record.number("patches"), base: try record.number("base"),
                patchTime: try record.number("patch_time"))
        }
    }

    func testTheFrontIsPythons() throws {
        let golden = try Golden.json("governor/points.json")
        let points = try GovernorTests.points()
        let front = try Front(of: points)
        XCTAssertEqual(front.points.map { points.firstIndex(of: $0) }, try golden.integers("front"))
        let ladders = try XCTUnwrap(golden["ladders"] as? [[Int]])
        XCTAssertEqual(front.ladders.map(\.indices), ladders)
        XCTAssertEqual(front.ladders.count, slowest + 1)
    }

    func testTheRulesOfAFront() throws {
        let cases = try Golden.json("governor/fronts.json").records("fronts")
        XCTAssertGreaterThan(cases.count, 5)
        for record in cases {
            let given = try GovernorTests.points(record)
            let front = try Front(of: given)
            let ladder = front.ladders[0].indices.map { given.firstIndex(of: front.points[$0]) }
            XCTAssertEqual(ladder, try record.integers("ladder"), try record.text("what"))
        }
    }

    func testEveryTraceStepByStep() throws {
        let traces = try Golden.traces("governor")
        XCTAssertEqual(traces.count, 5)
        let front = try Front(of: GovernorTests.points())
        for trace in traces {
            let lines = try Golden.lines(trace)
            XCTAssertGreaterThan(lines.count, 30)
            let settings = try GovernorTests.settings(lines[0].record("settings"))
            var last: Decision?
            for (index, line) in lines.enumerated().dropFirst() {
                let decision = decide(
                    try GovernorTests.state(line.record("state")), previous: last,
                    frames: try GovernorTests.frames(line.record("frames")), front: front, settings: settings)
                try check(decision, line.record("decision"), "\(trace), line \(index + 1)")
                last = decision
            }
        }
    }

    private func check(_ found: Decision, _ wanted: Golden.Record, _ where: String) throws {
        XCTAssertEqual(found.reason, try wanted.text("reason"), `where`)
        XCTAssertEqual(found.stopCamera, try wanted.flag("stop_camera"), `where`)
        let memory = try wanted.record("memory")
        XCTAssertEqual(memory.count, 11, "a memory has as many fields as this test compares")
        XCTAssertEqual(found.memory.index, try memory.integer("index"), `where`)
        XCTAssertEqual(found.memory.hot, try memory.flag("hot"), `where`)
        let numbers: [(String, Double?)] = [
            ("time", found.memory.time), ("settled", found.memory.settled), ("ceiling", found.memory.ceiling),
            ("heat", found.memory.heat), ("trend", found.memory.trend), ("unread", found.memory.unread),
            ("slowdown", found.memory.slowdown), ("tail", found.memory.tail), ("calm", found.memory.calm),
        ]
        for (name, value) in numbers {
            assertClose(value, memory.numberOrNil(name), relative: 1e-6, absolute: 1e-8, "\(`where`): \(name)")
        }
    }

    static func state(_ record: Golden.Record) throws -> DeviceState {
        let temperatures = (record["temperatures"] as? [[Any]] ?? []).map { pair -> Temperature in
            let reading = (pair[1] as? NSNumber)?.doubleValue ?? .nan
            return Temperature(sensor: pair[0] as? String ?? "", degrees: reading)
        }
        return DeviceState(
            time: try record.number("time"), battery: record.numberOrNil("battery"),
            charging: record.flagOrNil("charging"), lowPower: record.flagOrNil("low_power"),
            thermal: record.integerOrNil("thermal").flatMap(ThermalLevel.init(rawValue:)),
            headroom: record.numberOrNil("headroom"), forecast: record.numberOrNil("forecast"),
            temperatures: temperatures, frequency: record.numberOrNil("frequency"),
            power: record.numberOrNil("power"))
    }

    static func frames(_ record: Golden.Record) throws -> FrameStatistics {
        FrameStatistics(
            count: record.integerOrNil("count") ?? 0, p50: record.numberOrNil("p50") ?? 0,
            p95: record.numberOrNil("p95") ?? 0, misses: record.integerOrNil("misses") ?? 0,
            pace: record.numberOrNil("pace"))
    }

    static func settings(_ record: Golden.Record) throws -> GovernorSettings {
        var settings = GovernorSettings()
        let fields: [(String, WritableKeyPath<GovernorSettings, Double>)] = [
            ("target_rate", \.targetRate), ("most_power", \.mostPower), ("heat_target", \.heatTarget),
            ("fall", \.fall), ("rise", \.rise), ("slack", \.slack), ("horizon", \.horizon),
            ("smoothing", \.smoothing), ("trend_smoothing", \.trendSmoothing), ("surprise", \.surprise),
            ("patience", \.patience), ("skin_limit", \.skinLimit), ("nominal_heat", \.nominalHeat),
            ("fair_margin", \.fairMargin), ("fair_ceiling", \.fairCeiling),
            ("serious_ceiling", \.seriousCeiling), ("restart", \.restart), ("battery_full", \.batteryFull),
            ("battery_low", \.batteryLow), ("battery_ceiling", \.batteryCeiling),
            ("low_power_ceiling", \.lowPowerCeiling), ("slow_tolerance", \.slowTolerance),
            ("calm_memory", \.calmMemory), ("frame_alarm", \.frameAlarm), ("frame_smoothing", \.frameSmoothing),
            ("deadline_share", \.deadlineShare), ("climb_share", \.climbShare), ("climb_margin", \.climbMargin),
            ("dwell", \.dwell), ("longest_step", \.longestStep),
        ]
        XCTAssertEqual(record.count, fields.count + 1, "settings have as many fields as this test reads")
        for (name, field) in fields {
            settings[keyPath: field] = try record.number(name)
        }
        settings.leastFrames = try record.integer("least_frames")
        try settings.check()
        return settings
    }

    /// The traces were made with the presets, so they say what the presets are.
    func testThePresetsArePythons() throws {
        let presets = ["heat": GovernorSettings.balanced, "battery": .saver, "throttling": .quality]
        for (trace, preset) in presets {
            let record = try Golden.lines("governor/\(trace).jsonl")[0].record("settings")
            XCTAssertEqual(try GovernorTests.settings(record), preset, trace)
        }
    }

    func testSettingsThatMakeNoSense() {
        var settings = GovernorSettings.balanced
        settings.dwell = .nan
        XCTAssertNotNil(error(try settings.check()))
        settings = .balanced
        settings.batteryLow = 0.4
        XCTAssertNotNil(error(try settings.check()))
        XCTAssertNotNil(error(try Front(of: [])))
    }

    func testTheGovernorCountsFramesAndCallsBackOnce() throws {
        let front = try Front(of: GovernorTests.points())
        var calls = 0
        let governor = Governor(front: front, onCritical: { _ in calls += 1 })
        XCTAssertEqual(governor.point, front.points[0])
        let start = governor.decide(DeviceState(time: 0, thermal: .nominal)).point
        XCTAssertEqual(start, front.points.last)
        for second in 1...3 {
            for _ in 0..<30 {
                governor.frame(latency: start.latency, computed: Int(start.patches))
            }
            let thermal: ThermalLevel = second == 1 ? .nominal : .critical
            _ = governor.decide(DeviceState(time: Double(second), thermal: thermal))
        }
        XCTAssertEqual(calls, 1)
        XCTAssertEqual(governor.point, front.points[0])
        XCTAssertEqual(governor.last?.stopCamera, true)
    }

    func testStatisticsOfFrames() {
        let point = OperatingPoint(
            cores: 8, imageSize: 256, patchBudget: 96, rate: 10, quality: 1, latency: 0.02, slow: 0.04, power: 1,
            base: 0.01, patchTime: 0.001)
        let frames = FrameStatistics(
            latencies: [0.02, 0.03, 0.2, 0.001], point: point, computed: [10, 20, 10, 0])
        XCTAssertEqual(frames, FrameStatistics(count: 4, p50: 0.03, p95: 0.2, misses: 1, pace: 1))
        XCTAssertEqual(FrameStatistics(latencies: [], point: point), FrameStatistics())
    }
}
