package ai.vecaedge

import ai.vecaedge.camera.Box
import ai.vecaedge.camera.RgbImage
import ai.vecaedge.runtime.Colour
import ai.vecaedge.runtime.DenseKind
import ai.vecaedge.runtime.DenseTask
import kotlin.math.exp
import kotlin.math.roundToInt

/** Pixels of an enlarged result. */
private const val MAX_SIDE = 1 shl 14

/** More values than this fit no array. */
private const val MAX_VALUES = 1 shl 28

/** From low to high, evenly spaced: as bright as the value is high, also to those who cannot tell red from green. */
private val SCALE = listOf(
    Colour(68, 1, 84), Colour(59, 82, 139), Colour(33, 145, 140), Colour(94, 201, 98), Colour(253, 231, 37),
)

/**
 * A dense head's results for one image: classes or values, everywhere in it. The arrays belong to whoever receives it.
 *
 * @property task which head, its classes and colours, or its unit.
 * @property rows of cells: k for each row of patches.
 * @property columns of cells.
 * @property cells (rows, columns, K): a vector of logits, or a value, per cell of the image that the model saw.
 * @property crop of it in pixels of the given image.
 * @property computed in a stream, per cell whether it was computed for this frame; else null.
 */
data class DenseResult(
    val task: DenseTask,
    val rows: Int,
    val columns: Int,
    val cells: FloatArray,
    val crop: Box,
    val computed: BooleanArray? = null,
) {
    /**
     * The cells enlarged bilinearly to an image of this size, the part [crop] of the given one at any scale:
     * (height, width, K). Each cell's value stands in its middle; beyond the outermost middles values go on as they are.
     *
     * Throws [VecaError.Argument] for sides that are not within 1..16384 pixels, or too many values.
     */
    fun at(height: Int, width: Int): FloatArray {
        checkSize(height, width, task.values)
        val enlarged = FloatArray(height * width * task.values)
        forEachRow(height, width) { y, row -> row.copyInto(enlarged, y * row.size) }
        return enlarged
    }

    /** The likeliest class of every cell: (rows, columns). Throws [VecaError.Argument] for a regression. */
    fun classes(): IntArray {
        check(DenseKind.SEGMENTATION)
        return IntArray(rows * columns) { likeliest(cells, it) }
    }

    /** The likeliest class of every pixel of an image of this size, as [at]: (height, width). */
    fun classes(height: Int, width: Int): IntArray {
        check(DenseKind.SEGMENTATION)
        checkSize(height, width, 1)
        val found = IntArray(height * width)
        forEachRow(height, width) { y, row -> for (x in 0 until width) found[y * width + x] = likeliest(row, x) }
        return found
    }

    /** Softmax of the logits: (rows, columns, K). Throws [VecaError.Argument] for a regression. */
    fun probabilities(): FloatArray {
        check(DenseKind.SEGMENTATION)
        val depth = task.values
        val found = FloatArray(cells.size)
        for (from in cells.indices step depth) {
            val most = cells[from + likeliest(cells, from / depth)]
            var sum = 0f
            for (i in from until from + depth) sum += exp(cells[i] - most).also { found[i] = it }
            for (i in from until from + depth) found[i] /= sum
        }
        return found
    }

    /** The share of cells in which each class is the likeliest, 0..1, by label, in the task's order. */
    fun areas(): Map<String, Double> {
        val counts = IntArray(task.values)
        for (found in classes()) counts[found]++
        return task.labels.indices.associate { task.labels[it] to counts[it] / (rows * columns).toDouble() }
    }

    /** A regression's values: (rows, columns). Throws [VecaError.Argument] for a segmentation. */
    fun values(): FloatArray {
        check(DenseKind.REGRESSION)
        return cells.copyOf()
    }

    /** For showing: each pixel in its class's colour, or by its value from the low end of the task's range to the high one. */
    fun paint(height: Int, width: Int): RgbImage {
        checkSize(height, width, 3)
        val bytes = ByteArray(height * width * 3)
        forEachRow(height, width) { y, row ->
            for (x in 0 until width) {
                val colour = if (task.kind == DenseKind.SEGMENTATION) task.colours[likeliest(row, x)] else shade(row[x])
                val to = 3 * (y * width + x)
                bytes[to] = colour.red.toByte()
                bytes[to + 1] = colour.green.toByte()
                bytes[to + 2] = colour.blue.toByte()
            }
        }
        return RgbImage(width, height, bytes)
    }

    /** The colour of a regression's value. */
    fun shade(value: Float): Colour {
        val share = (value - task.range.start) / (task.range.endInclusive - task.range.start)
        val place = if (share.isNaN()) 0.0 else share.coerceIn(0.0, 1.0) * (SCALE.size - 1)
        val first = SCALE[place.toInt()]
        val second = SCALE[minOf(place.toInt() + 1, SCALE.size - 1)]
        fun mixed(a: Int, b: Int) = (a + (place - place.toInt()) * (b - a)).roundToInt()
        return Colour(mixed(first.red, second.red), mixed(first.green, second.green), mixed(first.blue, second.blue))
    }

    /** The index of the largest of K values, the first of equal ones. */
    private fun likeliest(values: FloatArray, place: Int): Int {
        val from = place * task.values
        var best = 0
        for (i in 1 until task.values) if (values[from + i] > values[from + best]) best = i
        return best
    }

    /** Calls with each row (width, K) of the enlarged result; the array is used again for the next one. */
    private inline fun forEachRow(height: Int, width: Int, use: (Int, FloatArray) -> Unit) {
        val depth = task.values
        val between = FloatArray(columns * depth)
        val row = FloatArray(width * depth)
        val along = List(width) { Place.of(it, width, columns) }
        for (y in 0 until height) {
            val down = Place.of(y, height, rows)
            val (above, below) = Pair(down.first * between.size, down.second * between.size)
            for (i in between.indices) between[i] = mix(cells[above + i], cells[below + i], down.share)
            for (x in 0 until width) {
                val (left, right) = Pair(along[x].first * depth, along[x].second * depth)
                for (i in 0 until depth) row[x * depth + i] = mix(between[left + i], between[right + i], along[x].share)
            }
            use(y, row)
        }
    }

    private fun check(kind: DenseKind) {
        if (task.kind == kind) return
        throw VecaError.Argument("${task.name} is a ${task.kind.name.lowercase()}, not a ${kind.name.lowercase()}")
    }

    private fun checkSize(height: Int, width: Int, depth: Int) {
        val fits = height in 1..MAX_SIDE && width in 1..MAX_SIDE && height.toLong() * width * depth <= MAX_VALUES
        if (fits) return
        throw VecaError.Argument("cannot enlarge a result to $width x $height pixels: use less, and 1 to $MAX_SIDE a side")
    }

    companion object {
        /**
         * What a head's outputs say.
         *
         * @param outputs (rows * columns, K * k * k).
         * @param rows of patches.
         * @param columns of patches.
         * @param computed per patch whether it was computed for this frame, or null.
         */
        fun of(
            task: DenseTask, outputs: FloatArray, rows: Int, columns: Int, crop: Box, computed: BooleanArray? = null,
        ): DenseResult {
            val k = task.cells
            val cells = computed?.let { of -> BooleanArray(of.size * k * k) { of[patchOf(it, columns, k)] } }
            return DenseResult(task, rows * k, columns * k, task.grid(outputs, rows, columns), crop, cells)
        }

        /** The patch in which a cell lies. */
        private fun patchOf(cell: Int, columns: Int, k: Int) = cell / (columns * k) / k * columns + cell % (columns * k) / k
    }
}

/** Where an enlarged pixel's middle lies: between two cells, at this share of the way. */
private class Place(val first: Int, val second: Int, val share: Float) {
    companion object {
        fun of(pixel: Int, size: Int, count: Int): Place {
            val scale = (count.toDouble() / size).toFloat()
            val place = ((pixel + 0.5f) * scale - 0.5f).coerceIn(0f, (count - 1).toFloat())
            val first = place.toInt()
            return Place(first, minOf(first + 1, count - 1), place - first)
        }
    }
}

private fun mix(first: Float, second: Float, share: Float): Float = first + share * (second - first)
