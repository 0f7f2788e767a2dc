/// Cut an image into patches, row by row, as engines take them.
///
/// - Parameters:
///   - image: its sides are multiples of `patchSize`.
///   - patchSize: side p of a patch in pixels.
/// - Returns: N * p * p * 3 values, 0..255, each patch in (row, column, channel) order.
public func cutPatches(_ image: RGBImage, patchSize: Int) -> [Float] {
    cutBytes(image, patchSize).map(Float.init)
}

/// The same as bytes: a quarter of the memory to compare.
func cutBytes(_ image: RGBImage, _ patchSize: Int) -> [UInt8] {
    let count = image.height / patchSize * (image.width / patchSize)
    return cut(image, patchSize, 0..<count)
}

/// Only the patches with these indices, as `cutPatches` cuts them.
func cutSome(_ image: RGBImage, _ patchSize: Int, _ patches: [Int]) -> [Float] {
    cut(image, patchSize, patches).map(Float.init)
}

private func cut<Indices: Sequence>(_ image: RGBImage, _ patchSize: Int, _ patches: Indices) -> [UInt8]
where Indices.Element == Int {
    let columns = image.width / patchSize
    let run = patchSize * 3
    var result: [UInt8] = []
    result.reserveCapacity(patches.underestimatedCount * patchSize * run)
    for patch in patches {
        let corner = (patch / columns * patchSize * image.width + patch % columns * patchSize) * 3
        for row in 0..<patchSize {
            let start = corner + row * image.width * 3
            result.append(contentsOf: image.pixels[start..<(start + run)])
        }
    }
    return result
}

/// Centres of a grid's cells as (x, y) in -1..1, row by row: rows * columns * 2 values.
public func cellCentres(_ grid: PatchGrid) -> [Float] {
    let x = (0..<grid.columns).map { (Float($0) + 0.5) / Float(grid.columns) * 2 - 1 }
    let y = (0..<grid.rows).map { (Float($0) + 0.5) / Float(grid.rows) * 2 - 1 }
    return y.flatMap { y in x.flatMap { x in [x, y] } }
}

/// What change is looked for in: patches at half the size, a quarter of the bytes and of the noise's energy.
func comparedPatches(_ image: RGBImage, _ patchSize: Int) -> [UInt8] {
    patchSize % 2 == 0 ? cutBytes(halved(image), patchSize / 2) : cutBytes(image, patchSize)
}
