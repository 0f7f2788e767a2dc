package ai.vecaedge.android

import ai.vecaedge.Sensors
import ai.vecaedge.governor.DeviceState
import ai.vecaedge.governor.Temperature
import ai.vecaedge.governor.ThermalLevel
import ai.vecaedge.sensors.Headrooms
import ai.vecaedge.sensors.thermalLevelOf
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import java.util.concurrent.Executors
import java.util.concurrent.ScheduledExecutorService
import java.util.concurrent.TimeUnit

/**
 * PowerManager and BatteryManager, read once a second on a thread of its own.
 *
 * Sources: Android's reference. Thermal status from API 29, headroom from API 30; before that they are unknown, and
 * the governor goes by the battery's temperature and the frame times. The current is left out: makers disagree on its
 * sign and unit. [start] and [stop] from one thread; [state] from any.
 */
class DeviceMonitor(context: Context) : Sensors {
    // The application's context: an activity would be kept alive.
    private val context = context.applicationContext
    private val power = context.getSystemService(Context.POWER_SERVICE) as PowerManager
    private val battery = context.getSystemService(Context.BATTERY_SERVICE) as BatteryManager
    private val headrooms = if (Build.VERSION.SDK_INT >= 30) Headrooms(power::getThermalHeadroom, ::seconds) else null
    private var reader: ScheduledExecutorService? = null

    @Volatile
    override var state = DeviceState(seconds())
        private set

    override fun start() {
        if (reader != null) return
        reader = Executors.newSingleThreadScheduledExecutor { task -> Thread(task, "veca-edge sensors") }.also {
            it.scheduleWithFixedDelay(::look, 0, 1, TimeUnit.SECONDS)
        }
    }

    override fun stop() {
        reader?.shutdownNow()
        reader = null
    }

    /** A look that fails is a device that says nothing; the next look may succeed. */
    private fun look() {
        state = try {
            read()
        } catch (_: RuntimeException) {
            DeviceState(seconds())
        }
    }

    private fun read(): DeviceState {
        val (headroom, forecast) = headrooms?.read() ?: Pair(null, null)
        // No receiver: this only returns the newest of these broadcasts.
        val intent: Intent? = context.registerReceiver(null, IntentFilter(Intent.ACTION_BATTERY_CHANGED))
        val percent = battery.getIntProperty(BatteryManager.BATTERY_PROPERTY_CAPACITY)
        val plugged = intent?.getIntExtra(BatteryManager.EXTRA_PLUGGED, -1) ?: -1
        val tenths = intent?.getIntExtra(BatteryManager.EXTRA_TEMPERATURE, Int.MIN_VALUE) ?: Int.MIN_VALUE
        return DeviceState(
            time = seconds(),
            battery = if (percent in 0..100) percent / 100.0 else null,
            charging = if (plugged >= 0) plugged > 0 else battery.isCharging,
            lowPower = power.isPowerSaveMode,
            thermal = thermal(),
            headroom = headroom,
            forecast = forecast,
            temperatures = if (tenths == Int.MIN_VALUE) emptyList() else listOf(Temperature("battery", tenths / 10.0)),
        )
    }

    private fun thermal(): ThermalLevel? =
        if (Build.VERSION.SDK_INT >= 29) thermalLevelOf(power.currentThermalStatus) else null
}

private fun seconds(): Double = System.nanoTime() * 1e-9
