import Foundation
import VecaEdgeCore

#if canImport(UIKit)
import UIKit
#endif

/// The device's thermal state, low-power mode and battery, each as the system says it. What it does not say is nil: a
/// Mac's battery, and a simulator's.
///
/// Thermal state and low-power mode are read at every look, which is cheap. The battery belongs to the main thread,
/// so it is looked at when the system says that it changed.
public final class DeviceMonitor: Sensors, @unchecked Sendable {
    private struct Battery {
        var charge: Double?
        var charging: Bool?
    }

    private let lock = NSLock()
    private var battery = Battery()
    private var observers: [NSObjectProtocol] = []

    public init() {
        #if canImport(UIKit) && !os(watchOS)
        Task { @MainActor [weak self] in self?.watchBattery() }
        #endif
    }

    deinit {
        for observer in observers {
            NotificationCenter.default.removeObserver(observer)
        }
    }

    public func read() -> DeviceState {
        let known = lock.withLock { battery }
        let info = ProcessInfo.processInfo
        return DeviceState(
            time: monotonicSeconds(), battery: known.charge, charging: known.charging,
            lowPower: info.isLowPowerModeEnabled, thermal: level(info.thermalState))
    }

    /// Apple's state as a level; one that this package does not know yet is unknown.
    private func level(_ state: ProcessInfo.ThermalState) -> ThermalLevel? {
        switch state {
        case .nominal: return .nominal
        case .fair: return .fair
        case .serious: return .serious
        case .critical: return .critical
        @unknown default: return nil
        }
    }

    #if canImport(UIKit) && !os(watchOS)
    @MainActor private func watchBattery() {
        // Until this is set both are unknown.
        UIDevice.current.isBatteryMonitoringEnabled = true
        let changes = [UIDevice.batteryLevelDidChangeNotification, UIDevice.batteryStateDidChangeNotification]
        let made = changes.map { name in
            NotificationCenter.default.addObserver(forName: name, object: nil, queue: .main) { [weak self] _ in
                MainActor.assumeIsolated { self?.readBattery() }
            }
        }
        lock.withLock { observers = made }
        readBattery()
    }

    @MainActor private func readBattery() {
        let device = UIDevice.current
        // -1 is Apple's word for unknown.
        let charge = device.batteryLevel < 0 ? nil : Double(device.batteryLevel)
        let charging: Bool?
        switch device.batteryState {
        case .unplugged: charging = false
        case .charging, .full: charging = true
        default: charging = nil
        }
        lock.withLock { battery = Battery(charge: charge, charging: charging) }
    }
    #endif
}
