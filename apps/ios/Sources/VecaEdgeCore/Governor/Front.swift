import Foundation

/// Two points this close in quality are the same to a user: then what is given up first decides. First cores, the dial
/// that leaves the results' shape, pace and memory alone; then patches, then rate, and pixels last.
let indifference = 0.01
/// A step down that saves less energy than this, as a share of the point above, is not worth a keyframe.
let saving = 0.03
/// Ladders are made for devices slower by powers of this: finer than frame times can be told apart.
let lateness = 1.05
/// Ten times; nothing can be said about a slower device.
let slowest = 48
/// Rounding must not hide the point that lies exactly at the ceiling.
let rounding = 1e-9
/// Less quality than this is not worth a switch, which costs a keyframe.
let worth = 0.002

/// Points of a front by ascending power and quality.
public struct Ladder: Equatable, Sendable {
    /// Into the front's points.
    public let indices: [Int]
    /// Their power as a share of the front's largest, 0..1.
    public let relative: [Double]

    /// Index of the best point with at most this share of the power; 0, the least of all, if there is none.
    public func best(_ limit: Double) -> Int {
        let position = relative.lastIndex { $0 <= limit + rounding }
        return position.map { indices[$0] } ?? 0
    }
}

/// The points worth choosing, whatever the device's speed.
public struct Front: Equatable, Sendable {
    /// By ascending power.
    public let points: [OperatingPoint]
    /// Their power as a share of the last one's, 0..1.
    public let relative: [Double]
    /// The k-th is the Pareto front of the points that keep their frame rate on a device that is slower by
    /// `lateness` to the power of k. Fewer points do on a slow device, so other ones come to the front.
    public let ladders: [Ladder]

    /// The Pareto fronts of power and quality: among equals cores are given up first, small steps are skipped.
    ///
    /// - Parameter given: points, any, in any order.
    /// - Throws: `VecaError.badTable` if there are none, or a number among them is not valid.
    public init(of given: [OperatingPoint]) throws {
        for point in given {
            let values = [point.rate, point.latency, point.slow, point.power]
            if !values.allSatisfy({ $0.isFinite && $0 > 0 }) || !point.quality.isFinite {
                throw VecaError.badTable("an operating point is not valid: \(point)")
            }
        }
        let cheapest = given.min { a, b in a.power != b.power ? a.power < b.power : a.quality > b.quality }
        guard let least = cheapest else {
            throw VecaError.badTable("there are no operating points to choose among")
        }
        let chosen = (0...slowest).map { k in
            worthwhile(coresFirst(pareto(given.filter { $0.slow * $0.rate * pow(lateness, Double(k)) <= 1 })))
        }
        var others = Set(chosen.joined())
        others.remove(least)
        let kept = [least] + others.sorted { a, b in
            if a.power != b.power { return a.power < b.power }
            return a.quality != b.quality ? a.quality < b.quality : a.description < b.description
        }
        let most = kept[kept.count - 1].power
        let shares = kept.map { $0.power / most }
        let places = Dictionary(uniqueKeysWithValues: kept.enumerated().map { ($1, $0) })
        points = kept
        relative = shares
        ladders = chosen.map { ladder in
            let indices = ladder.compactMap { places[$0] }
            return Ladder(indices: indices, relative: indices.map { shares[$0] })
        }
    }

    /// The points that keep their frame rate on a device slower by this factor; empty if none do.
    func ladder(slower: Double) -> Ladder {
        if slower > pow(lateness, Double(slowest)) { return Ladder(indices: [], relative: []) }
        if slower <= 1 { return ladders[0] }
        return ladders[max(0, Int((log(slower) / log(lateness) - rounding).rounded(.up)))]
    }
}

/// Points that no other one beats in both power and quality, ascending.
private func pareto(_ points: [OperatingPoint]) -> [OperatingPoint] {
    // With the place in the list as the last word, because Swift does not promise a stable sort.
    let ordered = points.enumerated().sorted { left, right in
        let (a, b) = (left.element, right.element)
        if a.power != b.power { return a.power < b.power }
        if a.quality != b.quality { return a.quality > b.quality }
        return a.cores != b.cores ? a.cores > b.cores : left.offset < right.offset
    }
    var front: [OperatingPoint] = []
    for (_, point) in ordered where front.last.map({ point.quality > $0.quality }) ?? true {
        front.append(point)
    }
    return front
}

/// For each point, the one within `indifference` below it that keeps size, rate and patches; those that remain.
///
/// As the front ascends in quality as well as in power, the choices ascend too: more power is never worse.
private func coresFirst(_ front: [OperatingPoint]) -> [OperatingPoint] {
    var chosen: [OperatingPoint] = []
    for (index, best) in front.enumerated() {
        var choice: OperatingPoint?
        for point in front[...index] where point.quality >= best.quality - indifference {
            if choice.map({ keepsLess($0, point) }) ?? true { choice = point }
        }
        // The choices ascend, so that equal ones are neighbours.
        if let choice, choice != chosen.last { chosen.append(choice) }
    }
    return chosen
}

/// Whether `a` keeps less than `b` of image size, rate, patches and quality, the first difference deciding.
private func keepsLess(_ a: OperatingPoint, _ b: OperatingPoint) -> Bool {
    if a.imageSize != b.imageSize { return a.imageSize < b.imageSize }
    if a.rate != b.rate { return a.rate < b.rate }
    if a.patchBudget != b.patchBudget { return (a.patchBudget ?? Int.max) < (b.patchBudget ?? Int.max) }
    return a.quality < b.quality
}

/// Without steps down that save too little, and then without steps up that add too little.
///
/// The best and the least stay in any case.
private func worthwhile(_ ladder: [OperatingPoint]) -> [OperatingPoint] {
    var saved = Array(ladder.suffix(1))
    for (index, point) in ladder.enumerated().dropLast().reversed() {
        guard let above = saved.last else { break }
        if index == 0 || point.power <= (1 - saving) * above.power { saved.append(point) }
    }
    var kept = Array(saved.suffix(1))
    for (index, point) in saved.enumerated().dropLast().reversed() {
        guard let below = kept.last else { break }
        if index == 0 || point.quality >= below.quality + worth { kept.append(point) }
    }
    return kept
}
