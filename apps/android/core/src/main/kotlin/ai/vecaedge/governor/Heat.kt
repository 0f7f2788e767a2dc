package ai.vecaedge.governor

import kotlin.math.max

/** Android pins headroom 0 to the severe threshold minus 30 degrees. */
private const val DEGREES = 30.0

/** Sensors of what a hand touches. Those of the processor's inside are hot by design and mean another scale. */
private val SKIN = listOf("skin", "shell", "case")
private const val MOST_HEADROOM = 10.0

/** Average heat, its trend per second and the seconds without a reading. */
internal data class HeatAverage(val heat: Double?, val trend: Double, val unread: Double)

/** Headroom as reported, or made of the hottest skin temperature; null if unknown. */
internal fun readHeadroom(state: DeviceState, settings: Settings): Double? {
    known(state.headroom, 0.0, MOST_HEADROOM)?.let { return it }
    val skin = state.temperatures
        .filter { reading -> SKIN.any { it in reading.sensor.lowercase() } }
        .mapNotNull { known(it.degrees, -40.0, 120.0) }
    return skin.maxOrNull()?.let { max(0.0, 1 + (it - settings.skinLimit) / DEGREES) }
}

/** The average after [step] seconds and a reading. */
internal fun followHeat(memory: Memory, headroom: Double?, step: Double, settings: Settings): HeatAverage {
    if (headroom == null) {
        val unread = memory.unread + step
        return if (unread > settings.patience) HeatAverage(null, 0.0, unread)
        else HeatAverage(memory.heat, memory.trend, unread)
    }
    val heat = memory.heat ?: return HeatAverage(headroom, 0.0, 0.0)
    if (step == 0.0) return HeatAverage(heat, memory.trend, 0.0)
    val pull = (headroom - heat).coerceIn(-settings.surprise, settings.surprise)
    val change = pull * step / (settings.smoothing + step)
    val trend = memory.trend + (change / step - memory.trend) * step / (settings.trendSmoothing + step)
    return HeatAverage(heat + change, trend, 0.0)
}

/**
 * Where the heat is going: the hottest of what is known.
 *
 * A level below serious speaks only where there is no headroom: it is the same fact, told more coarsely.
 */
internal fun expectedHeat(average: HeatAverage, forecast: Double?, level: ThermalLevel?, settings: Settings): Double {
    var going = when {
        average.heat != null -> average.heat + average.trend * settings.horizon
        level == ThermalLevel.FAIR -> settings.heatTarget - settings.fairMargin
        else -> settings.nominalHeat
    }
    if (forecast != null) going = max(going, forecast)
    if (level != null && level >= ThermalLevel.SERIOUS) going = max(going, settings.heatTarget + settings.fairMargin)
    return going
}
