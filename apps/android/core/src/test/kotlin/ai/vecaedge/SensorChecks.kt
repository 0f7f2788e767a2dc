package ai.vecaedge

import ai.vecaedge.governor.DeviceState
import ai.vecaedge.governor.ThermalLevel
import ai.vecaedge.sensors.Headrooms
import ai.vecaedge.sensors.thermalLevelOf

/** Android's thermal status in our levels; headroom, of which a second question within a second is answered by NaN. */
fun Checks.sensors() {
    same(thermalLevelOf(0), ThermalLevel.NOMINAL, "no throttling")
    same(thermalLevelOf(2), ThermalLevel.FAIR, "moderate")
    same(thermalLevelOf(3), ThermalLevel.SERIOUS, "severe")
    same((4..6).map(::thermalLevelOf).toSet(), setOf<ThermalLevel?>(ThermalLevel.CRITICAL), "critical and worse")
    same(thermalLevelOf(7), null, "a status that Android does not define")
    var now = 100.0
    var asked = -10.0
    var supported = true
    val headrooms = Headrooms(
        ask = { ahead ->
            val early = now - asked < 1
            asked = now
            if (early || !supported) Float.NaN else 0.5f + ahead / 100f
        },
        clock = { now },
    )
    same(headrooms.read(), Pair(0.5, null), "the first second")
    now += 0.5
    same(headrooms.read(), Pair(0.5, null), "within the same second")
    now += 0.5
    val (headroom, forecast) = headrooms.read()
    near(headroom, 0.5, "headroom")
    near(forecast, 0.6, "forecast")
    supported = false
    now += 4.5
    headrooms.read()
    same(headrooms.read().first, null, "an answer of five seconds ago")
    val pretended = PretendedSensors(object : Sensors {
        override val state = DeviceState(1.0, battery = 0.5)

        override fun start() = Unit

        override fun stop() = Unit
    }) { it.copy(battery = 0.1) }
    same(pretended.state, DeviceState(1.0, battery = 0.1), "a pretended battery")
}
