/// What a session has done so far.
public struct SessionStatistics: Sendable {
    /// Frames given to it.
    public private(set) var frames = 0
    /// Of them, those that the model ran on; the others were left out for the point's frame rate.
    public private(set) var computed = 0
    /// Seconds since the first frame.
    public private(set) var seconds = 0.0
    /// Seconds at each operating point.
    public private(set) var secondsAt: [OperatingPoint: Double] = [:]
    /// Changes of the operating point.
    public private(set) var switches = 0
    /// Frames that took longer than the point's share of time, 1 / rate.
    public private(set) var misses = 0
    /// Energy drawn meanwhile by what the sensors measure, or nil if they measure none.
    public private(set) var joules: Double?
    private var last: (point: OperatingPoint, time: Double)?

    /// Count a frame; latency nil if it was left out.
    mutating func count(now: Double, latency: Double?, point: OperatingPoint, power: Double?) {
        let passed = last.map { now - $0.time } ?? 0
        if let before = last?.point {
            seconds += passed
            secondsAt[before, default: 0] += passed
            switches += before == point ? 0 : 1
        }
        if let power {
            joules = (joules ?? 0) + power * passed
        }
        last = (point, now)
        frames += 1
        if let latency {
            computed += 1
            misses += latency * point.rate > 1 ? 1 : 0
        }
    }
}
