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
 * Headroom now and some seconds ahead, asked in turn: Android answers NaN to a second question within the same second.
 * Not thread-safe.
 *
 * @param ask `PowerManager.getThermalHeadroom`: seconds ahead to headroom, NaN if unsupported or asked too often.
 * @param clock seconds that never go back.
 */
class Headrooms(private val ask: (Int) -> Float, private val clock: () -> Double) {
    private class Answer(val time: Double, val headroom: Double)

    private val answers = mutableMapOf<Int, Answer>()
    private var asked = Double.NEGATIVE_INFINITY
    private var next = 0

    /** Headroom now and its forecast; null if unknown. */
    fun read(): Pair<Double?, Double?> {
        val now = clock()
        if (now - asked >= PAUSE) {
            val headroom = ask(next)
            asked = now
            if (!headroom.isNaN()) answers[next] = Answer(now, headroom.toDouble())
            next = AHEAD - next
        }
        fun known(ahead: Int) = answers[ahead]?.takeIf { now - it.time <= WORTH }?.headroom
        return Pair(known(0), known(AHEAD))
    }
}
