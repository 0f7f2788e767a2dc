package ai.vecaedge.sensors

/**
 * Android's thermal status and the heat at which the governor expects a device to reach it, hottest first.
 *
 * Severe throttling is 1 by definition. The other two belong to the phone whose scale the governor's target of 0.9 was
 * chosen on: 39, 43 and 45 degrees of skin, 0.1 for 3 degrees. The target lies between light and moderate throttling.
 */
private val EXPECTED = listOf(3 to 1.0, 2 to 14 / 15.0, 1 to 0.8)

/** A threshold further below severe than 15 degrees is a gap in the device's settings, not a hot device. */
private const val LOWEST = 0.5

/**
 * Headroom as heat on the governor's scale, by the device's own thresholds.
 *
 * Android fixes one point of its headroom, severe at 1; where throttling begins below it is the device's own. A target
 * of 0.9 on the plain headroom would keep one device throttled for hours and hold another back that is fine. So each
 * threshold moves to where the governor expects it, with straight lines between. Without thresholds heat is headroom.
 *
 * @param thresholds `PowerManager.getThermalHeadroomThresholds`: thermal status to headroom. What is missing, NaN, too
 *     low, or not below that of the next hotter status is left out.
 */
class HeatScale(thresholds: Map<Int, Float> = emptyMap()) {
    private class Point(val headroom: Double, val heat: Double)

    /** Ascending in both. */
    private val points: List<Point>

    init {
        val found = ArrayDeque<Point>()
        for ((status, heat) in EXPECTED) {
            val threshold = (thresholds[status] ?: if (heat == 1.0) 1f else continue).toDouble()
            val hotter = found.firstOrNull()?.headroom ?: Double.POSITIVE_INFINITY
            if (threshold >= LOWEST && threshold < hotter) found.addFirst(Point(threshold, heat))
        }
        found.addFirst(Point(0.0, 0.0))
        points = found
    }

    /** Heat, 0..; what is above severe stays as far above it. */
    fun heat(headroom: Double): Double {
        val above = points.indexOfFirst { headroom < it.headroom }
        if (above == 0) return 0.0
        if (above < 0) return points.last().run { heat + headroom - this.headroom }
        val (low, high) = points.subList(above - 1, above + 1)
        return low.heat + (high.heat - low.heat) * (headroom - low.headroom) / (high.headroom - low.headroom)
    }
}
