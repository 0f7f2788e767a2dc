import Foundation

// Factors beyond these are no device's but a debugger's or a wrong table's: enough to decide on.
let leastSlowdown = 0.05
let mostSlowdown = 20.0
/// Slow frames may be this much slower, against their usual, than the median is against its own: a single outlier
/// among few frames is their 95th percentile too.
let mostTail = 1.5
/// Seconds; beyond that a double no longer counts them.
let clockLimit = 1e15
/// Seconds between decisions if the clock is unknown: the pace that `decide` asks for.
let untimedStep = 1.0

/// Choose how to run next. `veca_edge/governor/README.md` is the specification, step by step.
///
/// Pure: the same arguments give the same decision. Call it about once a second, and at once when the thermal level
/// changes.
///
/// - Parameters:
///   - state: the sensors now; whatever is unknown, NaN or impossible says nothing.
///   - previous: the decision before, from the same front; nil at the start.
///   - frames: computed since then, at its point.
///   - front: the points to choose among.
///   - settings: the weights.
public func decide(
    _ state: DeviceState, previous: Decision?, frames: FrameStatistics, front: Front, settings: GovernorSettings
) -> Decision {
    let before = previous?.memory
    let last = before ?? Decision.Memory()
    let now = known(state.time, -clockLimit, clockLimit)
    let step = secondsSince(before, now: now, settings)
    let heat = Heat(state, before, step, settings)
    let pace = Pace(before, frames, front, step, settings)
    let current = before.map { min($0.index, front.points.count - 1) }
    let used = current.map { front.relative[$0] }
    let (remembered, own) = heatCeiling(last.ceiling, used: used, heat, pace, step, settings)
    let preset = Ceiling(limit: settings.mostPower, cause: "the preset")
    var lowest = own
    for ceiling in [batteryCeiling(state, settings), preset] where ceiling.limit < lowest.limit {
        lowest = ceiling
    }
    let (index, overdue) = choose(
        current: current, settled: last.settled, limit: lowest.limit, late: pace.late, front, settings)
    var cause = lowest.limit >= 1 ? "frame times" : lowest.cause
    if overdue {
        cause = "frames \(String(format: "%.1f", pace.late)) times as long"
    }
    var memory = Decision.Memory()
    memory.time = now
    memory.index = index
    memory.settled = index == current ? last.settled + step : 0
    memory.ceiling = remembered
    memory.heat = heat.average.heat
    memory.trend = heat.average.trend
    memory.unread = heat.average.unread
    memory.hot = heat.hot
    memory.slowdown = pace.slowdown
    memory.tail = pace.tail
    memory.calm = pace.calm
    return Decision(
        point: front.points[index], reason: reason(current: current, index: index, cause: cause, front),
        stopCamera: heat.level == .critical, memory: memory)
}

/// What the state says about heat.
struct Heat {
    let level: ThermalLevel?
    /// Serious or worse.
    let hot: Bool
    /// For the second time in a row, or at the start.
    let serious: Bool
    let average: HeatAverage
    let going: Double
    /// The platform has said something about heat, now or lately.
    let measured: Bool

    init(_ state: DeviceState, _ before: Decision.Memory?, _ step: Double, _ settings: GovernorSettings) {
        level = state.thermal
        average = followHeat(before ?? Decision.Memory(), readHeadroom(state, settings), step, settings)
        going = expectedHeat(
            average, forecast: known(state.forecast, 0, mostHeadroom), level: state.thermal, settings)
        hot = state.thermal.map { $0 >= .serious } ?? false
        serious = hot && (before?.hot ?? true)
        measured = level != nil || average.heat != nil
    }

    func name(_ settings: GovernorSettings) -> String {
        if let level, level >= .fair { return "\(level) heat" }
        if let heat = average.heat, heat < settings.heatTarget, settings.heatTarget < going { return "rising heat" }
        return going >= settings.heatTarget ? "heat" : "recent heat"
    }
}

/// What the frames say about the device's speed; factors on the front's latencies, nil before any frame.
struct Pace {
    var slowdown: Double?
    var tail: Double?
    var calm: Double?

    /// How much slower than at its best the device is.
    var excess: Double {
        guard let slowdown, let calm, calm != 0 else { return 1 }
        return slowdown / calm
    }

    /// Factor on a point's slow frames.
    var late: Double {
        max(slowdown ?? 1, tail ?? 0)
    }

    /// Average the frame times, each in units of what the point's own should be.
    init(
        _ before: Decision.Memory?, _ frames: FrameStatistics, _ front: Front, _ step: Double,
        _ settings: GovernorSettings
    ) {
        guard let before else { return }
        slowdown = before.slowdown
        tail = before.tail
        calm = before.calm
        let known = { (value: Double?) -> Double? in VecaEdgeCore.known(value, 0, 1e6).flatMap { $0 > 0 ? $0 : nil } }
        guard frames.count >= settings.leastFrames, let p50 = known(frames.p50), let p95 = known(frames.p95) else {
            return
        }
        let point = front.points[min(before.index, front.points.count - 1)]
        let measured = known(frames.pace)
        // Frames of a stream without a word on what they computed: long ones may be due to a moving scene.
        if measured == nil && point.patchBudget != nil { return }
        let ratio = clamped(measured ?? p50 / point.latency, leastSlowdown, mostSlowdown)
        let late = clamped(p95 / point.slow, leastSlowdown, mostTail * max(1, ratio))
        guard let oldSlowdown = before.slowdown, let oldTail = before.tail, let oldCalm = before.calm else {
            slowdown = ratio
            tail = late
            calm = ratio
            return
        }
        let now = followed(oldSlowdown, ratio, step, settings)
        slowdown = now
        tail = followed(oldTail, late, step, settings)
        calm = min(now, oldCalm + (now - oldCalm) * min(1, step / settings.calmMemory))
    }
}

