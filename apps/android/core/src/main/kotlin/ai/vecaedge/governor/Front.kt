package ai.vecaedge.governor

import ai.vecaedge.VecaError
import kotlin.math.ceil
import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.max
import kotlin.math.pow

/**
 * Two points this close in quality are the same to a user: then cores are given up first, then patches, then rate, and
 * pixels last.
 */
internal const val INDIFFERENCE = 0.01

/** A step down that saves less energy than this, as a share of the point above, is not worth a keyframe. */
internal const val SAVING = 0.03

/** Ladders are made for devices slower by powers of this, up to the [SLOWEST]-th: ten times. */
internal const val LATENESS = 1.05
internal const val SLOWEST = 48

/** Rounding must not hide the point that lies exactly at the ceiling. */
internal const val ROUNDING = 1e-9

/** Less quality than this is not worth a switch, which costs a keyframe. */
private const val WORTH = 0.002

/** How fast perceived quality falls with the frame rate: half of it costs 5 %, a third 13 %, a sixth 37 %. */
private const val SMOOTHNESS = 6.0

/** Frame rates that a camera's frames can be thinned to without judder. */
private val DIVISORS = listOf(1, 2, 3, 6)

/**
 * Points of a front by ascending power and quality.
 *
 * @property indices into the front's points.
 * @property relative their power as a share of the front's largest, 0..1.
 */
data class Ladder(val indices: List<Int>, val relative: List<Double>) {
    /** Index of the best point with at most this share of the power; 0, the least of all, if there is none. */
    fun best(limit: Double): Int = indices.getOrElse(relative.indexOfLast { it <= limit + ROUNDING }) { 0 }
}

/**
 * The points worth choosing, whatever the device's speed.
 *
 * @property points by ascending power.
 * @property relative their power as a share of the last one's, 0..1.
 * @property ladders the k-th is the Pareto front of the points that keep their frame rate on a device that is
 *   slower by 1.05^k.
 */
data class Front(val points: List<OperatingPoint>, val relative: List<Double>, val ladders: List<Ladder>) {
    /** The points that keep their frame rate on a device slower by this factor; empty if none do. */
    fun ladder(slower: Double): Ladder = when {
        slower > LATENESS.pow(SLOWEST) -> Ladder(emptyList(), emptyList())
        slower > 1 -> ladders[max(0, ceil(ln(slower) / ln(LATENESS) - ROUNDING).toInt())]
        else -> ladders[0]
    }

    companion object {
        /**
         * The Pareto fronts of power and quality: among equals cores are given up first, small steps are skipped.
         *
         * Throws [VecaError.Argument] if there are no points, or a number among them is not valid.
         */
        fun of(
            points: List<OperatingPoint>, indifference: Double = INDIFFERENCE, saving: Double = SAVING,
        ): Front {
            points.forEach(::check)
            if (points.isEmpty()) throw VecaError.Argument("there are no operating points to choose among")
            val least = points.minWith(compareBy({ it.power }, { -it.quality }))
            val chosen = (0..SLOWEST).map { k ->
                val inTime = points.filter { it.slow * it.rate * LATENESS.pow(k) <= 1 }
                worthwhile(coresFirst(pareto(inTime), indifference), saving)
            }
            val others = chosen.flatten().toSet() - least
            val kept = listOf(least) + others.sortedWith(compareBy({ it.power }, { it.quality }, { it.toString() }))
            val relative = kept.map { it.power / kept.last().power }
            val ladders = chosen.map { ladder -> ladder.map(kept::indexOf) }
            return Front(kept, relative, ladders.map { Ladder(it, it.map(relative::get)) })
        }
    }
}

/** What a frame rate of this share (0..1) of the target is worth to a viewer, 0..1. */
internal fun smoothness(share: Double): Double = (1 - exp(-SMOOTHNESS * share)) / (1 - exp(-SMOOTHNESS))

/**
 * Points for every run configuration that both tables know, at the target rate and the ones below it.
 *
 * @param targetRate frames per second that the app wants, above 0, up to 1000.
 */
fun operatingPoints(quality: QualityTable, latency: LatencyTable, targetRate: Double): List<OperatingPoint> {
    if (!(targetRate > 0 && targetRate <= 1000)) {
        throw VecaError.Argument("a target of $targetRate frames per second: use more than 0, up to 1000")
    }
    val timings = latency.rows.associateBy { it.configuration }
    val fresh = quality.freshness
    val worth = DIVISORS.associateWith { fresh.at(targetRate / it) / fresh.at(targetRate) * smoothness(1.0 / it) }
    val points = quality.rows.flatMap { row ->
        val timing = timings[row.configuration] ?: return@flatMap emptyList()
        DIVISORS.map { point(timing, row.fidelity * worth.getValue(it), targetRate / it) }
    }
    if (points.isEmpty()) {
        throw VecaError.Argument("the quality table and the latency table have no operating point in common")
    }
    return points
}

private fun point(timing: LatencyRow, quality: Double, rate: Double): OperatingPoint {
    val (cores, imageSize, patchBudget) = timing.configuration
    return OperatingPoint(
        cores, imageSize, patchBudget, rate, quality, timing.p50, max(timing.p50, timing.p95), timing.mean * rate,
        timing.computed, timing.base, timing.patchTime,
    )
}

private fun check(point: OperatingPoint) {
    val positive = listOf(point.rate, point.latency, point.slow, point.power)
    if (!positive.all { it > 0 && it.isFinite() } || !point.quality.isFinite()) {
        throw VecaError.Argument("an operating point is not valid: $point")
    }
}

/** Points that no other one beats in both power and quality, ascending. */
private fun pareto(points: List<OperatingPoint>): List<OperatingPoint> {
    val front = mutableListOf<OperatingPoint>()
    for (point in points.sortedWith(compareBy({ it.power }, { -it.quality }, { -it.cores }))) {
        if (front.isEmpty() || point.quality > front.last().quality) front += point
    }
    return front
}

/**
 * For each point, the one within [indifference] below it that keeps size, rate and patches; those that remain.
 *
 * As the front ascends in quality as well as in power, the choices ascend too: more power is never worse.
 */
private fun coresFirst(front: List<OperatingPoint>, indifference: Double): List<OperatingPoint> =
    front.mapIndexed { index, best ->
        front.take(index + 1).filter { it.quality >= best.quality - indifference }.maxWith(
            compareBy({ it.imageSize }, { it.rate }, { it.patchBudget ?: Int.MAX_VALUE }, { it.quality }),
        )
    }.distinct()

/**
 * Without steps down that save too little, and then without steps up that add too little.
 *
 * The best and the least stay in any case.
 */
private fun worthwhile(ladder: List<OperatingPoint>, saving: Double): List<OperatingPoint> {
    val saved = ladder.takeLast(1).toMutableList()
    for (index in ladder.lastIndex - 1 downTo 0) {
        if (index == 0 || ladder[index].power <= (1 - saving) * saved.last().power) saved += ladder[index]
    }
    val kept = saved.takeLast(1).toMutableList()
    for (index in saved.lastIndex - 1 downTo 0) {
        if (index == 0 || saved[index].quality >= kept.last().quality + WORTH) kept += saved[index]
    }
    return kept
}
