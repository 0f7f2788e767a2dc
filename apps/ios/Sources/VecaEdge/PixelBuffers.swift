import CoreVideo
import VecaEdgeCore

/// A buffer of 32 bits per pixel, BGRA, as cameras and Core ML take and give them.
func makePixelBuffer(width: Int, height: Int) throws -> CVPixelBuffer {
    var buffer: CVPixelBuffer?
    let status = CVPixelBufferCreate(nil, width, height, kCVPixelFormatType_32BGRA, nil, &buffer)
    guard status == kCVReturnSuccess, let buffer else {
        throw VecaError.engine("no memory for an image of \(width) x \(height) (status \(status))")
    }
    return buffer
}

/// Write an image into a buffer of its size.
func fill(_ buffer: CVPixelBuffer, with image: RGBImage) throws {
    guard CVPixelBufferGetWidth(buffer) == image.width, CVPixelBufferGetHeight(buffer) == image.height else {
        throw VecaError.badImage("an image of \(image.width) x \(image.height) does not fit its buffer")
    }
    guard CVPixelBufferLockBaseAddress(buffer, []) == kCVReturnSuccess else {
        throw VecaError.engine("a pixel buffer cannot be written")
    }
    defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
    guard let base = CVPixelBufferGetBaseAddress(buffer) else {
        throw VecaError.engine("a pixel buffer has no memory")
    }
    // Rows may be longer than the image is wide.
    let stride = CVPixelBufferGetBytesPerRow(buffer)
    image.pixels.withUnsafeBufferPointer { pixels in
        var from = 0
        for y in 0..<image.height {
            let row = base.advanced(by: y * stride).assumingMemoryBound(to: UInt8.self)
            for x in 0..<image.width {
                row[4 * x] = pixels[from + 2]
                row[4 * x + 1] = pixels[from + 1]
                row[4 * x + 2] = pixels[from]
                row[4 * x + 3] = 255
                from += 3
            }
        }
    }
}

extension RGBImage {
    /// A copy of a buffer in BGRA, for example a camera's.
    ///
    /// - Throws: `VecaError.badImage` for a buffer of another format.
    public init(_ buffer: CVPixelBuffer) throws {
        guard CVPixelBufferGetPixelFormatType(buffer) == kCVPixelFormatType_32BGRA else {
            throw VecaError.badImage("a pixel buffer is not in BGRA")
        }
        guard CVPixelBufferLockBaseAddress(buffer, .readOnly) == kCVReturnSuccess else {
            throw VecaError.badImage("a pixel buffer cannot be read")
        }
        defer { CVPixelBufferUnlockBaseAddress(buffer, .readOnly) }
        guard let base = CVPixelBufferGetBaseAddress(buffer) else {
            throw VecaError.badImage("a pixel buffer has no memory")
        }
        let width = CVPixelBufferGetWidth(buffer)
        let height = CVPixelBufferGetHeight(buffer)
        let stride = CVPixelBufferGetBytesPerRow(buffer)
        let pixels = [UInt8](unsafeUninitializedCapacity: width * height * 3) { target, count in
            var to = 0
            for y in 0..<height {
                let row = base.advanced(by: y * stride).assumingMemoryBound(to: UInt8.self)
                for x in 0..<width {
                    target[to] = row[4 * x + 2]
                    target[to + 1] = row[4 * x + 1]
                    target[to + 2] = row[4 * x]
                    to += 3
                }
            }
            count = to
        }
        try self.init(width: width, height: height, pixels: pixels)
    }
}
