/// Every constant of the policy. What each means, and why it has this value, is said in
/// `veca_edge/governor/settings.py`; a test compares the two.
///
/// Heat is on Android's headroom scale: 1 is where the platform throttles severely, 0.1 are 3 degrees Celsius.
/// Ceilings are shares of the largest power in the front, times are seconds.
public struct GovernorSettings: Equatable, Sendable {
    /// Frames per second that the app wants.
    public var targetRate = 30.0
    /// A ceiling that always holds.
    public var mostPower = 1.0
    /// Where heat is held.
    public var heatTarget = 0.9
    /// How fast the heat ceiling falls, share per second for each 1 of heat above the target.
    public var fall = 1.0 / 25
    /// The same for rising.
    public var rise = 1.0 / 40
    /// How far above the power in use the ceiling starts to fall.
    public var slack = 0.1
    /// Seconds that the trend of the heat is followed into the future.
    public var horizon = 120.0
    /// Seconds over which readings of heat are averaged.
    public var smoothing = 10.0
    /// Seconds over which its trend is.
    public var trendSmoothing = 30.0
    /// How far one reading may pull the average, heat.
    public var surprise = 0.1
    /// Seconds without a reading until the last one counts for nothing.
    public var patience = 60.0
    /// Degrees Celsius at which a case counts as severe where only a skin temperature is known.
    public var skinLimit = 45.0
    /// Heat assumed at a nominal level without headroom, or when nothing is known.
    public var nominalHeat = 0.7
    /// Heat assumed at a fair level without headroom, below the target.
    public var fairMargin = 0.02
    /// Ceiling at a fair level without headroom.
    public var fairCeiling = 0.75
    /// Ceiling at a serious level.
    public var seriousCeiling = 0.5
    /// Heat ceiling right after a critical level.
    public var restart = 0.1
    /// Charge, 0..1, from which the battery is no reason to save.
    public var batteryFull = 0.3
    /// Charge at which the ceiling has come down to `batteryCeiling`.
    public var batteryLow = 0.1
    /// Ceiling at `batteryLow` and below.
    public var batteryCeiling = 0.25
    /// Ceiling in low-power mode, whatever the charge.
    public var lowPowerCeiling = 0.5
    /// How much slower than at its best the device may run before that counts as throttling.
    public var slowTolerance = 1.25
    /// Seconds in which the device's best is forgotten.
    public var calmMemory = 4 * 3600.0
    /// Seconds over which frame times are averaged when they grow.
    public var frameAlarm = 3.0
    /// The same when they fall.
    public var frameSmoothing = 10.0
    /// Frames that make statistics worth reading.
    public var leastFrames = 5
    /// Share of a frame's time that slow frames (one in twenty) may take.
    public var deadlineShare = 0.95
    /// The same for a point that is newly chosen.
    public var climbShare = 0.85
    /// How far below the ceiling a point must be to be climbed to, relative.
    public var climbMargin = 0.05
    /// Seconds after a switch before the next climb.
    public var dwell = 60.0
    /// Seconds of one decision that count at most.
    public var longestStep = 10.0

    public init() {}

    public static let balanced = GovernorSettings()

    /// Later and less: half a degree warmer, no restraint at fair levels, saving only from a seventh of the charge on.
    public static let quality: GovernorSettings = {
        var settings = balanced
        settings.heatTarget = 0.92
        settings.fairCeiling = 1.0
        settings.batteryFull = 0.15
        settings.batteryLow = 0.05
        settings.batteryCeiling = 0.35
        return settings
    }()

    /// A degree and a half cooler, never more than 60 % of the power, and saving from half the charge on.
    public static let saver: GovernorSettings = {
        var settings = balanced
        settings.mostPower = 0.6
        settings.heatTarget = 0.85
        settings.batteryFull = 0.5
        settings.batteryLow = 0.2
        settings.lowPowerCeiling = 0.3
        return settings
    }()

    /// The same for another target rate.
    public func at(_ targetRate: Double) -> GovernorSettings {
        var settings = self
        settings.targetRate = targetRate
        return settings
    }

    /// Throws `VecaError.badSetting` unless every number is above 0 and they fit together.
    public func check() throws {
        let numbers = [
            ("targetRate", targetRate), ("mostPower", mostPower), ("heatTarget", heatTarget), ("fall", fall),
            ("rise", rise), ("slack", slack), ("horizon", horizon), ("smoothing", smoothing),
            ("trendSmoothing", trendSmoothing), ("surprise", surprise), ("patience", patience),
            ("skinLimit", skinLimit), ("nominalHeat", nominalHeat), ("fairMargin", fairMargin),
            ("fairCeiling", fairCeiling), ("seriousCeiling", seriousCeiling), ("restart", restart),
            ("batteryFull", batteryFull), ("batteryLow", batteryLow), ("batteryCeiling", batteryCeiling),
            ("lowPowerCeiling", lowPowerCeiling), ("slowTolerance", slowTolerance), ("calmMemory", calmMemory),
            ("frameAlarm", frameAlarm), ("frameSmoothing", frameSmoothing), ("leastFrames", Double(leastFrames)),
            ("deadlineShare", deadlineShare), ("climbShare", climbShare), ("climbMargin", climbMargin),
            ("dwell", dwell), ("longestStep", longestStep),
        ]
        for (name, value) in numbers where !value.isFinite || value <= 0 {
            throw VecaError.badSetting("\(name) \(value) in the governor's settings: use a number above 0")
        }
        if batteryLow >= batteryFull || batteryFull > 1 {
            throw VecaError.badSetting("batteryLow must be below batteryFull, and that at most 1")
        }
        if climbShare > deadlineShare || deadlineShare > 1 {
            throw VecaError.badSetting("climbShare must be at most deadlineShare, and that at most 1")
        }
        if seriousCeiling > fairCeiling {
            throw VecaError.badSetting("seriousCeiling must be at most fairCeiling")
        }
        if nominalHeat >= heatTarget || heatTarget >= 1 {
            throw VecaError.badSetting("nominalHeat must be below heatTarget, and that below 1")
        }
        let shares = [
            ("mostPower", mostPower), ("fairCeiling", fairCeiling), ("seriousCeiling", seriousCeiling),
            ("restart", restart), ("batteryCeiling", batteryCeiling), ("lowPowerCeiling", lowPowerCeiling),
        ]
        for (name, value) in shares where value > 1 {
            throw VecaError.badSetting("\(name) \(value) in the governor's settings: use a share up to 1")
        }
    }
}
