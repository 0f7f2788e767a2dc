import Foundation

/// A ZIP archive of uncompressed members, at the end of whatever lies before it.
struct StoredZip {
    /// Bytes; a larger member is damage or malice.
    static let largestMember = 1 << 28
    private static let endSize = 22
    private static let longestComment = 1 << 16

    private struct Entry {
        let offset: Int
        let size: Int
        let checksum: UInt32
    }

    private let data: Data
    private var entries: [String: Entry] = [:]

    /// - Throws: `VecaError.badModelFile` if there is no archive, or its directory is damaged.
    init(_ data: Data) throws {
        self.data = data
        guard let end = StoredZip.findEnd(data) else {
            throw VecaError.badModelFile("no veca-edge manifest: truncated, or made by another tool")
        }
        let size = try number(end + 12, 4)
        let start = try number(end + 16, 4)
        // Offsets count from the start of the archive; what lies before it moves them all.
        let shift = end - size - start
        guard shift >= 0 else { throw StoredZip.damaged }
        var place = end - size
        for _ in 0..<(try number(end + 10, 2)) {
            place = try readEntry(place, shift: shift, end: end)
        }
    }

    /// The bytes of a member.
    ///
    /// - Throws: `VecaError.badModelFile` if there is none of this name, or it is damaged.
    func member(_ name: String) throws -> Data {
        guard let entry = entries[name] else { throw VecaError.badModelFile("\(name) is missing") }
        let header = entry.offset
        guard try number(header, 4) == 0x0403_4b50 else { throw StoredZip.damaged }
        let start = header + 30 + (try number(header + 26, 2)) + (try number(header + 28, 2))
        guard start + entry.size <= data.count else { throw StoredZip.damaged }
        let bytes = Data(data[(data.startIndex + start)..<(data.startIndex + start + entry.size)])
        guard crc32(bytes) == entry.checksum else {
            throw VecaError.badModelFile("\(name) is damaged: copy or convert the file again")
        }
        return bytes
    }

    /// The bytes of an archive of these members.
    static func archive(_ members: [(name: String, bytes: Data)]) -> Data {
        var archive = Data()
        var directory = Data()
        for (name, bytes) in members {
            let letters = Data(name.utf8)
            let (start, size) = (archive.count, bytes.count)
            // Version 2.0, no flags, not compressed, the first of January 1980, checksum, sizes, length of the name.
            let facts = littleEndian(
                (20, 2), (0, 2), (0, 2), (0, 2), (0x21, 2), (Int(crc32(bytes)), 4), (size, 4), (size, 4),
                (letters.count, 2), (0, 2))
            archive.append(littleEndian((0x0403_4b50, 4)))
            archive.append(facts)
            archive.append(letters)
            archive.append(bytes)
            directory.append(littleEndian((0x0201_4b50, 4), (20, 2)))
            directory.append(facts)
            // No comment, the first disk, no attributes, and where the member begins.
            directory.append(littleEndian((0, 2), (0, 2), (0, 2), (0, 4), (start, 4)))
            directory.append(letters)
        }
        let end = littleEndian(
            (0x0605_4b50, 4), (0, 2), (0, 2), (members.count, 2), (members.count, 2), (directory.count, 4),
            (archive.count, 4), (0, 2))
        archive.append(directory)
        archive.append(end)
        return archive
    }

    private static var damaged: VecaError { .badModelFile("its archive is damaged: copy or convert it again") }

    /// Read one entry of the directory; the place of the next.
    private mutating func readEntry(_ place: Int, shift: Int, end: Int) throws -> Int {
        guard place + 46 <= end, try number(place, 4) == 0x0201_4b50 else { throw StoredZip.damaged }
        let length = try number(place + 28, 2)
        let next = place + 46 + length + (try number(place + 30, 2)) + (try number(place + 32, 2))
        let size = try number(place + 24, 4)
        guard next <= end else { throw StoredZip.damaged }
        let letters = data[(data.startIndex + place + 46)..<(data.startIndex + place + 46 + length)]
        let name = String(decoding: letters, as: UTF8.self)
        // We never compress, so what unpacks to something else than it holds is not ours.
        guard try number(place + 10, 2) == 0, try number(place + 20, 4) == size, size <= StoredZip.largestMember
        else {
            throw VecaError.badModelFile("\(name) is compressed or too large")
        }
        let checksum = UInt32(try number(place + 16, 4))
        entries[name] = Entry(offset: shift + (try number(place + 42, 4)), size: size, checksum: checksum)
        return next
    }

