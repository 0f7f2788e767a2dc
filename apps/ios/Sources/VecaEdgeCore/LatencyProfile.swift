/// How long each run configuration takes on this device. What a configuration is worth is in the model file; what it
/// costs only the device knows, so it is measured once, and the app keeps the table (it is Codable).
public enum LatencyProfile {
    /// Frames that are not timed: the first call of a function loads it.
    static let warmUp = 2
    /// Frames per run configuration, at least.
    static let fewest = 10
    static let mostFrames = 32

    /// The run configurations that the model file evaluates and its engine can run here.
    ///
    /// - Throws: `VecaError.badTable` if there are none.
    public static func configurations(_ model: Model) throws -> [RunConfiguration] {
        guard let quality = model.quality else {
            throw VecaError.badTable(
                "the model file has no quality table: choose the cores yourself, or hand over a front")
        }
        let found = quality.rows.map(\.configuration).filter { configuration in
            model.budgets.contains(configuration.cores) && (configuration.patchBudget == nil || model.canStream)
                && model.engine.offers(cores: configuration.cores, imageSize: configuration.imageSize)
        }
        if found.isEmpty {
            throw VecaError.badTable("no operating point of the model file can be run by \(model.engine.name)")
        }
        return found
    }

    /// Time every run configuration over some frames. Takes about `seconds`; call it off the main thread, with nothing
    /// else running.
    ///
    /// - Parameters:
    ///   - frames: of the camera, or `movingFrames()`; two at least, so that something changes.
    ///   - seconds: that it should take.
    /// - Throws: `VecaError`.
    public static func measure(
        _ model: Model, configurations: [RunConfiguration], frames: [RGBImage], seconds: Double = 12
    ) throws -> LatencyTable {
        guard frames.count > 1,
            let dearest = configurations.max(by: { ($0.imageSize, $0.cores) < ($1.imageSize, $1.cores) })
        else {
            throw VecaError.badSetting("a latency profile needs run configurations and at least two frames")
        }
        let trial = try run(model, dearest, frames: frames, count: 5)
        let pace = max(interpolated(trial.seconds, 0.5), 1e-6)
        // Most configurations cost about half of the dearest.
        let affordable = Int(min(seconds / (Double(configurations.count) * pace / 2), 1e6))
        let count = min(mostFrames, max(fewest, affordable))
        let rows = try configurations.map { configuration in
            let timed = try run(model, configuration, frames: frames, count: count)
            return LatencyRow(configuration: configuration, seconds: timed.seconds, computed: timed.computed)
        }
        return LatencyTable(rows: rows)
    }

    /// Seconds and computed patches of `count` frames in one run configuration, opened afresh.
    private static func run(
        _ model: Model, _ configuration: RunConfiguration, frames: [RGBImage], count: Int
    ) throws -> (seconds: [Double], computed: [Int]) {
        var stream: PatchStream?
        if let budget = configuration.patchBudget {
            let change = try ChangeSettings(patchBudget: budget)
            stream = try model.stream(cores: configuration.cores, imageSize: configuration.imageSize, change: change)
        }
        var results: [Result] = []
        for index in 0..<(count + warmUp) {
            let frame = frames[index % frames.count]
            let whole = { try model(frame, cores: configuration.cores, imageSize: configuration.imageSize) }
            results.append(try stream?.update(frame) ?? whole())
        }
        let timed = results.dropFirst(warmUp)
        return (timed.map(\.latency), timed.map(\.computedPatches))
    }

    /// Frames of a still, textured scene in which a textured square moves: something to measure streams with where no
    /// camera runs. Real scenes differ: frames of the app's own camera are better.
    public static func movingFrames(count: Int = 34, side: Int = 480) -> [RGBImage] {
        (0..<count).map { frame in
            let left = side / 8 + frame * side / 64
            let across = left..<(left + side / 4)
            let down = (side / 3)..<(side / 3 + side / 4)
            var pixels: [UInt8] = []
            pixels.reserveCapacity(side * side * 3)
            for y in 0..<side {
                for x in 0..<side {
                    // The square's own texture moves within it too.
                    let moved = across.contains(x) && down.contains(y) ? 7 * frame + 90 : 0
                    let texture = 5 * (x + moved) + 3 * y
                    for channel in 0..<3 {
                        let level: Int = 60 + (texture + 40 * channel) % 128
                        pixels.append(UInt8(level))
                    }
                }
            }
            return RGBImage(checkedWidth: side, height: side, pixels: pixels)
        }
    }
}

extension Front {
    /// The operating points of a model on this device.
    ///
    /// - Parameters:
    ///   - model: from a file with a quality table.
    ///   - targetFPS: frames per second that the app wants.
    ///   - latency: of this device, see `LatencyProfile`.
    /// - Throws: `VecaError.badTable` without a quality table, or if the tables have nothing in common.
    public init(model: Model, targetFPS: Double, latency: LatencyTable) throws {
        let configurations = Set(try LatencyProfile.configurations(model))
        let rows = (model.quality?.rows ?? []).filter { configurations.contains($0.configuration) }
        let quality = QualityTable(rows: rows, freshness: model.quality?.freshness ?? Freshness())
        try self.init(of: operatingPoints(quality: quality, latency: latency, targetRate: targetFPS))
    }
}
