import XCTest

@testable import VecaEdgeCore

/// Sensors and a clock that a test sets.
final class PretendedDevice: Sensors, @unchecked Sendable {
    var state = DeviceState(time: 0, battery: 0.9, charging: false, lowPower: false, thermal: .nominal)
    var now = 0.0

    func read() -> DeviceState { state }
}

final class SessionTests: XCTestCase {
    private let engine = FormulaEngine(patchSize: 8)
    private let device = PretendedDevice()

    private func point(_ cores: Int, _ budget: Int?, rate: Double, power: Double, quality: Double) -> OperatingPoint {
        OperatingPoint(
            cores: cores, imageSize: 48, patchBudget: budget, rate: rate, quality: quality, latency: 0.001,
            slow: 0.001, power: power)
    }

    private func session(onCritical: @escaping @Sendable (Decision) -> Void = { _ in }) throws -> Session {
        let front = try Front(of: [
            point(16, nil, rate: 30, power: 1, quality: 1), point(8, 16, rate: 30, power: 0.45, quality: 0.9),
            point(8, 16, rate: 15, power: 0.2, quality: 0.8),
        ])
        let manifest = try Manifests.make(heads: ["depth": ["kind": "regression"]])
        let depth = try DenseHead(task: manifest.tasks[0], weight: [1, 1, 1, 1], bias: [0])
        let model = Model(manifest: manifest, engine: engine, dense: [depth])
        let device = self.device
        return try Session(
            model: model, targetFPS: 30, front: front, sensors: device, onCritical: onCritical,
            clock: { device.now })
    }

    private func frame(_ light: Int = 0) throws -> RGBImage {
        try Golden.frame(["width": 60, "height": 50, "pattern": "plaid", "light": light])
    }

    func testTheDeviceDecides() async throws {
        let session = try session()
        let first = try await session.update(frame())
        XCTAssertEqual(first.cores, 16)
        XCTAssertEqual(first.computedPatches, 36)
        XCTAssertEqual(first.reason, "start: C 16, 48 px, all patches, 30 fps")
        device.now = 0.5
        device.state.lowPower = true
        let early = try await session.update(frame())
        XCTAssertEqual(early.cores, 16, "a decision a second")
        device.now = 1.2
        let saved = try await session.update(frame())
        XCTAssertEqual(saved.cores, 8)
        XCTAssertEqual(saved.point?.patchBudget, 16)
        XCTAssertTrue(saved.reason.hasPrefix("low-power mode: C 16 → 8"), saved.reason)
        let still = try await session.update(frame())
        XCTAssertEqual(still.computedPatches, 0, "nothing changed")
        let statistics = await session.statistics
        XCTAssertEqual(statistics.frames, 4)
        XCTAssertEqual(statistics.switches, 1)
        XCTAssertEqual(statistics.seconds, 1.2, accuracy: 1e-9)
    }

    func testCriticalHeatActsAtOnceAndLeavesFramesOut() async throws {
        let called = expectation(description: "critical")
        let session = try session { decision in
            XCTAssertTrue(decision.stopCamera)
            called.fulfill()
        }
        _ = try await session.update(frame())
        device.now = 0.1
        device.state.thermal = .critical
        let first = try await session.update(frame())
        XCTAssertEqual(first.latency, 0, "the first frame at half the rate is left out")
        let second = try await session.update(frame())
        XCTAssertEqual(second.point?.rate, 15)
        let third = try await session.update(frame(60))
        XCTAssertEqual(third.latency, 0)
        XCTAssertEqual(third.computedPatches, 0)
        XCTAssertEqual(third.dense["depth"]?.cells, second.dense["depth"]?.cells)
        XCTAssertEqual(third.dense["depth"]?.computed, [Bool](repeating: false, count: 36))
        await fulfillment(of: [called], timeout: 1)
        let statistics = await session.statistics
        XCTAssertEqual(statistics.computed, 2)
    }

    func testAPatchBudgetIsForEachSquareOfTheFrame() async throws {
        let manifest = try Manifests.make(preprocessing: ["image_size": 48, "fit": "keep"])
        let device = self.device
        let session = try Session(
            model: Model(manifest: manifest, engine: engine),
            front: try Front(of: [point(8, 16, rate: 30, power: 0.1, quality: 1)]), sensors: device,
            clock: { device.now })
        let frame: (UInt8) throws -> RGBImage = { light in
            let pixels: [UInt8] = (0..<(96 * 48 * 3)).map { place in place / 3 % 96 < 48 ? light : 0 }
            return try RGBImage(width: 96, height: 48, pixels: pixels)
        }
        let first = try await session.update(frame(0))
        XCTAssertEqual(first.computedPatches, 72)
        let second = try await session.update(frame(100))
        XCTAssertEqual(second.computedPatches, 32)
    }

    func testAFailureIsAsIfTheFrameHadNotCome() async throws {
        let session = try session()
        engine.failure = .engine("broken")
        do {
            _ = try await session.update(frame())
            XCTFail("nothing was thrown")
        } catch let error as VecaError {
            XCTAssertEqual(error, .engine("broken"))
        }
        let result = try await session.update(frame())
        XCTAssertEqual(result.cores, 16)
    }

    func testAProfileMeasuresEveryRunConfiguration() throws {
        let row: (Int, Any) -> Golden.Record = { cores, budget in
            [
                "cores": cores, "image_size": 48, "patch_budget": budget, "embedding_cosine": 0.98,
                "feature_cosine": 0.97,
            ]
        }
        let rows = [row(8, NSNull()), row(16, NSNull()), row(8, 16), row(32, NSNull())]
        let manifest = try Manifests.read(Manifests.record(["quality": ["rows": rows]]))
        let model = Model(manifest: manifest, engine: engine)
        let configurations = try LatencyProfile.configurations(model)
        XCTAssertEqual(configurations.map(\.cores), [8, 16, 8], "32 cores are not among the budgets")
        let table = try LatencyProfile.measure(
            model, configurations: configurations, frames: LatencyProfile.movingFrames(count: 4, side: 64),
            seconds: 0.1)
        XCTAssertEqual(Set(table.rows.map(\.configuration)), Set(configurations))
        XCTAssertEqual(table.rows[0].computed, 36)
        XCTAssertTrue(table.rows.allSatisfy { $0.p50 > 0 && $0.p95 >= $0.p50 })
        let kept = try JSONDecoder().decode(LatencyTable.self, from: JSONEncoder().encode(table))
        XCTAssertEqual(kept, table)
        XCTAssertFalse(try Front(model: model, targetFPS: 30, latency: kept).points.isEmpty)
    }

    func testALatencyRowIsALine() {
        let computed = [0, 2, 4, 6, 8, 10, 36]
        let seconds = computed.map { 0.01 + 0.002 * Double($0) }
        let configuration = RunConfiguration(cores: 8, imageSize: 48, patchBudget: 16)
        let row = LatencyRow(configuration: configuration, seconds: seconds, computed: computed)
        XCTAssertEqual(row.base, 0.01, accuracy: 1e-9)
        XCTAssertEqual(row.patchTime, 0.002, accuracy: 1e-9)
        XCTAssertEqual(row.p50, 0.022, accuracy: 1e-9)
        XCTAssertEqual(LatencyRow(configuration: configuration, seconds: [1, 3], computed: [36, 36]).base, 2)
    }

    func testAModelWithoutAQualityTable() throws {
        let model = Model(manifest: try Manifests.make(), engine: engine)
        guard case .badTable? = error(try LatencyProfile.configurations(model)) else {
            return XCTFail("expected an error of its table")
        }
    }
}
