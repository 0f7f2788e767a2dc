// swift-tools-version: 5.9
import PackageDescription

// VecaEdgeCore imports Foundation only, so that it builds and is tested with the open-source toolchain on Linux too.
let package = Package(
    name: "VecaEdge",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [.library(name: "VecaEdgeCore", targets: ["VecaEdgeCore"])],
    targets: [
        .target(name: "VecaEdgeCore"),
        .testTarget(name: "VecaEdgeCoreTests", dependencies: ["VecaEdgeCore"]),
    ]
)

// VecaEdge is what needs Apple's frameworks. It compiles its ExecuTorch engine where ExecuTorch is linked (README.md).
#if canImport(Darwin)
package.products.append(.library(name: "VecaEdge", targets: ["VecaEdge"]))
package.targets.append(.target(name: "VecaEdge", dependencies: ["VecaEdgeCore"]))
#endif
