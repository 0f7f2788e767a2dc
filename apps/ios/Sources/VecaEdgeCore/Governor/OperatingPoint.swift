import Foundation

/// What is computed of a frame: cores, image size, and how many patches at most (nil: all of them every time).
public struct RunConfiguration: Hashable, Sendable {
    public var cores: Int
    public var imageSize: Int
    public var patchBudget: Int?

    public init(cores: Int, imageSize: Int, patchBudget: Int?) {
        self.cores = cores
        self.imageSize = imageSize
        self.patchBudget = patchBudget
    }
}

/// One run configuration, at one frame rate.
public struct OperatingPoint: Hashable, Sendable, CustomStringConvertible {
    /// Active cores.
    public var cores: Int
    /// Pixels.
    public var imageSize: Int
    /// Most patches computed per frame, or nil for all of them every time (nothing remembered).
    public var patchBudget: Int?
    /// Frames per second.
    public var rate: Double
    /// 0..1; 1 is the best run configuration at the target rate.
    public var quality: Double
    /// Median seconds of a frame, unthrottled.
    public var latency: Double
    /// Seconds that one frame in twenty exceeds (keyframes), unthrottled.
    public var slow: Double
    /// Watts, or the share of time that the processor is busy. One unit for all points of a front.
    public var power: Double
    /// Patches computed per frame while that was measured, mean.
    public var patches: Double
    /// A frame in which n patches are computed takes `base + patchTime * n` seconds; both 0 if unknown.
    public var base: Double
    public var patchTime: Double

    public init(
        cores: Int, imageSize: Int, patchBudget: Int?, rate: Double, quality: Double, latency: Double, slow: Double,
        power: Double, patches: Double = 0, base: Double = 0, patchTime: Double = 0
    ) {
        self.cores = cores
        self.imageSize = imageSize
        self.patchBudget = patchBudget
        self.rate = rate
        self.quality = quality
        self.latency = latency
        self.slow = slow
        self.power = power
        self.patches = patches
        self.base = base
        self.patchTime = patchTime
    }

    /// Seconds that a frame should take in which `computed` patches were computed (nil: not known).
    public func expected(computed: Int?) -> Double {
        guard let computed, base != 0 else { return latency }
        return base + patchTime * Double(computed)
    }

    /// "C 64, 256 px, 96 patches, 30 fps"
    public var description: String {
        let patches = patchBudget.map(String.init) ?? "all"
        return "C \(cores), \(imageSize) px, \(patches) patches, \(fps) fps"
    }

    /// The rate for people: "30", "29.8".
    var fps: String {
        plain(Double(String(format: "%.1f", rate)) ?? rate)
    }
}
