import Foundation

/// A .pte file: an ExecuTorch program with a ZIP archive behind it that says what it is.
///
///     model.pte = program | manifest.json  cores.npy  coordinates.npy  [head_weight.npy  head_bias.npy]
///                 [heads/NAME_weight.npy  heads/NAME_bias.npy ...]
public struct ModelFile: Sendable {
    static let magic = Array("ET1".utf8)

    public let url: URL
    public let manifest: Manifest
    /// numCores * D values: the core tokens in order.
    public let cores: [Float]
    /// numCores * 2 values: their raw positions.
    public let coordinates: [Float]
    /// The classifier, or nil.
    public let head: Head?
    /// The heads for every patch, by name.
    public let dense: [DenseHead]

    /// Read and check a model file; the program stays on disk.
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - sha256: the digest of bytes, hexadecimal. Native code will trust the program, so its bytes must be those
    ///     that were verified when it was made.
    /// - Throws: `VecaError.noFile`, `.badModelFile`.
    public init(at url: URL, sha256: (Data) -> String) throws {
        let data: Data
        do {
            data = try Data(contentsOf: url, options: .mappedIfSafe)
        } catch {
            throw VecaError.noFile("\(url.lastPathComponent): \(error.localizedDescription)")
        }
        do {
            try self.init(data, url: url, sha256: sha256)
        } catch VecaError.badModelFile(let text) {
            throw VecaError.badModelFile("\(url.lastPathComponent): \(text)")
        }
    }

    private init(_ data: Data, url: URL, sha256: (Data) -> String) throws {
        guard data.count > 8, Array(data[4..<7]) == ModelFile.magic else {
            throw VecaError.badModelFile("not a model file (expected a .pte made by `veca-edge convert`)")
        }
        let archive = try StoredZip(data)
        let manifest = try Manifest(json: try archive.member("manifest.json"))
        self.url = url
        self.manifest = manifest
        cores = try readNPY(try archive.member("cores.npy"), shape: [manifest.numCores, manifest.hiddenDim])
        coordinates = try readNPY(try archive.member("coordinates.npy"), shape: [manifest.numCores, 2])
        head = try ModelFile.head(archive, manifest)
        dense = try manifest.tasks.map { task in
            let weight = try archive.member("heads/\(task.name)_weight.npy")
            return try DenseHead(
                task: task, weight: try readNPY(weight, shape: [task.outputs, manifest.featureDim]),
                bias: try readNPY(try archive.member("heads/\(task.name)_bias.npy"), shape: [task.outputs]))
        }
        guard manifest.programSize <= data.count,
            sha256(data.prefix(manifest.programSize)) == manifest.programDigest
        else {
            throw VecaError.badModelFile("the program is damaged (its digest differs): copy or convert it again")
        }
    }

    private static func head(_ archive: StoredZip, _ manifest: Manifest) throws -> Head? {
        let classes = manifest.labels.count
        if classes == 0 { return nil }
        return Head(
            weight: try readNPY(try archive.member("head_weight.npy"), shape: [classes, 2 * manifest.featureDim]),
            bias: try readNPY(try archive.member("head_bias.npy"), shape: [classes]))
    }
}
