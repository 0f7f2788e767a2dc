import Foundation

/// Paints patch features by their first three principal components, steadily from frame to frame: each frame starts
/// from the last one's directions, since components analysed anew come in any sign and order and would flash.
public struct FeaturePainter: Sendable {
    /// Steps of the iteration, from scratch and from the last frame.
    private static let firstRounds = 24
    private static let rounds = 2
    /// How fast mean and range follow a changing scene, per frame.
    private static let follow: Float = 0.15

    private var mean: [Float] = []
    private var directions: [[Float]] = []
    private var spans: [Float] = []

    public init() {}

    /// A picture with one pixel per patch; nil if there are no features.
    public mutating func paint(_ result: Result) -> RGBImage? {
        let count = result.grid.count
        let depth = count > 0 ? result.features.count / count : 0
        if depth == 0 { return nil }
        let rows = (0..<count).map { Array(result.features[($0 * depth)..<(($0 + 1) * depth)]) }
        let fresh = mean.count != depth
        followMean(rows, fresh)
        let centred = rows.map { row in zip(row, mean).map { $0 - $1 } }
        turn(centred, fresh)
        let projected = directions.map { direction in centred.map { dot($0, direction) } }
        followSpans(projected, fresh)
        // One scale for all: a component with little variance stays a tint instead of noise.
        let widest = spans.max() ?? 0
        var pixels = [UInt8](repeating: 0, count: count * 3)
        for channel in 0..<3 {
            let span = max(spans[channel], 0.5 * widest, 1e-6)
            for patch in 0..<count {
                // A soft limit: strong patches keep their differences instead of all turning the same colour.
                let shade = tanhf(1.6 * projected[channel][patch] / span)
                pixels[patch * 3 + channel] = UInt8(128 + 110 * shade)
            }
        }
        return RGBImage(checkedWidth: result.grid.columns, height: result.grid.rows, pixels: pixels)
    }

    private mutating func followMean(_ rows: [[Float]], _ fresh: Bool) {
        var sum = [Float](repeating: 0, count: rows[0].count)
        for row in rows {
            for channel in row.indices {
                sum[channel] += row[channel]
            }
        }
        let now = sum.map { $0 / Float(rows.count) }
        mean = fresh ? now : zip(mean, now).map { $0 + FeaturePainter.follow * ($1 - $0) }
    }

    /// Turn the directions towards those of most variance.
    private mutating func turn(_ centred: [[Float]], _ fresh: Bool) {
        if fresh {
            // The same arbitrary directions every time.
            let waves: [Float] = [1.0, 1.7, 2.9]
            directions = orthonormal(waves.map { wave in mean.indices.map { sinf(Float($0 + 1) * wave) } })
        }
        for _ in 0..<(fresh ? FeaturePainter.firstRounds : FeaturePainter.rounds) {
            let turned = directions.map { direction -> [Float] in
                var sum = direction.map { $0 * 1e-6 }
                for row in centred {
                    let share = dot(row, direction)
                    for channel in row.indices {
                        sum[channel] += share * row[channel]
                    }
                }
                return sum
            }
            directions = orthonormal(turned)
        }
    }

    private mutating func followSpans(_ projected: [[Float]], _ fresh: Bool) {
        let now = projected.map { values -> Float in
            let ordered = values.sorted()
            let edge = ordered.count / 50
            return max(ordered[ordered.count - 1 - edge], -ordered[edge])
        }
        spans = fresh ? now : zip(spans, now).map { $0 + FeaturePainter.follow * ($1 - $0) }
    }
}

private func dot(_ a: [Float], _ b: [Float]) -> Float {
    var sum: Float = 0
    for index in a.indices {
        sum += a[index] * b[index]
    }
    return sum
}

/// The vectors made perpendicular to those before them, of length 1 (Gram and Schmidt).
private func orthonormal(_ vectors: [[Float]]) -> [[Float]] {
    var made: [[Float]] = []
    for vector in vectors {
        var rest = vector
        for other in made {
            let share = dot(rest, other)
            rest = zip(rest, other).map { $0 - share * $1 }
        }
        let length = max(dot(rest, rest).squareRoot(), 1e-12)
        made.append(rest.map { $0 / length })
    }
    return made
}
