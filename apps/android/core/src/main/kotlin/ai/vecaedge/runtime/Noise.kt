package ai.vecaedge.runtime

import kotlin.math.max
import kotlin.math.min
import kotlin.math.sqrt

/** The estimate is a low quantile over patches, so that moving ones do not count. */
private const val QUANTILE = 0.25

/** Estimates over which the noise is averaged. So many frames in a row are looked at first, then one in so many. */
private const val MEMORY = 8

/** Noise is rough: what differs smoothly from pixel to pixel is motion. */
private const val ROUGHNESS = 2.5

/** So many patches are enough. */
private const val SAMPLE = 16

/** The sensor's noise, from one frame to the next. Even change of a patch (a fade, a flicker) is not noise. */
internal class Noise {
    private var last = Sample(0, FloatArray(0))
    private var frames = 0

    /** Standard deviation in grey levels; 0 before any estimate. */
    var sigma = 0.0
        private set

    /** Start anew with a first frame, or with none. */
    fun reset(patches: BytePatches?) {
        sigma = 0.0
        frames = 0
        last = patches?.let(Sample::of) ?: Sample(0, FloatArray(0))
    }

    /** Look at the next frame, of as many patches of the same size. */
    fun follow(patches: BytePatches) {
        frames++
        val turn = frames % MEMORY
        if (frames > MEMORY && turn > 1) return
        val sample = Sample.of(patches)
        val before = last
        last = sample
        if (frames > MEMORY && turn == 0) return // only what the next frame is compared with
        val variances = (0 until sample.values.size / sample.width).map { variance(sample, before, it) }
        val estimate = sqrt(quantile(variances.sorted(), QUANTILE) / 2)
        // At once up from nothing, slowly afterwards.
        sigma += (if (sigma != 0.0) 1.0 / MEMORY else 1.0) * (estimate - sigma)
    }

    /** Of one patch's difference about its mean, at most what its roughness explains. */
    private fun variance(sample: Sample, before: Sample, patch: Int): Double {
        val from = patch * sample.width
        val difference = FloatArray(sample.width) { sample.values[from + it] - before.values[from + it] }
        val mean = difference.sum() / sample.width
        for (i in difference.indices) difference[i] -= mean
        val variance = difference.sumOf { (it * it).toDouble() } / sample.width
        return min(variance, ROUGHNESS * ROUGHNESS * roughness(difference))
    }
}

/** Some patches, evenly spread. */
private class Sample(val width: Int, val values: FloatArray) {
    companion object {
        fun of(patches: BytePatches): Sample {
            val step = max(1, patches.count / SAMPLE)
            val chosen = (0 until patches.count step step).toList()
            val values = FloatArray(chosen.size * patches.width) {
                val from = chosen[it / patches.width] * patches.width
                (patches.bytes[from + it % patches.width].toInt() and 0xff).toFloat()
            }
            return Sample(patches.width, values)
        }
    }
}

/**
 * Variance of white noise as rough as this patch.
 *
 * From second differences along both axes, which leave little of a picture (Immerkaer, Computer Vision and Image
 * Understanding 64(2), 1996); 36 is the sum of their squared weights.
 */
private fun roughness(patch: FloatArray): Double {
    val side = sqrt(patch.size / 3.0).toInt()
    if (side < 3) return Double.POSITIVE_INFINITY
    fun across(row: Int, at: Int): Float {
        val left = row * side * 3 + at
        return patch[left] - 2 * patch[left + 3] + patch[left + 6]
    }
    var sum = 0.0
    for (row in 0 until side - 2) {
        for (at in 0 until (side - 2) * 3) {
            val both = across(row, at) - 2 * across(row + 1, at) + across(row + 2, at)
            sum += (both * both).toDouble()
        }
    }
    return sum / ((side - 2) * (side - 2) * 3) / 36
}

/** Between the two values next to this share of the way through. */
internal fun quantile(ordered: List<Double>, share: Double): Double {
    val position = share * ordered.lastIndex
    val low = position.toInt()
    val high = min(low + 1, ordered.lastIndex)
    return ordered[low] + (position - low) * (ordered[high] - ordered[low])
}
