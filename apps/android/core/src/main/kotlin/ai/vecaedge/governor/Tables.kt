package ai.vecaedge.governor

import ai.vecaedge.VecaError
import kotlin.math.pow

/** More rows are damage or malice: every one is a run configuration that a device is measured in. */
private const val MOST_ROWS = 1000

/** What is computed of a frame. */
data class RunConfiguration(val cores: Int, val imageSize: Int, val patchBudget: Int?)

/**
 * How close one run configuration stays to the best one (all cores, largest image, every patch).
 *
 * @property embeddingCosine mean cosine of the image embeddings, -1..1.
 * @property featureCosine mean cosine of the patch features, -1..1.
 * @property labelOverlap what the classes' probabilities have in common, 1 - total variation, mean over images, 0..1;
 *   null for a model without a classifier. Of files from before it was measured: the share with the same first label.
 * @property denseAgreement how far dense heads draw the same, mean over heads, 0..1; null for a model without any.
 */
data class QualityRow(
    val configuration: RunConfiguration,
    val embeddingCosine: Double, val featureCosine: Double,
    val labelOverlap: Double? = null, val denseAgreement: Double? = null,
) {
    /**
     * The geometric mean of the measures that exist, 0..1. Geometric, because an app uses one of the outputs: good
     * ones must not hide that another is useless.
     */
    val fidelity: Double
        get() {
            val there = listOfNotNull(embeddingCosine, featureCosine, labelOverlap, denseAgreement)
            val measures = there.map { it.coerceIn(0.0, 1.0) }
            return measures.reduce(Double::times).pow(1.0 / measures.size)
        }
}

/**
 * What a result is still worth when the scene has moved on.
 *
 * @property ages seconds since the frame that the result is of, ascending from 0.
 * @property worth fidelity of such a result to the present frame's, 0..1; one per age.
 */
data class Freshness(val ages: List<Double> = listOf(0.0), val worth: List<Double> = listOf(1.0)) {
    /** Mean worth of the latest result at this many results per second: its age runs evenly from 0 to 1 / rate. */
    fun at(rate: Double): Double {
        val period = 1 / rate
        val corners = listOf(0.0) + ages.filter { it > 0 && it < period } + period
        return corners.zipWithNext { start, end -> (end - start) * (worthAt(start) + worthAt(end)) / 2 }.sum() / period
    }

    /** Linear between the measured ages, the last one beyond them. */
    private fun worthAt(age: Double): Double {
        val index = ages.indexOfFirst { it >= age }
        if (index == 0) return worth.first()
        if (index < 0) return worth.last()
        val share = (age - ages[index - 1]) / (ages[index] - ages[index - 1])
        return worth[index - 1] + share * (worth[index] - worth[index - 1])
    }
}

/** Quality of every run configuration, from the model file. */
data class QualityTable(val rows: List<QualityRow>, val freshness: Freshness = Freshness()) {
    companion object {
        private val SHARES = listOf("label_overlap", "dense_agreement", "top1_agreement")

        /** Read `quality` of a manifest; throws [VecaError.File] if a value is missing or is not valid. */
        fun of(values: Map<String, Any?>): QualityTable {
            val rows = rowsOf(values["rows"]).map { row ->
                val (overlap, dense, top1) = SHARES.map { name -> row[name]?.let { number(row, name, 0.0, 1.0) } }
                val embedding = number(row, "embedding_cosine", -1.0, 1.0)
                val feature = number(row, "feature_cosine", -1.0, 1.0)
                QualityRow(configuration(row), embedding, feature, overlap ?: top1, dense)
            }
            if (rows.isEmpty()) throw VecaError.File("the quality table is empty")
            return QualityTable(rows, values["freshness"]?.let(::freshness) ?: Freshness())
        }

        private fun freshness(values: Any): Freshness {
            val table = values as? Map<*, *> ?: throw VecaError.File("the freshness table is none")
            val ages = numbers(table, "ages", 3600.0)
            val worth = numbers(table, "worth", 1.0)
            val ascending = ages.firstOrNull() == 0.0 && ages.zipWithNext().all { it.first < it.second }
            if (!ascending || ages.size != worth.size) {
                throw VecaError.File("the freshness table needs ascending ages from 0 and as many values of worth")
            }
            return Freshness(ages, worth)
        }

        private fun numbers(table: Map<*, *>, name: String, high: Double): List<Double> =
            (table[name] as? List<*>)?.map { number(mapOf(name to it), name, 0.0, high) }
                ?: throw VecaError.File("the freshness table lacks $name")
    }
}

