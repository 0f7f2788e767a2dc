/// A box in pixels of the picture that the model was given.
public struct Region: Hashable, Sendable {
    public var x: Double
    public var y: Double
    public var width: Double
    public var height: Double

    public init(x: Double, y: Double, width: Double, height: Double) {
        self.x = x
        self.y = y
        self.width = width
        self.height = height
    }
}

/// The mean of a result's patch features, each weighted with the area that the box covers of it: D' values.
///
/// - Throws: `VecaError.badSetting` for numbers that are not finite, or without an area within `result.crop`.
func regionMean(_ result: Result, _ box: Region) throws -> [Float] {
    try check(box)
    let (crop, grid) = (result.crop, result.grid)
    let (left, top) = (Double(crop.x), Double(crop.y))
    let (wide, high) = (Double(crop.width), Double(crop.height))
    let across = covered((box.x - left) / wide, box.width / wide, grid.columns)
    let down = covered((box.y - top) / high, box.height / high, grid.rows)
    let total = across.reduce(0, +) * down.reduce(0, +)
    guard total > 0 else {
        throw VecaError.badSetting(
            "the box \(box) lies outside of what the model saw: x \(crop.x) to \(crop.x + crop.width), "
                + "y \(crop.y) to \(crop.y + crop.height)")
    }
    let depth = result.features.count / grid.count
    var mean = [Double](repeating: 0, count: depth)
    for row in 0..<grid.rows {
        for column in 0..<grid.columns {
            let weight = down[row] * across[column] / total
            if weight == 0 { continue }
            let start = (row * grid.columns + column) * depth
            for channel in 0..<depth {
                mean[channel] += weight * Double(result.features[start + channel])
            }
        }
    }
    return mean.map { Float($0) }
}

/// Of each of so many cells, which share 0..1, the part within start .. start + length.
private func covered(_ start: Double, _ length: Double, _ cells: Int) -> [Double] {
    (0..<cells).map { cell in
        let (first, last) = (Double(cell) / Double(cells), Double(cell + 1) / Double(cells))
        return max(min(start + length, last) - max(start, first), 0) * Double(cells)
    }
}

private func check(_ box: Region) throws {
    guard [box.x, box.y, box.width, box.height].allSatisfy(\.isFinite) else {
        throw VecaError.badSetting("\(box): use four numbers, x, y, width and height in pixels")
    }
    guard box.width > 0, box.height > 0 else {
        throw VecaError.badSetting("\(box) is empty: width and height must be above 0")
    }
}
