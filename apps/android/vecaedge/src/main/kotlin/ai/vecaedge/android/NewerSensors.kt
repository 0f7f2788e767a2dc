package ai.vecaedge.android

import ai.vecaedge.sensors.CpuHeadroom
import ai.vecaedge.sensors.Headrooms
import ai.vecaedge.sensors.HeatScale
import ai.vecaedge.sensors.orUnknown
import android.annotation.TargetApi
import android.content.Context
import android.os.PowerManager
import android.os.health.SystemHealthManager
import java.util.concurrent.Executor

/** By the thresholds of the device; plain headroom if it does not tell them. */
@TargetApi(35)
internal fun heatScale(power: PowerManager): HeatScale =
    HeatScale(orUnknown { power.thermalHeadroomThresholds }.orEmpty())

/** CPU headroom of this app's process by the device's own window and pause; null if there is none. */
@TargetApi(36)
internal fun cpuHeadroom(context: Context, clock: () -> Double): CpuHeadroom? {
    val health = context.getSystemService(SystemHealthManager::class.java) ?: return null
    val pause = orUnknown { health.cpuHeadroomMinIntervalMillis } ?: return null
    return CpuHeadroom({ health.getCpuHeadroom(null) }, pause / 1000.0, clock)
}

/**
 * Follows headroom and its thresholds until closed. A class of its own: what it implements is unknown to older
 * Androids, which must not load it.
 *
 * It is told of thresholds that are crossed or moved, not of every change: headroom is asked for as well.
 *
 * @param executor where the listener is told, and [then] called: the thread that [headrooms] belongs to.
 */
@TargetApi(36)
internal class HeadroomListener(
    private val power: PowerManager,
    private val headrooms: Headrooms,
    executor: Executor,
    private val then: () -> Unit,
) : PowerManager.OnThermalHeadroomChangedListener, AutoCloseable {
    init {
        power.addThermalHeadroomListener(executor, this)
    }

    override fun onThermalHeadroomChanged(
        headroom: Float, forecastHeadroom: Float, forecastSeconds: Int, thresholds: Map<Int, Float>,
    ) {
        headrooms.hear(headroom, forecastHeadroom, thresholds)
        then()
    }

    override fun close() {
        orUnknown { power.removeThermalHeadroomListener(this) }
    }
}
