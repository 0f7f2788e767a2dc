/// Recent frames, all of them computed at the operating point of the last decision.
public struct FrameStatistics: Equatable, Sendable {
    /// How many frames; 0 for none, then nothing else is read.
    public var count: Int
    /// Median latency, seconds.
    public var p50: Double
    /// Latency that one frame in twenty exceeded, seconds.
    public var p95: Double
    /// How many took longer than a frame's share of time, 1 / rate.
    public var misses: Int
    /// Median of each frame's latency in units of what a frame with as many computed patches should take, or nil if
    /// unknown. A moving scene makes frames longer, a slow device does it to this.
    public var pace: Double?

    public init(count: Int = 0, p50: Double = 0, p95: Double = 0, misses: Int = 0, pace: Double? = nil) {
        self.count = count
        self.p50 = p50
        self.p95 = p95
        self.misses = misses
        self.pace = pace
    }

    /// Summarize frames.
    ///
    /// - Parameters:
    ///   - latencies: seconds, one per frame.
    ///   - point: that they were computed at.
    ///   - computed: patches computed, one per frame, if known. Frames in which nothing was computed have no pace.
    public init(latencies: [Double], point: OperatingPoint, computed: [Int]? = nil) {
        self.init()
        if latencies.isEmpty { return }
        let ordered = latencies.sorted()
        count = ordered.count
        p50 = quantile(ordered, 0.5)
        p95 = quantile(ordered, 0.95)
        misses = ordered.filter { $0 * point.rate > 1 }.count
        if let computed {
            let frames = zip(latencies, computed).filter { $0.1 > 0 }
            let paces = frames.map { $0.0 / point.expected(computed: $0.1) }.sorted()
            pace = paces.isEmpty ? nil : quantile(paces, 0.5)
        }
    }
}

/// The value at this share of the way through, without interpolation: always one that was seen.
private func quantile(_ ordered: [Double], _ share: Double) -> Double {
    ordered[min(ordered.count - 1, Int(share * Double(ordered.count)))]
}
