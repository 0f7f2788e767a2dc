package ai.vecaedge

import ai.vecaedge.governor.DeviceState
import ai.vecaedge.governor.ThermalLevel
import ai.vecaedge.sensors.CpuHeadroom
import ai.vecaedge.sensors.Headrooms
import ai.vecaedge.sensors.HeatScale
import ai.vecaedge.sensors.orUnknown
import ai.vecaedge.sensors.thermalLevelOf

/** What Android says of heat and of the processor, and all the ways in which it does not. */
fun Checks.sensors() {
    thermalLevels()
    headroomsInTurn()
    headroomsHeard()
    refusals()
    heatScales()
    cpuHeadrooms()
    pretences()
}

private fun Checks.thermalLevels() {
    same(thermalLevelOf(0), ThermalLevel.NOMINAL, "no throttling")
    same(thermalLevelOf(2), ThermalLevel.FAIR, "moderate")
    same(thermalLevelOf(3), ThermalLevel.SERIOUS, "severe")
    same((4..6).map(::thermalLevelOf).toSet(), setOf<ThermalLevel?>(ThermalLevel.CRITICAL), "critical and worse")
    same(thermalLevelOf(7), null, "a status that Android does not define")
}

/** A second question within a second is answered by NaN. */
private fun Checks.headroomsInTurn() {
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
}

/** The listener's word counts at once, on the scale of its thresholds, and grows old like an answer. */
private fun Checks.headroomsHeard() {
    var now = 0.0
    val headrooms = Headrooms(ask = { Float.NaN }, clock = { now })
    same(headrooms.read(), Pair(null, null), "before the listener is told")
    headrooms.hear(0.7f, 0.85f, mapOf(1 to 0.7f, 2 to 0.85f, 3 to 1f))
    near(headrooms.read().first, 0.8, "light throttling, heard")
    near(headrooms.read().second, MODERATE, "its forecast")
    headrooms.hear(0.7f, Float.NaN, emptyMap())
    near(headrooms.read().first, 0.7, "thresholds that are gone")
    near(headrooms.read().second, 0.85, "the last forecast, on the new scale")
    now = 5.5
    same(headrooms.read(), Pair(null, null), "a word of more than five seconds ago")
}

/** Whatever a service throws is no answer, and the next question is asked in its turn. */
private fun Checks.refusals() {
    same(orUnknown { 3 }, 3, "an answer")
    for (error in listOf(UnsupportedOperationException(), SecurityException(), IllegalStateException())) {
        var now = 0.0
        val asked = mutableListOf<Int>()
        val headrooms = Headrooms(ask = { asked += it; throw error }, clock = { now })
        repeat(4) {
            same(headrooms.read(), Pair(null, null), "headroom after $error")
            now += 0.5
        }
        same(asked, listOf(0, 10), "questions after $error")
    }
    val endless = Headrooms(ask = { Float.POSITIVE_INFINITY }, clock = { 0.0 })
    same(endless.read().first, null, "an endless headroom")
}

/** Thresholds to heat: each status of the device where the governor expects it. */
private fun Checks.heatScales() {
    val nan = Float.NaN
    val cases = listOf(
        // thresholds of light, moderate, severe; headroom; heat
        Scaled(null, null, null, 0.0, 0.0),
        Scaled(null, null, null, 0.9, 0.9),
        Scaled(null, null, null, 1.3, 1.3),
        Scaled(0.8f, 28 / 30f, 1f, 0.9, 0.9), // the phone that the target was chosen on
        Scaled(0.6f, 0.8f, 1f, 0.3, 0.4),
        Scaled(0.6f, 0.8f, 1f, 0.6, 0.8),
        Scaled(0.6f, 0.8f, 1f, 0.75, 0.9), // held below moderate throttling, where plain headroom would go to 0.9
        Scaled(0.6f, 0.8f, 1f, 0.8, MODERATE),
        Scaled(0.6f, 0.8f, 1f, 1.0, 1.0),
        Scaled(0.6f, 0.8f, 1f, 1.2, 1.2),
        Scaled(0.9f, 0.96f, 1f, 0.9, 0.8), // throttles late
        Scaled(null, 0.8f, null, 0.4, MODERATE / 2),
        Scaled(0.8f, null, 1f, 0.9, 0.9),
        Scaled(0.7f, 0.7f, 1f, 0.7, MODERATE), // the hotter status counts
        Scaled(0.95f, 0.9f, 1f, 0.9, MODERATE), // out of order
        Scaled(1f, 1f, 1f, 0.5, 0.5),
        Scaled(0.1f, 0.2f, 1f, 0.4, 0.4), // no temperatures of a hot device
        Scaled(nan, nan, nan, 0.4, 0.4),
        Scaled(-1f, Float.POSITIVE_INFINITY, 0f, 0.4, 0.4),
        Scaled(null, null, 0.95f, 0.95, 1.0), // several sensors: the lowest severe threshold
        Scaled(0.6f, 0.8f, 1f, -0.1, 0.0),
    )
    for (case in cases) {
        val (light, moderate, severe, headroom, heat) = case
        val known = listOf(1 to light, 2 to moderate, 3 to severe, 4 to 1.1f, 9 to 0.7f)
        val thresholds = known.mapNotNull { (status, at) -> at?.let { status to it } }.toMap()
        near(HeatScale(thresholds).heat(headroom), heat, "$case")
    }
    val scale = HeatScale(mapOf(1 to 0.6f, 2 to 0.61f, 3 to 0.97f))
    val heats = (0..120).map { scale.heat(it / 100.0) }
    that(heats.zipWithNext().all { (cooler, hotter) -> cooler < hotter }) { "hotter is not hotter: $heats" }
}

private data class Scaled(
    val light: Float?, val moderate: Float?, val severe: Float?, val headroom: Double, val heat: Double,
)

private const val MODERATE = 14 / 15.0

/** Asked as often as the device allows; a device that cannot tell is asked once. */
private fun Checks.cpuHeadrooms() {
    var now = 0.0
    var asked = 0
    var answer: () -> Float = { 40f }
    fun headroom(pause: Double) = CpuHeadroom({ asked++; answer() }, pause, { now })
    val slow = headroom(2.0)
    near(slow.read(), 0.4, "CPU headroom")
    answer = { 30f }
    now = 1.5
    near(slow.read(), 0.4, "within the pause")
    now = 2.0
    near(slow.read(), 0.3, "after the pause")
    same(asked, 2, "questions")
    for (wrong in listOf(Float.NaN, -1f, 101f)) {
        now += 2
        answer = { wrong }
        same(slow.read(), null, "a CPU headroom of $wrong")
    }
    answer = { throw SecurityException() }
    now += 2
    same(slow.read(), null, "a question that is refused")
    answer = { 0f }
    now += 2
    near(slow.read(), 0.0, "a processor with nothing left")
    val eager = headroom(0.0)
    asked = 0
    repeat(2) { eager.read() }
    same(asked, 1, "questions within a second")
    answer = { throw UnsupportedOperationException() }
    val unable = headroom(1.0)
    asked = 0
    repeat(5) {
        same(unable.read(), null, "a device without CPU headroom")
        now += 2
    }
    same(asked, 1, "questions to it")
}

private fun Checks.pretences() {
    val pretended = PretendedSensors(object : Sensors {
        override val state = DeviceState(1.0, battery = 0.5)

        override fun start() = Unit

        override fun stop() = Unit
    }) { it.copy(battery = 0.1) }
    same(pretended.state, DeviceState(1.0, battery = 0.1), "a pretended battery")
}
