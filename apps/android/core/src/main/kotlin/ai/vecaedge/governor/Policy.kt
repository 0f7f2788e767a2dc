package ai.vecaedge.governor

import kotlin.math.max
import kotlin.math.min

/** Factors beyond these are no device's but a debugger's or a wrong table's: enough to decide on. */
private const val LEAST_SLOWDOWN = 0.05
private const val MOST_SLOWDOWN = 20.0

/** Slow frames may be this much slower, against their usual, than the median is against its own. */
private const val MOST_TAIL = 1.5
private const val CLOCK = 1e15 // seconds; beyond that a double no longer counts them
private const val UNTIMED_STEP = 1.0 // seconds between decisions if the clock is unknown

/** What the state says about heat. */
internal class Heat(
    val level: ThermalLevel?,
    val hot: Boolean, // serious or worse
    val serious: Boolean, // for the second time in a row, or at the start
    val average: HeatAverage,
    val going: Double,
) {
    /** The platform has said something about heat, now or lately. */
    val measured get() = level != null || average.heat != null
}

/** What the frames say about the device's speed; factors on the front's latencies, null before any frame. */
internal data class Pace(val slowdown: Double?, val tail: Double?, val calm: Double?) {
    /** How much slower than at its best the device is. */
    val excess get() = if (slowdown == null || calm == null || calm == 0.0) 1.0 else slowdown / calm

    /** Factor on a point's slow frames. */
    val late get() = max(slowdown?.takeIf { it != 0.0 } ?: 1.0, tail ?: 0.0)
}

/**
 * Choose how to run next. `veca_edge/governor/README.md` is the specification.
 *
 * Pure: the same arguments give the same decision. Call it about once a second, and at once when the thermal level
 * changes.
 *
 * @param state the sensors now; whatever is unknown, NaN or impossible says nothing.
 * @param previous the decision before, from the same front; null at the start.
 * @param frames computed since then, at its point.
 */
fun decide(
    state: DeviceState, previous: Decision?, frames: FrameStatistics, front: Front, settings: Settings,
): Decision {
    val before = previous?.memory
    val last = before ?: Memory()
    val now = known(state.time, -CLOCK, CLOCK)
    val step = stepOf(now, before, settings)
    val heat = heatOf(state, before, step, settings)
    val pace = followFrames(before, frames, front, step, settings)
    val current = before?.let { min(it.index, front.points.lastIndex) }
    val (ceiling, own) = heatCeiling(last.ceiling, current?.let(front.relative::get), heat, pace, step, settings)
    val limits = listOf(own, batteryCeiling(state, settings), Ceiling(settings.mostPower, "the preset"))
    val lowest = limits.minBy { it.limit }
    val choice = choose(current, last.settled, lowest.limit, pace.late, front, settings)
    val cause = when {
        choice.overdue -> "frames ${fixed(pace.late, 1)} times as long"
        lowest.limit >= 1 -> "frame times"
        else -> lowest.cause
    }
    val settled = if (choice.index == current) last.settled + step else 0.0
    val (average, trend, unread) = heat.average
    val memory = Memory(
        now, choice.index, settled, ceiling, average, trend, unread, heat.hot, pace.slowdown, pace.tail, pace.calm,
    )
    val reason = reasonOf(current, choice.index, cause, front)
    return Decision(front.points[choice.index], reason, heat.level == ThermalLevel.CRITICAL, memory)
}

/** Seconds since the last decision that count. */
private fun stepOf(now: Double?, before: Memory?, settings: Settings): Double = when {
    before == null -> 0.0
    now == null || before.time == null -> UNTIMED_STEP
    else -> (now - before.time).coerceIn(0.0, settings.longestStep)
}

private fun heatOf(state: DeviceState, before: Memory?, step: Double, settings: Settings): Heat {
    val average = followHeat(before ?: Memory(), readHeadroom(state, settings), step, settings)
    val level = state.thermal
    val hot = level != null && level >= ThermalLevel.SERIOUS
    val going = expectedHeat(average, known(state.forecast, 0.0, 10.0), level, settings)
    return Heat(level, hot, hot && (before == null || before.hot), average, going)
}