/**
 * How long a frame takes in one run configuration, on one device.
 *
 * @property p50 median seconds of a frame.
 * @property p95 seconds that only one frame in twenty exceeds; in a stream those are the keyframes.
 * @property mean seconds, what energy is counted with.
 * @property computed patches computed per frame, mean.
 * @property base with [patchTime]: a frame in which n patches are computed takes base + patchTime * n seconds.
 */
data class LatencyRow(
    val configuration: RunConfiguration,
    val p50: Double,
    val p95: Double,
    val mean: Double,
    val computed: Double,
    val base: Double,
    val patchTime: Double = 0.0,
)

/** Latency of every run configuration on one device. */
data class LatencyTable(val rows: List<LatencyRow>) {
    /** Plain values, ready for JSON. */
    fun toRows(): List<Map<String, Any?>> = rows.map {
        mapOf(
            "cores" to it.configuration.cores, "image_size" to it.configuration.imageSize,
            "patch_budget" to it.configuration.patchBudget,
            "p50" to it.p50, "p95" to it.p95, "mean" to it.mean, "computed" to it.computed, "base" to it.base,
            "patch_time" to it.patchTime,
        )
    }

    companion object {
        /** Read rows; throws [VecaError.File] if a value is missing or is not valid, or there are none. */
        fun of(values: Any?): LatencyTable {
            val rows = rowsOf(values).map { row ->
                val p50 = number(row, "p50", 1e-6, 3600.0)
                val base = number(mapOf("base" to 0.0) + row, "base", 0.0, 3600.0)
                LatencyRow(
                    configuration(row), p50, number(row, "p95", 1e-6, 3600.0), number(row, "mean", 1e-6, 3600.0),
                    number(row, "computed", 0.0, 1e6), if (base == 0.0) p50 else base,
                    number(mapOf("patch_time" to 0.0) + row, "patch_time", 0.0, 3600.0),
                )
            }
            if (rows.isEmpty()) throw VecaError.File("the latency table is empty")
            return LatencyTable(rows)
        }
    }
}

private fun rowsOf(values: Any?): List<Map<String, Any?>> {
    val rows = values as? List<*> ?: throw VecaError.File("a table of operating points has no rows")
    if (rows.size > MOST_ROWS) throw VecaError.File("a table of operating points has more than $MOST_ROWS rows")
    return rows.map { row ->
        val table = row as? Map<*, *> ?: throw VecaError.File("a row of a table of operating points is none")
        table.entries.associate { it.key.toString() to it.value }
    }
}

private fun configuration(row: Map<String, Any?>): RunConfiguration {
    val budget = row["patch_budget"]?.let { number(row, "patch_budget", 1.0, 1e6).toInt() }
    return RunConfiguration(number(row, "cores", 1.0, 1e6).toInt(), number(row, "image_size", 1.0, 1e6).toInt(), budget)
}

private fun number(row: Map<String, Any?>, name: String, low: Double, high: Double): Double {
    // Cosines may exceed 1 by rounding. The comparisons are false for NaN.
    val value = (row[name] as? Number)?.toDouble()?.takeIf { it >= low - 1e-5 && it <= high + 1e-5 }
    return value ?: throw VecaError.File(
        "$name ${row[name].toString().take(40)} in a table of operating points: use a number from $low to $high",
    )
}
