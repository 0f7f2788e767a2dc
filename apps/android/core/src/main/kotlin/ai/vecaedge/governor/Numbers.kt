package ai.vecaedge.governor

import java.math.BigDecimal
import java.math.MathContext
import java.math.RoundingMode

/** The value if it lies from [low] to [high], else null; NaN is null. */
internal fun known(value: Double?, low: Double, high: Double): Double? =
    value?.takeIf { it >= low && it <= high }

/** At most six significant digits and no zeros at the end: "30", "7.5". */
internal fun short(value: Double): String =
    BigDecimal(value).round(MathContext(6, RoundingMode.HALF_EVEN)).stripTrailingZeros().toPlainString()

/** With so many decimals, rounded as Python rounds: by the exact binary value, halves to even. */
internal fun fixed(value: Double, decimals: Int): String =
    BigDecimal(value).setScale(decimals, RoundingMode.HALF_EVEN).toPlainString()
