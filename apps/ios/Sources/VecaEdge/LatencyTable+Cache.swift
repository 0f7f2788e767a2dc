import Foundation
import VecaEdgeCore

extension LatencyTable {
    /// The latencies of a model on this device: as measured before, or measured now, which takes about 12 seconds.
    /// Not for the main thread. Kept in the app's caches under the model's digest, so another model is measured anew.
    ///
    /// - Parameter frames: to measure with; frames of the app's own camera say the most about streams.
    /// - Throws: `VecaError`.
    public static func ofThisDevice(
        _ model: Model, frames: [RGBImage] = LatencyProfile.movingFrames()
    ) throws -> LatencyTable {
        let configurations = try LatencyProfile.configurations(model)
        let file = try? FileManager.default
            .url(for: .cachesDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
            .appendingPathComponent("veca-edge-\(model.engine.name)-\(model.digest.prefix(24)).json")
        if let file, let data = try? Data(contentsOf: file),
            let kept = try? JSONDecoder().decode(LatencyTable.self, from: data),
            Set(kept.rows.map(\.configuration)).isSuperset(of: configurations) {
            return kept
        }
        let table = try LatencyProfile.measure(model, configurations: configurations, frames: frames)
        if let file, let data = try? JSONEncoder().encode(table) {
            // Without a cache it is measured again next time.
            try? data.write(to: file, options: .atomic)
        }
        return table
    }
}