/** Average the frame times, each in units of what the point's own should be. */
private fun followFrames(
    before: Memory?, frames: FrameStatistics, front: Front, step: Double, settings: Settings,
): Pace {
    if (before == null) return Pace(null, null, null)
    val unchanged = Pace(before.slowdown, before.tail, before.calm)
    val p50 = known(frames.p50, 0.0, 1e6)
    val p95 = known(frames.p95, 0.0, 1e6)
    if (frames.count < settings.leastFrames || p50 == null || p50 == 0.0 || p95 == null || p95 == 0.0) return unchanged
    val point = front.points[min(before.index, front.points.lastIndex)]
    val pace = known(frames.pace, 0.0, 1e6)?.takeIf { it > 0 }
    // Frames of a stream without a word on what they computed: long ones may be due to a moving scene.
    if (pace == null && point.patchBudget != null) return unchanged
    val ratio = (pace ?: (p50 / point.latency)).coerceIn(LEAST_SLOWDOWN, MOST_SLOWDOWN)
    val tail = (p95 / point.slow).coerceIn(LEAST_SLOWDOWN, MOST_TAIL * max(1.0, ratio))
    if (before.slowdown == null || before.tail == null || before.calm == null) return Pace(ratio, tail, ratio)
    val slowdown = followed(before.slowdown, ratio, step, settings)
    val calm = before.calm + (slowdown - before.calm) * min(1.0, step / settings.calmMemory)
    return Pace(slowdown, followed(before.tail, tail, step, settings), min(calm, slowdown))
}

/** Quickly up, slowly down: lateness is seen at once, its end is believed later. */
private fun followed(average: Double, value: Double, step: Double, settings: Settings): Double {
    val seconds = if (value > average) settings.frameAlarm else settings.frameSmoothing
    return average + (value - average) * step / (seconds + step)
}

private class Choice(val index: Int, val overdue: Boolean)

/**
 * The point's index, and whether the deadline forced it.
 *
 * Down at once, up after a while and with a margin. What is chosen anew must be well in time; what is kept, just.
 */
private fun choose(
    current: Int?, settled: Double, limit: Double, late: Double, front: Front, settings: Settings,
): Choice {
    if (limit <= 0) return Choice(0, false)
    val ladder = front.ladder(late / settings.climbShare)
    if (current == null) return Choice(ladder.best(limit), false)
    val point = front.points[current]
    val power = front.relative[current]
    val overdue = point.slow * point.rate * late > settings.deadlineShare
    val within = power <= limit + ROUNDING
    if (overdue || !within) return Choice(ladder.best(limit), overdue && within)
    val climb = if (limit < 1) limit / (1 + settings.climbMargin) else 1.0
    val index = ladder.best(if (settled >= settings.dwell) max(power, climb) else power)
    return Choice(if (front.points[index].quality > point.quality) index else current, false)
}

private fun reasonOf(current: Int?, index: Int, cause: String, front: Front): String {
    val point = front.points[index]
    if (current == null) return "start: $point"
    val old = front.points[current]
    return when {
        index == current && index == front.points.lastIndex -> "nothing in the way of $point"
        index == current -> "held by $cause: $point"
        // A better point that costs no more is no sacrifice, whatever else is going on.
        point.quality > old.quality -> "more allowed by $cause: ${difference(old, point)}"
        else -> "$cause: ${difference(old, point)}"
    }
}

/** "C 64 → 24, patches 96 → 48". */
private fun difference(old: OperatingPoint, new: OperatingPoint): String = listOfNotNull(
    "C ${old.cores} → ${new.cores}".takeIf { old.cores != new.cores },
    "${old.imageSize} → ${new.imageSize} px".takeIf { old.imageSize != new.imageSize },
    "patches ${old.patchBudget ?: "all"} → ${new.patchBudget ?: "all"}".takeIf { old.patchBudget != new.patchBudget },
    "${old.fps} → ${new.fps} fps".takeIf { old.rate != new.rate },
).joinToString(", ")
