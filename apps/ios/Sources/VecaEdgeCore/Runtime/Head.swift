/// A linear classifier on the embedding followed by the mean over patch features.
public struct Head: Equatable, Sendable {
    /// K * 2 D' values.
    public let weight: [Float]
    /// K values.
    public let bias: [Float]

    public init(weight: [Float], bias: [Float]) {
        self.weight = weight
        self.bias = bias
    }

    /// K logits for an embedding (D') and features (N * D').
    public func logits(embedding: [Float], features: [Float]) -> [Float] {
        let width = embedding.count
        let count = features.count / width
        var mean = [Float](repeating: 0, count: width)
        for patch in 0..<count {
            for channel in 0..<width {
                mean[channel] += features[patch * width + channel]
            }
        }
        let input = embedding + mean.map { $0 / Float(count) }
        return bias.indices.map { row in
            var sum = bias[row]
            for column in input.indices {
                sum += weight[row * input.count + column] * input[column]
            }
            return sum
        }
    }
}
