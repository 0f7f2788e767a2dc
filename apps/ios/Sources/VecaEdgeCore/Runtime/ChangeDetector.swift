/// Noise alone gives a patch of 8 * 8 * 3 = 192 values a mean square of 2 sigma^2 with a deviation of 10 %, and
/// brighter patches are noisier than the quiet ones that the estimate is taken from.
let noiseMargin = 1.5
/// A step costs the cores whatever its patches, so the rotation joins steps that are made anyway; without any it waits
/// until so many frames' worth is due.
let rotationFrames = 8.0
/// The engine plans anew whenever it gets another number of patches, which takes it as long as some patches do. So
/// numbers come in steps of 8, larger ones of at least an eighth, and the oldest patches fill what is over.
let patchStep = 8
/// A patch that changed by so many times the sensitivity does not wait.
let strong = 2.0

/// What to compute of one frame.
struct ChangePlan: Equatable {
    /// Indices, ascending; none if the last result still holds.
    let patches: [Int]
    /// Whether that is all of them, because too much changed or nothing was known.
    let keyframe: Bool
    /// How many moved past the threshold.
    let changed: Int
    /// Whether anybody looked; if not, all may have changed.
    var looked = true
}

/// Compares each patch with its pixels when it was *last computed*, so that slow drift cannot hide.
struct ChangeDetector {
    var settings: ChangeSettings
    private var seen: [UInt8] = []
    private var patchBytes = 0
    /// Frames since each patch was computed.
    private(set) var age: [Int] = []
    private var follower = NoiseFollower()
    private var waited = 0
    private var due = 0.0

    init(_ settings: ChangeSettings) {
        self.settings = settings
    }

    /// The camera's noise as estimated so far, standard deviation in grey levels.
    var noise: Double { follower.noise }

    /// Forget everything: the next frame is a keyframe.
    mutating func reset() {
        self = ChangeDetector(settings)
    }

    /// Decide for a frame, and take its pixels as computed.
    ///
    /// - Parameters:
    ///   - patches: N patches of `length` values, in the same order as in the frames before.
    ///   - length: q * q * 3, of any side q.
    ///   - allOfThem: make it a keyframe.
    mutating func plan(_ patches: [UInt8], length: Int, allOfThem: Bool = false) -> ChangePlan {
        if seen.count != patches.count || patchBytes != length {
            reset()
            patchBytes = length
            follower.start(patches, length)
            return keyframe(patches, changed: patches.count / length)
        }
        follower.follow(patches, length)
        for index in age.indices {
            age[index] += 1
        }
        let change = changes(patches)
        let changed = change.indices.filter { change[$0] > 1 }
        if allOfThem || Double(changed.count) > settings.keyframeShare * Double(age.count) {
            return keyframe(patches, changed: changed.count)
        }
        let chosen = choose(change, changed)
        for patch in chosen {
            let rows = (patch * length)..<((patch + 1) * length)
            seen.replaceSubrange(rows, with: patches[rows])
            age[patch] = 0
        }
        return ChangePlan(patches: chosen, keyframe: false, changed: changed.count)
    }

    /// A keyframe without a look: only what the next frame is compared with.
    mutating func take(_ patches: [UInt8]) -> ChangePlan {
        keyframe(patches, changed: patches.count / patchBytes, looked: false)
    }

    private mutating func keyframe(_ patches: [UInt8], changed: Int, looked: Bool = true) -> ChangePlan {
        let count = patches.count / patchBytes
        seen = patches
        age = [Int](repeating: 0, count: count)
        waited = 0
        due = 0
        return ChangePlan(patches: Array(0..<count), keyframe: true, changed: changed, looked: looked)
    }

    /// Mean square change beyond the noise in units of the threshold's; above 1 counts as changed.
    private func changes(_ patches: [UInt8]) -> [Float] {
        let beyond = Float(noiseMargin * 2 * noise * noise)
        let threshold = Float(settings.sensitivity * settings.sensitivity)
        let length = patchBytes
        return patches.withUnsafeBufferPointer { now in
            seen.withUnsafeBufferPointer { before in
                (0..<age.count).map { patch in
                    // Squares of differences of bytes: an integer sum is exact, and quick.
                    var sum = 0
                    for place in (patch * length)..<((patch + 1) * length) {
                        let difference = Int(now[place]) - Int(before[place])
                        sum += difference * difference
                    }
                    return (Float(sum) / Float(length) - beyond) / threshold
                }
            }
        }
    }

    /// The most changed, and as many of the oldest as are due for a round in `refreshFrames`.
    private mutating func choose(_ change: [Float], _ changed: [Int]) -> [Int] {
        let count = change.count
        let rate = Double(count) / Double(settings.refreshFrames)
        due = min(due + rate, Double(count))
        let rotating = due >= max(1, rotationFrames * rate)
        if !rotating && (changed.isEmpty || waits(strongest: Double(change.max() ?? 0))) {
            return []
        }
        waited = 0
        var refresh = Int(due)
        var chosen = changed
        let most = min(settings.patchBudget ?? count, count)
        if let budget = settings.patchBudget {
            // Change cannot starve the rotation, nor the rotation change.
            refresh = min(refresh, max(1, budget / 4))
            if chosen.count > budget - refresh {
                chosen.sort { change[$0] != change[$1] ? change[$0] > change[$1] : $0 < $1 }
                chosen.removeLast(chosen.count - (budget - refresh))
            }
        }
        refresh = min(wholeSteps(chosen.count + refresh), most) - chosen.count
        due = max(0, due - Double(refresh))
        return (chosen + oldest(refresh, apartFrom: chosen)).sorted()
    }

    /// Whether this frame's changes wait for the next frame's.
    private mutating func waits(strongest: Double) -> Bool {
        waited += 1
        return strongest <= strong * strong && waited <= settings.patience
    }

    /// The oldest patches, of equally old ones those that come first.
    private func oldest(_ number: Int, apartFrom taken: [Int]) -> [Int] {
        if number < 1 { return [] }
        let skipped = Set(taken)
        let others = age.indices.filter { !skipped.contains($0) }
        return Array(others.sorted { age[$0] != age[$1] ? age[$0] > age[$1] : $0 < $1 }.prefix(number))
    }
}

/// The next number of patches that the engine is asked for.
func wholeSteps(_ patches: Int) -> Int {
    let bits = Int.bitWidth - max(0, patches - 1).leadingZeroBitCount
    let step = max(patchStep, 1 << max(0, bits - 3))
    return (patches + step - 1) / step * step
}
