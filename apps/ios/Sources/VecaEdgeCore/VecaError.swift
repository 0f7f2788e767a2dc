import Foundation

/// What can go wrong, in one line for people. Every function of this package that throws throws one of these.
public enum VecaError: Error, Equatable, Sendable {
    /// The file is missing or cannot be read.
    case noFile(String)
    /// The file was not made by `veca-edge convert`, is damaged, or is of a newer format.
    case badModelFile(String)
    /// A budget, an image size or a patch count that this model was not made for.
    case notOffered(String)
    /// An image of another shape than it says, or too long for the model.
    case badImage(String)
    /// A setting out of its range.
    case badSetting(String)
    /// A table of operating points that is not valid, or none at all.
    case badTable(String)
    /// A gallery that is damaged, of a newer format or of another model, or cannot be written.
    case badGallery(String)
    /// What needs a head, asked of a model without one.
    case noHead
    /// What needs a .pte file, asked of another engine.
    case noStreams
    /// Core ML or ExecuTorch refused to load or to run.
    case engine(String)
    /// The camera is missing, busy, or not allowed.
    case camera(String)

    /// The line for people.
    public var message: String {
        switch self {
        case .noFile(let text), .badModelFile(let text), .notOffered(let text), .badImage(let text),
            .badSetting(let text), .badTable(let text), .badGallery(let text), .engine(let text),
            .camera(let text):
            return text
        case .noHead:
            return "this model has no head, so it has no labels: train one with a labelled photo set"
        case .noStreams:
            return "streams need a .pte file and its engine: convert the checkpoint with `veca-edge convert`"
        }
    }
}

extension VecaError: LocalizedError, CustomStringConvertible {
    public var errorDescription: String? { message }
    public var description: String { message }
}

/// A number as people write it: 30, 7.5, 0.3.
func plain(_ value: Double) -> String {
    String(format: "%g", value)
}
