package ai.vecaedge

import kotlin.math.exp

/**
 * From logits to whether the most likely label may be shown; throws [VecaError.Argument] for a number out of its range.
 *
 * @property temperature logits are divided by it before they become a confidence, 0.01..100.
 * @property threshold the least confidence of a label that is shown, 0..1.
 */
data class Certainty(val temperature: Double = 1.0, val threshold: Double = 0.5) {
    init {
        if (temperature !in 0.01..100.0 || threshold !in 0.0..1.0) {
            throw VecaError.Argument(
                "certainty: temperature $temperature and threshold $threshold, expected 0.01 to 100 and 0 to 1",
            )
        }
    }

    /** The probability of the most likely label at this temperature, 0..1. */
    fun confidence(logits: FloatArray): Double {
        val most = logits.maxOrNull() ?: 0f
        return 1 / logits.sumOf { exp((it.toDouble() - most) / temperature) }
    }

    /** Whether the most likely label may be shown; never for logits that are not finite. */
    fun sure(logits: FloatArray): Boolean = logits.all { it.isFinite() } && confidence(logits) >= threshold
}