    /// A little-endian number of some bytes.
    private func number(_ place: Int, _ bytes: Int) throws -> Int {
        guard place >= 0, place + bytes <= data.count else { throw StoredZip.damaged }
        var value = 0
        for index in (0..<bytes).reversed() {
            value = value << 8 | Int(data[data.startIndex + place + index])
        }
        return value
    }

    /// Where the record at the end of the archive begins: its signature, searched backwards.
    private static func findEnd(_ data: Data) -> Int? {
        guard data.count >= endSize else { return nil }
        let last = data.count - endSize
        let signature: [UInt8] = [0x50, 0x4b, 0x05, 0x06]
        return stride(from: last, through: max(0, last - longestComment), by: -1).first { place in
            (0..<4).allSatisfy { data[data.startIndex + place + $0] == signature[$0] }
        }
    }
}

/// Numbers in so many bytes each, the lowest first.
private func littleEndian(_ numbers: (value: Int, bytes: Int)...) -> Data {
    var data = Data()
    for number in numbers {
        for place in 0..<number.bytes {
            data.append(UInt8(truncatingIfNeeded: number.value >> (8 * place)))
        }
    }
    return data
}

/// The checksum of ZIP archives.
func crc32(_ data: Data) -> UInt32 {
    var sum: UInt32 = 0xffff_ffff
    for byte in data {
        sum ^= UInt32(byte)
        for _ in 0..<8 {
            let carry: UInt32 = sum & 1 == 1 ? 0xedb8_8320 : 0
            sum = (sum >> 1) ^ carry
        }
    }
    return ~sum
}

/// What numpy's files of format 1.0 begin with.
private let numpyStart: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0]

/// The values of a numpy file that holds little-endian float32 in C order.
///
/// - Throws: `VecaError.badModelFile` unless it is of that kind and shape, and every value is a number.
func readNPY(_ data: Data, shape: [Int]) throws -> [Float] {
    let wrong = VecaError.badModelFile("an array in its archive does not fit the manifest")
    let bytes = [UInt8](data)
    guard bytes.count >= 10, Array(bytes[0..<8]) == numpyStart else { throw wrong }
    let start = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
    let (count, overflow) = shape.reduce((1, false)) { so, side in
        let (product, over) = so.0.multipliedReportingOverflow(by: side)
        return (product, so.1 || over)
    }
    guard !overflow, count <= StoredZip.largestMember, bytes.count == start + 4 * count else { throw wrong }
    let header = String(decoding: bytes[10..<start], as: UTF8.self).filter { $0 != " " }
    let sides = shape.map(String.init).joined(separator: ",") + (shape.count == 1 ? "," : "")
    guard header.contains("'descr':'<f4'"), header.contains("'fortran_order':False"),
        header.contains("'shape':(\(sides))")
    else { throw wrong }
    let values = (0..<count).map { index -> Float in
        var bits: UInt32 = 0
        for place in (0..<4).reversed() {
            bits = bits << 8 | UInt32(bytes[start + 4 * index + place])
        }
        return Float(bitPattern: bits)
    }
    guard values.allSatisfy(\.isFinite) else {
        throw VecaError.badModelFile("an array in its archive holds values that are not numbers")
    }
    return values
}

/// The bytes of such a file.
func writeNPY(_ values: [Float], shape: [Int]) -> Data {
    let sides = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
    let facts = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(sides)), }"
    // The values begin at a multiple of 64 bytes, after a line end.
    let start = (10 + facts.utf8.count + 1 + 63) / 64 * 64
    let header = facts + String(repeating: " ", count: start - 11 - facts.utf8.count) + "\n"
    var bytes = Data(numpyStart)
    bytes.append(littleEndian((header.utf8.count, 2)))
    bytes.append(Data(header.utf8))
    bytes.reserveCapacity(bytes.count + 4 * values.count)
    for value in values {
        let bits = value.bitPattern
        for place in 0..<4 {
            bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(8 * place)))
        }
    }
    return bytes
}
