import CoreGraphics
import Foundation
import VecaEdgeCore

extension RGBImage {
    /// The pixels of a picture, in sRGB. Orientation is not in a `CGImage`: hand over an upright one.
    ///
    /// - Throws: `VecaError.badImage` if it cannot be drawn.
    public init(_ picture: CGImage) throws {
        let (width, height) = (picture.width, picture.height)
        var drawn = [UInt8](repeating: 0, count: width * height * 4)
        let done = drawn.withUnsafeMutableBytes { bytes -> Bool in
            guard let space = CGColorSpace(name: CGColorSpace.sRGB),
                let context = CGContext(
                    data: bytes.baseAddress, width: width, height: height, bitsPerComponent: 8,
                    bytesPerRow: width * 4, space: space, bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
            else {
                return false
            }
            context.draw(picture, in: CGRect(x: 0, y: 0, width: width, height: height))
            return true
        }
        guard done else { throw VecaError.badImage("a picture of \(width) x \(height) cannot be drawn") }
        var pixels: [UInt8] = []
        pixels.reserveCapacity(width * height * 3)
        for place in stride(from: 0, to: drawn.count, by: 4) {
            pixels.append(contentsOf: drawn[place..<(place + 3)])
        }
        try self.init(width: width, height: height, pixels: pixels)
    }

    /// A picture of these pixels, to show, those of the colour `clear` transparent; nil if there is no memory.
    public func makePicture(clear: Colour? = nil) -> CGImage? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(width * height * 4)
        for place in stride(from: 0, to: pixels.count, by: 3) {
            let colour = Colour(red: pixels[place], green: pixels[place + 1], blue: pixels[place + 2])
            bytes += colour == clear ? [0, 0, 0, 0] : [colour.red, colour.green, colour.blue, 255]
        }
        return bytes.withUnsafeMutableBytes { memory -> CGImage? in
            guard let space = CGColorSpace(name: CGColorSpace.sRGB) else { return nil }
            let context = CGContext(
                data: memory.baseAddress, width: width, height: height, bitsPerComponent: 8, bytesPerRow: width * 4,
                space: space, bitmapInfo: CGImageAlphaInfo.premultipliedLast.rawValue)
            return context?.makeImage()
        }
    }
}
