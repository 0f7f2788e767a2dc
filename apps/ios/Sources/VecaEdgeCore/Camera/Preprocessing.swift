/// An image cut to the model's size, and where it came from.
public struct Fitted: Equatable, Sendable {
    /// Its sides are multiples of the patch size.
    public let image: RGBImage
    /// The region of the given image that it shows. With `fit: .pad` it is the padded square, so x or y may be
    /// negative and it may reach past the image.
    public let crop: Box
}

/// How an image becomes a model's input. The same rules as in Python, from the same manifest.
public struct Preprocessing: Equatable, Sendable {
    public enum Fit: String, CaseIterable, Sendable {
        /// The centred square.
        case crop
        /// The whole image, letterboxed with the mean colour.
        case pad
        /// The whole image as a square.
        case stretch
        /// The whole image, its aspect ratio kept.
        case keep
    }

    /// Pixels; the side of the square, or with `fit: .keep` the short side. 1...4096.
    public let imageSize: Int
    public let fit: Fit
    /// Per channel (RGB), of pixels in 0...1.
    public let mean: [Double]
    /// Per channel (RGB), of pixels in 0...1; above 0. The graph normalises, so this is for reading only.
    public let std: [Double]

    public static let imagenetMean = [0.485, 0.456, 0.406]
    public static let imagenetStd = [0.229, 0.224, 0.225]
    static let mostPixels = 4096
    static let mostAspect = 8.0

    /// - Throws: `VecaError.badSetting` for a value out of range.
    public init(
        imageSize: Int = 256, fit: Fit = .crop, mean: [Double] = imagenetMean, std: [Double] = imagenetStd
    ) throws {
        try Preprocessing.check(size: imageSize)
        guard mean.count == 3, mean.allSatisfy({ $0 >= 0 && $0 <= 1 }) else {
            throw VecaError.badSetting("preprocessing: mean \(mean) is not three numbers within 0 … 1")
        }
        guard std.count == 3, std.allSatisfy({ $0 > 0 && $0.isFinite }) else {
            throw VecaError.badSetting("preprocessing: std \(std) is not three numbers above 0")
        }
        self.imageSize = imageSize
        self.fit = fit
        self.mean = mean
        self.std = std
    }

    /// Fit an image to the model's input.
    ///
    /// - Parameters:
    ///   - image: any size.
    ///   - patchSize: pixels; the sides of the result are multiples of it.
    ///   - imageSize: pixels, in place of the setting's; a multiple of `patchSize`.
    /// - Throws: `VecaError.badSetting` if the size does not fit the patches, `.badImage` with `fit: .keep` if the
    ///   image is more than 8 times as long as it is wide.
    public func resize(_ image: RGBImage, patchSize: Int, imageSize other: Int? = nil) throws -> Fitted {
        let size = other ?? imageSize
        try Preprocessing.check(size: size)
        guard patchSize > 0, size % patchSize == 0 else {
            throw VecaError.badSetting("image size \(size) is not a multiple of the patch size \(patchSize)")
        }
        let whole = Box(x: 0, y: 0, width: image.width, height: image.height)
        switch fit {
        case .crop:
            let square = centreSquare(width: image.width, height: image.height)
            return Fitted(image: scaled(image, region: square, width: size, height: size), crop: square)
        case .pad:
            return letterbox(image, size)
        case .stretch:
            return Fitted(image: scaled(image, region: whole, width: size, height: size), crop: whole)
        case .keep:
            let kept = try keptSize(width: image.width, height: image.height, short: size, patchSize: patchSize)
            return Fitted(image: scaled(image, region: whole, width: kept.width, height: kept.height), crop: whole)
        }
    }

    /// How many times the patches of a square of `imageSize` pixels an image of this size has once it fits.
    ///
    /// - Throws: `VecaError.badImage` for one that is too long for `.keep`, the only fit that does not make squares.
    func squares(width: Int, height: Int, patchSize: Int, imageSize: Int) throws -> Double {
        guard fit == .keep else { return 1 }
        let kept = try keptSize(width: width, height: height, short: imageSize, patchSize: patchSize)
        return Double(max(kept.width, kept.height)) / Double(imageSize)
    }

    /// The whole image centred on a square of the mean colour.
    private func letterbox(_ image: RGBImage, _ size: Int) -> Fitted {
        let side = max(image.width, image.height)
        let width = max(1, evenly(Double(image.width * size) / Double(side)))
        let height = max(1, evenly(Double(image.height * size) / Double(side)))
        let left = (size - width) / 2
        let top = (size - height) / 2
        let whole = Box(x: 0, y: 0, width: image.width, height: image.height)
        let inner = scaled(image, region: whole, width: width, height: height)
        let colour = mean.map { UInt8(evenly($0 * 255)) }
        var canvas = [UInt8]()
        canvas.reserveCapacity(size * size * 3)
        for _ in 0..<(size * size) {
            canvas.append(contentsOf: colour)
        }
        for row in 0..<height {
            let start = ((top + row) * size + left) * 3
            let from = row * width * 3
            canvas.replaceSubrange(start..<(start + width * 3), with: inner.pixels[from..<(from + width * 3)])
        }
        let x = evenly(Double(left * side) / Double(size))
        let y = evenly(Double(top * side) / Double(size))
        return Fitted(
            image: RGBImage(checkedWidth: size, height: size, pixels: canvas),
            crop: Box(x: -x, y: -y, width: side, height: side))
    }

    private static func check(size: Int) throws {
        guard size >= 1, size <= mostPixels else {
            throw VecaError.badSetting("image size \(size) is not within 1 … \(mostPixels)")
        }
    }
}

/// The largest centred square, in pixels.
func centreSquare(width: Int, height: Int) -> Box {
    let side = min(width, height)
    return Box(x: (width - side) / 2, y: (height - side) / 2, width: side, height: side)
}

/// (width, height) in pixels with the short side `short` and the long side to the nearest patch.
func keptSize(width: Int, height: Int, short: Int, patchSize: Int) throws -> (width: Int, height: Int) {
    let aspect = Double(max(width, height)) / Double(min(width, height))
    if aspect > Preprocessing.mostAspect {
        throw VecaError.badImage("the image is \(width)x\(height): too long for fit 'keep' (at most 8 to 1)")
    }
    let long = max(short, evenly(Double(short) * aspect / Double(patchSize)) * patchSize)
    return width >= height ? (long, short) : (short, long)
}

/// The nearest whole number, halves to the even one, as Python rounds.
private func evenly(_ value: Double) -> Int {
    Int(value.rounded(.toNearestOrEven))
}
