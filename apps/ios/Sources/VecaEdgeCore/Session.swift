/// Where the device's state comes from; `DeviceMonitor` is one. `read` is called about ten times a second at most and
/// must not block.
public protocol Sensors: AnyObject, Sendable {
    func read() -> DeviceState
}

/// A model that follows its device: frames in, results and decisions out.
///
///     let session = Session(model: model, front: front, sensors: monitor)
///     for await frame in camera.frames {
///         let result = try await session.update(frame)
///     }
///
/// An actor: it computes on its own, never on the main thread, one frame at a time. Its model belongs to it.
public actor Session {
    /// Seconds; the governor's constants are made for this pace.
    public static let decisionInterval = 1.0

    private let model: Model
    private let governor: Governor
    private let sensors: Sensors
    private let clock: @Sendable () -> Double
    private let target: Double
    private var stream: PatchStream?
    private var last: Result?
    private var skipped = 0
    private var account = SessionStatistics()
    /// What the last decision was made from; nil before the first frame.
    public private(set) var state: DeviceState?

    /// - Parameters:
    ///   - model: that computes.
    ///   - governor: `.quality`, `.balanced`, `.saver`, or settings of your own.
    ///   - targetFPS: frames per second that the camera delivers and the app wants.
    ///   - front: the operating points to choose among, see `Front.init(model:targetFPS:latency:)`.
    ///   - sensors: of this device.
    ///   - onCritical: called when the heat becomes critical, so that the app can stop the camera.
    ///   - clock: seconds that never go back.
    /// - Throws: `VecaError.badSetting`, or `.noStreams` if a point needs a stream that the engine cannot run.
    public init(
        model: Model, governor settings: GovernorSettings = .balanced, targetFPS: Double = 30, front: Front,
        sensors: Sensors, onCritical: @escaping @Sendable (Decision) -> Void = { _ in },
        clock: @escaping @Sendable () -> Double = monotonicSeconds
    ) throws {
        try settings.at(targetFPS).check()
        if !model.canStream && front.points.contains(where: { $0.patchBudget != nil }) {
            throw VecaError.noStreams
        }
        self.model = model
        governor = Governor(front: front, settings: settings.at(targetFPS), onCritical: onCritical)
        self.sensors = sensors
        self.clock = clock
        target = targetFPS
    }

    /// The last decision; nil before the first frame.
    public var decision: Decision? { governor.last }

    /// What happened so far.
    public var statistics: SessionStatistics { account }

    /// The result for the next frame, with `point` and `reason`.
    ///
    /// At a lower frame rate than the target's, frames are left out: the last result stands, with latency 0.
    ///
    /// - Throws: `VecaError`. The session goes on as if the frame had not come.
    public func update(_ frame: RGBImage) throws -> Result {
        let now = clock()
        let decision = decide(now)
        if let last, leftOut(decision.point) {
            account.count(now: now, latency: nil, point: decision.point, power: state?.power)
            return repeated(last, decision)
        }
        var result = try compute(decision.point, frame)
        skipped = 0
        governor.frame(latency: result.latency, computed: result.computed.map { _ in result.computedPatches })
        account.count(now: now, latency: result.latency, point: decision.point, power: state?.power)
        result.point = decision.point
        result.reason = decision.reason
        result.state = state
        last = result
        return result
    }

    private func decide(_ now: Double) -> Decision {
        var sensed = sensors.read()
        sensed.time = now
        let fresh = state.map { now - $0.time < Session.decisionInterval && sensed.thermal == $0.thermal } ?? false
        if fresh, let last = governor.last { return last }
        state = sensed
        return governor.decide(sensed)
    }

    /// Whether this frame is one too many for the point's rate.
    private func leftOut(_ point: OperatingPoint) -> Bool {
        if skipped + 1 >= Int((target / point.rate).rounded(.toNearestOrEven)) { return false }
        skipped += 1
        return true
    }

    private func repeated(_ result: Result, _ decision: Decision) -> Result {
        var result = result
        result.computed = [Bool](repeating: false, count: result.grid.count)
        result.keyframe = false
        result.latency = 0
        for (name, said) in result.dense {
            result.dense[name]?.computed = [Bool](repeating: false, count: said.rows * said.columns)
        }
        result.reason = decision.reason
        result.state = state
        return result
    }

    private func compute(_ point: OperatingPoint, _ frame: RGBImage) throws -> Result {
        guard let budget = point.patchBudget else {
            return try model(frame, cores: point.cores, imageSize: point.imageSize)
        }
        let squares = try model.preprocessing.squares(
            width: frame.width, height: frame.height, patchSize: model.patchSize, imageSize: point.imageSize)
        return try streamed(point, Int((Double(budget) * squares).rounded(.toNearestOrEven))).update(frame)
    }

    /// The stream, set to the point. Another image size needs another stream, other cores a keyframe.
    private func streamed(_ point: OperatingPoint, _ budget: Int) throws -> PatchStream {
        let stream: PatchStream
        if let known = self.stream, known.imageSize == point.imageSize {
            stream = known
        } else {
            stream = try model.stream(cores: point.cores, imageSize: point.imageSize)
            self.stream = stream
        }
        if stream.cores != point.cores {
            try stream.use(cores: point.cores)
        }
        if stream.change.patchBudget != budget {
            stream.change = try stream.change.with(patchBudget: budget)
        }
        return stream
    }
}
