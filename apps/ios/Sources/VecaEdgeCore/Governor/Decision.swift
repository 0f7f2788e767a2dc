/// What to do until the next decision.
public struct Decision: Equatable, Sendable {
    /// How to run.
    public let point: OperatingPoint
    /// Why, in one line for people.
    public let reason: String
    /// The heat is critical: the point is the least there is, and without a camera it would be less.
    public let stopCamera: Bool
    /// Hand the decision, and so this, to the next one.
    public let memory: Memory

    /// Everything that a decision hands to the next one.
    public struct Memory: Equatable, Sendable {
        /// Of the decision, on the device state's clock; nil if the clock said nothing usable.
        public var time: Double?
        /// Of the chosen point in the front.
        public var index = 0
        /// Seconds since the point changed.
        public var settled = 0.0
        /// The heat ceiling, share of the best point's power.
        public var ceiling = 1.0
        /// Averaged headroom, or nil before the first reading and after a long time without one.
        public var heat: Double?
        /// Of that, per second.
        public var trend = 0.0
        /// Seconds since the last reading.
        public var unread = 0.0
        /// Whether the last state said serious or worse.
        public var hot = false
        /// Frame times in units of the point's usual ones, averaged; nil before the first frames.
        public var slowdown: Double?
        /// The same for slow frames.
        public var tail: Double?
        /// Slowdown when the device is at its best; nil before the first frames.
        public var calm: Double?

        public init() {}
    }
}
