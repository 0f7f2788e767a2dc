package ai.vecaedge.governor

import kotlin.math.min

/**
 * Recent frames, all of them computed at the operating point of the last decision.
 *
 * @property count how many frames; 0 for none, then nothing else is read.
 * @property p50 median latency, seconds.
 * @property p95 latency that one frame in twenty exceeded, seconds.
 * @property misses how many took longer than a frame's share of time, 1 / rate.
 * @property pace median of each frame's latency in units of what a frame with as many computed patches should take,
 *   or null if unknown. A moving scene makes frames longer, a slow device does it to this.
 */
data class FrameStatistics(
    val count: Int = 0,
    val p50: Double = 0.0,
    val p95: Double = 0.0,
    val misses: Int = 0,
    val pace: Double? = null,
) {
    companion object {
        /**
         * Summarize frames.
         *
         * @param latencies seconds, one per frame.
         * @param point that they were computed at.
         * @param computed patches computed, one per frame, if known. Frames in which nothing was computed have no pace.
         */
        fun of(latencies: List<Double>, point: OperatingPoint, computed: List<Int>? = null): FrameStatistics {
            if (latencies.isEmpty()) return FrameStatistics()
            val ordered = latencies.sorted()
            val paces = computed.orEmpty().zip(latencies).filter { it.first > 0 }
                .map { (patches, latency) -> latency / point.expected(patches) }.sorted()
            return FrameStatistics(
                ordered.size,
                quantile(ordered, 0.5),
                quantile(ordered, 0.95),
                ordered.count { it * point.rate > 1 },
                if (paces.isEmpty()) null else quantile(paces, 0.5),
            )
        }
    }
}

/** The value at this share of the way through, without interpolation: always one that was seen. */
private fun quantile(ordered: List<Double>, share: Double): Double =
    ordered[min(ordered.lastIndex, (share * ordered.size).toInt())]
