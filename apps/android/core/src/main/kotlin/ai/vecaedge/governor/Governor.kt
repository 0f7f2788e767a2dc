package ai.vecaedge.governor

/**
 * The little state around [decide]: gathers frames, remembers the last decision, calls back when the heat is critical.
 * One per stream; not thread-safe.
 *
 * @property front the points to choose among.
 * @property settings a preset, or your own.
 * @param onCritical called at the first decision of a critical spell, so that the app can stop the camera.
 */
class Governor(
    val front: Front,
    val settings: Settings = Settings.BALANCED,
    private val onCritical: (Decision) -> Unit = {},
) {
    private val latencies = mutableListOf<Double>()
    private val computed = mutableListOf<Int>()

    /** The last decision; null before the first. */
    var last: Decision? = null
        private set

    /** How to run now; before any decision the least there is. */
    val point: OperatingPoint get() = last?.point ?: front.points[0]

    /** Tell how long a frame took (seconds) at the present point, and how many of its patches were computed. */
    fun frame(latency: Double, computed: Int? = null) {
        latencies += latency
        if (computed != null) this.computed += computed
    }

    /** The next decision; the frames so far have been counted with it. */
    fun decide(state: DeviceState): Decision {
        val counts = computed.takeIf { it.size == latencies.size }
        val frames = FrameStatistics.of(latencies, point, counts)
        val before = last
        val old = point
        val decision = decide(state, before, frames, front, settings)
        last = decision
        // At a low rate a second has too few frames: they wait for more of their kind.
        if (frames.count >= settings.leastFrames || decision.point != old) {
            latencies.clear()
            computed.clear()
        }
        if (decision.stopCamera && before?.stopCamera != true) onCritical(decision)
        return decision
    }
}
