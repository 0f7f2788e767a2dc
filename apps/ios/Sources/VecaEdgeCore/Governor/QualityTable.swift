import Foundation

/// Frame rates that a camera's frames can be thinned to without judder: every one, every second, third, sixth.
public let rateDivisors = [1, 2, 3, 6]
/// How fast perceived quality falls with the frame rate: half the rate costs 5 %, a third 13 %, a sixth 37 %.
let smoothnessFall = 6.0

/// How close one run configuration stays to the best one (all cores, largest image, every patch).
public struct QualityRow: Equatable, Sendable {
    public var configuration: RunConfiguration
    /// Mean cosine of the image embeddings, -1..1.
    public var embeddingCosine: Double
    /// Mean cosine of the patch features, -1..1.
    public var featureCosine: Double
    /// What the classes' probabilities have in common, 1 - total variation, mean over images, 0..1; nil for a model
    /// without a classifier. Of files from before it was measured: the share of images with the same first label.
    public var labelOverlap: Double?
    /// How far dense heads draw the same, mean over heads, 0..1; nil for a model without any.
    public var denseAgreement: Double?

    public init(
        configuration: RunConfiguration, embeddingCosine: Double, featureCosine: Double, labelOverlap: Double? = nil,
        denseAgreement: Double? = nil
    ) {
        self.configuration = configuration
        self.embeddingCosine = embeddingCosine
        self.featureCosine = featureCosine
        self.labelOverlap = labelOverlap
        self.denseAgreement = denseAgreement
    }

    /// The geometric mean of the measures that exist, 0..1.
    ///
    /// Geometric, because an app uses one of the outputs: good ones must not hide that another is useless.
    public var fidelity: Double {
        let measures = [embeddingCosine, featureCosine, labelOverlap, denseAgreement].compactMap { $0 }
        let product = measures.reduce(1) { $0 * clamped($1, 0, 1) }
        return pow(product, 1 / Double(measures.count))
    }
}

/// What a result is still worth when the scene has moved on.
public struct Freshness: Equatable, Sendable {
    /// Seconds since the frame that the result is of, ascending from 0.
    public var ages: [Double]
    /// Fidelity of such a result to the present frame's, 0..1; one per age.
    public var worth: [Double]

    /// Without a measurement every rate is worth the same.
    public init() {
        ages = [0]
        worth = [1]
    }

    /// - Throws: `VecaError.badTable` unless the ages ascend from 0 and there are as many values of worth.
    public init(ages: [Double], worth: [Double]) throws {
        let ascending = zip(ages, ages.dropFirst()).allSatisfy { $0 < $1 }
        let inRange = (ages + worth).allSatisfy { $0.isFinite && $0 >= 0 } && worth.allSatisfy { $0 <= 1 + 1e-5 }
        guard ages.first == 0, ages.count == worth.count, ascending, inRange else {
            throw VecaError.badTable("the freshness table needs ascending ages from 0 and as many values of worth")
        }
        self.ages = ages
        self.worth = worth
    }

    /// Mean worth of the latest result at this many results per second, 0..1.
    ///
    /// Between two results the last one is shown, so its age runs evenly from 0 to 1 / rate.
    public func at(_ rate: Double) -> Double {
        let period = 1 / rate
        let inner = [0] + ages.filter { 0 < $0 && $0 < period } + [period]
        var total = 0.0
        for (start, end) in zip(inner, inner.dropFirst()) {
            total += (end - start) * (worth(atAge: start) + worth(atAge: end)) / 2
        }
        return total / period
    }

    /// Linear between the measured ages, the last one beyond them.
    private func worth(atAge age: Double) -> Double {
        guard let index = ages.firstIndex(where: { $0 >= age }) else { return worth[worth.count - 1] }
        if index == 0 { return worth[0] }
        let share = (age - ages[index - 1]) / (ages[index] - ages[index - 1])
        return worth[index - 1] + share * (worth[index] - worth[index - 1])
    }
}

/// Quality of every run configuration, from the model file.
public struct QualityTable: Equatable, Sendable {
    public var rows: [QualityRow]
    public var freshness: Freshness

    public init(rows: [QualityRow], freshness: Freshness = Freshness()) {
        self.rows = rows
        self.freshness = freshness
    }
}

/// What a frame rate of this share (0..1) of the target is worth to a viewer, 0..1.
func smoothness(_ share: Double) -> Double {
    (1 - exp(-smoothnessFall * share)) / (1 - exp(-smoothnessFall))
}

/// Points for every run configuration that both tables know, at the target rate and the ones below it.
///
/// Quality is the configuration's fidelity, times what a result of this rate is worth on average until the next one
/// comes (as a share of the target rate's), times the smoothness of the rate.
///
/// - Parameters:
///   - quality: from the model file.
///   - latency: of this device.
///   - targetRate: frames per second that the app wants, above 0.
/// - Throws: `VecaError.badTable` if the tables have no configuration in common, `.badSetting` for an impossible rate.
public func operatingPoints(
    quality: QualityTable, latency: LatencyTable, targetRate: Double
) throws -> [OperatingPoint] {
    guard targetRate > 0, targetRate <= 1000 else {
        throw VecaError.badSetting("a target of \(targetRate) frames per second: use more than 0, up to 1000")
    }
    let timings = Dictionary(latency.rows.map { ($0.configuration, $0) }, uniquingKeysWith: { _, last in last })
    let fresh = quality.freshness
    var points: [OperatingPoint] = []
    for row in quality.rows {
        let configuration = row.configuration
        guard let timing = timings[configuration] else { continue }
        for divisor in rateDivisors {
            let rate = targetRate / Double(divisor)
            let worth = fresh.at(rate) / fresh.at(targetRate) * smoothness(1 / Double(divisor))
            points.append(
                OperatingPoint(
                    cores: configuration.cores, imageSize: configuration.imageSize,
                    patchBudget: configuration.patchBudget, rate: rate,
                    quality: row.fidelity * worth, latency: timing.p50, slow: max(timing.p50, timing.p95),
                    power: timing.mean * rate, patches: timing.computed, base: timing.base,
                    patchTime: timing.patchTime))
        }
    }
    if points.isEmpty {
        throw VecaError.badTable("the quality table and the latency table have no operating point in common")
    }
    return points
}
