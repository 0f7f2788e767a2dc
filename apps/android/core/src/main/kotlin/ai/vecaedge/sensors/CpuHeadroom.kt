package ai.vecaedge.sensors

import kotlin.math.max

/** Seconds between two questions at least, whatever the device allows. */
private const val LEAST_PAUSE = 1.0

/**
 * The processor's free capacity, asked no more often than the device allows. Not thread-safe.
 *
 * @param ask `SystemHealthManager.getCpuHeadroom`: percent; NaN if unknown just now, UnsupportedOperationException on a
 *     device that can never tell, which is then not asked again.
 * @param pause seconds, `getCpuHeadroomMinIntervalMillis`.
 * @param clock seconds that never go back.
 */
class CpuHeadroom(private val ask: () -> Float, pause: Double, private val clock: () -> Double) {
    private val pause = max(LEAST_PAUSE, pause)
    private var supported = true
    private var asked = Double.NEGATIVE_INFINITY
    private var share: Double? = null

    /** The newest answer, 0..1; null if unknown. */
    fun read(): Double? {
        val now = clock()
        if (supported && now - asked >= pause) {
            asked = now
            share = orUnknown(::answer)
        }
        return share
    }

    private fun answer(): Double? = try {
        (ask() / 100.0).takeIf { it in 0.0..1.0 }
    } catch (_: UnsupportedOperationException) {
        supported = false
        null
    }
}
