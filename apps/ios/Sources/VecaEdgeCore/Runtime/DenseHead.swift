import Foundation

/// RGB.
public struct Colour: Hashable, Sendable {
    public let red: UInt8
    public let green: UInt8
    public let blue: UInt8

    public init(red: UInt8, green: UInt8, blue: UInt8) {
        self.red = red
        self.green = green
        self.blue = blue
    }
}

/// What a dense head says about an image, everywhere in it.
public struct DenseTask: Equatable, Sendable {
    public enum Kind: String, Sendable {
        /// One of K classes.
        case segmentation
        /// One value.
        case regression
    }

    static let mostCells = 16
    static let mostClasses = 256
    static let mostHeads = 16
    static let longestLabel = 200
    static let longestUnit = 20
    /// Outputs of a model file are called after its heads, so a name may be none of the others.
    static let taken: Set<String> = [
        "image", "embedding", "features", "logits", "label", "probabilities", "core_attention", "main",
    ]

    /// What its results are called.
    public let name: String
    public let kind: Kind
    /// k, 1 to 16: each patch is divided into k x k cells that have results of their own.
    public let cells: Int
    /// K names of a segmentation's classes; none of a regression.
    public let labels: [String]
    /// One per label.
    public let colours: [Colour]
    /// Of a regression's values, such as "m"; "" for none.
    public let unit: String
    /// Smallest and largest value of a regression that is expected: the ends of its colour scale.
    public let range: ClosedRange<Double>

    /// - Throws: `VecaError.badSetting` for what no head can say.
    public init(
        name: String, kind: Kind, cells: Int = 1, labels: [String] = [], colours: [Colour] = [], unit: String = "",
        range: ClosedRange<Double> = 0...1
    ) throws {
        self.name = name
        self.kind = kind
        self.cells = cells
        self.labels = labels
        self.colours = colours
        self.unit = unit
        self.range = range
        try check()
    }

    private func check() throws {
        let first = name.utf8.first.map { letters.contains($0) } ?? false
        let others = name.utf8.allSatisfy { letters.contains($0) || (48...57).contains($0) || $0 == 95 }
        let free = name.utf8.count <= 31 && !DenseTask.taken.contains(name)
        try require(first && others && free, "use lower-case letters, digits and _, and no other output's name")
        try require((1...DenseTask.mostCells).contains(cells), "\(cells) cells a patch")
        try require(range.lowerBound < range.upperBound, "its range is empty")
        switch kind {
        case .segmentation:
            try require((2...DenseTask.mostClasses).contains(labels.count), "\(labels.count) classes")
            try require(Set(labels).count == labels.count, "two classes have the same name")
            try require(colours.count == labels.count, "\(colours.count) colours for \(labels.count) classes")
        case .regression:
            try require(labels.isEmpty && colours.isEmpty, "a regression has no labels")
        }
    }

    private func require(_ holds: Bool, _ wrong: String) throws {
        if !holds { throw VecaError.badSetting("head \(name.prefix(40)) is not valid: \(wrong)") }
    }

    /// K, values per cell: the number of classes, or 1.
    public var values: Int { max(1, labels.count) }

    /// K * k * k, values per patch.
    public var outputs: Int { values * cells * cells }

    /// The colour of a first class that stands for nothing in particular, which pictures leave clear; else nil.
    public var background: Colour? {
        let name = labels.first?.trimmingCharacters(in: .whitespaces).lowercased()
        return name == "background" ? colours.first : nil
    }

    /// Values of all patches, (patch, output), as a picture, (row, column, value).
    func picture(_ outputs: [Float], _ grid: PatchGrid) -> [Float] {
        var picture: [Float] = []
        picture.reserveCapacity(outputs.count)
        for y in 0..<(grid.rows * cells) {
            for x in 0..<(grid.columns * cells) {
                let patch = y / cells * grid.columns + x / cells
                let cell = y % cells * cells + x % cells
                for value in 0..<values {
                    picture.append(outputs[(patch * values + value) * cells * cells + cell])
                }
            }
        }
        return picture
    }
}

private let letters = UInt8(ascii: "a")...UInt8(ascii: "z")

/// A linear layer on each patch's feature.
public struct DenseHead: Equatable, Sendable {
    public let task: DenseTask
    /// K * k * k rows of D' values: outputs in the order (value, row of cells, column of cells).
    public let weight: [Float]
    /// K * k * k values.
    public let bias: [Float]

    /// - Throws: `VecaError.badSetting` if weight and bias are not for the task's outputs.
    public init(task: DenseTask, weight: [Float], bias: [Float]) throws {
        guard bias.count == task.outputs, !weight.isEmpty, weight.count % bias.count == 0 else {
            throw VecaError.badSetting("head \(task.name): its weight and bias are not for \(task.outputs) values")
        }
        self.task = task
        self.weight = weight
        self.bias = bias
    }

    /// N * K * k * k outputs for features, N * D' values.
    public func outputs(_ features: [Float]) -> [Float] {
        let count = features.count / (weight.count / bias.count)
        var outputs = [Float](repeating: 0, count: count * bias.count)
        update(&outputs, features, patches: 0..<count)
        return outputs
    }

    /// Replace the outputs of some patches by those for their features; no other is touched.
    public func update<Patches: Sequence>(_ outputs: inout [Float], _ features: [Float], patches: Patches)
    where Patches.Element == Int {
        let width = weight.count / bias.count
        for patch in patches {
            for output in bias.indices {
                var sum = bias[output]
                for channel in 0..<width {
                    sum += weight[output * width + channel] * features[patch * width + channel]
                }
                outputs[patch * bias.count + output] = sum
            }
        }
    }
}
