package ai.vecaedge.governor

import kotlin.math.max
import kotlin.math.min
import kotlin.math.pow

/** A limit on power, share of the best point's, and its name for people. */
internal data class Ceiling(val limit: Double, val cause: String)

/** The heat ceiling to remember, and the one that holds now. [used]: the present power, null at the start. */
internal fun heatCeiling(
    remembered: Double, used: Double?, heat: Heat, pace: Pace, step: Double, settings: Settings,
): Pair<Double, Ceiling> {
    var ceiling = followedCeiling(remembered, used, heat, step, settings)
    // For the same work power falls with the square of the clock, so a device that throttled itself to a share of
    // its clock wants to spend that share squared.
    val slow = if (heat.measured) min(1.0, (settings.slowTolerance / max(1.0, pace.excess)).pow(2)) else 1.0
    val throttled = slow < ceiling
    ceiling = min(ceiling, slow)
    if (heat.level == ThermalLevel.CRITICAL) {
        return Pair(min(ceiling, settings.restart), Ceiling(0.0, "critical heat"))
    }
    if (heat.serious) {
        ceiling = min(ceiling, settings.seriousCeiling)
    } else if (heat.average.heat == null && heat.level != null && heat.level >= ThermalLevel.FAIR) {
        ceiling = min(ceiling, settings.fairCeiling)
    }
    return Pair(ceiling, Ceiling(ceiling, if (throttled) "slow frames" else heatName(heat, settings)))
}

/** The integral controller: up slowly while there is room, down faster while there is none. */
private fun followedCeiling(ceiling: Double, used: Double?, heat: Heat, step: Double, settings: Settings): Double {
    val error = settings.heatTarget - heat.going
    return when {
        used == null -> {
            val share = (heat.going - settings.nominalHeat) / (1 - settings.nominalHeat)
            (1 - share).coerceIn(settings.restart, 1.0)
        }
        error >= 0 -> min(1.0, ceiling + step * error * settings.rise)
        // What is not used cannot be saved: only a ceiling close above the present power can press it down.
        else -> max(0.0, min(ceiling, used + settings.slack) + step * error * settings.fall)
    }
}

private fun heatName(heat: Heat, settings: Settings): String {
    val average = heat.average.heat
    return when {
        heat.level != null && heat.level >= ThermalLevel.FAIR -> "${heat.level} heat"
        average != null && average < settings.heatTarget && settings.heatTarget < heat.going -> "rising heat"
        heat.going >= settings.heatTarget -> "heat"
        else -> "recent heat"
    }
}

internal fun batteryCeiling(state: DeviceState, settings: Settings): Ceiling {
    if (state.charging == true) return Ceiling(1.0, "battery")
    val charge = known(state.battery, 0.0, 1.0)
    var ceiling = Ceiling(1.0, "battery")
    if (charge != null && charge < settings.batteryFull) {
        val above = max(0.0, charge - settings.batteryLow) / (settings.batteryFull - settings.batteryLow)
        val limit = settings.batteryCeiling + above * (1 - settings.batteryCeiling)
        ceiling = Ceiling(limit, "battery ${fixed(100 * charge, 0)} %")
    }
    val saving = state.lowPower == true && settings.lowPowerCeiling < ceiling.limit
    return if (saving) Ceiling(settings.lowPowerCeiling, "low-power mode") else ceiling
}
