package ai.vecaedge.camera

import ai.vecaedge.Grid
import kotlin.math.max
import kotlin.math.pow
import kotlin.math.round
import kotlin.math.sin
import kotlin.math.sqrt
import kotlin.math.tanh

private const val FIRST_ROUNDS = 24
private const val ROUNDS = 2

/** How fast mean and ranges follow a changing scene, per frame. */
private const val FOLLOW = 0.15f

/**
 * Paints patch features by their first three principal components.
 *
 * Components come in any sign and order, so each frame's search starts from the last one's directions: two rounds of
 * it turn them only as far as the scene has turned. One per view; not thread-safe.
 */
class FeatureColours {
    private var mean: FloatArray? = null
    private var basis: Array<FloatArray>? = null
    private var low = FloatArray(3)
    private var high = FloatArray(3)

    /** Features to an image with one pixel per patch. */
    fun paint(features: Grid): RgbImage {
        val depth = features.depth
        val count = features.rows * features.columns
        val now = FloatArray(depth)
        for (i in features.values.indices) now[i % depth] += features.values[i] / count
        val known = mean?.takeIf { it.size == depth }
        val mean = if (known == null) now else FloatArray(depth) { known[it] + FOLLOW * (now[it] - known[it]) }
        this.mean = mean
        val centred = Array(count) { row -> FloatArray(depth) { features.values[row * depth + it] - mean[it] } }
        val basis = turned(centred, basis?.takeIf { known != null }, depth)
        this.basis = basis
        val projected = Array(3) { axis -> FloatArray(count) { dot(centred[it], basis[axis]) } }
        return coloured(projected, features, fresh = known == null)
    }

    private fun coloured(projected: Array<FloatArray>, features: Grid, fresh: Boolean): RgbImage {
        for (axis in 0..2) {
            val ordered = projected[axis].sorted()
            val bottom = ordered[ordered.size * 2 / 100]
            val top = ordered[(ordered.size - 1) * 98 / 100]
            low[axis] = if (fresh) bottom else low[axis] + FOLLOW * (bottom - low[axis])
            high[axis] = if (fresh) top else high[axis] + FOLLOW * (top - high[axis])
        }
        // All three share one scale: a component with little variance stays a tint instead of noise.
        val widest = (0..2).maxOf { high[it] - low[it] }
        val bytes = ByteArray(features.rows * features.columns * 3)
        for (patch in 0 until features.rows * features.columns) {
            val (light, a, b) = (0..2).map { axis ->
                val span = maxOf(high[axis] - low[axis], 0.5f * widest, 1e-6f)
                tanh(1.6f * (projected[axis][patch] - (low[axis] + high[axis]) / 2) / span)
            }
            oklab(0.66f + 0.20f * light, 0.145f * a, 0.145f * b).copyInto(bytes, patch * 3)
        }
        return RgbImage(features.columns, features.rows, bytes)
    }
}

/** The three directions of most variance, followed from the last frame's: orthogonal iteration. */
private fun turned(centred: Array<FloatArray>, old: Array<FloatArray>?, depth: Int): Array<FloatArray> {
    // The same arbitrary directions every time to begin with.
    var basis = old ?: Array(3) { axis -> FloatArray(depth) { sin((it + 1) * floatArrayOf(1f, 1.7f, 2.9f)[axis]) } }
    repeat(if (old == null) FIRST_ROUNDS else ROUNDS) {
        val next = Array(3) { axis ->
            val sum = FloatArray(depth) { 1e-6f * basis[axis][it] }
            for (row in centred) {
                val weight = dot(row, basis[axis])
                for (i in sum.indices) sum[i] += weight * row[i]
            }
            sum
        }
        basis = orthonormal(next)
    }
    return basis
}

private fun orthonormal(axes: Array<FloatArray>): Array<FloatArray> {
    for (axis in axes.indices) {
        for (before in 0 until axis) {
            val shared = dot(axes[axis], axes[before])
            for (i in axes[axis].indices) axes[axis][i] -= shared * axes[before][i]
        }
        val length = max(sqrt(dot(axes[axis], axes[axis])), 1e-20f)
        for (i in axes[axis].indices) axes[axis][i] /= length
    }
    return axes
}

private fun dot(a: FloatArray, b: FloatArray): Float {
    var sum = 0f
    for (i in a.indices) sum += a[i] * b[i]
    return sum
}

/** OKLab (a: green to red, b: blue to yellow) to RGB. */
private fun oklab(lightness: Float, a: Float, b: Float): ByteArray {
    val long = (lightness + 0.3963377774f * a + 0.2158037573f * b).pow(3)
    val medium = (lightness - 0.1055613458f * a - 0.0638541728f * b).pow(3)
    val short = (lightness - 0.0894841775f * a - 1.2914855480f * b).pow(3)
    val linear = floatArrayOf(
        4.0767416621f * long - 3.3077115913f * medium + 0.2309699292f * short,
        -1.2684380046f * long + 2.6097574011f * medium - 0.3413193965f * short,
        -0.0041960863f * long - 0.7034186147f * medium + 1.7076147010f * short,
    )
    return ByteArray(3) {
        val level = linear[it].coerceIn(0f, 1f)
        val encoded = if (level <= 0.0031308f) 12.92f * level else 1.055f * level.pow(1 / 2.4f) - 0.055f
        round(encoded * 255).toInt().toByte()
    }
}
