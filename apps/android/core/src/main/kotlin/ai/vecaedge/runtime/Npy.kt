package ai.vecaedge.runtime

import ai.vecaedge.VecaError
import java.nio.ByteBuffer
import java.nio.ByteOrder

private val MAGIC = byteArrayOf(0x93.toByte()) + "NUMPY".toByteArray(Charsets.ISO_8859_1)

/** Before the numbers, at most; a longer header is not ours. */
private const val HEADER = 256

/** Bytes of which the numbers begin at a multiple. */
private const val ALIGNMENT = 64

/**
 * The numbers of a NumPy array file (format 1.0: magic, version, header length, header, data); float32 of this shape,
 * little-endian, row by row, all finite. Throws [VecaError.File] for anything else.
 */
internal fun npy(name: String, bytes: ByteArray, shape: List<Int>): FloatArray {
    val count = shape.fold(1L) { product, size -> product * size }
    val start = bytes.size - 4 * count
    if (start !in 10..HEADER || !bytes.copyOf(6).contentEquals(MAGIC) || headerLength(bytes) != start - 10) {
        throw VecaError.File("$name does not fit the manifest")
    }
    val header = String(bytes, 10, start.toInt() - 10, Charsets.ISO_8859_1)
    val sizes = Regex("""'shape': \(([0-9, ]*)\)""").find(header)?.groupValues?.get(1).orEmpty()
    val found = sizes.split(",").filter { it.isNotBlank() }.map { it.trim().toIntOrNull() }
    if ("'descr': '<f4'" !in header || "'fortran_order': False" !in header || found != shape) {
        throw VecaError.File("$name does not fit the manifest")
    }
    val values = FloatArray(count.toInt())
    ByteBuffer.wrap(bytes, start.toInt(), values.size * 4).slice().order(ByteOrder.LITTLE_ENDIAN)
        .asFloatBuffer().get(values)
    if (!values.all { it.isFinite() }) throw VecaError.File("$name holds values that are not numbers")
    return values
}

private fun headerLength(bytes: ByteArray): Long = (bytes[8].toLong() and 0xff) or ((bytes[9].toLong() and 0xff) shl 8)

/** The bytes of such a file for rows of the same length (n, D). */
internal fun npyBytes(rows: List<FloatArray>): ByteArray {
    val shape = "{'descr': '<f4', 'fortran_order': False, 'shape': (${rows.size}, ${rows[0].size}), }"
    val start = (10 + shape.length + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT
    val header = shape.padEnd(start - 11) + "\n"
    val bytes = ByteBuffer.allocate(start + 4 * rows.size * rows[0].size).order(ByteOrder.LITTLE_ENDIAN)
    bytes.put(MAGIC).put(1).put(0).putShort(header.length.toShort()).put(header.toByteArray(Charsets.ISO_8859_1))
    for (row in rows) for (value in row) bytes.putFloat(value)
    return bytes.array()
}
