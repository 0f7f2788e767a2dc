package ai.vecaedge

import ai.vecaedge.governor.Decision
import ai.vecaedge.governor.DeviceState
import ai.vecaedge.governor.FrameStatistics
import ai.vecaedge.governor.Front
import ai.vecaedge.governor.Governor
import ai.vecaedge.governor.Memory
import ai.vecaedge.governor.OperatingPoint
import ai.vecaedge.governor.QualityTable
import ai.vecaedge.governor.Settings
import ai.vecaedge.governor.Temperature
import ai.vecaedge.governor.ThermalLevel
import ai.vecaedge.governor.decide
import java.io.File

/** The front of the golden points, and every golden trace decision by decision. */
fun Checks.governor(golden: File) {
    val file = Table.read(File(golden, "governor/points.json"))
    val points = file.tables("points").map(::pointOf)
    val front = Front.of(points)
    same(front.points.map(points::indexOf), file.ints("front"), "the front")
    val ladders = file.lists("ladders").map { row -> row.map { (it as Double).toInt() } }
    same(front.ladders.map { it.indices }, ladders, "the ladders")
    for (case in Table.read(File(golden, "governor/fronts.json")).tables("fronts")) {
        val given = case.tables("points").map(::pointOf)
        val shown = Front.of(given)
        val ladder = shown.ladders[0].indices.map { given.indexOf(shown.points[it]) }
        same(ladder, case.ints("ladder"), "${case["what"]}")
    }
    traces(File(golden, "governor")).forEach { governorTrace(it, front) }
    governorObject(front)
    qualityRows(Table.read(File(golden, "quality.json")))
    fails<VecaError.Argument>("no points") { Front.of(emptyList()) }
    fails<VecaError.Argument>("a point without power") { Front.of(listOf(points[0].copy(power = 0.0))) }
    fails<VecaError.Argument>("settings") { Settings(heatTarget = 1.5) }
    fails<VecaError.Argument>("another preset") { Settings.preset("fast") }
}

/** What rows of a quality table are worth, and which are refused. */
private fun Checks.qualityRows(file: Table) {
    fun table(case: Table) = QualityTable.of(mapOf("rows" to listOf(case.plain("row"))))
    for (case in file.tables("rows")) {
        near(table(case).rows[0].fidelity, case.number("fidelity"), "fidelity of ${case["row"]}", 1e-6, 1e-6)
    }
    for (case in file.tables("refused")) fails<VecaError.File>("${case["row"]}") { table(case) }
}

private fun Checks.governorTrace(file: File, front: Front) {
    val lines = Table.lines(file)
    val settings = settingsOf(lines[0].table("settings"))
    var last: Decision? = null
    lines.drop(1).forEachIndexed { number, line ->
        val place = "${file.name}:${number + 2}"
        val decision = decide(stateOf(line.table("state")), last, framesOf(line.table("frames")), front, settings)
        last = decision
        val wanted = line.table("decision")
        same(decision.reason, wanted["reason"], "$place reason")
        same(decision.stopCamera, wanted["stop_camera"], "$place stop_camera")
        memory(decision.memory, wanted.table("memory"), place)
    }
}

private fun Checks.memory(memory: Memory, wanted: Table, place: String) {
    same(memory.index, wanted.int("index"), "$place index")
    same(memory.hot, wanted.flag("hot"), "$place hot")
    val numbers = mapOf(
        "time" to memory.time, "settled" to memory.settled, "ceiling" to memory.ceiling, "heat" to memory.heat,
        "trend" to memory.trend, "unread" to memory.unread, "slowdown" to memory.slowdown, "tail" to memory.tail,
        "calm" to memory.calm,
    )
    for ((name, value) in numbers) near(value, wanted.number(name), "$place $name", 1e-6, 1e-8)
}

/** The little state around the policy: frames wait until there are enough, critical heat calls once a spell. */
private fun Checks.governorObject(front: Front) {
    var calls = 0
    val governor = Governor(front) { calls++ }
    same(governor.point, front.points[0], "the point before any decision")
    governor.decide(DeviceState(0.0))
    same(governor.point, front.points.last(), "the point of an unknown device")
    repeat(4) { governor.frame(10 * governor.point.latency) }
    same(governor.decide(DeviceState(1.0)).memory.slowdown, null, "four frames")
    governor.frame(10 * governor.point.latency)
    near(governor.decide(DeviceState(2.0)).memory.slowdown, 10.0, "five frames")
    repeat(2) { governor.decide(DeviceState(3.0 + it, thermal = ThermalLevel.CRITICAL)) }
    same(calls, 1, "calls in a critical spell")
    same(governor.point, front.points[0], "the point at a critical level")
}

private fun pointOf(row: Table) = OperatingPoint(
    row.int("cores"), row.int("image_size"), row.number("patch_budget")?.toInt(), row.number("rate")!!,
    row.number("quality")!!, row.number("latency")!!, row.number("slow")!!, row.number("power")!!,
    row.number("patches")!!, row.number("base")!!, row.number("patch_time")!!,
)

private fun stateOf(state: Table) = DeviceState(
    state.number("time")!!, state.number("battery"), state.flag("charging"), state.flag("low_power"),
    state.number("thermal")?.let { ThermalLevel.entries[it.toInt()] }, state.number("headroom"),
    state.number("forecast"),
    if ("temperatures" in state) state.lists("temperatures").map { (sensor, degrees) ->
        Temperature(sensor as String, Table.numberOf(degrees)!!)
    } else emptyList(),
    state.number("frequency"), state.number("power"),
)

private fun framesOf(frames: Table) = FrameStatistics(
    frames.int("count"), frames.number("p50") ?: 0.0, frames.number("p95") ?: 0.0, frames.int("misses"),
    frames.number("pace"),
)

private fun settingsOf(table: Table): Settings {
    fun number(name: String) = table.number(name)!!
    check(table.names.size == 31) { "the settings of the traces are others than those read here" }
    return Settings(
        number("target_rate"), number("most_power"), number("heat_target"), number("fall"), number("rise"),
        number("slack"), number("horizon"), number("smoothing"), number("trend_smoothing"), number("surprise"),
        number("patience"), number("skin_limit"), number("nominal_heat"), number("fair_margin"),
        number("fair_ceiling"), number("serious_ceiling"), number("restart"), number("battery_full"),
        number("battery_low"), number("battery_ceiling"), number("low_power_ceiling"), number("slow_tolerance"),
        number("calm_memory"), number("frame_alarm"), number("frame_smoothing"), table.int("least_frames"),
        number("deadline_share"), number("climb_share"), number("climb_margin"), number("dwell"),
        number("longest_step"),
    )
}
