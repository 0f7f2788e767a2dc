import Foundation
import Observation
import VecaEdge

/// What the screens show and set. Lives on the main thread and computes nothing: `Worker` does.
@MainActor @Observable
final class Sample {
    enum Phase: Equatable {
        case starting(String)
        case running
        case failed(String)
    }

    private(set) var phase = Phase.starting("Loading the model")
    private(set) var shown: Shown?
    private(set) var budgets: [Int] = []
    /// The model's dense heads by name.
    private(set) var heads: [String] = []
    /// Whose mask is drawn, or nil for none.
    private(set) var head: String?
    private(set) var camera: Camera?
    private(set) var worker: Worker?
    /// Why the device cannot decide, or nil.
    private(set) var whyManual: String?
    var automatic = false
    var cores = 64
    var showsFeatures = false
    /// Why the last example could not be taught, or nil.
    private(set) var problem: String?
    /// While the check runs it has the model for itself.
    var paused = false

    /// Load, warm up, and follow the camera until the task ends.
    func run() async {
        do {
            let worker = try await Worker.open()
            self.worker = worker
            budgets = worker.budgets
            heads = worker.heads
            head = heads.first
            cores = budgets.last ?? cores
            let camera = try await Camera.open()
            self.camera = camera
            phase = .starting("Measuring this device, once")
            whyManual = await worker.prepare(onCritical: { _ in camera.stop() })
            automatic = whyManual == nil
            problem = await worker.openGallery()
            phase = .running
            camera.start()
            try await follow(camera, worker)
        } catch let error as VecaError {
            phase = .failed(error.message)
        } catch {
            phase = .failed(error.localizedDescription)
        }
    }

    /// Make the newest frame an example of this name.
    func teach(_ name: String) async {
        problem = await worker?.teach(name)
    }

    /// Take the last example back.
    func undo() async {
        problem = await worker?.undo()
    }

    /// Draw the next head's mask; after the last one none.
    func nextHead() {
        let next = (head.flatMap(heads.firstIndex) ?? -1) + 1
        head = next < heads.count ? heads[next] : nil
    }

    /// The camera was stopped at critical heat, and without frames nobody decides: start it when it is over.
    func watchHeat() async {
        let changes = NotificationCenter.default.notifications(named: ProcessInfo.thermalStateDidChangeNotification)
        for await _ in changes where ProcessInfo.processInfo.thermalState != .critical {
            camera?.start()
        }
    }

    private func follow(_ camera: Camera, _ worker: Worker) async throws {
        defer { camera.close() }
        for await frame in camera.frames where !paused {
            let wish = Worker.Wish(cores: automatic ? nil : cores, paints: showsFeatures, head: head)
            shown = try await worker.update(frame, wish)
        }
    }
}
