// What a stream's work costs, in units of what a full frame costs per patch.

/// A core of a full frame.
let fullCore = 1.25
/// A patch of a step, a core of one, a patch that it remembers, and the call.
let stepPatch = 1.25
let stepCore = 1.5
let stepRemembered = 0.125
let stepCall = 3.0
/// Looking for change, and that per patch of the picture.
let lookCall = 6.0
let lookPatch = 0.015625
/// Of a look: what the next frame is compared with, and no more.
let takenShare = 0.5
/// The keys and values of a keyframe, and those per patch.
let keepCall = 4.0
let keepPatch = 0.125
/// What can be spent at once, in full frames.
let mostLeft = 0.25
/// What comes back per frame, in full frames.
let earnedPerFrame = 0.0078125

/// How much more than full frames a stream may still cost: what it saves pays for what it spends later, up to a limit.
///
/// Counted in what its work costs, never by a clock, so that results repeat.
struct Allowance {
    private let step: Double
    private let patch: Double
    private let keep: Double
    private let look: Double
    /// Full frames, below 0 if too much was spent.
    private var left = mostLeft

    init(patches: Int, cores: Int) {
        let full = Double(patches) + fullCore * Double(cores)
        step = (stepCall + stepCore * Double(cores) + stepRemembered * Double(patches)) / full
        patch = stepPatch / full
        keep = (keepCall + keepPatch * Double(patches)) / full
        look = (lookCall + lookPatch * Double(patches)) / full
    }

    /// Whether only full frames may follow, until what they earn makes up for it.
    var spent: Bool { left < 0 }

    /// A frame of all patches is done.
    ///
    /// - Parameters:
    ///   - kept: with their keys and values.
    ///   - looked: after looking for change.
    ///   - taken: without, but so that the next frame can be compared with it.
    mutating func full(kept: Bool, looked: Bool, taken: Bool) {
        let looks = looked ? 1 : taken ? takenShare : 0
        count(1 + (kept ? keep : 0) + looks * look)
    }

    /// A frame of which so many patches were computed is done, after looking for change.
    mutating func step(_ patches: Int) {
        count(look + (patches > 0 ? step + patch * Double(patches) : 0))
    }

    private mutating func count(_ cost: Double) {
        left = min(mostLeft, left + 1 + earnedPerFrame - cost)
    }
}
