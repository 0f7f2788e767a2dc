import Foundation

/// Android pins headroom 0 to the severe threshold minus 30 degrees.
let degreesPerHeadroom = 30.0
/// Sensors of what a hand touches. Those of the processor's inside are hot by design and mean another scale.
let skinSensors = ["skin", "shell", "case"]
let mostHeadroom = 10.0

/// `value` if it is a number from `low` to `high`, else nil; NaN is nil.
func known(_ value: Double?, _ low: Double, _ high: Double) -> Double? {
    guard let value, low <= value, value <= high else { return nil }
    return value
}

/// Headroom as reported, or made of the hottest skin temperature; nil if unknown.
func readHeadroom(_ state: DeviceState, _ settings: GovernorSettings) -> Double? {
    if let headroom = known(state.headroom, 0, mostHeadroom) { return headroom }
    let skin = state.temperatures.compactMap { reading -> Double? in
        let name = reading.sensor.lowercased()
        return skinSensors.contains { name.contains($0) } ? known(reading.degrees, -40, 120) : nil
    }
    guard let hottest = skin.max() else { return nil }
    return max(0, 1 + (hottest - settings.skinLimit) / degreesPerHeadroom)
}

/// Average heat, its trend per second and the seconds without a reading.
struct HeatAverage: Equatable {
    var heat: Double?
    var trend: Double
    var unread: Double
}

/// The average after `step` seconds and a reading.
func followHeat(
    _ memory: Decision.Memory, _ headroom: Double?, _ step: Double, _ settings: GovernorSettings
) -> HeatAverage {
    guard let headroom else {
        let unread = memory.unread + step
        if unread > settings.patience { return HeatAverage(heat: nil, trend: 0, unread: unread) }
        return HeatAverage(heat: memory.heat, trend: memory.trend, unread: unread)
    }
    guard let heat = memory.heat else { return HeatAverage(heat: headroom, trend: 0, unread: 0) }
    if step == 0 { return HeatAverage(heat: heat, trend: memory.trend, unread: 0) }
    let pull = clamped(headroom - heat, -settings.surprise, settings.surprise)
    let change = pull * step / (settings.smoothing + step)
    let trend = memory.trend + (change / step - memory.trend) * step / (settings.trendSmoothing + step)
    return HeatAverage(heat: heat + change, trend: trend, unread: 0)
}

/// Where the heat is going: the hottest of what is known.
///
/// A level below serious speaks only where there is no headroom: it is the same fact, told more coarsely.
func expectedHeat(
    _ average: HeatAverage, forecast: Double?, level: ThermalLevel?, _ settings: GovernorSettings
) -> Double {
    var going = settings.nominalHeat
    if let heat = average.heat {
        going = heat + average.trend * settings.horizon
    } else if level == .fair {
        going = settings.heatTarget - settings.fairMargin
    }
    if let forecast {
        going = max(going, forecast)
    }
    if let level, level >= .serious {
        going = max(going, settings.heatTarget + settings.fairMargin)
    }
    return going
}

func clamped(_ value: Double, _ low: Double, _ high: Double) -> Double {
    min(high, max(low, value))
}
