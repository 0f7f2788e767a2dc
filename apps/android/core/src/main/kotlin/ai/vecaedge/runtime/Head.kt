package ai.vecaedge.runtime

/**
 * A linear classifier on concat(embedding, mean over patch features).
 *
 * @property weight (K, 2 D').
 * @property bias (K).
 */
class Head(val weight: FloatArray, val bias: FloatArray) {
    /** Logits (K) for an embedding (D') and features (N, D'). */
    fun logits(embedding: FloatArray, features: FloatArray): FloatArray {
        val depth = embedding.size
        val mean = DoubleArray(depth)
        for (i in features.indices) mean[i % depth] += features[i].toDouble()
        val patches = features.size / depth
        return FloatArray(bias.size) { label ->
            val row = label * 2 * depth
            var logit = bias[label].toDouble()
            for (i in 0 until depth) {
                logit += weight[row + i] * embedding[i] + weight[row + depth + i] * mean[i] / patches
            }
            logit.toFloat()
        }
    }
}
