package ai.vecaedge.camera

import ai.vecaedge.VecaError
import java.nio.ByteBuffer
import kotlin.math.max
import kotlin.math.min
import kotlin.math.roundToInt

/** So many pixels are a wrong number, not a picture. */
private const val MOST_PIXELS = 1 shl 28

/** A rectangle in pixels; x and y may be negative where a picture is padded. */
data class Box(val x: Int, val y: Int, val width: Int, val height: Int) {
    /**
     * Where this part of a frame lies in a view that shows the frame centred, its aspect ratio kept.
     *
     * @param fills whether the frame fills the view, its edges cut off; else the whole frame is seen.
     */
    fun shown(frameWidth: Int, frameHeight: Int, viewWidth: Int, viewHeight: Int, fills: Boolean): Box {
        val (across, down) = Pair(viewWidth.toDouble() / frameWidth, viewHeight.toDouble() / frameHeight)
        val scale = if (fills) max(across, down) else min(across, down)
        val left = (viewWidth - scale * frameWidth) / 2 + scale * x
        val top = (viewHeight - scale * frameHeight) / 2 + scale * y
        return Box(left.roundToInt(), top.roundToInt(), (scale * width).roundToInt(), (scale * height).roundToInt())
    }
}

/**
 * A picture: 8 bits per channel, RGB, row by row without gaps.
 *
 * @property width pixels.
 * @property height pixels.
 * @property bytes width * height * 3; kept, not copied.
 */
class RgbImage(val width: Int, val height: Int, val bytes: ByteArray) {
    init {
        if (width < 1 || height < 1) throw VecaError.Image("the image is empty: $width x $height")
        if (width.toLong() * height > MOST_PIXELS / 3 || bytes.size != width * height * 3) {
            throw VecaError.Image("${bytes.size} bytes are no RGB image of $width x $height")
        }
    }

    /** The grey level (0..255) of a channel (0 red, 1 green, 2 blue). */
    fun level(x: Int, y: Int, channel: Int): Int = bytes[(y * width + x) * 3 + channel].toInt() and 0xff

    companion object {
        /**
         * A camera's frame, turned upright.
         *
         * Orientation is an input, never a guess: a model that sees the world sideways still answers, only worse.
         *
         * @param rgba rows of 4 bytes per pixel, as CameraX delivers them; its position is left as it is.
         * @param width pixels of the frame as it lies in memory.
         * @param rowStride bytes from one row to the next.
         * @param rotation degrees clockwise that make it upright: 0, 90, 180 or 270.
         */
        fun fromRgba(rgba: ByteBuffer, width: Int, height: Int, rowStride: Int, rotation: Int): RgbImage {
            if (rotation !in listOf(0, 90, 180, 270)) throw VecaError.Argument("a rotation of $rotation degrees")
            if (width < 1 || height < 1 || rowStride < width * 4L) throw VecaError.Image("no frame: $width x $height")
            val source = rgba.duplicate().apply { clear() }
            val needed = (height - 1).toLong() * rowStride + width * 4L
            if (needed > source.capacity()) throw VecaError.Image("a frame of $width x $height that is cut off")
            val turned = rotation % 180 != 0
            val upright = ByteArray(width * height * 3)
            val row = ByteArray(width * 4)
            for (y in 0 until height) {
                source.position(y * rowStride)
                source.get(row)
                // Where this row's first pixel goes, and how far apart its pixels land.
                val (start, step) = when (rotation) {
                    0 -> Pair(y * width, 1)
                    90 -> Pair(height - 1 - y, height)
                    180 -> Pair((height - 1 - y) * width + width - 1, -1)
                    else -> Pair((width - 1) * height + y, -height)
                }
                var to = start * 3
                for (from in 0 until width * 4 step 4) {
                    upright[to] = row[from]
                    upright[to + 1] = row[from + 1]
                    upright[to + 2] = row[from + 2]
                    to += step * 3
                }
            }
            return if (turned) RgbImage(height, width, upright) else RgbImage(width, height, upright)
        }
    }
}
