import Foundation
import XCTest

@testable import VecaEdgeCore

/// The repository's golden files, which Python, Swift and Kotlin share: read where they lie, so that there is one copy.
/// tests/golden/README.md says what each holds.
enum Golden {
    typealias Record = [String: Any]

    static let folder: URL = {
        var root = URL(fileURLWithPath: #filePath)
        for _ in 0..<5 {
            root.deleteLastPathComponent()
        }
        return root.appendingPathComponent("tests/golden")
    }()

    /// A JSON file.
    static func json(_ path: String) throws -> Record {
        try record(Data(contentsOf: folder.appendingPathComponent(path)))
    }

    /// A file with a JSON object per line.
    static func lines(_ path: String) throws -> [Record] {
        let text = try String(contentsOf: folder.appendingPathComponent(path), encoding: .utf8)
        return try text.split(separator: "\n").map { try record(Data($0.utf8)) }
    }

    /// The .jsonl files of a folder, by name.
    static func traces(_ path: String) throws -> [String] {
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent(path).path)
        return files.filter { $0.hasSuffix(".jsonl") }.sorted().map { "\(path)/\($0)" }
    }

    private static func record(_ data: Data) throws -> Record {
        let value = try JSONSerialization.jsonObject(with: data)
        return try XCTUnwrap(value as? Record)
    }
}

extension Dictionary where Key == String, Value == Any {
    func number(_ name: String) throws -> Double {
        try XCTUnwrap(numberOrNil(name), "\(name) is no number")
    }

    /// nil for null and for what is absent; the text "nan" is NaN.
    func numberOrNil(_ name: String) -> Double? {
        if self[name] as? String == "nan" { return .nan }
        return (self[name] as? NSNumber)?.doubleValue
    }

    func integer(_ name: String) throws -> Int {
        try XCTUnwrap(integerOrNil(name), "\(name) is no whole number")
    }

    func integerOrNil(_ name: String) -> Int? {
        (self[name] as? NSNumber)?.intValue
    }

    func flag(_ name: String) throws -> Bool {
        try XCTUnwrap((self[name] as? NSNumber)?.boolValue, "\(name) is neither true nor false")
    }

    func flagOrNil(_ name: String) -> Bool? {
        (self[name] as? NSNumber)?.boolValue
    }

    func text(_ name: String) throws -> String {
        try XCTUnwrap(self[name] as? String, "\(name) is no text")
    }

    func record(_ name: String) throws -> Golden.Record {
        try XCTUnwrap(self[name] as? Golden.Record, "\(name) is no record")
    }

    func records(_ name: String) throws -> [Golden.Record] {
        try XCTUnwrap(self[name] as? [Golden.Record], "\(name) is no list of records")
    }

    func integers(_ name: String) throws -> [Int] {
        try XCTUnwrap(self[name] as? [NSNumber], "\(name) is no list of numbers").map(\.intValue)
    }

    func floats(_ name: String) throws -> [Float] {
        try XCTUnwrap(self[name] as? [NSNumber], "\(name) is no list of numbers").map(\.floatValue)
    }

    func texts(_ name: String) throws -> [String] {
        try XCTUnwrap(self[name] as? [String], "\(name) is no list of texts")
    }

    /// Rows of numbers, one after another.
    func rows(_ name: String) throws -> [Float] {
        try XCTUnwrap(self[name] as? [[NSNumber]], "\(name) is no list of rows").flatMap { $0.map(\.floatValue) }
    }
}

/// The same length, and every number within a relative or an absolute tolerance.
func assertClose(
    _ found: [Float], _ wanted: [Float], relative: Float = 1e-4, absolute: Float = 1e-5, _ where: String = "",
    file: StaticString = #filePath, line: UInt = #line
) {
    XCTAssertEqual(found.count, wanted.count, `where`, file: file, line: line)
    for (index, (a, b)) in zip(found, wanted).enumerated() where !(abs(a - b) <= max(absolute, relative * abs(b))) {
        XCTFail("\(`where`) [\(index)]: \(a), not \(b)", file: file, line: line)
        return
    }
}

func assertClose(
    _ found: Double?, _ wanted: Double?, relative: Double, absolute: Double, _ where: String,
    file: StaticString = #filePath, line: UInt = #line
) {
    guard let found, let wanted else {
        XCTAssertEqual(found, wanted, `where`, file: file, line: line)
        return
    }
    XCTAssertEqual(found, wanted, accuracy: max(absolute, relative * abs(wanted)), `where`, file: file, line: line)
}

/// The error that a call throws, or a failure.
func error<T>(_ call: @autoclosure () throws -> T, file: StaticString = #filePath, line: UInt = #line) -> VecaError? {
    do {
        _ = try call()
        XCTFail("nothing was thrown", file: file, line: line)
    } catch let error as VecaError {
        return error
    } catch {
        XCTFail("\(error) is not one of ours", file: file, line: line)
    }
    return nil
}
