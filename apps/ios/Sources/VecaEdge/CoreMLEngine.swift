import CoreML
import Foundation
import VecaEdgeCore

/// Runs a Core ML package made by `veca-edge convert --target coreml`: one function per budget and image size, all on
/// the same weights.
///
/// One call at a time. Every loaded function has its own plan and activations in memory; the weights are shared.
public final class CoreMLEngine: Engine {
    static let manifestKey = "veca_edge.manifest"
    /// The only function of a package for iOS 17, which holds one budget.
    static let onlyFunction = "main"

    /// What a function is for.
    struct Size: Hashable {
        let cores: Int
        let width: Int
        let height: Int
    }

    public let name = "coreml"
    private let manifest: Manifest
    private let functions: [Size: CoreMLFunction]

    private init(manifest: Manifest, functions: [Size: CoreMLFunction]) {
        self.manifest = manifest
        self.functions = functions
    }

    /// Load a package, every function of it, and call each once: the first call of a function can take seconds while
    /// the system prepares it for its compute units.
    ///
    /// - Parameters:
    ///   - url: `.mlmodelc`, what Xcode makes of a package in an app, or `.mlpackage`, which is compiled here first.
    ///   - computeUnits: where Core ML may compute.
    ///   - budgets: keep to these, to load quicker and into less memory; nil for all.
    /// - Throws: `VecaError`.
    static func open(
        _ url: URL, computeUnits: MLComputeUnits, budgets: [Int]?
    ) async throws -> (engine: CoreMLEngine, manifest: Manifest) {
        guard FileManager.default.fileExists(atPath: url.path) else {
            throw VecaError.noFile("\(url.lastPathComponent): no such file")
        }
        do {
            let compiled = url.pathExtension == "mlpackage" ? try await MLModel.compileModel(at: url) : url
            let first = try await load(compiled, computeUnits, function: nil)
            let manifest = try readManifest(first.modelDescription)
            var functions: [Size: CoreMLFunction] = [:]
            for method in manifest.methods {
                guard let cores = cores(of: method, manifest), budgets?.contains(cores) ?? true else { continue }
                let model = method == onlyFunction ? first : try await load(compiled, computeUnits, function: method)
                let function = try CoreMLFunction(method, model, manifest)
                functions[Size(cores: cores, width: function.width, height: function.height)] = function
            }
            guard !functions.isEmpty else {
                throw VecaError.badModelFile("\(url.lastPathComponent) has no function for these budgets")
            }
            for function in functions.values {
                _ = try function.run(grey(function.width, function.height))
            }
            return (CoreMLEngine(manifest: manifest, functions: functions), manifest)
        } catch let error as VecaError {
            throw error
        } catch {
            throw VecaError.engine("\(url.lastPathComponent): Core ML cannot load it: \(error.localizedDescription)")
        }
    }

    /// The budgets that were loaded, ascending.
    var budgets: [Int] { Set(functions.keys.map(\.cores)).sorted() }

    public func offers(cores: Int, imageSize: Int) -> Bool {
        functions[Size(cores: cores, width: imageSize, height: imageSize)] != nil
    }

    public func encode(_ image: RGBImage, cores: Int) throws -> Encoded {
        guard let function = functions[Size(cores: cores, width: image.width, height: image.height)] else {
            let sizes = functions.keys.filter { $0.cores == cores }.map { "\($0.width) x \($0.height)" }.sorted()
            throw VecaError.notOffered(
                "no function for \(cores) cores and an image of \(image.width) x \(image.height), only for "
                    + "\(sizes.joined(separator: ", ")): convert with --image-size")
        }
        return try function.run(image)
    }

    private static func load(_ url: URL, _ units: MLComputeUnits, function: String?) async throws -> MLModel {
        let configuration = MLModelConfiguration()
        configuration.computeUnits = units
        if let function {
            guard #available(iOS 18.0, macOS 15.0, *) else {
                throw VecaError.engine(
                    "packages with functions need iOS 18 or macOS 15: convert with --minimum-target iOS17")
            }
            configuration.functionName = function
        }
        return try await MLModel.load(contentsOf: url, configuration: configuration)
    }

    private static func readManifest(_ description: MLModelDescription) throws -> Manifest {
        let stored = description.metadata[.creatorDefinedKey] as? [String: String]
        guard let text = stored?[manifestKey] else {
            throw VecaError.badModelFile(
                "no veca-edge manifest: made by another tool; convert a checkpoint with "
                    + "`veca-edge convert --target coreml`")
        }
        return try Manifest(json: Data(text.utf8))
    }

    /// The budget by a function's name: "cores_8", "cores_8_384", or "main" where there is one budget; nil if none.
    static func cores(of function: String, _ manifest: Manifest) -> Int? {
        if function == onlyFunction { return manifest.budgets.count == 1 ? manifest.budgets[0] : nil }
        let parts = function.split(separator: "_")
        guard parts.count == 2 || parts.count == 3, parts[0] == "cores", let cores = Int(parts[1]) else { return nil }
        return manifest.budgets.contains(cores) ? cores : nil
    }

    /// An image that says nothing, to warm a function up with.
    private static func grey(_ width: Int, _ height: Int) throws -> RGBImage {
        try RGBImage(width: width, height: height, pixels: [UInt8](repeating: 127, count: width * height * 3))
    }
}
