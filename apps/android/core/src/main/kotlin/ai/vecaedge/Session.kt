package ai.vecaedge

import ai.vecaedge.camera.RgbImage
import ai.vecaedge.governor.Decision
import ai.vecaedge.governor.DeviceState
import ai.vecaedge.governor.Front
import ai.vecaedge.governor.Governor
import ai.vecaedge.governor.OperatingPoint
import ai.vecaedge.governor.Settings
import java.io.Closeable
import kotlin.math.round
import kotlin.math.roundToInt

/** Seconds between decisions; the governor's constants are made for this pace. */
private const val DECISION_INTERVAL = 1.0

/**
 * A stream of one model whose operating point the governor chooses, about once a second.
 *
 * One thread feeds it, the one that the model computes on; [statistics] may be read from any other. The sensors are
 * read from [start] to [close]. The model stays open: it belongs to whoever loaded it.
 *
 * @param front the operating points to choose among: `LatencyProfile.front`.
 * @param settings a preset or your own; [targetFps] takes the place of its target rate.
 * @param targetFps frames per second that the camera delivers and the app wants.
 * @param onCritical called on the feeding thread when the heat becomes critical, so that the app can stop the camera.
 * @param clock seconds that never go back.
 */
class Session(
    val model: Model,
    front: Front,
    private val sensors: Sensors,
    settings: Settings = Settings.BALANCED,
    private val targetFps: Double = 30.0,
    onCritical: (Decision) -> Unit = {},
    private val clock: () -> Double = { System.nanoTime() * 1e-9 },
) : Closeable {
    private val governor = Governor(front, settings.copy(targetRate = targetFps), onCritical)
    private val account = Account()
    private var stream: Stream? = null
    private var last: Result? = null
    private var skipped = 0

    /** The last decision; null before the first frame. */
    val decision: Decision? get() = governor.last

    /** What the last decision was made from; null before the first frame. */
    var state: DeviceState? = null
        private set

    /** What happened so far. */
    val statistics: SessionStatistics get() = account.read()

    /** Begin to read the sensors. */
    fun start() = sensors.start()

    /** Stop reading the sensors. */
    override fun close() = sensors.stop()

    /**
     * The result for the next frame, with `point` and `reason`.
     *
     * At a lower frame rate than the target's, frames are left out: the last result stands, with latency 0. After a
     * [VecaError] the session can go on.
     */
    fun update(frame: RgbImage): Result {
        val now = clock()
        val decision = decide(now)
        val standing = last
        if (standing != null && leftOut(decision.point)) {
            account.frame(now, null, decision, state)
            return standing.standing(decision.reason, state)
        }
        val result = compute(decision.point, frame)
        skipped = 0
        governor.frame(result.latency, result.computed?.count { it })
        account.frame(now, result.latency, decision, state)
        return result.copy(point = decision.point, reason = decision.reason, state = state).also { last = it }
    }

    private fun decide(now: Double): Decision {
        val seen = sensors.state
        val before = state
        val fresh = before != null && now - before.time < DECISION_INTERVAL && seen.thermal == before.thermal
        governor.last?.takeIf { fresh }?.let { return it }
        return seen.copy(time = now).let { state = it; governor.decide(it) }
    }

    /** Whether this frame is one too many for the point's rate. */
    private fun leftOut(point: OperatingPoint): Boolean {
        if (skipped + 1 >= (targetFps / point.rate).roundToInt()) return false
        skipped++
        return true
    }

    private fun compute(point: OperatingPoint, frame: RgbImage): Result {
        if (point.patchBudget == null) return model(frame, point.cores, point.imageSize)
        val squares = model.preprocessing.squares(frame.width, frame.height, model.patchSize, point.imageSize)
        return streamAt(point, round(point.patchBudget * squares).toInt()).update(frame)
    }

    /** The stream, set to the point. Another image size needs another stream, other cores a keyframe. */
    private fun streamAt(point: OperatingPoint, budget: Int): Stream {
        val stream = stream?.takeIf { it.imageSize == point.imageSize } ?: model.stream(point.cores, point.imageSize)
        this.stream = stream
        if (stream.cores != point.cores) stream.cores = point.cores
        if (stream.change.patchBudget != budget) stream.change = stream.change.copy(patchBudget = budget)
        return stream
    }
}

/**
 * What a session has done so far.
 *
 * @property frames given to it.
 * @property computed of them, those that the model ran on; the others were left out for the point's frame rate.
 * @property seconds since the first frame.
 * @property secondsAt seconds at each operating point.
 * @property switches changes of the operating point.
 * @property misses frames that took longer than the point's share of time, 1 / rate.
 * @property joules energy drawn meanwhile by what the sensors measure, or null if they measure none.
 */
data class SessionStatistics(
    val frames: Int = 0,
    val computed: Int = 0,
    val seconds: Double = 0.0,
    val secondsAt: Map<OperatingPoint, Double> = emptyMap(),
    val switches: Int = 0,
    val misses: Int = 0,
    val joules: Double? = null,
)

/** Adds up what a session does; safe to read from any thread. */
private class Account {
    private var counted = SessionStatistics()
    private var last: Double? = null
    private var point: OperatingPoint? = null

    /** Count a frame; latency null if it was left out. */
    @Synchronized
    fun frame(now: Double, latency: Double?, decision: Decision, state: DeviceState?) {
        val since = last?.let { now - it } ?: 0.0
        val before = point
        val at = if (before == null) counted.secondsAt
        else counted.secondsAt + (before to (counted.secondsAt[before] ?: 0.0) + since)
        val missed = latency != null && latency * decision.point.rate > 1
        counted = SessionStatistics(
            counted.frames + 1,
            counted.computed + (if (latency != null) 1 else 0),
            counted.seconds + since,
            at,
            counted.switches + (if (before != null && before != decision.point) 1 else 0),
            counted.misses + (if (missed) 1 else 0),
            state?.power?.let { (counted.joules ?: 0.0) + it * since } ?: counted.joules,
        )
        last = now
        point = decision.point
    }

    @Synchronized
    fun read(): SessionStatistics = counted
}
