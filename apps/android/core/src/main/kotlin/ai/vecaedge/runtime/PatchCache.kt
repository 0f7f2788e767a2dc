package ai.vecaedge.runtime

import java.nio.FloatBuffer

/**
 * The remembered rows of all N patches of one image size at one core budget: 4 N (2 layers D + D' + C) bytes, the
 * keys and values outside of the Java heap.
 *
 * @property count N.
 * @property heads attention heads.
 * @property keys per layer (heads, N, headDim).
 * @property values per layer (heads, N, headDim).
 * @property features (N, D').
 * @property coreAttention (N, C).
 */
class PatchCache private constructor(
    val count: Int,
    val heads: Int,
    val keys: List<Floats>,
    val values: List<Floats>,
    val features: FloatArray,
    val coreAttention: FloatArray,
) {
    /** Keys, values of the first layer, keys, values of the second, ... as `step` takes them, without a copy. */
    fun rows(): List<Floats> = keys.zip(values).flatMap { listOf(it.first, it.second) }

    /** Replace the rows of these patches (in the order of the step's rows); nothing else is touched. */
    fun write(patches: IntArray, new: Stepped) {
        for (layer in keys.indices) {
            writeLayer(keys[layer].data, new.keys[layer], patches)
            writeLayer(values[layer].data, new.values[layer], patches)
        }
        writeRows(features, new.features, patches)
        writeRows(coreAttention, new.coreAttention, patches)
    }

    /** Replace features and core attention of every patch, but no keys and values: these no longer count. */
    fun writeShown(encoded: Encoded) {
        encoded.features.copyInto(features)
        encoded.coreAttention.copyInto(coreAttention)
    }

    private fun writeLayer(layer: FloatBuffer, new: FloatArray, patches: IntArray) {
        val into = layer.duplicate()
        val width = new.size / (heads * patches.size)
        for (head in 0 until heads) {
            patches.forEachIndexed { row, patch ->
                into.position((head * count + patch) * width)
                into.put(new, (head * patches.size + row) * width, width)
            }
        }
    }

    private fun writeRows(rows: FloatArray, new: FloatArray, patches: IntArray) {
        val width = new.size / patches.size
        patches.forEachIndexed { row, patch -> new.copyInto(rows, patch * width, row * width, (row + 1) * width) }
    }

    companion object {
        /** The cache after a step that computed every patch. */
        fun of(keyframe: Stepped, count: Int, heads: Int): PatchCache {
            fun layers(rows: List<FloatArray>) =
                rows.map { Floats(listOf(heads, count, it.size / (heads * count)), directFloats(it.size)) }
            val cache = PatchCache(
                count, heads, layers(keyframe.keys), layers(keyframe.values),
                FloatArray(keyframe.features.size), FloatArray(keyframe.coreAttention.size),
            )
            cache.write(IntArray(count) { it }, keyframe)
            return cache
        }
    }
}
