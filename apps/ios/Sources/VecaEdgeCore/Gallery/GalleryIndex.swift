import Foundation

/// Examples of one kind, ready to be asked.
struct GalleryIndex: Sendable {
    // What cosines are to be expected before any example says more: mean and standard deviation; of a thing with its
    // own name, and of one that has none with the most alike of one name.
    static let familiarMean = 0.5
    static let familiarDeviation = 0.2
    static let strangerMean = 0.05
    static let strangerDeviation = 0.12
    /// And so much more for each factor e of names.
    static let strangerGrowth = 0.075
    /// Examples that these count as.
    static let priorExamples = 4.0
    /// Standard deviations beyond which a normal variable is one time in ten.
    static let oneInTen = 1.2816

    /// Threshold: whatever is more alike than that is the same picture, or next to it.
    static let highest = 0.98
    /// Similarities that differ by no more than this say the same.
    static let tie = 1e-6

    /// K names.
    let labels: [String]
    /// K directions (D') of the mean of each name's examples.
    let prototypes: [[Double]]
    /// D' values, taken off every vector; nil for nothing.
    let mean: [Double]?
    /// The similarity from which on the best name is worth showing.
    let threshold: Double

    /// The index of n examples.
    init(_ examples: [Example], mean: [Double]?) {
        let names = distinct(examples.map(\.label))
        self.mean = mean
        labels = names
        if names.isEmpty {
            prototypes = []
            threshold = 1
            return
        }
        let numbers = Dictionary(uniqueKeysWithValues: zip(names, names.indices))
        let places = examples.map { numbers[$0.label] ?? 0 }
        let directions = examples.map { direction($0.vector, mean) }
        var sums = [[Double]](repeating: [Double](repeating: 0, count: directions[0].count), count: names.count)
        for (place, direction) in zip(places, directions) {
            for channel in direction.indices {
                sums[place][channel] += direction[channel]
            }
        }
        prototypes = sums.map(unit)
        threshold = limit(directions, places, sums)
    }

    /// Every name and its similarity to a vector (D'), best first; of equal ones the name added first.
    func ranked(_ vector: [Float]) -> [(label: String, similarity: Double)] {
        if labels.isEmpty { return [] }
        let asked = direction(vector, mean)
        let similarity = prototypes.map { dot($0, asked) }
        let best = labels.indices.sorted {
            similarity[$0] != similarity[$1] ? similarity[$0] > similarity[$1] : $0 < $1
        }
        return best.map { (label: labels[$0], similarity: similarity[$0]) }
    }
}

/// The values without repetitions, the first of equal ones in its place.
func distinct(_ values: [String]) -> [String] {
    var known: Set<String> = []
    return values.filter { known.insert($0).inserted }
}

/// What one stranger in ten reaches, or half way from there to what nine in ten familiar things reach.
///
/// Each example plays a stranger to the other names, and a familiar thing to the other examples of its own.
private func limit(_ examples: [[Double]], _ places: [Int], _ sums: [[Double]]) -> Double {
    let count = Double(sums.count)
    let prototypes = sums.map(unit)
    var strangers: [Double] = []
    if sums.count > 1 {
        strangers = zip(examples, places).map { example, place in
            let others = prototypes.indices.filter { $0 != place }.map { dot(example, prototypes[$0]) }
            return (others.max() ?? 0) + GalleryIndex.strangerGrowth * log(count / (count - 1))
        }
    }
    var sizes = [Int](repeating: 0, count: sums.count)
    for place in places {
        sizes[place] += 1
    }
    let familiar = zip(examples, places).filter { sizes[$0.1] > 1 }.map { example, place in
        dot(unit(zip(sums[place], example).map { $0 - $1 }), example)
    }
    let expected = GalleryIndex.strangerMean + GalleryIndex.strangerGrowth * log(count)
    let high = spread(strangers, expected, GalleryIndex.strangerDeviation, GalleryIndex.oneInTen)
    let low = spread(familiar, GalleryIndex.familiarMean, GalleryIndex.familiarDeviation, -GalleryIndex.oneInTen)
    return min(GalleryIndex.highest, max(high, (high + low) / 2))
}

/// So many standard deviations from the mean of values and of the prior's, which are as expected.
private func spread(_ values: [Double], _ mean: Double, _ deviation: Double, _ steps: Double) -> Double {
    let prior = GalleryIndex.priorExamples
    let count = prior + Double(values.count)
    let centre = (prior * mean + values.reduce(0, +)) / count
    let expected = prior * (deviation * deviation + (mean - centre) * (mean - centre))
    let variance = (expected + values.reduce(0) { $0 + ($1 - centre) * ($1 - centre) }) / count
    return centre + steps * variance.squareRoot()
}

/// A vector without the mean, as a unit vector.
private func direction(_ vector: [Float], _ mean: [Double]?) -> [Double] {
    let wide = vector.map { Double($0) }
    guard let mean else { return unit(wide) }
    return unit(zip(wide, mean).map { $0 - $1 })
}

/// A vector at length 1; zeros stay.
private func unit(_ vector: [Double]) -> [Double] {
    let length = max(dot(vector, vector).squareRoot(), 1e-12)
    return vector.map { $0 / length }
}

private func dot(_ first: [Double], _ second: [Double]) -> Double {
    var sum = 0.0
    for index in first.indices {
        sum += first[index] * second[index]
    }
    return sum
}
