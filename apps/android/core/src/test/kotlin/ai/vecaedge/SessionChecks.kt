package ai.vecaedge

import ai.vecaedge.camera.Fit
import ai.vecaedge.camera.Preprocessing
import ai.vecaedge.camera.RgbImage
import ai.vecaedge.governor.DeviceState
import ai.vecaedge.governor.LatencyRow
import ai.vecaedge.governor.LatencyTable
import ai.vecaedge.governor.OperatingPoint
import ai.vecaedge.governor.QualityTable
import ai.vecaedge.governor.RunConfiguration
import ai.vecaedge.governor.ThermalLevel
import ai.vecaedge.governor.Front
import ai.vecaedge.governor.operatingPoints
import ai.vecaedge.runtime.DenseHead
import ai.vecaedge.runtime.DenseKind
import ai.vecaedge.runtime.DenseTask
import java.io.File

private class FixedSensors(override var state: DeviceState = DeviceState(0.0)) : Sensors {
    var started = false

    override fun start() {
        started = true
    }

    override fun stop() {
        started = false
    }
}

/** A session at full rate, under heat, at a lower rate; the profile of a device. */
fun Checks.session(folder: File) {
    val fit = Preprocessing(48)
    val depth = DenseHead(DenseTask("depth", DenseKind.REGRESSION), FloatArray(4) { 1f }, FloatArray(1))
    val engine = FormulaEngine()
    val model = Model("formula", engine, fit, 8, listOf(8, 16), quality = quality(), digest = "d1", dense = listOf(depth))
    val sensors = FixedSensors()
    var now = 0.0
    var stopped = 0
    val session = Session(model, slowFront(), sensors, onCritical = { stopped++ }, clock = { now })
    session.start()
    that(sensors.started) { "the sensors were not started" }
    val frame = RgbImage(48, 48, ByteArray(48 * 48 * 3) { (it * 7 % 251).toByte() })
    val first = session.update(frame)
    same(first.point!!.cores, 16, "cores of a cool device")
    that(first.reason.startsWith("start: C 16")) { "the reason is ${first.reason}" }
    now = 0.5
    sensors.state = DeviceState(0.5, thermal = ThermalLevel.CRITICAL)
    val hot = session.update(frame)
    same(stopped, 1, "calls at critical heat")
    same(session.decision!!.point.rate, 5.0, "the rate of a critical device")
    // At 5 frames per second five of six are left out, this one included.
    same(hot.latency, 0.0, "the latency of a frame that was left out")
    same(hot.computedPatches, 0, "its patches")
    same(hot.dense.getValue("depth").computed!!.count { it }, 0, "its cells")
    same(hot.dense.getValue("depth").cells.toList(), first.dense.getValue("depth").cells.toList(), "what they say")
    val later = (1..11).map { now += 1 / 30.0; session.update(frame) }
    same(later.indices.filter { later[it].latency > 0 }, listOf(4, 10), "frames computed of eleven")
    same(later[4].point, session.decision!!.point, "their point")
    val seen = session.statistics
    same(seen.frames, 13, "frames")
    same(seen.switches, 1, "switches")
    near(seen.seconds, now, "seconds")
    session.close()
    that(!sensors.started) { "the sensors were not stopped" }
    profile(model, File(folder, "profiles"))
    wide()
}

/** A point's patch budget is for each square of the frame. */
private fun Checks.wide() {
    val model = Model("formula", FormulaEngine(), Preprocessing(48, Fit.KEEP), 8, listOf(8, 16))
    val point = OperatingPoint(8, 48, 16, 30.0, 1.0, 0.001, 0.001, 0.1)
    val session = Session(model, Front.of(listOf(point)), FixedSensors(), clock = { 0.0 })
    fun frame(light: Int) = RgbImage(96, 48, ByteArray(96 * 48 * 3) { if (it / 3 % 96 < 48) light.toByte() else 0 })
    same(session.update(frame(0)).computedPatches, 72, "patches of a wide keyframe")
    same(session.update(frame(100)).computedPatches, 32, "patches of twice a square")
}

private fun Checks.profile(model: Model, folder: File) {
    val frames = List(12) { index -> RgbImage(48, 48, ByteArray(48 * 48 * 3) { ((it + 40 * index) % 251).toByte() }) }
    var asked = 0
    folder.deleteRecursively() // of a run before
    val profile = LatencyProfile(folder)
    val front = profile.front(model, 30.0) { asked++; frames }
    that(front.points.isNotEmpty()) { "an empty front" }
    profile.front(model, 30.0) { asked++; frames }
    same(asked, 1, "measurements, the second time from the file")
    File(folder, "d1.json").writeText("[{}]")
    profile.front(model, 30.0) { asked++; frames }
    same(asked, 2, "measurements after the file was damaged")
    val configurations = listOf(RunConfiguration(8, 48, null))
    fails<VecaError.Argument>("too few frames") { LatencyProfile.measure(model, configurations, frames.take(3)) }
    val bare = Model("bare", FormulaEngine(), Preprocessing(48), 8, listOf(8))
    fails<VecaError.File>("a model without a quality table") { profile.front(bare, 30.0) { frames } }
    val (base, patchTime) = line(List(20) { 0.004 + 0.0001 * (it + 1) }, List(20) { it + 1 })
    near(base, 0.004, "seconds without a patch")
    near(patchTime, 0.0001, "seconds per patch")
}

private fun quality(): Map<String, Any?> {
    val rows = listOf(8.0 to 0.9, 16.0 to 1.0).flatMap { (cores, cosine) ->
        listOf(null, 16.0).map {
            mapOf(
                "cores" to cores, "image_size" to 48.0, "patch_budget" to it, "embedding_cosine" to cosine,
                "feature_cosine" to cosine,
            )
        }
    }
    return mapOf("rows" to rows, "freshness" to mapOf("ages" to listOf(0.0, 1.0), "worth" to listOf(1.0, 0.5)))
}

/** A device on which every configuration takes 10 ms or more: the choice does not depend on this machine's speed. */
private fun slowFront(): Front {
    val table = QualityTable.of(quality())
    val rows = table.rows.map { LatencyRow(it.configuration, 0.01, 0.012, 0.001 * it.configuration.cores, 36.0, 0.01) }
    return Front.of(operatingPoints(table, LatencyTable(rows), 30.0))
}
