import Dispatch
import Foundation

@_exported import CoreVideo

public typealias CMTimeScale = Int32

public struct CMTime {
    public init(value: Int64, timescale: CMTimeScale) { fatalError() }
}

public final class CMSampleBuffer {}
public func CMSampleBufferGetImageBuffer(_ sbuf: CMSampleBuffer) -> CVImageBuffer? { fatalError() }

public struct AVMediaType: Hashable, Sendable {
    public static let video = AVMediaType()
}

public final class AVFrameRateRange: NSObject {
    public var minFrameRate: Double { fatalError() }
    public var maxFrameRate: Double { fatalError() }
}

public final class NSKeyValueObservation: NSObject {}
public struct NSKeyValueObservedChange<Value> {}

public struct NSKeyValueObservingOptions: OptionSet, Sendable {
    public let rawValue: UInt
    public init(rawValue: UInt) { self.rawValue = rawValue }
    public static let new = NSKeyValueObservingOptions(rawValue: 1)
    public static let initial = NSKeyValueObservingOptions(rawValue: 4)
}

open class CALayer: NSObject {}

public final class AVCaptureVideoPreviewLayer: CALayer {
    public var session: AVCaptureSession?
    public var videoGravity = AVLayerVideoGravity.resizeAspect
}

public struct AVLayerVideoGravity: Sendable {
    public static let resizeAspect = AVLayerVideoGravity()
}

public class AVCaptureDevice: NSObject {
    public enum Position: Int, Sendable {
        case unspecified, back, front
    }

    public struct DeviceType: Hashable, Sendable {
        public static let builtInWideAngleCamera = DeviceType()
    }

    public class Format: NSObject {
        public var videoSupportedFrameRateRanges: [AVFrameRateRange] { fatalError() }
    }

    public class RotationCoordinator: NSObject {
        public init(device: AVCaptureDevice, previewLayer: CALayer?) { fatalError() }
        public var videoRotationAngleForHorizonLevelCapture: CGFloat { fatalError() }
        public func observe<Value>(
            _ keyPath: KeyPath<RotationCoordinator, Value>, options: NSKeyValueObservingOptions = [],
            changeHandler: @escaping @Sendable (RotationCoordinator, NSKeyValueObservedChange<Value>) -> Void
        ) -> NSKeyValueObservation { fatalError() }
    }

    public class func requestAccess(for mediaType: AVMediaType) async -> Bool { fatalError() }
    public class func `default`(
        _ deviceType: DeviceType, for mediaType: AVMediaType?, position: Position
    ) -> AVCaptureDevice? { fatalError() }
    public var activeFormat: Format { fatalError() }
    public var activeVideoMinFrameDuration: CMTime {
        get { fatalError() }
        set { fatalError() }
    }
    public func lockForConfiguration() throws { fatalError() }
    public func unlockForConfiguration() { fatalError() }
}

public class AVCaptureInput: NSObject {}

public class AVCaptureDeviceInput: AVCaptureInput {
    public init(device: AVCaptureDevice) throws { fatalError() }
}

public class AVCaptureConnection: NSObject {
    public var videoRotationAngle: CGFloat {
        get { fatalError() }
        set { fatalError() }
    }
    public func isVideoRotationAngleSupported(_ videoRotationAngle: CGFloat) -> Bool { fatalError() }
}

public class AVCaptureOutput: NSObject {
    public func connection(with mediaType: AVMediaType) -> AVCaptureConnection? { fatalError() }
}

public protocol AVCaptureVideoDataOutputSampleBufferDelegate: AnyObject {
    func captureOutput(
        _ output: AVCaptureOutput, didOutput sampleBuffer: CMSampleBuffer, from connection: AVCaptureConnection)
}

public class AVCaptureVideoDataOutput: AVCaptureOutput {
    public var videoSettings: [String: Any]!
    public var alwaysDiscardsLateVideoFrames = true
    public func setSampleBufferDelegate(
        _ sampleBufferDelegate: AVCaptureVideoDataOutputSampleBufferDelegate?,
        queue sampleBufferCallbackQueue: DispatchQueue?
    ) { fatalError() }
}

public class AVCaptureSession: NSObject {
    public struct Preset: RawRepresentable, Hashable, Sendable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public static let vga640x480 = Preset(rawValue: "640x480")
    }

    public var sessionPreset: Preset {
        get { fatalError() }
        set { fatalError() }
    }
    public var isRunning: Bool { fatalError() }
    public func canSetSessionPreset(_ preset: Preset) -> Bool { fatalError() }
    public func canAddInput(_ input: AVCaptureInput) -> Bool { fatalError() }
    public func addInput(_ input: AVCaptureInput) { fatalError() }
    public func canAddOutput(_ output: AVCaptureOutput) -> Bool { fatalError() }
    public func addOutput(_ output: AVCaptureOutput) { fatalError() }
    public func beginConfiguration() { fatalError() }
    public func commitConfiguration() { fatalError() }
    public func startRunning() { fatalError() }
    public func stopRunning() { fatalError() }
}
