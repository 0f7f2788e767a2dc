package ai.vecaedge.android

import ai.vecaedge.Sensors
import ai.vecaedge.governor.DeviceState
import ai.vecaedge.governor.Temperature
import ai.vecaedge.governor.ThermalLevel
import ai.vecaedge.sensors.Headrooms
import ai.vecaedge.sensors.orUnknown
import ai.vecaedge.sensors.thermalLevelOf
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import java.util.concurrent.ScheduledThreadPoolExecutor
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit

/**
 * PowerManager, BatteryManager and SystemHealthManager, read once a second on a thread of its own.
 *
 * Sources: Android's reference. Thermal status from API 29, headroom from API 30, the device's own thresholds for it
 * from API 35, its listener and CPU headroom from API 36. Before that they are unknown, and the governor goes by what
 * there is: the plain headroom, the battery's temperature, the frame times. What a service refuses is unknown by
 * itself. The current is left out: makers disagree on its sign and unit. [start] and [stop] from one thread; [state]
 * from any.
 */
class DeviceMonitor(context: Context) : Sensors {
    // The application's context: an activity would be kept alive.
    private val context = context.applicationContext
    private val power = context.getSystemService(Context.POWER_SERVICE) as PowerManager
    private val battery = context.getSystemService(Context.BATTERY_SERVICE) as BatteryManager
    private val headrooms = if (Build.VERSION.SDK_INT >= 30) Headrooms(power::getThermalHeadroom, ::seconds) else null
    private val cpu = if (Build.VERSION.SDK_INT >= 36) cpuHeadroom(this.context, ::seconds) else null
    private var reader: ScheduledThreadPoolExecutor? = null
    private var listener: AutoCloseable? = null

    @Volatile
    override var state = DeviceState(seconds())
        private set

    override fun start() {
        if (reader != null) return
        // What Android still tells after the end is dropped.
        val drop = ThreadPoolExecutor.DiscardPolicy()
        val reader = ScheduledThreadPoolExecutor(1, { task -> Thread(task, "veca-edge sensors") }, drop)
        this.reader = reader
        headrooms?.let { follow(it, reader) }
        reader.scheduleWithFixedDelay(::look, 0, 1, TimeUnit.SECONDS)
    }

    override fun stop() {
        listener?.close()
        listener = null
        reader?.shutdownNow()
        reader = null
    }

    /** The thresholds of the device; where it tells of changes, those on the reading thread, with a look at once. */
    private fun follow(headrooms: Headrooms, reader: ScheduledThreadPoolExecutor) {
        if (Build.VERSION.SDK_INT >= 35) headrooms.scale = heatScale(power)
        if (Build.VERSION.SDK_INT >= 36) listener = orUnknown { HeadroomListener(power, headrooms, reader, ::look) }
    }

    private fun look() {
        state = read()
    }

    private fun read(): DeviceState {
        val (headroom, forecast) = headrooms?.read() ?: Pair(null, null)
        // No receiver: this only returns the newest of these broadcasts.
        val changed = IntentFilter(Intent.ACTION_BATTERY_CHANGED)
        val intent: Intent? = orUnknown { context.registerReceiver(null, changed) }
        val percent = orUnknown { battery.getIntProperty(BatteryManager.BATTERY_PROPERTY_CAPACITY) }
        val plugged = intent?.getIntExtra(BatteryManager.EXTRA_PLUGGED, -1) ?: -1
        val tenths = intent?.getIntExtra(BatteryManager.EXTRA_TEMPERATURE, Int.MIN_VALUE) ?: Int.MIN_VALUE
        return DeviceState(
            time = seconds(),
            battery = percent?.takeIf { it in 0..100 }?.div(100.0),
            charging = if (plugged >= 0) plugged > 0 else orUnknown { battery.isCharging },
            lowPower = orUnknown { power.isPowerSaveMode },
            thermal = thermal(),
            headroom = headroom,
            forecast = forecast,
            temperatures = if (tenths == Int.MIN_VALUE) emptyList() else listOf(Temperature("battery", tenths / 10.0)),
            cpuHeadroom = cpu?.read(),
        )
    }

    private fun thermal(): ThermalLevel? =
        if (Build.VERSION.SDK_INT >= 29) orUnknown { power.currentThermalStatus }?.let(::thermalLevelOf) else null
}

private fun seconds(): Double = System.nanoTime() * 1e-9