/// A limit on power, share of the best point's, and its name for people.
struct Ceiling {
    var limit: Double
    var cause: String
}

/// Seconds since the last decision that count.
private func secondsSince(_ before: Decision.Memory?, now: Double?, _ settings: GovernorSettings) -> Double {
    guard let before else { return 0 }
    guard let now, let then = before.time else { return untimedStep }
    return min(settings.longestStep, max(0, now - then))
}

/// Quickly up, slowly down: lateness is seen at once, its end is believed later.
private func followed(_ average: Double, _ value: Double, _ step: Double, _ settings: GovernorSettings) -> Double {
    let seconds = value > average ? settings.frameAlarm : settings.frameSmoothing
    return average + (value - average) * step / (seconds + step)
}

/// The heat ceiling to remember, and the one that holds now. `used`: the present power, nil at the start.
private func heatCeiling(
    _ before: Double, used: Double?, _ heat: Heat, _ pace: Pace, _ step: Double, _ settings: GovernorSettings
) -> (Double, Ceiling) {
    var ceiling: Double
    let error = settings.heatTarget - heat.going
    if let used {
        if error >= 0 {
            ceiling = min(1, before + step * error * settings.rise)
        } else {
            // What is not used cannot be saved: only a ceiling close above the present power can press it down.
            ceiling = max(0, min(before, used + settings.slack) + step * error * settings.fall)
        }
    } else {
        let share = (heat.going - settings.nominalHeat) / (1 - settings.nominalHeat)
        ceiling = clamped(1 - share, settings.restart, 1)
    }
    // For the same work power falls with the square of the clock, so a device that throttled itself to a share of
    // its clock wants to spend that share squared.
    let share = settings.slowTolerance / max(1, pace.excess)
    let slow = heat.measured ? min(1, share * share) : 1
    let throttled = slow < ceiling
    ceiling = min(ceiling, slow)
    if heat.level == .critical {
        return (min(ceiling, settings.restart), Ceiling(limit: 0, cause: "critical heat"))
    }
    if heat.serious {
        ceiling = min(ceiling, settings.seriousCeiling)
    } else if heat.average.heat == nil, let level = heat.level, level >= .fair {
        ceiling = min(ceiling, settings.fairCeiling)
    }
    return (ceiling, Ceiling(limit: ceiling, cause: throttled ? "slow frames" : heat.name(settings)))
}

private func batteryCeiling(_ state: DeviceState, _ settings: GovernorSettings) -> Ceiling {
    if state.charging == true { return Ceiling(limit: 1, cause: "battery") }
    var ceiling = Ceiling(limit: 1, cause: "battery")
    if let charge = known(state.battery, 0, 1), charge < settings.batteryFull {
        let above = max(0, charge - settings.batteryLow) / (settings.batteryFull - settings.batteryLow)
        ceiling.limit = settings.batteryCeiling + above * (1 - settings.batteryCeiling)
        ceiling.cause = "battery \(String(format: "%.0f", 100 * charge)) %"
    }
    if state.lowPower == true && settings.lowPowerCeiling < ceiling.limit {
        ceiling = Ceiling(limit: settings.lowPowerCeiling, cause: "low-power mode")
    }
    return ceiling
}

/// The point's index, and whether the deadline forced it.
///
/// Down at once, up after a while and with a margin. What is chosen anew must be well in time; what is kept, just.
private func choose(
    current: Int?, settled: Double, limit: Double, late: Double, _ front: Front, _ settings: GovernorSettings
) -> (Int, Bool) {
    if limit <= 0 { return (0, false) }
    let ladder = front.ladder(slower: late / settings.climbShare)
    guard let current else { return (ladder.best(limit), false) }
    let point = front.points[current]
    let power = front.relative[current]
    let overdue = point.slow * point.rate * late > settings.deadlineShare
    if overdue || power > limit + rounding {
        return (ladder.best(limit), overdue && power <= limit + rounding)
    }
    let climb = limit < 1 ? limit / (1 + settings.climbMargin) : 1
    let index = ladder.best(settled >= settings.dwell ? max(power, climb) : power)
    return (front.points[index].quality > point.quality ? index : current, false)
}

private func reason(current: Int?, index: Int, cause: String, _ front: Front) -> String {
    let point = front.points[index]
    guard let current else { return "start: \(point)" }
    if index == current {
        return index == front.points.count - 1 ? "nothing in the way of \(point)" : "held by \(cause): \(point)"
    }
    let old = front.points[current]
    // A better point that costs no more is no sacrifice, whatever else is going on.
    let better = point.quality > old.quality
    return better ? "more allowed by \(cause): \(difference(old, point))" : "\(cause): \(difference(old, point))"
}

/// "C 64 → 24, patches 96 → 48".
private func difference(_ old: OperatingPoint, _ new: OperatingPoint) -> String {
    let budget = { (point: OperatingPoint) -> String in point.patchBudget.map(String.init) ?? "all" }
    var parts: [String] = []
    if old.cores != new.cores { parts.append("C \(old.cores) → \(new.cores)") }
    if old.imageSize != new.imageSize { parts.append("\(old.imageSize) → \(new.imageSize) px") }
    if old.patchBudget != new.patchBudget { parts.append("patches \(budget(old)) → \(budget(new))") }
    if old.rate != new.rate { parts.append("\(old.fps) → \(new.fps) fps") }
    return parts.joined(separator: ", ")
}
