package ai.vecaedge.sensors

import ai.vecaedge.governor.ThermalLevel

/** Seconds ahead that the forecast looks. */
private const val AHEAD = 10

/** Seconds between two questions for headroom, whichever they are. */
private const val PAUSE = 1.0

/** Seconds that an answer is worth something while later ones are NaN. */
private const val WORTH = 5.0

/**
 * Android's thermal status (0 none, 1 light, 2 moderate, 3 severe, 4 critical, 5 emergency, 6 shutdown) in our levels;
 * null for a number that Android does not define.
 */
fun thermalLevelOf(status: Int): ThermalLevel? = when (status) {
    0 -> ThermalLevel.NOMINAL
    1, 2 -> ThermalLevel.FAIR // nothing that a user would notice
    3 -> ThermalLevel.SERIOUS
    4, 5, 6 -> ThermalLevel.CRITICAL
    else -> null
}

/**
 * Headroom now and some seconds ahead, as heat on the governor's scale. Asked in turn: Android answers NaN to a second
 * question within the same second. Not thread-safe.
 *
 * @param ask `PowerManager.getThermalHeadroom`: seconds ahead to headroom; NaN if unsupported or asked too often. What
 *     it throws is no answer.
 * @param clock seconds that never go back.
 */
class Headrooms(private val ask: (Int) -> Float, private val clock: () -> Double) {
    private class Answer(val time: Double, val headroom: Double)

    private val answers = mutableMapOf<Int, Answer>()
    private var asked = Double.NEGATIVE_INFINITY
    private var next = 0

    /** How headroom becomes heat; the plain headroom until the device's thresholds are known. */
    var scale = HeatScale()

    /** Heat now and its forecast; null if unknown. */
    fun read(): Pair<Double?, Double?> {
        val now = clock()
        if (now - asked >= PAUSE) {
            asked = now
            remember(next, orUnknown { ask(next) })
            next = AHEAD - next
        }
        fun known(ahead: Int) = answers[ahead]?.takeIf { now - it.time <= WORTH }?.let { scale.heat(it.headroom) }
        return Pair(known(0), known(AHEAD))
    }

    /** What Android says without being asked, when heat or the thresholds change much. */
    fun hear(headroom: Float, forecast: Float, thresholds: Map<Int, Float>) {
        scale = HeatScale(thresholds)
        remember(0, headroom)
        remember(AHEAD, forecast)
    }

    private fun remember(ahead: Int, headroom: Float?) {
        if (headroom != null && headroom.isFinite()) answers[ahead] = Answer(clock(), headroom.toDouble())
    }
}
