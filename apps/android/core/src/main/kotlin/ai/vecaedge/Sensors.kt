package ai.vecaedge

import ai.vecaedge.governor.DeviceState

/** Where the device's state comes from. */
interface Sensors {
    /** The newest look at the sensors; never waits for one. */
    val state: DeviceState

    /** Begin to look, off the calling thread. */
    fun start()

    /** Stop looking. */
    fun stop()
}

/** Sensors of which some values are replaced: to see how a session reacts. */
class PretendedSensors(private val sensors: Sensors, private val pretend: (DeviceState) -> DeviceState) : Sensors {
    override val state: DeviceState get() = pretend(sensors.state)

    override fun start() = sensors.start()

    override fun stop() = sensors.stop()
}
