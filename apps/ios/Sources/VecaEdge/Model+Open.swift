import CoreML
import CryptoKit
import Foundation
import VecaEdgeCore

extension Model {
    /// Open a model file and warm it up. Takes seconds at the first start; never on the main thread.
    ///
    /// - Parameters:
    ///   - url: a Core ML package (`.mlmodelc` in an app's bundle, or `.mlpackage`), or a `.pte` if the app links
    ///     ExecuTorch.
    ///   - computeUnits: where Core ML may compute. Without effect on a .pte.
    ///   - budgets: load these budgets of a package only; nil for all. Without effect on a .pte.
    /// - Throws: `VecaError`.
    public static func open(
        _ url: URL, computeUnits: MLComputeUnits = .all, budgets: [Int]? = nil
    ) async throws -> Model {
        if url.pathExtension == "pte" {
            return try await openProgram(url)
        }
        let (engine, manifest) = try await CoreMLEngine.open(url, computeUnits: computeUnits, budgets: budgets)
        return Model(manifest: manifest, engine: engine, budgets: engine.budgets)
    }

    #if canImport(ExecuTorch)
    private static func openProgram(_ url: URL) async throws -> Model {
        let file = try ModelFile(at: url, sha256: hexadecimalDigest)
        return Model(manifest: file.manifest, engine: try ExecuTorchEngine(file), head: file.head, dense: file.dense)
    }

    private static func hexadecimalDigest(_ data: Data) -> String {
        SHA256.hash(data: data).map { String(format: "%02x", $0) }.joined()
    }
    #else
    private static func openProgram(_ url: URL) async throws -> Model {
        throw VecaError.engine("\(url.lastPathComponent): link ExecuTorch to run it, or convert with --target coreml")
    }
    #endif
}
