/// Resize a region of an image: average whole blocks of pixels down to less than twice the size, then interpolate
/// linearly. Linear rather than cubic, because it never overshoots.
///
/// - Parameter region: within the image.
func scaled(_ image: RGBImage, region: Box, width: Int, height: Int) -> RGBImage {
    var source = image
    var box = region
    let tall = max(1, box.height / height)
    let wide = max(1, box.width / width)
    if tall > 1 || wide > 1 {
        // The few pixels that fill no block are left out evenly at both sides.
        let whole = Box(
            x: box.x + box.width % wide / 2, y: box.y + box.height % tall / 2, width: box.width / wide,
            height: box.height / tall)
        source = averaged(source, into: whole, wide: wide, tall: tall)
        box = Box(x: 0, y: 0, width: source.width, height: source.height)
    }
    if box == Box(x: 0, y: 0, width: width, height: height) && source.width == width && source.height == height {
        return source
    }
    return interpolated(source, region: box, width: width, height: height)
}

/// An image of even sides at half the size: every block of 2 x 2 pixels becomes its average.
func halved(_ image: RGBImage) -> RGBImage {
    averaged(image, into: Box(x: 0, y: 0, width: image.width / 2, height: image.height / 2), wide: 2, tall: 2)
}

/// `blocks.width * blocks.height` averages of blocks of `wide * tall` pixels, from (blocks.x, blocks.y) on.
private func averaged(_ image: RGBImage, into blocks: Box, wide: Int, tall: Int) -> RGBImage {
    var result = [UInt8](repeating: 0, count: blocks.width * blocks.height * 3)
    let area = wide * tall
    image.pixels.withUnsafeBufferPointer { from in
        result.withUnsafeMutableBufferPointer { to in
            for row in 0..<blocks.height {
                for column in 0..<blocks.width {
                    let corner = ((blocks.y + row * tall) * image.width + blocks.x + column * wide) * 3
                    let target = (row * blocks.width + column) * 3
                    for channel in 0..<3 {
                        var sum = area / 2
                        for y in 0..<tall {
                            var place = corner + y * image.width * 3 + channel
                            for _ in 0..<wide {
                                sum += Int(from[place])
                                place += 3
                            }
                        }
                        to[target + channel] = UInt8(sum / area)
                    }
                }
            }
        }
    }
    return RGBImage(checkedWidth: blocks.width, height: blocks.height, pixels: result)
}

/// Two neighbours along one axis, and how much of the second.
private struct Tap {
    let first: Int
    let second: Int
    let share: Float

    /// Where the centre of pixel `index` of `target` lies among `source` pixels.
    init(_ index: Int, source: Int, target: Int) {
        let place = (Double(index) + 0.5) * (Double(source) / Double(target)) - 0.5
        let low = place.rounded(.down)
        first = min(source - 1, max(0, Int(low)))
        second = min(source - 1, max(0, Int(low) + 1))
        share = Float(place - low)
    }
}

private func interpolated(_ image: RGBImage, region: Box, width: Int, height: Int) -> RGBImage {
    let columns = (0..<width).map { Tap($0, source: region.width, target: width) }
    var result = [UInt8](repeating: 0, count: width * height * 3)
    image.pixels.withUnsafeBufferPointer { from in
        result.withUnsafeMutableBufferPointer { to in
            var target = 0
            for y in 0..<height {
                let row = Tap(y, source: region.height, target: height)
                let above = ((region.y + row.first) * image.width + region.x) * 3
                let below = ((region.y + row.second) * image.width + region.x) * 3
                for column in columns {
                    let left = column.first * 3
                    let right = column.second * 3
                    for channel in 0..<3 {
                        let a = Float(from[above + left + channel])
                        let b = Float(from[above + right + channel])
                        let c = Float(from[below + left + channel])
                        let d = Float(from[below + right + channel])
                        let upper = a + (b - a) * column.share
                        let lower = c + (d - c) * column.share
                        to[target] = UInt8((upper + (lower - upper) * row.share).rounded())
                        target += 1
                    }
                }
            }
        }
    }
    return RGBImage(checkedWidth: width, height: height, pixels: result)
}
