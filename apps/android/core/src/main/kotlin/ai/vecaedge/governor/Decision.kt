package ai.vecaedge.governor

/**
 * Everything that a decision hands to the next one.
 *
 * @property time of the decision, on the device state's clock; null if the clock said nothing usable.
 * @property index of the chosen point in the front.
 * @property settled seconds since the point changed.
 * @property ceiling the heat ceiling, share of the best point's power.
 * @property heat averaged headroom, or null before the first reading and after a long time without one.
 * @property trend of that, per second.
 * @property unread seconds since the last reading.
 * @property hot whether the last state said serious or worse.
 * @property slowdown frame times in units of the point's usual ones, averaged; null before the first frames.
 * @property tail the same for slow frames.
 * @property calm slowdown when the device is at its best; null before the first frames.
 */
data class Memory(
    val time: Double? = null,
    val index: Int = 0,
    val settled: Double = 0.0,
    val ceiling: Double = 1.0,
    val heat: Double? = null,
    val trend: Double = 0.0,
    val unread: Double = 0.0,
    val hot: Boolean = false,
    val slowdown: Double? = null,
    val tail: Double? = null,
    val calm: Double? = null,
)

/**
 * What to do until the next decision.
 *
 * @property point how to run.
 * @property reason why, in one line for people.
 * @property stopCamera the heat is critical: the point is the least there is, and without a camera it would be less.
 * @property memory hand the decision, and so this, to the next one.
 */
data class Decision(val point: OperatingPoint, val reason: String, val stopCamera: Boolean, val memory: Memory)
