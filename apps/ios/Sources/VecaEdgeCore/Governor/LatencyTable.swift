import Foundation

/// How long a frame takes in one run configuration, on one device.
public struct LatencyRow: Equatable, Codable, Sendable {
    public var cores: Int
    public var imageSize: Int
    public var patchBudget: Int?
    /// Median seconds of a frame, the usual case.
    public var p50: Double
    /// Seconds that only one frame in twenty exceeds; in a stream those are the keyframes.
    public var p95: Double
    /// Seconds, what energy is counted with.
    public var mean: Double
    /// Patches computed per frame, mean.
    public var computed: Double
    /// A frame in which `n` patches are computed takes `base + patchTime * n` seconds.
    public var base: Double
    public var patchTime: Double

    public var configuration: RunConfiguration {
        RunConfiguration(cores: cores, imageSize: imageSize, patchBudget: patchBudget)
    }

    public init(
        configuration: RunConfiguration, p50: Double, p95: Double, mean: Double, computed: Double, base: Double,
        patchTime: Double = 0
    ) {
        cores = configuration.cores
        imageSize = configuration.imageSize
        patchBudget = configuration.patchBudget
        self.p50 = p50
        self.p95 = p95
        self.mean = mean
        self.computed = computed
        self.base = base
        self.patchTime = patchTime
    }

    /// The row of measured frames: seconds and computed patches of each.
    public init(configuration: RunConfiguration, seconds: [Double], computed: [Int]) {
        let line = fittedLine(seconds, computed)
        let count = Double(seconds.count)
        self.init(
            configuration: configuration, p50: interpolated(seconds, 0.5), p95: interpolated(seconds, 0.95),
            mean: seconds.reduce(0, +) / count, computed: Double(computed.reduce(0, +)) / count, base: line.base,
            patchTime: line.slope)
    }
}

/// Latency of every run configuration on one device. Codable, so that it can be measured once and kept.
public struct LatencyTable: Equatable, Codable, Sendable {
    public var rows: [LatencyRow]

    public init(rows: [LatencyRow]) {
        self.rows = rows
    }
}

/// Seconds without any patch, and per patch: least squares over frames that computed some, but not all.
private func fittedLine(_ seconds: [Double], _ computed: [Int]) -> (base: Double, slope: Double) {
    let most = computed.max() ?? 0
    let partial = zip(computed, seconds).filter { $0.0 > 0 && $0.0 < most }
    let fewest = partial.map(\.0).min() ?? 0
    if partial.count < 5 || partial.allSatisfy({ $0.0 == fewest }) {
        return (interpolated(seconds, 0.5), 0)
    }
    let count = Double(partial.count)
    let meanPatches = partial.reduce(0) { $0 + Double($1.0) } / count
    let meanSeconds = partial.reduce(0) { $0 + $1.1 } / count
    let spread = partial.reduce(0) { $0 + pow(Double($1.0) - meanPatches, 2) }
    let slope = partial.reduce(0) { $0 + (Double($1.0) - meanPatches) * ($1.1 - meanSeconds) } / spread
    let base = meanSeconds - slope * meanPatches
    return slope > 0 && base > 0 ? (base, slope) : (interpolated(partial.map(\.1), 0.5), 0)
}

/// The value at this share of the way through, linear between the two nearest.
func interpolated(_ values: [Double], _ share: Double) -> Double {
    let ordered = values.sorted()
    if ordered.isEmpty { return 0 }
    let place = share * Double(ordered.count - 1)
    let low = Int(place)
    let high = min(low + 1, ordered.count - 1)
    return ordered[low] + (place - Double(low)) * (ordered[high] - ordered[low])
}
