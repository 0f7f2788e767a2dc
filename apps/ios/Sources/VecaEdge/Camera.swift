import AVFoundation
import Foundation
import VecaEdgeCore

/// The device's camera: its newest frame only, upright.
///
///     let camera = try await Camera.open()
///     camera.start()
///     for await frame in camera.frames { … }
///
/// Whoever reads `frames` slowly misses frames and never lags behind. One reader.
public final class Camera: NSObject, @unchecked Sendable {
    /// For a preview layer.
    public let session = AVCaptureSession()
    /// RGB, upright, mirrored never; the newest only. Ends with `close`.
    public let frames: AsyncStream<RGBImage>

    private let continuation: AsyncStream<RGBImage>.Continuation
    /// Sets up, starts and stops, all of which block; and receives the frames.
    private let queue = DispatchQueue(label: "veca-edge.camera", qos: .userInitiated)
    private let output = AVCaptureVideoDataOutput()
    private var rotation: AVCaptureDevice.RotationCoordinator?
    private var watching: NSKeyValueObservation?

    private override init() {
        (frames, continuation) = AsyncStream.makeStream(of: RGBImage.self, bufferingPolicy: .bufferingNewest(1))
        super.init()
    }

    /// Ask for the camera and set it up; it does not run yet.
    ///
    /// - Parameters:
    ///   - position: which camera.
    ///   - preset: what is delivered. 640 x 480 is enough for a model that sees 256 px, and cheap to copy.
    ///   - rate: frames per second, at most.
    /// - Throws: `VecaError.camera`.
    public static func open(
        position: AVCaptureDevice.Position = .back, preset: AVCaptureSession.Preset = .vga640x480, rate: Double = 30
    ) async throws -> Camera {
        guard await AVCaptureDevice.requestAccess(for: .video) else {
            throw VecaError.camera("the camera is not allowed: Settings, Privacy, Camera")
        }
        let camera = Camera()
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, Error>) in
            camera.queue.async {
                done.resume(with: Swift.Result { try camera.configure(position, preset, rate) })
            }
        }
        return camera
    }

    /// Begin to deliver frames; returns at once.
    public func start() {
        queue.async { if !self.session.isRunning { self.session.startRunning() } }
    }

    /// Stop delivering frames, for example at critical heat; `start` goes on. Returns at once.
    public func stop() {
        queue.async { if self.session.isRunning { self.session.stopRunning() } }
    }

    /// Stop, and end `frames`.
    public func close() {
        stop()
        continuation.finish()
    }

    private func configure(
        _ position: AVCaptureDevice.Position, _ preset: AVCaptureSession.Preset, _ rate: Double
    ) throws {
        guard let device = AVCaptureDevice.default(.builtInWideAngleCamera, for: .video, position: position) else {
            throw VecaError.camera("this device has no such camera")
        }
        session.beginConfiguration()
        defer { session.commitConfiguration() }
        do {
            let input = try AVCaptureDeviceInput(device: device)
            guard session.canAddInput(input), session.canAddOutput(output), session.canSetSessionPreset(preset) else {
                throw VecaError.camera("the camera is in use, or does not deliver \(preset.rawValue)")
            }
            session.addInput(input)
            session.sessionPreset = preset
            try limit(device, rate)
        } catch let error as VecaError {
            throw error
        } catch {
            throw VecaError.camera("the camera cannot be opened: \(error.localizedDescription)")
        }
        output.videoSettings = [kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32BGRA]
        output.alwaysDiscardsLateVideoFrames = true
        output.setSampleBufferDelegate(self, queue: queue)
        session.addOutput(output)
        keepUpright(device)
    }

    private func limit(_ device: AVCaptureDevice, _ rate: Double) throws {
        let ranges = device.activeFormat.videoSupportedFrameRateRanges
        guard ranges.contains(where: { $0.minFrameRate <= rate && rate <= $0.maxFrameRate }) else { return }
        try device.lockForConfiguration()
        device.activeVideoMinFrameDuration = CMTime(value: 1000, timescale: CMTimeScale(rate * 1000))
        device.unlockForConfiguration()
    }

    /// Frames are turned by the system until the horizon is level, however the device is held.
    private func keepUpright(_ device: AVCaptureDevice) {
        let coordinator = AVCaptureDevice.RotationCoordinator(device: device, previewLayer: nil)
        rotation = coordinator
        watching = coordinator.observe(\.videoRotationAngleForHorizonLevelCapture, options: [.initial, .new]) {
            [weak self] coordinator, _ in
            guard let self else { return }
            let angle = coordinator.videoRotationAngleForHorizonLevelCapture
            queue.async { self.turn(angle) }
        }
    }

    private func turn(_ angle: CGFloat) {
        guard let connection = output.connection(with: .video), connection.isVideoRotationAngleSupported(angle) else {
            return
        }
        connection.videoRotationAngle = angle
    }
}

extension Camera: AVCaptureVideoDataOutputSampleBufferDelegate {
    public func captureOutput(
        _ output: AVCaptureOutput, didOutput sampleBuffer: CMSampleBuffer, from connection: AVCaptureConnection
    ) {
        // Copied here, because a camera whose buffers are kept stops delivering.
        guard let buffer = CMSampleBufferGetImageBuffer(sampleBuffer), let frame = try? RGBImage(buffer) else { return }
        continuation.yield(frame)
    }
}
