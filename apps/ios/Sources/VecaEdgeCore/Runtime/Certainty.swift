import Foundation

/// From logits to whether the most likely label may be shown.
public struct Certainty: Equatable, Sendable {
    /// Of a model that was never asked about photos of anything else.
    public static let defaultThreshold = 0.5

    /// Logits are divided by it before they become a confidence, 0.01..100.
    public let temperature: Double
    /// The least confidence of a label that is shown, 0..1.
    public let threshold: Double

    public init() {
        temperature = 1
        threshold = Certainty.defaultThreshold
    }

    /// - Throws: `VecaError.badSetting` for a number out of its range.
    public init(temperature: Double = 1, threshold: Double) throws {
        guard (0.01...100).contains(temperature), (0...1).contains(threshold) else {
            throw VecaError.badSetting(
                "certainty: temperature \(temperature) and threshold \(threshold), expected 0.01 to 100 and 0 to 1")
        }
        self.temperature = temperature
        self.threshold = threshold
    }

    /// The probability of the most likely label at this temperature, 0..1.
    public func confidence(_ logits: [Float]) -> Double {
        let most = Double(logits.max() ?? 0)
        return 1 / logits.reduce(0) { $0 + exp((Double($1) - most) / temperature) }
    }

    /// Whether the most likely label may be shown; never for logits that are not finite.
    public func sure(_ logits: [Float]) -> Bool {
        logits.allSatisfy(\.isFinite) && confidence(logits) >= threshold
    }

    /// The same with a threshold of one's own, 0..1.
    ///
    /// - Throws: `VecaError.badSetting` if it is out of its range.
    public func at(_ threshold: Double) throws -> Certainty {
        try Certainty(temperature: temperature, threshold: threshold)
    }
}
