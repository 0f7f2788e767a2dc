// What a stream's work costs, in units of what a full frame costs per patch.

/// Fitting the frame and making the result, of every frame.
let callCost = 12.0
/// A core of a full frame.
let fullCore = 1.25
/// A patch of a step, a core of one, a patch that it remembers.
let stepPatch = 1.25
let stepCore = 1.5
let stepRemembered = 0.125
/// Another number of patches than the step before, for which the engine makes a new plan.
let planCost = 14.0
/// Looking for change, and that per patch of the picture.
let lookCost = 6.0
let lookPatch = 0.015625
/// Of a look: what the next frame is compared with, and no more.
let takenShare = 0.5
/// The keys and values of a keyframe, and those per patch.
let keepCost = 3.0
let keepPatch = 0.09375
/// What can be spent at once, in full frames.
let mostLeft = 0.21875
/// What comes back per frame, in full frames.
let earnedPerFrame = 0.0078125

/// How much more than full frames a stream may still cost: what it saves pays for what it spends later, up to a limit.
///
/// Counted in what its work costs, never by a clock, so that results repeat.
struct Allowance {
    private let look: Double
    private let keep: Double
    private let nothing: Double
    private let step: Double
    private let patch: Double
    private let plan: Double
    private let all: Int
    /// Patches of the step before.
    private var before: Int
    /// Full frames, below 0 if too much was spent.
    private var left = mostLeft

    init(patches: Int, cores: Int) {
        let full = callCost + Double(patches) + fullCore * Double(cores)
        look = (lookCost + lookPatch * Double(patches)) / full
        keep = (keepCost + keepPatch * Double(patches)) / full
        nothing = callCost / full + look
        step = (stepCore * Double(cores) + stepRemembered * Double(patches)) / full
        patch = stepPatch / full
        plan = planCost / full
        all = patches
        before = patches
    }

    /// Whether only full frames may follow, until what they earn makes up for it.
    var spent: Bool { left < 0 }

    /// Whether a step of so many patches makes up for a keyframe that remembers the others.
    func pays(_ patches: Int) -> Bool { keep + plan + cost(patches) < 1 }

    /// A frame of which so many patches were computed, after looking for change.
    ///
    /// - Returns: whether that saved anything.
    mutating func countStep(_ patches: Int) -> Bool {
        var spent = cost(patches)
        if patches > 0 && patches != before {
            spent += plan
            before = patches
        }
        count(spent)
        return spent < 1
    }

    /// A frame of all patches.
    ///
    /// - Parameters:
    ///   - kept: with their keys and values.
    ///   - looked: after looking for change.
    ///   - taken: without, but so that the next frame can be compared with it.
    mutating func countFull(kept: Bool, looked: Bool, taken: Bool) {
        if kept { before = all }
        let looks: Double = looked ? 1 : taken ? takenShare : 0
        count(1 + (kept ? keep : 0) + looks * look)
    }

    private func cost(_ patches: Int) -> Double {
        nothing + (patches > 0 ? step + patch * Double(patches) : 0)
    }

    private mutating func count(_ cost: Double) {
        left = min(mostLeft, left + 1 + earnedPerFrame - cost)
    }
}
