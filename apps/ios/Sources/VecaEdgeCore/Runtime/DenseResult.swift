import Foundation

/// A dense head's results for one image: classes or values, everywhere in it.
public struct DenseResult: Equatable, Sendable {
    /// Pixels of an enlarged result.
    static let longestSideOfResults = 16_384
    /// More values than this fit no phone.
    static let mostValues = 1 << 28

    /// Which head, its classes and colours, or its unit.
    public let task: DenseTask
    /// Of cells: k for each row of patches.
    public let rows: Int
    public let columns: Int
    /// (row, column, value): K logits, or a value, per cell of the image that the model saw.
    public let cells: [Float]
    /// The same image in pixels of the given one.
    public let crop: Box
    /// In a stream, whether each cell was computed for this frame; else nil.
    public internal(set) var computed: [Bool]?

    /// What a head's outputs say.
    ///
    /// - Parameters:
    ///   - outputs: `grid.count` rows of K * k * k values.
    ///   - computed: whether each patch was computed for this frame, or nil.
    init(_ task: DenseTask, _ outputs: [Float], _ grid: PatchGrid, crop: Box, computed: [Bool]? = nil) {
        let (k, columns) = (task.cells, grid.columns * task.cells)
        self.task = task
        self.rows = grid.rows * k
        self.columns = columns
        self.cells = task.picture(outputs, grid)
        self.crop = crop
        self.computed = computed.map { patches in
            (0..<(grid.count * k * k)).map { patches[$0 / columns / k * grid.columns + $0 % columns / k] }
        }
    }

    /// The cells enlarged bilinearly to an image of this size, the part `crop` of the given one at any scale: (row,
    /// column, value). Each cell's value stands in its middle; beyond the outermost middles values go on as they are.
    ///
    /// - Throws: `VecaError.badSetting` for sides that are not within 1...16384 pixels, or too many values.
    public func at(height: Int, width: Int) throws -> [Float] {
        var enlarged: [Float] = []
        try forEachRow(height, width, depth: task.values) { enlarged.append(contentsOf: $0) }
        return enlarged
    }

    /// The likeliest class of every cell: (row, column).
    ///
    /// - Throws: `VecaError.badSetting` for a regression.
    public func classes() throws -> [Int] {
        try check(.segmentation)
        return (0..<(rows * columns)).map { likeliest(cells, $0) }
    }

    /// The likeliest class of every pixel of an image of this size, as `at(height:width:)`: (row, column).
    public func classes(height: Int, width: Int) throws -> [Int] {
        try check(.segmentation)
        var found: [Int] = []
        try forEachRow(height, width, depth: 1) { row in
            found.append(contentsOf: (0..<width).map { likeliest(row, $0) })
        }
        return found
    }

    /// Softmax of the logits: (row, column, class).
    ///
    /// - Throws: `VecaError.badSetting` for a regression.
    public func probabilities() throws -> [Float] {
        try check(.segmentation)
        return (0..<(rows * columns)).flatMap { place -> [Float] in
            let logits = cells[(place * task.values)..<((place + 1) * task.values)]
            let most = logits.max() ?? 0
            let shifted = logits.map { exp($0 - most) }
            let sum = shifted.reduce(0, +)
            return shifted.map { $0 / sum }
        }
    }

    /// The share of cells in which each class is the likeliest, 0...1, in the order of the task's labels.
    ///
    /// - Throws: `VecaError.badSetting` for a regression.
    public func areas() throws -> [Double] {
        var counts = [Int](repeating: 0, count: task.values)
        for found in try classes() {
            counts[found] += 1
        }
        return counts.map { Double($0) / Double(rows * columns) }
    }

    /// A regression's values: (row, column).
    ///
    /// - Throws: `VecaError.badSetting` for a segmentation.
    public func values() throws -> [Float] {
        try check(.regression)
        return cells
    }

