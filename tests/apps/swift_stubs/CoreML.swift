import Foundation

@_exported import CoreVideo

public enum MLComputeUnits: Int, Sendable {
    case cpuOnly, cpuAndGPU, all, cpuAndNeuralEngine
}

public final class MLModelConfiguration: NSObject {
    public var computeUnits = MLComputeUnits.all
    public var functionName: String?
}

public struct MLModelMetadataKey: RawRepresentable, Hashable, Sendable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public static let creatorDefinedKey = MLModelMetadataKey(rawValue: "MLModelCreatorDefinedKey")
}

public final class MLImageConstraint: NSObject {
    public var pixelsWide: Int { fatalError() }
    public var pixelsHigh: Int { fatalError() }
}

public final class MLFeatureDescription: NSObject {
    public var imageConstraint: MLImageConstraint? { fatalError() }
}

public final class MLModelDescription: NSObject {
    public var inputDescriptionsByName: [String: MLFeatureDescription] { fatalError() }
    public var metadata: [MLModelMetadataKey: Any] { fatalError() }
}

public final class MLMultiArray: NSObject {
    public var count: Int { fatalError() }
}

public protocol MLShapedArrayScalar {}
extension Float: MLShapedArrayScalar {}

public struct MLShapedArray<Scalar: MLShapedArrayScalar> {
    public init(converting multiArray: MLMultiArray) { fatalError() }
    public var scalars: [Scalar] { fatalError() }
}

public final class MLFeatureValue: NSObject {
    public init(pixelBuffer: CVPixelBuffer) { fatalError() }
    public var multiArrayValue: MLMultiArray? { fatalError() }
    public var dictionaryValue: [AnyHashable: NSNumber] { fatalError() }
}

public protocol MLFeatureProvider: AnyObject {
    var featureNames: Set<String> { get }
    func featureValue(for featureName: String) -> MLFeatureValue?
}

public final class MLDictionaryFeatureProvider: NSObject, MLFeatureProvider {
    public init(dictionary: [String: Any]) throws { fatalError() }
    public var featureNames: Set<String> { fatalError() }
    public func featureValue(for featureName: String) -> MLFeatureValue? { fatalError() }
}

public final class MLModel: NSObject, @unchecked Sendable {
    public var modelDescription: MLModelDescription { fatalError() }
    public class func compileModel(at modelURL: URL) async throws -> URL { fatalError() }
    public class func load(
        contentsOf url: URL, configuration: MLModelConfiguration = MLModelConfiguration()
    ) async throws -> MLModel { fatalError() }
    public func prediction(from input: MLFeatureProvider) throws -> MLFeatureProvider { fatalError() }
}
