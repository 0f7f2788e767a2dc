package ai.vecaedge.governor

/**
 * One run configuration, at one frame rate.
 *
 * @property cores active cores.
 * @property imageSize pixels.
 * @property patchBudget most patches computed per frame, or null for all of them every time (nothing remembered).
 * @property rate frames per second.
 * @property quality 0..1; 1 is the best run configuration at the target rate.
 * @property latency median seconds of a frame, unthrottled.
 * @property slow seconds that one frame in twenty exceeds (keyframes), unthrottled.
 * @property power the share of time that the processor is busy (mean seconds of a frame times rate), or watts: one
 *   unit for all points of a front, only ratios are used.
 * @property patches computed per frame while that was measured, mean.
 * @property base with [patchTime]: a frame in which n patches are computed takes base + patchTime * n seconds; both
 *   0 if unknown.
 */
data class OperatingPoint(
    val cores: Int,
    val imageSize: Int,
    val patchBudget: Int?,
    val rate: Double,
    val quality: Double,
    val latency: Double,
    val slow: Double,
    val power: Double,
    val patches: Double = 0.0,
    val base: Double = 0.0,
    val patchTime: Double = 0.0,
) {
    /** Seconds that a frame should take in which so many patches were computed (null: not known). */
    fun expected(computed: Int?): Double =
        if (computed == null || base == 0.0) latency else base + patchTime * computed

    override fun toString(): String =
        "C $cores, $imageSize px, ${patchBudget ?: "all"} patches, $fps fps"

    /** The rate for people: "30", "29.8". */
    internal val fps: String get() = short(fixed(rate, 1).toDouble())
}
