/// How hot the device says it is, in Apple's four steps; a higher level is hotter.
public enum ThermalLevel: Int, Comparable, Sendable, CustomStringConvertible {
    case nominal = 0
    case fair = 1
    case serious = 2
    case critical = 3

    public static func < (left: ThermalLevel, right: ThermalLevel) -> Bool {
        left.rawValue < right.rawValue
    }

    public var description: String {
        switch self {
        case .nominal: return "nominal"
        case .fair: return "fair"
        case .serious: return "serious"
        case .critical: return "critical"
        }
    }
}

/// A sensor's temperature in degrees Celsius.
public struct Temperature: Equatable, Sendable {
    public var sensor: String
    public var degrees: Double

    public init(sensor: String, degrees: Double) {
        self.sensor = sensor
        self.degrees = degrees
    }
}

/// One look at the sensors. Unknown (nil) is a value everywhere.
public struct DeviceState: Equatable, Sendable {
    /// Seconds on a clock that never goes back; where it starts means nothing.
    public var time: Double
    /// Charge, 0..1, or nil if unknown or there is no battery.
    public var battery: Double?
    /// Whether the device runs on external power.
    public var charging: Bool?
    /// Whether the user asked the device to save power.
    public var lowPower: Bool?
    /// The platform's own level.
    public var thermal: ThermalLevel?
    /// Nearness of throttling, 0..; 1 is where the platform throttles severely (Android's scale).
    public var headroom: Double?
    /// The headroom expected some seconds ahead, on the same scale.
    public var forecast: Double?
    /// Of every readable sensor.
    public var temperatures: [Temperature]
    /// CPU frequency as a share of its maximum, 0..1.
    public var frequency: Double?
    /// Watts drawn by the processor package or the device.
    public var power: Double?

    public init(
        time: Double, battery: Double? = nil, charging: Bool? = nil, lowPower: Bool? = nil,
        thermal: ThermalLevel? = nil, headroom: Double? = nil, forecast: Double? = nil,
        temperatures: [Temperature] = [], frequency: Double? = nil, power: Double? = nil
    ) {
        self.time = time
        self.battery = battery
        self.charging = charging
        self.lowPower = lowPower
        self.thermal = thermal
        self.headroom = headroom
        self.forecast = forecast
        self.temperatures = temperatures
        self.frequency = frequency
        self.power = power
    }
}
