package ai.vecaedge.gallery

import ai.vecaedge.Result
import ai.vecaedge.VecaError
import kotlin.math.max
import kotlin.math.min

/** A box in pixels of the picture that the model was given. */
data class Region(val x: Double, val y: Double, val width: Double, val height: Double)

/**
 * The mean of a result's patch features, each weighted with the area that the box covers of it (D').
 *
 * Throws [VecaError.Argument] for numbers that are not finite, or without an area within `result.crop`.
 */
internal fun regionMean(result: Result, box: Region): FloatArray {
    check(box)
    val (crop, grid) = Pair(result.crop, result.features)
    val across = covered((box.x - crop.x) / crop.width, box.width / crop.width, grid.columns)
    val down = covered((box.y - crop.y) / crop.height, box.height / crop.height, grid.rows)
    val total = across.sum() * down.sum()
    if (!(total > 0)) {
        throw VecaError.Argument(
            "the $box lies outside of what the model saw: x ${crop.x} to ${crop.x + crop.width}, " +
                "y ${crop.y} to ${crop.y + crop.height}",
        )
    }
    val depth = grid.depth
    val mean = DoubleArray(depth)
    for (row in 0 until grid.rows) for (column in 0 until grid.columns) {
        val weight = down[row] * across[column] / total
        val from = (row * grid.columns + column) * depth
        if (weight > 0) for (i in 0 until depth) mean[i] += weight * grid.values[from + i]
    }
    return FloatArray(depth) { mean[it].toFloat() }
}

/** Of each of so many cells, which share 0..1, the part within start .. start + length. */
private fun covered(start: Double, length: Double, cells: Int): DoubleArray = DoubleArray(cells) {
    val share = min(start + length, (it + 1.0) / cells) - max(start, it.toDouble() / cells)
    max(share, 0.0) * cells
}

private fun check(box: Region) {
    if (!listOf(box.x, box.y, box.width, box.height).all { it.isFinite() }) {
        throw VecaError.Argument("$box: use four numbers, x, y, width and height in pixels")
    }
    if (box.width <= 0 || box.height <= 0) {
        throw VecaError.Argument("$box is empty: width and height must be above 0")
    }
}
