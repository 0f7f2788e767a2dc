/// An image: 8 bits per channel, RGB, row by row without padding.
public struct RGBImage: Equatable, Sendable {
    public let width: Int
    public let height: Int
    /// `height * width * 3` values in (row, column, channel) order.
    public let pixels: [UInt8]

    /// - Throws: `VecaError.badImage` if it is empty, or there are more or fewer pixels.
    public init(width: Int, height: Int, pixels: [UInt8]) throws {
        guard width > 0, height > 0 else {
            throw VecaError.badImage("the image is empty: \(width) x \(height)")
        }
        guard width <= longestSide, height <= longestSide, pixels.count == width * height * 3 else {
            throw VecaError.badImage("an RGB image of \(width) x \(height) does not have \(pixels.count) values")
        }
        self.init(checkedWidth: width, height: height, pixels: pixels)
    }

    /// For sizes that are known to fit.
    init(checkedWidth width: Int, height: Int, pixels: [UInt8]) {
        self.width = width
        self.height = height
        self.pixels = pixels
    }
}

/// Larger sides are damage; and the product of three of them still fits an Int.
private let longestSide = 1 << 20

/// A rectangle in pixels.
public struct Box: Equatable, Sendable {
    public var x: Int
    public var y: Int
    public var width: Int
    public var height: Int

    public init(x: Int, y: Int, width: Int, height: Int) {
        self.x = x
        self.y = y
        self.width = width
        self.height = height
    }

    /// Where this part of a frame lies in a view that shows the frame centred, its aspect ratio kept.
    ///
    /// - Parameter fills: whether the frame fills the view, its edges cut off; else the whole frame is seen.
    public func shown(frameWidth: Int, frameHeight: Int, viewWidth: Int, viewHeight: Int, fills: Bool) -> Box {
        let (across, down) = (Double(viewWidth) / Double(frameWidth), Double(viewHeight) / Double(frameHeight))
        let scale = fills ? max(across, down) : min(across, down)
        func rounded(_ value: Double) -> Int { Int(value.rounded()) }
        return Box(
            x: rounded((Double(viewWidth) - scale * Double(frameWidth)) / 2 + scale * Double(x)),
            y: rounded((Double(viewHeight) - scale * Double(frameHeight)) / 2 + scale * Double(y)),
            width: rounded(scale * Double(width)), height: rounded(scale * Double(height)))
    }
}
