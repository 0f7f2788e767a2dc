import Foundation
import ImageIO
import VecaEdge

/// What a frame gave, ready to show.
struct Shown: Sendable {
    var result: Result
    var labels: [Prediction]
    /// The taught name of what is seen; nil if it is none of them.
    var recognised: Match?
    /// All taught names, and whether the last example can be taken back.
    var names: [String]
    var canUndo: Bool
    /// One pixel per patch.
    var features: RGBImage?
    /// What the chosen head says, and its picture.
    var dense: DenseResult?
    var mask: RGBImage?
    /// Of the camera's frame, pixels.
    var frameWidth: Int
    var frameHeight: Int
    /// Results per second, lately.
    var rate: Double
}

/// Has the model, and does everything with it, away from the main thread.
actor Worker {
    struct Wish: Sendable {
        /// nil: the device decides.
        var cores: Int?
        var paints: Bool
        /// Whose mask is painted, or nil.
        var head: String?
    }

    nonisolated let budgets: [Int]
    nonisolated let heads: [String]
    private let model: Model
    private var session: Session?
    private var stream: PatchStream?
    private var painter = FeaturePainter()
    private var teacher: Teacher?
    private var last: Result?
    private var times: [Double] = []

    private init(_ model: Model) {
        self.model = model
        budgets = model.budgets
        heads = model.tasks.map(\.name)
    }

    /// The model in the app's bundle.
    static func open() async throws -> Worker {
        let bundle = Bundle.main
        let package = bundle.url(forResource: "Veca", withExtension: "mlmodelc")
        guard let url = package ?? bundle.url(forResource: "Veca", withExtension: "pte") else {
            throw VecaError.noFile("put Veca.mlpackage or Veca.pte into the app: see its README")
        }
        return Worker(try await Model.open(url, budgets: [8, 16, 32, 64]))
    }

    /// Measure this device, so that it can decide; why it cannot, or nil.
    func prepare(onCritical: @escaping @Sendable (Decision) -> Void) -> String? {
        do {
            let latency = try LatencyTable.ofThisDevice(model)
            let front = try Front(model: model, targetFPS: 30, latency: latency)
            session = try Session(model: model, front: front, sensors: DeviceMonitor(), onCritical: onCritical)
            return nil
        } catch let error as VecaError {
            return error.message
        } catch {
            return error.localizedDescription
        }
    }

    /// Read what was taught before; why that is not possible, or nil.
    func openGallery() -> String? {
        told {
            var teacher = try Teacher(model)
            self.teacher = teacher
            try teacher.open(model)
            self.teacher = teacher
        }
    }

    /// Make the newest frame an example of this name; why it cannot be one, or nil.
    func teach(_ name: String) -> String? {
        told {
            guard let last else { throw VecaError.badSetting("there is no frame yet: wait for the first result") }
            try teacher?.teach(name, last)
        }
    }

    /// Take the last example back; why that is not possible, or nil.
    func undo() -> String? {
        told { try teacher?.undo() }
    }

    private func told(_ change: () throws -> Void) -> String? {
        do {
            try change()
            return nil
        } catch let error as VecaError {
            return error.message
        } catch {
            return error.localizedDescription
        }
    }

    func update(_ frame: RGBImage, _ wish: Wish) async throws -> Shown {
        let result = try await compute(frame, wish.cores)
        last = result
        let features = wish.paints ? painter.paint(result) : nil
        let labels = result.logits == nil ? [] : try result.top(3)
        let dense = wish.head.flatMap { result.dense[$0] }
        return Shown(
            result: result, labels: labels, recognised: try? teacher?.recognised(result),
            names: teacher?.names ?? [], canUndo: teacher?.canUndo ?? false, features: features, dense: dense,
            mask: try dense?.paint(height: result.height / 2, width: result.width / 2), frameWidth: frame.width,
            frameHeight: frame.height, rate: count())
    }

    private func compute(_ frame: RGBImage, _ cores: Int?) async throws -> Result {
        if cores == nil, let session {
            return try await session.update(frame)
        }
        guard model.canStream else { return try model(frame, cores: cores) }
        let stream = try self.stream ?? model.stream(cores: cores)
        self.stream = stream
        if let cores, stream.cores != cores {
            try stream.use(cores: cores)
        }
        return try stream.update(frame)
    }

    /// The golden check over the photos in the bundle.
    func check() throws -> [GoldenCheck.Outcome] {
        let check = try GoldenCheck(json: try data("end-to-end", "json"))
        // Both kinds of files are int8 unless converted otherwise; other tolerances are in the same file.
        let tolerance = "\(model.engine.name)-int8"
        return try check.photos.flatMap { photo in
            try check.compare(model, photo: photo, image: try picture(photo), tolerance: tolerance)
        }
    }

    private func picture(_ file: String) throws -> RGBImage {
        let name = URL(fileURLWithPath: file)
        let bytes = try data(name.deletingPathExtension().lastPathComponent, name.pathExtension)
        guard let source = CGImageSourceCreateWithData(bytes as CFData, nil),
            let decoded = CGImageSourceCreateImageAtIndex(source, 0, nil)
        else {
            throw VecaError.badImage("\(file) cannot be decoded")
        }
        return try RGBImage(decoded)
    }

    private func data(_ name: String, _ kind: String) throws -> Data {
        guard let url = Bundle.main.url(forResource: name, withExtension: kind), let data = try? Data(contentsOf: url)
        else {
            throw VecaError.noFile("\(name).\(kind) is not in the app's bundle")
        }
        return data
    }

    private func count() -> Double {
        let now = monotonicSeconds()
        times = times.filter { now - $0 < 2 } + [now]
        return times.count > 1 ? Double(times.count - 1) / max(now - times[0], 1e-3) : 0
    }
}