    /// For showing: each pixel in its class's colour, or by its value from the low end of the task's range to the high
    /// one.
    ///
    /// - Throws: `VecaError.badSetting` for a size, as `at(height:width:)`.
    public func paint(height: Int, width: Int) throws -> RGBImage {
        var pixels: [UInt8] = []
        try forEachRow(height, width, depth: 3) { row in
            for x in 0..<width {
                let colour = task.kind == .segmentation ? task.colours[likeliest(row, x)] : shade(row[x])
                pixels.append(colour.red)
                pixels.append(colour.green)
                pixels.append(colour.blue)
            }
        }
        return RGBImage(checkedWidth: width, height: height, pixels: pixels)
    }

    /// The colour of a regression's value.
    public func shade(_ value: Float) -> Colour {
        let share = (Double(value) - task.range.lowerBound) / (task.range.upperBound - task.range.lowerBound)
        let place = share.isNaN ? 0 : min(max(share, 0), 1) * Double(scale.count - 1)
        let first = scale[Int(place)]
        let second = scale[min(Int(place) + 1, scale.count - 1)]
        let part = place - place.rounded(.down)
        func mixed(_ a: UInt8, _ b: UInt8) -> UInt8 {
            UInt8((Double(a) + part * (Double(b) - Double(a))).rounded())
        }
        return Colour(
            red: mixed(first.red, second.red), green: mixed(first.green, second.green),
            blue: mixed(first.blue, second.blue))
    }

    /// The index of the largest of K values, the first of equal ones.
    private func likeliest(_ values: [Float], _ place: Int) -> Int {
        let from = place * task.values
        var best = 0
        for index in 0..<task.values where values[from + index] > values[from + best] {
            best = index
        }
        return best
    }

    /// Call with each row (column, value) of the enlarged result, of which `depth` values a pixel will be kept.
    private func forEachRow(_ height: Int, _ width: Int, depth kept: Int, _ use: ([Float]) -> Void) throws {
        let sides = 1...DenseResult.longestSideOfResults
        guard sides.contains(height), sides.contains(width), height * width * kept <= DenseResult.mostValues else {
            throw VecaError.badSetting(
                "cannot enlarge a result to \(width) x \(height) pixels: use less, and 1 to \(sides.upperBound) a side")
        }
        let depth = task.values
        let along = (0..<width).map { Place($0, of: width, among: columns) }
        var row = [Float](repeating: 0, count: width * depth)
        for y in 0..<height {
            let down = Place(y, of: height, among: rows)
            let (above, below) = (down.first * columns * depth, down.second * columns * depth)
            let between = (0..<(columns * depth)).map { mix(cells[above + $0], cells[below + $0], down.share) }
            for x in 0..<width {
                let (left, right) = (along[x].first * depth, along[x].second * depth)
                for value in 0..<depth {
                    row[x * depth + value] = mix(between[left + value], between[right + value], along[x].share)
                }
            }
            use(row)
        }
    }

    private func check(_ kind: DenseTask.Kind) throws {
        guard task.kind == kind else {
            throw VecaError.badSetting("\(task.name) is a \(task.kind.rawValue), not a \(kind.rawValue)")
        }
    }
}

/// From low to high, evenly spaced: as bright as the value is high, also to those who cannot tell red from green.
private let scale = [
    Colour(red: 68, green: 1, blue: 84), Colour(red: 59, green: 82, blue: 139), Colour(red: 33, green: 145, blue: 140),
    Colour(red: 94, green: 201, blue: 98), Colour(red: 253, green: 231, blue: 37),
]

/// Where an enlarged pixel's middle lies: between two cells, at this share of the way.
private struct Place {
    let first: Int
    let second: Int
    let share: Float

    init(_ pixel: Int, of size: Int, among count: Int) {
        let scale = Float(Double(count) / Double(size))
        let place = min(max((Float(pixel) + 0.5) * scale - 0.5, 0), Float(count - 1))
        first = Int(place)
        second = min(first + 1, count - 1)
        share = place - Float(first)
    }
}

private func mix(_ first: Float, _ second: Float, _ share: Float) -> Float {
    first + share * (second - first)
}
