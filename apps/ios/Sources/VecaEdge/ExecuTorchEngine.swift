#if canImport(ExecuTorch)
import ExecuTorch
import Foundation
import VecaEdgeCore

/// Runs a .pte made by `veca-edge convert`: `encode` and `step`, whose core count and patch count are dynamic.
///
/// One call at a time. What is remembered is copied into tensors for every step.
public final class ExecuTorchEngine: StepEngine {
    /// Inputs of `step` before the remembered keys and values.
    static let stepInputs = 5
    /// Cores, features, attention; `step` gives the new keys and values after them.
    static let encodeOutputs = 3

    public let name = "executorch"
    public let heads: Int
    private let file: ModelFile
    private let module: Module
    /// What stands for "nothing remembered": two hidden rows, since XNNPACK knows no empty tensors.
    private let nothing: [Tensor<Float>]

    /// - Throws: `VecaError.engine` if the program cannot be loaded, `.badModelFile` if it is not its manifest's.
    init(_ file: ModelFile) throws {
        self.file = file
        let manifest = file.manifest
        heads = manifest.numHeads
        guard manifest.target == "executorch" else {
            throw VecaError.badModelFile("\(file.url.lastPathComponent) is made for \(manifest.target)")
        }
        // Mapped: the weights are not read into memory a second time.
        module = Module(filePath: file.url.path, loadMode: .mmap)
        let headDim = manifest.hiddenDim / manifest.numHeads
        let hidden = Tensor<Float>([PatchCache.hide, PatchCache.hide], shape: [2])
        let rows = Tensor<Float>(
            [Float](repeating: 0, count: manifest.numHeads * 2 * headDim), shape: [manifest.numHeads, 2, headDim])
        nothing = [hidden] + [Tensor<Float>](repeating: rows, count: 2 * manifest.numLayers)
        do {
            try module.load()
            // An unknown method name can crash the runtime, so the names are settled before any is called.
            guard try module.methodNames() == Set(manifest.methods) else {
                throw VecaError.badModelFile("the program's methods are not those of its manifest")
            }
            try checkShapes()
        } catch let error as VecaError {
            throw error
        } catch {
            throw VecaError.engine(
                "\(file.url.lastPathComponent): ExecuTorch cannot load it: \(error.localizedDescription)")
        }
    }

    public func offers(cores: Int, imageSize: Int) -> Bool {
        let patchSize = file.manifest.patchSize
        let side = imageSize / patchSize
        return imageSize % patchSize == 0 && side * side <= file.manifest.maxPatches
            && file.manifest.budgets.contains(cores)
    }

    public func encode(_ image: RGBImage, cores: Int) throws -> Encoded {
        let size = file.manifest.patchSize
        let grid = PatchGrid(rows: image.height / size, columns: image.width / size)
        let inputs = try self.inputs(
            patches: cutPatches(image, patchSize: size), positions: cellCentres(grid), cores: cores)
        let outputs = try run(try method("encode", grid.count), inputs, outputs: ExecuTorchEngine.encodeOutputs)
        return Encoded(
            embedding: firstCore(outputs[0]), features: outputs[1],
            coreAttention: meanOverHeads(outputs[2], count: grid.count * cores))
    }

    public func step(
        patches: [Float], positions: [Float], cores: Int, mask: [Float]?, cache: PatchCache?
    ) throws -> Stepped {
        let count = positions.count / 2
        var inputs = try self.inputs(patches: patches, positions: positions, cores: cores)
        if let mask, let cache {
            inputs.append(Tensor<Float>(mask, shape: [mask.count]))
            let shape = [heads, cache.count, file.manifest.hiddenDim / heads]
            for layer in cache.keys.indices {
                inputs.append(Tensor<Float>(cache.keys[layer], shape: shape))
                inputs.append(Tensor<Float>(cache.values[layer], shape: shape))
            }
        } else {
            inputs.append(contentsOf: nothing)
        }
        let expected = ExecuTorchEngine.encodeOutputs + 2 * file.manifest.numLayers
        let outputs = try run(try method("step", count), inputs, outputs: expected)
        return Stepped(
            embedding: firstCore(outputs[0]), features: outputs[1],
            coreAttention: meanOverHeads(outputs[2], count: count * cores),
            keys: stride(from: 3, to: outputs.count, by: 2).map { outputs[$0] },
            values: stride(from: 4, to: outputs.count, by: 2).map { outputs[$0] })
    }

    /// The inputs that `encode` and `step` share.
    private func inputs(patches: [Float], positions: [Float], cores: Int) throws -> [Tensor<Float>] {
        let manifest = file.manifest
        let count = positions.count / 2
        let length = manifest.patchSize * manifest.patchSize * 3
        guard count > 0, patches.count == count * length, cores <= manifest.numCores else {
            throw VecaError.engine("\(patches.count) values are not \(count) patches")
        }
        return [
            Tensor<Float>(patches, shape: [count, length]), Tensor<Float>(positions, shape: [count, 2]),
            Tensor<Float>(Array(file.cores.prefix(cores * manifest.hiddenDim)), shape: [cores, manifest.hiddenDim]),
            Tensor<Float>(Array(file.coordinates.prefix(cores * 2)), shape: [cores, 2]),
        ]
    }

    private func run(_ method: String, _ inputs: [Tensor<Float>], outputs expected: Int) throws -> [[Float]] {
        do {
            let outputs = try module.execute(method, inputs)
            guard outputs.count == expected else {
                throw VecaError.engine("\(method) gave \(outputs.count) outputs, not \(expected)")
            }
            return try outputs.map { value in
                guard let tensor: Tensor<Float> = value.tensor() else {
                    throw VecaError.engine("\(method) gave an output that is no float tensor")
                }
                return tensor.scalars()
            }
        } catch let error as VecaError {
            throw error
        } catch {
            throw VecaError.engine("ExecuTorch could not run \(method): \(error.localizedDescription)")
        }
    }

    /// A method that takes so many patches: one that is loaded, else the one that reserves the least memory.
    private func method(_ kind: String, _ patches: Int) throws -> String {
        let enough = file.manifest.sizeBuckets(kind).filter { patches <= $0.most }.map(\.name)
        guard let least = enough.first else {
            throw VecaError.notOffered(
                "\(patches) patches, the model file was made for \(file.manifest.maxPatches): use a smaller image "
                    + "size, or convert with --max-patches")
        }
        return enough.first { module.isLoaded($0) } ?? least
    }

    /// Refuse a manifest whose sizes are not those of the program.
    private func checkShapes() throws {
        let manifest = file.manifest
        let encode = try module.methodMetadata("encode").inputTensorMetadata
        let step = try module.methodMetadata("step").inputTensorMetadata
        let length = manifest.patchSize * manifest.patchSize * 3
        guard encode[0]?.shape == [manifest.maxPatches, length],
            encode[2]?.shape == [manifest.numCores, manifest.hiddenDim],
            step[ExecuTorchEngine.stepInputs]?.shape.first == manifest.numHeads,
            step.count == ExecuTorchEngine.stepInputs + 2 * manifest.numLayers
        else {
            throw VecaError.badModelFile("the manifest's sizes are not the program's")
        }
    }

    private func firstCore(_ cores: [Float]) -> [Float] {
        Array(cores.prefix(file.manifest.featureDim))
    }

    /// The mean over heads of attention (heads, n, C), `count` = n * C.
    private func meanOverHeads(_ attention: [Float], count: Int) -> [Float] {
        let heads = attention.count / count
        return (0..<count).map { place in
            (0..<heads).reduce(0) { $0 + attention[$1 * count + place] } / Float(heads)
        }
    }
}
#endif
