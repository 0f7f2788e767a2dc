package ai.vecaedge.governor

/** How hot the device says it is, in Apple's four steps; a later one is hotter. */
enum class ThermalLevel {
    NOMINAL, FAIR, SERIOUS, CRITICAL;

    override fun toString(): String = name.lowercase()
}

/** A sensor and what it reads, degrees Celsius. */
data class Temperature(val sensor: String, val degrees: Double)

/**
 * One look at the sensors. Unknown (null) is a value everywhere.
 *
 * @property time seconds on a clock that never goes back; where it starts means nothing.
 * @property battery charge, 0..1.
 * @property charging whether the device runs on external power.
 * @property lowPower whether the user asked the device to save power.
 * @property thermal the platform's own level.
 * @property headroom nearness of throttling, 0..; 1 is where the platform throttles severely. What Android reports is put on this
 *     scale by the device's thresholds ([ai.vecaedge.sensors.HeatScale]).
 * @property forecast the headroom expected some seconds ahead, on the same scale.
 * @property temperatures of every readable sensor.
 * @property frequency CPU frequency as a share of its maximum, 0..1.
 * @property power watts drawn by the processor package or the device.
 * @property cpuHeadroom share of the CPU's capacity that is still free, 0..1. For people: the governor goes by the frame
 *     times, which say the same of this app's own work.
 */
data class DeviceState(
    val time: Double,
    val battery: Double? = null,
    val charging: Boolean? = null,
    val lowPower: Boolean? = null,
    val thermal: ThermalLevel? = null,
    val headroom: Double? = null,
    val forecast: Double? = null,
    val temperatures: List<Temperature> = emptyList(),
    val frequency: Double? = null,
    val power: Double? = null,
    val cpuHeadroom: Double? = null,
)
