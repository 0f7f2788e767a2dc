package ai.vecaedge.camera

import ai.vecaedge.VecaError
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round

internal const val MAX_IMAGE_SIZE = 4096
private const val MAX_ASPECT = 8.0

/** How an image of another shape becomes the model's. */
enum class Fit {
    /** The centred square. */
    CROP,

    /** The whole image, letterboxed with the mean colour. */
    PAD,

    /** The whole image as a square. */
    STRETCH,

    /** The whole image, its aspect ratio kept. */
    KEEP,
}

/**
 * An image cut to the model's size, and where it came from.
 *
 * @property image its sides are multiples of the patch size.
 * @property crop the region of the given image that [image] shows; with [Fit.PAD] it may reach past it.
 */
data class Fitted(val image: RgbImage, val crop: Box)

/**
 * How an image becomes a model's input; the rules ship inside every model file.
 *
 * @property imageSize pixels, 1..4096: the side of the square, or with [Fit.KEEP] the short side.
 * @property mean per channel (RGB), of pixels in 0..1.
 * @property std per channel (RGB), of pixels in 0..1; above 0.
 */
data class Preprocessing(
    val imageSize: Int = 256,
    val fit: Fit = Fit.CROP,
    val mean: List<Double> = listOf(0.485, 0.456, 0.406),
    val std: List<Double> = listOf(0.229, 0.224, 0.225),
) {
    init {
        checkSize(imageSize)
        if (mean.size != 3 || !mean.all { it in 0.0..1.0 }) throw VecaError.Argument("preprocessing: mean $mean")
        if (std.size != 3 || !std.all { it > 0 && it.isFinite() }) throw VecaError.Argument("preprocessing: std $std")
    }

    /**
     * Fit an image to the model's input.
     *
     * Throws [VecaError.Argument] for an impossible size, [VecaError.Image] for one that is too long to keep.
     *
     * @param imageSize pixels in place of the model's own, a multiple of [patchSize].
     */
    fun resize(image: RgbImage, patchSize: Int, imageSize: Int? = null): Fitted {
        val size = checkSize(imageSize ?: this.imageSize)
        if (size % patchSize != 0) {
            throw VecaError.Argument("image size $size is not a multiple of the patch size $patchSize")
        }
        val whole = Box(0, 0, image.width, image.height)
        return when (fit) {
            Fit.CROP -> centreSquare(image.width, image.height).let { Fitted(scale(image, it, size, size), it) }
            Fit.PAD -> letterbox(image, size)
            Fit.STRETCH -> Fitted(scale(image, whole, size, size), whole)
            Fit.KEEP -> {
                val (width, height) = keptSize(image.width, image.height, size, patchSize)
                Fitted(scale(image, whole, width, height), whole)
            }
        }
    }

    /**
     * How many times the patches of a square of [imageSize] pixels an image of this size has once it fits.
     *
     * Throws [VecaError.Image] for one that is too long for [Fit.KEEP], the only fit that does not make squares.
     */
    internal fun squares(width: Int, height: Int, patchSize: Int, imageSize: Int): Double {
        if (fit != Fit.KEEP) return 1.0
        val (fittedWidth, fittedHeight) = keptSize(width, height, imageSize, patchSize)
        return max(fittedWidth, fittedHeight).toDouble() / imageSize
    }

    /** The whole image centred on a square of the mean colour. */
    private fun letterbox(image: RgbImage, size: Int): Fitted {
        val side = max(image.width, image.height)
        val width = max(1, round(image.width.toDouble() * size / side).toInt())
        val height = max(1, round(image.height.toDouble() * size / side).toInt())
        val left = (size - width) / 2
        val top = (size - height) / 2
        val colour = ByteArray(3) { round(mean[it] * 255).toInt().toByte() }
        val canvas = ByteArray(size * size * 3) { colour[it % 3] }
        val inner = scale(image, Box(0, 0, image.width, image.height), width, height)
        for (row in 0 until height) {
            inner.bytes.copyInto(canvas, ((top + row) * size + left) * 3, row * width * 3, (row + 1) * width * 3)
        }
        val x = -round(left.toDouble() * side / size).toInt()
        val y = -round(top.toDouble() * side / size).toInt()
        return Fitted(RgbImage(size, size, canvas), Box(x, y, side, side))
    }

    companion object {
        /** Read a manifest's table; throws [VecaError.File] for an unknown name or a value that is not valid. */
        fun of(values: Map<String, Any?>): Preprocessing {
            val unknown = values.keys - setOf("image_size", "fit", "mean", "std")
            if (unknown.isNotEmpty()) throw VecaError.File("preprocessing: unknown setting ${unknown.first().take(40)}")
            val default = Preprocessing()
            try {
                return Preprocessing(
                    values["image_size"]?.let(::wholeNumber) ?: default.imageSize,
                    values["fit"]?.let(::fitOf) ?: default.fit,
                    values["mean"]?.let(::triple) ?: default.mean,
                    values["std"]?.let(::triple) ?: default.std,
                )
            } catch (error: VecaError.Argument) {
                throw VecaError.File(error.message ?: "preprocessing is not valid", error)
            }
        }

        private fun fitOf(value: Any): Fit = Fit.entries.find { it.name.lowercase() == value }
            ?: throw VecaError.Argument("preprocessing: fit is '${value.toString().take(40)}'")

        private fun triple(value: Any): List<Double> =
            (value as? List<*>)?.map { (it as? Double) ?: Double.NaN } ?: emptyList()

        private fun wholeNumber(value: Any): Int =
            (value as? Double)?.takeIf { it == round(it) && it in 1.0..1e6 }?.toInt() ?: 0
    }
}

private fun centreSquare(width: Int, height: Int): Box {
    val side = min(width, height)
    return Box((width - side) / 2, (height - side) / 2, side, side)
}

/** Width and height with the short side [short] and the long side to the nearest patch. */
private fun keptSize(width: Int, height: Int, short: Int, patchSize: Int): Pair<Int, Int> {
    val aspect = max(width, height).toDouble() / min(width, height)
    if (aspect > MAX_ASPECT) throw VecaError.Image("the image is ${width}x$height: too long (at most 8 to 1)")
    val long = max(short, round(short * aspect / patchSize).toInt() * patchSize)
    return if (width >= height) Pair(long, short) else Pair(short, long)
}

private fun checkSize(size: Int): Int {
    if (size !in 1..MAX_IMAGE_SIZE) throw VecaError.Argument("image size $size is not within 1..$MAX_IMAGE_SIZE")
    return size
}
