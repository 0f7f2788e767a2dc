package ai.vecaedge.runtime

import ai.vecaedge.VecaError

/** Of a value; embeddings have about 1. */
private const val LARGEST = 1e6

/**
 * What the photos of a conversion have in common: a gallery takes it off before two of a model's vectors are compared.
 *
 * @property embedding D' values, the mean of the embeddings.
 * @property features D' values, the mean of all patch features.
 * @property photos how many there were.
 */
data class Means(val embedding: List<Double>, val features: List<Double>, val photos: Int = 0) {
    /** Plain values, ready for JSON. */
    internal fun table(): Map<String, Any> = mapOf("embedding" to embedding, "features" to features, "photos" to photos)

    companion object {
        /** Read a manifest's table; throws [VecaError.File] unless it has two lists of [width] finite numbers. */
        internal fun read(value: Any?, width: Int): Means {
            val table = tableOf(value).orEmpty()
            fun vector(name: String): List<Double> {
                val numbers = (table[name] as? List<*>)?.takeIf { it.size == width }
                    ?: throw VecaError.File("means: its $name is no list of $width numbers")
                return numbers.map { number ->
                    (number as? Double)?.takeIf { it in -LARGEST..LARGEST }
                        ?: throw VecaError.File("means: a value is no number, or too large")
                }
            }
            val photos = wholeOf(table["photos"], 0..Int.MAX_VALUE) ?: 0
            return Means(vector("embedding"), vector("features"), photos)
        }
    }
}
