// Written from the headers and the Swift sources of ExecuTorch's Apple extension.
import Foundation

public protocol Scalar {}
extension Float: Scalar {}

public enum ShapeDynamism: Int {
    case `static`, dynamicBound, dynamicUnbound
}

public final class Tensor<T: Scalar> {
    public convenience init(
        _ scalars: [T], shape: [Int] = [], strides: [Int] = [], dimensionOrder: [Int] = [],
        shapeDynamism: ShapeDynamism = .dynamicBound
    ) { fatalError() }
    public func scalars() -> [T] { fatalError() }
}

public protocol ValueConvertible {
    func asValue() -> Value
}

public final class Value: NSObject {
    public func tensor<T: Scalar>() -> Tensor<T>? { fatalError() }
}

extension Value: ValueConvertible {
    public func asValue() -> Value { self }
}

extension Tensor: ValueConvertible {
    public func asValue() -> Value { fatalError() }
}

public final class TensorMetadata: NSObject {
    public var shape: [Int] { fatalError() }
}

public final class MethodMetadata: NSObject {
    public var inputTensorMetadata: [Int: TensorMetadata] { fatalError() }
}

public enum ModuleLoadMode: Int {
    case file, mmap, mmapUseMlock, mmapUseMlockIgnoreErrors
}

public class Module: NSObject {
    public init(filePath: String, loadMode: ModuleLoadMode = .file) { fatalError() }
    public func load() throws { fatalError() }
    public func isLoaded(_ methodName: String) -> Bool { fatalError() }
    public func methodNames() throws -> Set<String> { fatalError() }
    public func methodMetadata(_ methodName: String) throws -> MethodMetadata { fatalError() }
    public func execute(_ method: String, _ inputs: [ValueConvertible]) throws -> [Value] { fatalError() }
}
