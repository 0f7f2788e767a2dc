package ai.vecaedge.gallery

import kotlin.math.ln
import kotlin.math.max
import kotlin.math.min
import kotlin.math.sqrt

// What cosines are to be expected before any example says more: mean and standard deviation.
private const val FAMILIAR_MEAN = 0.5 // of a thing with its own name
private const val FAMILIAR_DEVIATION = 0.2
private const val STRANGER_MEAN = 0.05 // of a thing that has no name with the most alike of one name;
private const val STRANGER_DEVIATION = 0.12
private const val STRANGER_GROWTH = 0.075 // and so much more for each factor e of names

/** Threshold: whatever is more alike than that is the same picture, or next to it. */
private const val HIGHEST = 0.98

/** Similarities that differ by no more than this say the same. */
internal const val TIE = 1e-6

/** Examples that these count as. */
private const val PRIOR = 4.0

/** Standard deviations beyond which a normal variable is one time in ten. */
private const val ONE_IN_TEN = 1.2816

/**
 * Examples of one kind, ready to be asked.
 *
 * @property labels K names.
 * @property prototypes K directions (D') of the mean of each name's examples.
 * @property mean (D'), taken off every vector; null for nothing.
 * @property threshold the similarity from which on the best name is worth showing.
 */
internal class Index(
    val labels: List<String>,
    val prototypes: List<DoubleArray>,
    val mean: DoubleArray?,
    val threshold: Double,
) {
    /** Every name and its similarity to a vector (D'), best first; of equal ones the name added first. */
    fun ranked(vector: FloatArray): List<Pair<String, Double>> {
        val asked = direction(vector, mean)
        return labels.indices.map { labels[it] to dot(prototypes[it], asked) }.sortedByDescending { it.second }
    }

    companion object {
        /** The index of n examples. */
        fun of(examples: List<Example>, mean: DoubleArray?): Index {
            val names = examples.map { it.label }.distinct()
            if (names.isEmpty()) return Index(names, emptyList(), mean, 1.0)
            val numbers = names.withIndex().associate { (number, name) -> name to number }
            val places = examples.map { numbers.getValue(it.label) }
            val directions = examples.map { direction(it.values, mean) }
            val sums = names.map { DoubleArray(directions[0].size) }
            for ((place, direction) in places.zip(directions)) for (i in direction.indices) sums[place][i] += direction[i]
            return Index(names, sums.map(::unit), mean, threshold(directions, places, sums))
        }
    }
}

/**
 * What one stranger in ten reaches, or half way from there to what nine in ten familiar things reach.
 *
 * Each example plays a stranger to the other names, and a familiar thing to the other examples of its own.
 */
private fun threshold(examples: List<DoubleArray>, places: List<Int>, sums: List<DoubleArray>): Double {
    val count = sums.size
    val prototypes = sums.map(::unit)
    val strangers = if (count < 2) emptyList() else examples.indices.map { i ->
        val others = sums.indices.filter { it != places[i] }
        others.maxOf { dot(examples[i], prototypes[it]) } + STRANGER_GROWTH * ln(count / (count - 1.0))
    }
    val sizes = places.groupingBy { it }.eachCount()
    val familiar = examples.indices.filter { sizes.getValue(places[it]) > 1 }.map { i ->
        val (sum, example) = Pair(sums[places[i]], examples[i])
        dot(unit(DoubleArray(sum.size) { sum[it] - example[it] }), example)
    }
    val high = spread(strangers, STRANGER_MEAN + STRANGER_GROWTH * ln(count.toDouble()), STRANGER_DEVIATION, ONE_IN_TEN)
    val low = spread(familiar, FAMILIAR_MEAN, FAMILIAR_DEVIATION, -ONE_IN_TEN)
    return min(HIGHEST, max(high, (high + low) / 2))
}

/** So many standard deviations from the mean of values and of [PRIOR] more, which are as expected. */
private fun spread(values: List<Double>, mean: Double, deviation: Double, steps: Double): Double {
    val count = PRIOR + values.size
    val centre = (PRIOR * mean + values.sum()) / count
    val expected = PRIOR * (deviation * deviation + (mean - centre) * (mean - centre))
    val variance = (expected + values.sumOf { (it - centre) * (it - centre) }) / count
    return centre + steps * sqrt(variance)
}

/** A vector without the mean, as a unit vector. */
private fun direction(vector: FloatArray, mean: DoubleArray?): DoubleArray =
    unit(DoubleArray(vector.size) { vector[it] - (mean?.get(it) ?: 0.0) })

/** A vector at length 1; zeros stay. */
private fun unit(vector: DoubleArray): DoubleArray {
    val length = max(sqrt(dot(vector, vector)), 1e-12)
    return DoubleArray(vector.size) { vector[it] / length }
}

private fun dot(a: DoubleArray, b: DoubleArray): Double {
    var sum = 0.0
    for (i in a.indices) sum += a[i] * b[i]
    return sum
}
