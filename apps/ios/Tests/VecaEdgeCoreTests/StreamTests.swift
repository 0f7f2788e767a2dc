import XCTest

@testable import VecaEdgeCore

final class StreamTests: XCTestCase {
    func testEveryTraceFrameByFrame() throws {
        let traces = try Golden.traces("stream")
        XCTAssertGreaterThan(traces.count, 2)
        for trace in traces {
            let lines = try Golden.lines(trace)
            let engine = FormulaEngine(patchSize: try lines[0].integer("patch_size"))
            let model = try makeModel(lines[0], engine)
            let stream = try model.stream(
                cores: lines[0].integer("cores"), change: Golden.changeSettings(lines[0].record("settings")))
            for (index, line) in lines.enumerated().dropFirst() {
                if let cores = line.integerOrNil("cores") { try stream.use(cores: cores) }
                if line["settings"] != nil {
                    stream.change = try Golden.changeSettings(line.record("settings"))
                }
                if line.flagOrNil("reset") == true { stream.reset() }
                engine.calls = []
                let result = try stream.update(Golden.frame(line.record("frame")))
                let place = "\(trace), line \(index + 1)"
                try checkCall(engine.calls, result.grid, line, place)
                try check(result, stream, line, place)
            }
        }
    }

    private func makeModel(_ first: Golden.Record, _ engine: FormulaEngine) throws -> Model {
        let head = try first.record("head")
        let dense = first["dense"] == nil ? [] : try first.records("dense")
        let tables = try dense.map { (try $0.record("task").text("name"), try $0.record("task") as Any) }
        let manifest = try Manifests.make(
            preprocessing: first.record("preprocessing"), patchSize: first.integer("patch_size"),
            budgets: first.integers("budgets"), labels: first.texts("labels"),
            heads: Dictionary(uniqueKeysWithValues: tables))
        return Model(
            manifest: manifest, engine: engine,
            head: Head(weight: try head.rows("weight"), bias: try head.floats("bias")),
            dense: try dense.map(Golden.denseHead))
    }

    private func checkCall(
        _ calls: [FormulaEngine.Call], _ grid: PatchGrid, _ line: Golden.Record, _ place: String
    ) throws {
        guard let wanted = line["call"] as? Golden.Record else {
            XCTAssertEqual(calls, [], place)
            return
        }
        let centres = cellCentres(grid)
        let patches = try wanted.integers("patches")
        let call = FormulaEngine.Call(
            method: try wanted.text("method"), positions: patches.flatMap { [centres[2 * $0], centres[2 * $0 + 1]] },
            masked: (wanted["masked"] as? [NSNumber])?.map(\.intValue))
        XCTAssertEqual(calls, [call], place)
    }

    private func check(_ result: Result, _ stream: PatchStream, _ line: Golden.Record, _ place: String) throws {
        let count = result.grid.count
        XCTAssertEqual(result.keyframe, try line.flag("keyframe"), place)
        let flags = try XCTUnwrap(result.computed)
        XCTAssertEqual(flags.indices.filter { flags[$0] }, try line.integers("computed"), place)
        XCTAssertEqual(result.oldest, try line.integer("oldest"), place)
        assertClose(stream.noise, try line.number("noise"), relative: 1e-3, absolute: 1e-4, place)
        assertClose(result.embedding, try line.floats("embedding"), place)
        assertClose(try XCTUnwrap(result.logits), try line.floats("logits"), place)
        let coreAttention = try XCTUnwrap(result.coreAttention)
        let cores = coreAttention.count / count
        assertClose((0..<count).map { result.features[$0 * 4] }, try line.floats("features"), place)
        assertClose((0..<count).map { coreAttention[$0 * cores] }, try line.floats("core_attention"), place)
        let wanted = line["dense"] == nil ? [:] : try line.record("dense")
        XCTAssertEqual(Set(result.dense.keys), Set(wanted.keys), place)
        for (name, found) in result.dense {
            assertClose(found.cells, try wanted.record(name).floats("cells"), "\(place), \(name)")
            let cells = try XCTUnwrap(found.computed)
            XCTAssertEqual(
                cells.indices.filter { cells[$0] }, try wanted.record(name).integers("computed_cells"), place)
        }
        let cache = try XCTUnwrap(stream.cache)
        // The last layer's last head, channel 0.
        assertClose((0..<count).map { cache.keys[1][(count + $0) * 2] }, try line.floats("keys"), place)
        assertClose((0..<count).map { cache.values[1][(count + $0) * 2] }, try line.floats("values"), place)
    }

    func testAFailedStepIsAsIfTheFrameHadNotCome() throws {
        let engine = FormulaEngine(patchSize: 8)
        let model = Model(manifest: try Manifests.make(), engine: engine)
        let stream = try model.stream(cores: 8)
        let frame = try Golden.frame(["width": 48, "height": 48, "pattern": "plaid"])
        engine.failure = .engine("broken")
        XCTAssertEqual(error(try stream.update(frame)), .engine("broken"))
        XCTAssertTrue(try stream.update(frame).keyframe)
        XCTAssertEqual(try stream.update(frame).computedPatches, 0)
    }

    func testAModelRefusesWhatItDoesNotOffer() throws {
        let model = Model(manifest: try Manifests.make(), engine: FormulaEngine(patchSize: 8))
        let frame = try Golden.frame(["width": 48, "height": 48])
        XCTAssertNotNil(error(try model(frame, cores: 12)))
        XCTAssertNotNil(error(try model(frame, imageSize: 50)))
        XCTAssertEqual(try model(frame).cores, 16)
        XCTAssertEqual(error(try model(frame).top()), .noHead)
    }
}
