package ai.vecaedge.camera

import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

/**
 * Resize a part of an image: average whole blocks of pixels down to less than twice the size, then interpolate
 * linearly, as `veca_edge/camera/preprocessing.py` does.
 */
internal fun scale(image: RgbImage, part: Box, width: Int, height: Int): RgbImage {
    val wide = max(1, part.width / width)
    val tall = max(1, part.height / height)
    if (wide == 1 && tall == 1) return interpolated(image, part, width, height)
    // The few pixels that fill no block are left out evenly at both sides.
    val x = part.x + part.width % wide / 2
    val y = part.y + part.height % tall / 2
    val averaged = averaged(image, x, y, wide, tall, part.width / wide, part.height / tall)
    return interpolated(averaged, Box(0, 0, averaged.width, averaged.height), width, height)
}

/** An image of even sides at half the size: every block of 2 x 2 pixels becomes its average. */
internal fun halved(image: RgbImage): RgbImage = averaged(image, 0, 0, 2, 2, image.width / 2, image.height / 2)

/** Every block of wide x tall pixels becomes one, from (x, y) on. */
private fun averaged(image: RgbImage, x: Int, y: Int, wide: Int, tall: Int, width: Int, height: Int): RgbImage {
    val pixels = ByteArray(width * height * 3)
    val size = wide * tall
    val sums = IntArray(width * 3)
    for (row in 0 until height) {
        sums.fill(0)
        for (line in 0 until tall) {
            var from = ((y + row * tall + line) * image.width + x) * 3
            for (column in 0 until width) {
                for (pixel in 0 until wide) {
                    for (channel in 0..2) sums[column * 3 + channel] += image.bytes[from++].toInt() and 0xff
                }
            }
        }
        for (i in sums.indices) pixels[row * width * 3 + i] = mean(sums[i], size).toByte()
    }
    return RgbImage(width, height, pixels)
}

/** Rounded as OpenCV, which scaled what the models were evaluated on: halves to even, but up for blocks of four. */
private fun mean(sum: Int, size: Int): Int {
    val whole = sum / size
    val rest = 2 * (sum % size)
    val up = rest > size || (rest == size && (size == 4 || whole % 2 == 1))
    return if (up) whole + 1 else whole
}

/** For every target pixel along one axis: the two source pixels next to it, and the second one's weight. */
private class Taps(start: Int, source: Int, target: Int) {
    val first = IntArray(target)
    val second = IntArray(target)
    val weight = FloatArray(target)

    init {
        val step = source.toDouble() / target
        for (i in 0 until target) {
            val centre = (i + 0.5) * step - 0.5
            val left = floor(centre)
            first[i] = start + left.toInt().coerceIn(0, source - 1)
            second[i] = start + (left.toInt() + 1).coerceIn(0, source - 1)
            weight[i] = (centre - left).toFloat()
        }
    }
}

private fun interpolated(image: RgbImage, part: Box, width: Int, height: Int): RgbImage {
    val across = Taps(part.x, part.width, width)
    val down = Taps(part.y, part.height, height)
    val pixels = ByteArray(width * height * 3)
    val upper = FloatArray(width * 3)
    val lower = FloatArray(width * 3)
    for (row in 0 until height) {
        interpolateRow(image, down.first[row], across, upper)
        interpolateRow(image, down.second[row], across, lower)
        val weight = down.weight[row]
        val to = row * width * 3
        for (i in upper.indices) {
            val level = upper[i] + weight * (lower[i] - upper[i])
            pixels[to + i] = min(255, (level + 0.5f).toInt()).toByte()
        }
    }
    return RgbImage(width, height, pixels)
}

private fun interpolateRow(image: RgbImage, row: Int, taps: Taps, into: FloatArray) {
    val line = row * image.width
    for (column in taps.first.indices) {
        val left = (line + taps.first[column]) * 3
        val right = (line + taps.second[column]) * 3
        for (channel in 0..2) {
            val first = image.bytes[left + channel].toInt() and 0xff
            val second = image.bytes[right + channel].toInt() and 0xff
            into[column * 3 + channel] = first + taps.weight[column] * (second - first)
        }
    }
}
