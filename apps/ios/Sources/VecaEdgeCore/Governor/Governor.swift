/// The little state around `decide`: gathers frames, remembers the last decision, calls back when the heat is
/// critical. One per stream; one call at a time.
///
///     let governor = Governor(front: front)
///     let point = governor.decide(monitor.read()).point
///     governor.frame(latency: result.latency, computed: result.computedPatches)  // after every frame
///     let next = governor.decide(monitor.read()).point                           // about once a second
public final class Governor {
    public let front: Front
    public let settings: GovernorSettings
    /// The last decision; nil before the first.
    public private(set) var last: Decision?
    private let onCritical: (Decision) -> Void
    private var latencies: [Double] = []
    private var computed: [Int] = []

    /// - Parameters:
    ///   - front: the points to choose among.
    ///   - settings: a preset, or your own.
    ///   - onCritical: called at the first decision of a critical spell, so that the app can stop the camera.
    public init(
        front: Front, settings: GovernorSettings = .balanced, onCritical: @escaping (Decision) -> Void = { _ in }
    ) {
        self.front = front
        self.settings = settings
        self.onCritical = onCritical
    }

    /// How to run now; before any decision the least there is.
    public var point: OperatingPoint { last?.point ?? front.points[0] }

    /// Tell how long a frame took (seconds) at the present point, and how many of its patches were computed.
    public func frame(latency: Double, computed patches: Int? = nil) {
        latencies.append(latency)
        if let patches { computed.append(patches) }
    }

    /// The next decision; the frames so far have been counted with it.
    public func decide(_ state: DeviceState) -> Decision {
        let counts = computed.count == latencies.count ? computed : nil
        let frames = FrameStatistics(latencies: latencies, point: point, computed: counts)
        let before = last
        let current = point
        let decision = VecaEdgeCore.decide(state, previous: before, frames: frames, front: front, settings: settings)
        last = decision
        // At a low rate a second has too few frames: they wait for more of their kind.
        if frames.count >= settings.leastFrames || decision.point != current {
            latencies = []
            computed = []
        }
        let wasCritical = before?.stopCamera ?? false
        if decision.stopCamera && !wasCritical { onCritical(decision) }
        return decision
    }
}
