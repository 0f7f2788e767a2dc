import AVFoundation
import Foundation

@MainActor
open class UIView {
    public init() {}
    open class var layerClass: AnyClass { fatalError() }
    public var layer: CALayer { fatalError() }
}

@MainActor
public final class UIDevice {
    public enum BatteryState: Int, Sendable {
        case unknown, unplugged, charging, full
    }

    public static var current: UIDevice { fatalError() }
    public static let batteryLevelDidChangeNotification = NSNotification.Name("level")
    public static let batteryStateDidChangeNotification = NSNotification.Name("state")
    public var isBatteryMonitoringEnabled: Bool {
        get { fatalError() }
        set { fatalError() }
    }
    public var batteryLevel: Float { fatalError() }
    public var batteryState: BatteryState { fatalError() }
}

/// What the open-source Foundation lacks of Apple's.
extension ProcessInfo {
    public enum ThermalState: Int, Sendable {
        case nominal, fair, serious, critical
    }

    public static let thermalStateDidChangeNotification = NSNotification.Name("thermal")
    public var thermalState: ThermalState { fatalError() }
    public var isLowPowerModeEnabled: Bool { fatalError() }
}

extension NotificationCenter {
    public struct Notifications: AsyncSequence, Sendable {
        public typealias Element = Notification

        public struct AsyncIterator: AsyncIteratorProtocol {
            public mutating func next() async -> Notification? { fatalError() }
        }

        public func makeAsyncIterator() -> AsyncIterator { fatalError() }
    }

    public func notifications(named name: Notification.Name, object: AnyObject? = nil) -> Notifications {
        fatalError()
    }
}
